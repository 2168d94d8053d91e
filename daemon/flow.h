/* SPDX-License-Identifier: MIT */
/* The connections of a capture, and what their segments say of who closed first.
 *
 * The same segment may be seen on several interfaces, and on the loopback both going out and coming
 * in; it may be sent again. What is kept is of its first appearance. */
#ifndef DAEMON_FLOW_H
#define DAEMON_FLOW_H

#include "daemon/segment.h"

#include <stddef.h>

/* X(enum, word) */
#define FLOW_FIRSTS(X)                                                                       \
	X(FLOW_OPEN, "open")	 /* neither FIN nor RST until now */                         \
	X(FLOW_REFUSED, "never") /* SYN, and no SYN-ACK */                                   \
	X(FLOW_US, "us")                                                                     \
	X(FLOW_PEER, "peer")                                                                 \
	X(FLOW_BOTH, "both")   /* neither FIN acknowledges the other: RFC 9293, figure 13 */ \
	X(FLOW_RESET, "reset") /* RST came before any FIN */

enum flow_first {
#define X(name, word) name,
	FLOW_FIRSTS(X)
#undef X
		FLOW_FIRST_COUNT
};

const char *flow_first_word(enum flow_first first);

/* What one end has sent. */
struct flow_way {
	bool syn, synack, fin, rst;
	uint32_t isn;
	uint32_t fin_end; /* what acknowledges it */
	uint32_t fin_ack; /* what it acknowledges itself */
	uint64_t syn_ns, fin_ns, rst_ns;
	unsigned int fin_nth, rst_nth; /* in the order of the capture */
};

struct flow {
	struct endpoint ends[2]; /* 0 is the smaller one */
	struct flow_way way[2];
	struct segment *segments; /* each once, at most FLOW_SEGMENTS */
	unsigned int count, left_out;
	uint64_t begun_ns;
	bool taken;	   /* for whom asks */
	struct flow *next; /* of the same ends, later */
};

enum { FLOW_SEGMENTS = 512 };

struct flows;

/* At most max of them, and so many segments in all. */
struct flows *flows_new(unsigned int max, unsigned int segments);
void flows_free(struct flows *flows);
void flows_take(struct flows *flows, const struct segment *segment);
unsigned int flows_count(const struct flows *flows);
/* Those that there was no room for. */
unsigned int flows_left_out(const struct flows *flows);
/* The oldest of these two ends, or NULL. */
struct flow *flows_find(const struct flows *flows, const struct endpoint *one,
			const struct endpoint *other);

/* 0 or 1: which of its ends this is. */
int flow_end(const struct flow *flow, const struct endpoint *end);
enum flow_first flow_first(const struct flow *flow, int us);
/* Both ends have ended it. */
bool flow_is_over(const struct flow *flow);
bool flow_is_established(const struct flow *flow);
/* The moment of the first FIN or RST of an end; 0: none. */
uint64_t flow_ended_ns(const struct flow *flow, int end);

#endif
