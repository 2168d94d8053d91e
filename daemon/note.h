/* SPDX-License-Identifier: MIT */
/* What the history keeps beside its numbers: what was done to this daemon, and by it. Said where it
 * happens, by whoever logs it; kept by who has asked to be told. In the loop's thread only. */
#ifndef DAEMON_NOTE_H
#define DAEMON_NOTE_H

/* X(enum, word). Numbers are those of the file: new ones come last. */
#define NOTE_KINDS(X)                                                                      \
	X(NOTE_START, "start")	   /* the daemon began */                                  \
	X(NOTE_STOP, "stop")	   /* it was told to stop */                               \
	X(NOTE_KILLED, "killed")   /* the loop died, or was killed, and another began */   \
	X(NOTE_ON, "on")	   /* steering was switched on */                          \
	X(NOTE_OFF, "off")	   /* ... off */                                           \
	X(NOTE_RELOAD, "reload")   /* the config was read again, well or not */            \
	X(NOTE_SYSCTL, "sysctl")   /* a sysctl changed, by us or by others */              \
	X(NOTE_BACKLOG, "backlog") /* a listener's accept queue was made longer */         \
	X(NOTE_CLOCK, "clock")	   /* the wall clock jumped */                             \
	X(NOTE_LIMIT, "limit")	   /* a user came to a limit, or sent what no shim does */ \
	X(NOTE_LOST, "lost")	   /* records were lost */

enum note_kind {
#define X(name, word) name,
	NOTE_KINDS(X)
#undef X
		NOTE_COUNT
};

/* "unknown" for any other number. */
const char *note_word(unsigned int kind);

typedef void note_sink(void *arg, enum note_kind kind, const char *text);

/* NULL: what is noted is not kept. */
void note_set_sink(note_sink *sink, void *arg);
void note(enum note_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
