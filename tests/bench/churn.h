/* SPDX-License-Identifier: MIT */
/* What is asked of a run, and what its two ends agree on. */
#ifndef CHURN_H
#define CHURN_H

#include "tests/bench/churn_plan.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { CHURN_SOURCES = 64, CHURN_THREADS = 64, CHURN_ANSWER_MAX = 1 << 26 };

enum churn_close {
	CHURN_US,    /* close() as soon as the exchange is complete */
	CHURN_PEER,  /* close() once the other end has: its FIN comes first */
	CHURN_NEVER, /* not before the end of the run */
};

struct churn_address {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct churn_options {
	bool serve;
	struct churn_address at; /* where to connect to, or to listen */
	struct churn_plan plan;
	unsigned int threads;
	struct churn_address source[CHURN_SOURCES]; /* taken in turn */
	unsigned int source_count;
	uint32_t port_range; /* as IP_LOCAL_PORT_RANGE wants it; 0: the namespace's */
	enum churn_close close;
	uint32_t answer;       /* its bytes */
	bool http;	       /* a GET of HTTP/1.0, for a server that is not ours */
	bool until_eof;	       /* the answer ends with the server's FIN, not after so many bytes */
	bool linger0;	       /* close() throws away what is unsent, with an RST */
	unsigned int pause_ms; /* CHURN_US: waits so long for the other end's FIN before */
	unsigned int read_after_ms; /* a reader that has something else to do first */
	bool drop_late;		    /* what was not begun in its time is not begun later */
	unsigned int every;	    /* a line for so many begun connections, not each second */
	unsigned int timeout_s;	    /* after which a connection is given up */
	unsigned int stay_s;	    /* what is open at the end stays so for so long */
	int backlog;
	unsigned int accept_every_ms; /* 0: as they come */
};

/* The request: what answer is wanted. Both ends are the same machine's: native numbers. */
struct churn_request {
	uint32_t magic, length;
	uint64_t seed;
	uint64_t sum; /* of the above: churn_request_sum() */
};
enum { CHURN_MAGIC = 0x6e727563 };

uint64_t churn_request_sum(const struct churn_request *request);
/* The bytes of an answer from `from` on follow from its seed. */
void churn_payload(uint64_t seed, uint32_t from, uint8_t *buf, size_t len);

uint64_t churn_now_ns(void);

/* Until the plan is through, or SIGTERM. The exit status. */
int churn_connect(const struct churn_options *options);
/* Until SIGTERM. */
int churn_serve(const struct churn_options *options);

/* SIGTERM and SIGINT set it. */
extern volatile bool churn_stop;

#endif
