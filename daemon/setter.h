/* SPDX-License-Identifier: MIT */
/* Writes sysctls, for the loop, in the guardian: who may write them should do nothing else.
 *
 * A write is: is it a key of ours and a direction that its row permits (sysctl.h)? is it named in
 * sysctl.d (sysctld.h)? does it still have the value that the loop thinks it has? Then the original
 * goes to the journal (journal.h) and to the disk, then the value is written, and read back. What
 * was written is ours until somebody else changes it: that is seen before the next write and when
 * it is to be put back, and then it is his. Back towards the original a value of ours may always
 * go, and it is put back also if sysctl.d names it meanwhile: that file has not been applied.
 *
 * The journal is what a SIGKILL at any moment leaves: the next guardian reads it, and still knows
 * what is ours and what it was.
 *
 * The kernel has no compare-and-set for a sysctl. Between the last look and the write there are two
 * system calls, and whoever writes just then is not seen before the value is read back; what is
 * read back is taken for the kernel's doing only if it lies between what was there and what we
 * wrote, otherwise for somebody else's. */
#ifndef DAEMON_SETTER_H
#define DAEMON_SETTER_H

#include "daemon/sysctl.h"

#include <stdbool.h>
#include <stdint.h>

enum setter_op {
	SETTER_WRITE,
	SETTER_REVERT, /* puts back one key, or with SETTER_ALL all of all namespaces: then it
			  answers once for each, and ends with SETTER_ALL */
	SETTER_LIST,   /* answers once for each key that is ours, and ends with SETTER_ALL */
};

enum { SETTER_ALL = 255 };

/* X(enum, text): why a sysctl was not set. */
#define SETTER_OUTCOMES(X)                                                            \
	X(DONE, "done")                                                               \
	X(CHANGED, "somebody else has changed it")                                    \
	X(NAMED, "it is named in sysctl.d")                                           \
	X(FORBIDDEN, "closeside does not set it so")	/* against its row */         \
	X(NOT_PERMITTED, "no permission")		/* EACCES, EPERM */           \
	X(READ_ONLY, "it is read-only here")		/* EROFS, or mode 0444 */     \
	X(REFUSED, "the kernel refuses the value")	/* EINVAL, ERANGE... */       \
	X(CLAMPED, "the kernel has made another of it") /* it is ours all the same */ \
	X(NO_JOURNAL, "its original cannot be kept: the journal cannot be written")   \
	X(NO_SUCH, "there is no such sysctl here")                                    \
	X(GONE, "the network namespace has gone")                                     \
	X(NO_NAMESPACE, "the network namespace cannot be entered")

enum setter_outcome {
#define X(name, text) SETTER_##name,
	SETTER_OUTCOMES(X)
#undef X
		SETTER_OUTCOME_COUNT
};

struct setter_request {
	uint32_t serial; /* comes back */
	uint8_t op, key;
	uint8_t pad[2];
	uint64_t netns; /* inode; 0: the daemon's own */
	int64_t pid;	/* of a process in it; 0: the guardian may look for one */
	struct sysctl_value expected, value;
};

struct setter_answer {
	uint32_t serial;
	uint8_t op, key, outcome; /* enum setter_outcome */
	uint8_t is_ours;	  /* the journal has it */
	uint64_t netns;
	int32_t error; /* errno behind the outcome; 0: none */
	int32_t pad;
	struct sysctl_value original;	 /* count 0: not ours */
	struct sysctl_value before, now; /* count 0: could not be read */
};
_Static_assert(sizeof(struct setter_request) == 88 && sizeof(struct setter_answer) == 120, "sizes");

const char *setter_outcome_text(enum setter_outcome outcome);

/* --- the guardian's ---------------------------------------------------------------------------
 */

struct setter;

/* journal_path: read if it is there; what in it is of this boot and still as it was written is
 * ours. A journal that is damaged or foreign is put aside, or nothing is ever written: both are
 * logged. What is of another namespace than our own is judged once that is entered. NULL for want
 * of memory. */
struct setter *setter_new(const char *journal_path);
/* Puts back all that is still ours; put_back false: leaves all. What cannot be put back is logged,
 * and stays in the journal; if there is nothing of the kind, there is no journal any more. */
void setter_free(struct setter *setter, bool put_back);
/* A channel, which keeps messages apart, in the place of the former: another loop is not told what
 * that one has asked. Returns the loop's end, or -1. Each request raises SIGIO in the caller. */
int setter_connect(struct setter *setter);
/* Serves what was asked, without waiting. */
void setter_serve(struct setter *setter);

/* --- the loop's -------------------------------------------------------------------------------
 */

/* false: it cannot be asked now. */
bool setter_ask(int fd, const struct setter_request *request);
/* An answer, if there is one. */
bool setter_take(int fd, struct setter_answer *answer);

#endif
