/* SPDX-License-Identifier: MIT */
/* The connections of a thread, each at its place, and a list of those that may take too long: by
 * when they were begun. A pointer to one is good until the next is made. */
#ifndef CHURN_CONNS_H
#define CHURN_CONNS_H

#include <stdint.h>

enum churn_phase { CHURN_FREE, CHURN_CONNECTING, CHURN_READING, CHURN_AWAITING_EOF, CHURN_STAYING };

struct churn_conn {
	int fd;
	enum churn_phase phase;
	uint64_t due_ns, begun_ns, seed;
	uint64_t act_ns;  /* when it is to read, or to be closed; 0: it is not by the clock */
	uint32_t got;	  /* bytes of the answer */
	int older, newer; /* of the list; of the free ones, newer is the next */
};

enum { CHURN_NO_PLACE = -1 };

struct churn_conns {
	struct churn_conn *at;
	int capacity, free, oldest, newest;
	uint64_t open;
};

void churn_conns_init(struct churn_conns *conns);
/* Closes all. */
void churn_conns_free(struct churn_conns *conns);
/* A place at the newer end of the list; CHURN_NO_PLACE: no memory. */
int churn_conns_new(struct churn_conns *conns);
/* Closes it; its place is free. */
void churn_conns_end(struct churn_conns *conns, int place);
/* It stays, for as long as it likes. */
void churn_conns_stay(struct churn_conns *conns, int place);

#endif
