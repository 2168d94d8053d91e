/* SPDX-License-Identifier: MIT */
/* What became of the connections, counted by each thread and added up each second, and the lines of
 * JSON that say so. */
#ifndef CHURN_STATS_H
#define CHURN_STATS_H

#include "tests/bench/churn_hist.h"

#include <stdint.h>

/* Failures besides errno's. */
enum {
	CHURN_ERRNOS = 140,
	CHURN_EOF = CHURN_ERRNOS, /* the end of file came before the answer */
	CHURN_WRONG,		  /* other bytes than were sent, or one too many */
	CHURN_TIMEOUT,
	CHURN_ERRORS,
};

struct churn_stats {
	uint64_t begun;	    /* connect() was called */
	uint64_t connected; /* the handshake is complete */
	uint64_t answered;  /* the answer came, and was what it should be */
	uint64_t ended;	    /* closed, as was planned */
	uint64_t reset;	    /* of these: by an RST, after the whole answer */
	uint64_t failed;
	uint64_t missed;     /* with drop_late: were not begun in time */
	uint64_t slow;	     /* connected, given up or missed more than 5 ms after they were due */
	uint64_t slow_calls; /* connect() itself took more than 5 ms */
	uint64_t cut;	     /* answers that ended early, or were wrong */
	uint64_t bytes_lost; /* of these answers, that did not come */
	uint32_t errors[CHURN_ERRORS];
	/* Nanoseconds. Each but `call` from the moment when the connection was due, so what had to
	 * wait for others before it is not left out. */
	struct churn_hist connect, answer;
	struct churn_hist call; /* connect() itself, which looks for a port */
};

void churn_stats_error(struct churn_stats *stats, unsigned int error);
/* And `from` is zero. */
void churn_stats_move(struct churn_stats *to, struct churn_stats *from);

/* {"second":3,"ms":4000,"offered":1000,"begun":1000,"connected":999,...,"errors":{"EADDRNOTAVAIL":1},
 * "connect_us":{"p50":41.2,"p99":88.0,"p999":97.0,"max":120.5},...,"open":12}; second < 0: the
 * "summary". ms: since the run began. */
void churn_stats_print(const struct churn_stats *stats, long second, uint64_t ms, uint64_t offered,
		       uint64_t open);

#endif
