/* SPDX-License-Identifier: MIT */
/* The board: a file that all programs of a soak map. Counters, what the script wants of them, and
 * marks by which one process tells another what it has done to a connection. */
#ifndef SOAK_BOARD_H
#define SOAK_BOARD_H

#include "tests/soak/plan.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(member): what the script sets */
#define BOARD_ORDERS(X)                                                 \
	X(seed)                                                         \
	X(limit) /* connections in all; at it the clients rest */       \
	X(rate)	 /* connections a second at most */                     \
	X(calm)	 /* 1: the daemons have been undisturbed for a while */ \
	X(stop)	 /* 1: the end */

/* X(member): what the programs count */
#define BOARD_COUNTS(X)                                                                   \
	X(started)                                                                        \
	X(ended)                                                                          \
	X(bytes_up)                                                                       \
	X(bytes_down)                                                                     \
	X(whole)     /* answers that arrived whole */                                     \
	X(cut)	     /* ... or not, where that was to be expected */                      \
	X(aborted)   /* by the client */                                                  \
	X(forgotten) /* sent without wanting an answer */                                 \
	X(heard)     /* of those, arrived whole */                                        \
	X(served)                                                                         \
	X(unordered) /* connections that ended before their order was there */            \
	X(eligible)  /* closes of a server that should have been steered */               \
	X(looked)    /* ... where its client looked */                                    \
	X(steered)   /* ... and there was no FIN yet */                                   \
	X(late)	     /* the server gave up waiting for the client's end, as documented */ \
	X(unopened)  /* connect() failed */                                               \
	X(lost)	     /* FAILURE: an answer was not what was sent */                       \
	X(lost_up)   /* FAILURE: what the client sent did not arrive whole */             \
	X(not_ended) /* FAILURE: no clean end of file */                                  \
	X(hung)	     /* FAILURE: nothing for 30 s */                                      \
	X(stale)     /* FAILURE: an event of a connection that was closed */              \
	X(odd)	     /* FAILURE: a call failed that should not */

enum { BOARD_MARKS = 1 << 16, BOARD_SEATS = 1 << 10 };

struct board {
#define X(member) _Atomic uint64_t member;
	BOARD_ORDERS(X)
	BOARD_COUNTS(X)
#undef X
	_Atomic uint64_t looked_at[MODEL_COUNT], steered_at[MODEL_COUNT]; /* by kind of server */
	_Atomic uint64_t reports; /* lines about failures, to bound them */
	_Atomic uint64_t next_seat;
	_Atomic uint64_t mark[BOARD_MARKS]; /* connection that was closed in an eligible way */
	_Atomic uint32_t seat[BOARD_SEATS]; /* 1: who gave the connection away has closed it */
};

extern struct board *board;
extern const char *board_path;

bool board_map(const char *path, bool create);
int board_main(int argc, char **argv);
int board_models_main(int argc, char **argv);

#define COUNT(member) ((void)atomic_fetch_add_explicit(&board->member, 1, memory_order_relaxed))

/* Counts a failure and says, if not too many did before, what it was. */
#define FAIL(member, order, ...)                             \
	do {                                                 \
		COUNT(member);                               \
		board_report(#member, (order), __VA_ARGS__); \
	} while (0)
__attribute__((format(printf, 3, 4))) void board_report(const char *what, const struct order *order,
							const char *format, ...);

uint64_t board_now_ms(void);

#endif
