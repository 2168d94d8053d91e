/* SPDX-License-Identifier: MIT */
/* The books: the same counters for all, for each policy, and for each `run --report` tag. */
#ifndef DAEMON_TALLY_H
#define DAEMON_TALLY_H

#include "common/close_decide.h"
#include "common/wire.h"

#include "daemon/limits.h"

#include <stdint.h>
#include <sys/types.h>

/* How custody ended. X(enum, word) */
#define CUSTODY_OUTCOMES(X)                                                                    \
	X(OUTCOME_PEER, "peer")		    /* the peer closed first */                        \
	X(OUTCOME_GRACE, "grace")	    /* it did not within the grace */                  \
	X(OUTCOME_RESET, "reset")	    /* it sent RST */                                  \
	X(OUTCOME_EARLY, "early")	    /* a new request, a limit, or our stop ended it */ \
	X(OUTCOME_NOT_WAITED, "not_waited") /* patience knows that waiting does not pay */

enum custody_outcome {
#define X(name, word) name,
	CUSTODY_OUTCOMES(X)
#undef X
		OUTCOME_COUNT
};

const char *custody_outcome_word(enum custody_outcome outcome);

/* Waits in milliseconds: exact below 16, then four buckets to each power of two. */
enum { WAITS_BUCKETS = 16 + 4 * 20 };

struct waits {
	uint64_t count;
	uint32_t max_ms;
	uint32_t bucket[WAITS_BUCKETS];
};

void waits_add(struct waits *waits, uint32_t ms);
/* The wait that `percent` of all stay within, rounded up by at most a quarter; 0 if none. */
uint32_t waits_percentile(const struct waits *waits, unsigned int percent);

struct tally {
	uint64_t opens;
	uint64_t closes[SIDE_COUNT];
	uint64_t hand_overs; /* all that carried a descriptor */
	uint64_t held;	     /* now */
	uint64_t outcomes[OUTCOME_COUNT];
	uint64_t missed[CLOSE_REASON_COUNT]; /* not handed over: close_reason_missed() */
	uint64_t drained_bytes;
	uint64_t unread_bytes; /* thrown away by a close */
	uint64_t time_wait_left, time_wait_avoided;
	struct waits waits;
};

/* Slot 0 of either table takes what has no policy, or no tag. Slots are never freed, so an
 * account stays valid; a tag's slot may be used again for another tag when all are taken. */
enum { BOOK_POLICIES = 160, BOOK_TAGS = LIMIT_TAGS + 1, BOOK_TAG_MAX = 48 };

struct account {
	uint16_t policy : 15;
	uint16_t control : 1; /* not of its share: only watched */
	uint16_t tag;
};

struct book_policy {
	uint32_t id;
	char name[POLICY_NAME_MAX]; /* "": an id that no loaded policy explains */
	struct tally tally;	    /* of what it steers */
	struct tally control;	    /* of what it would steer, but for its share */
};

struct book_tag {
	char tag[BOOK_TAG_MAX];
	unsigned int sessions; /* that are there */
	uid_t uid;	       /* who began it */
	struct tally tally;
};

struct book {
	struct tally all;
	unsigned int policy_count, tag_count;
	struct book_policy policy[BOOK_POLICIES];
	struct book_tag tag[BOOK_TAGS];
	uint64_t records[WIRE_TYPE_COUNT];
	uint64_t bad_messages, refused;
	uint64_t retired, retire_left;
};

struct book *book_new(void);
void book_free(struct book *book);

/* Gives the id a name, for a policy of the config. */
void book_name_policy(struct book *book, uint32_t id, const char *name);
/* Slots by id and by tag, new ones for what is not there yet. Ids that only records name can't take
 * the room of a config's. 0 for id 0, an empty tag, or when the table, or the user's share, is
 * full. */
uint16_t book_policy_slot(struct book *book, uint32_t id);
uint16_t book_tag_slot(struct book *book, const char *tag, size_t len, uid_t uid);
/* The slot of a tag that is there already, or 0. */
uint16_t book_find_tag(const struct book *book, const char *tag, size_t len);

struct tally *book_policy_tally(struct book *book, struct account account);

#define BOOK_ADD(book, account, member, n)                       \
	do {                                                     \
		(book)->all.member += (n);                       \
		book_policy_tally(book, account)->member += (n); \
		(book)->tag[(account).tag].tally.member += (n);  \
	} while (0)

void book_wait(struct book *book, struct account account, uint32_t ms);

#endif
