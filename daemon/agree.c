/* SPDX-License-Identifier: MIT */
#include "daemon/agree.h"

/* Between the shim's look at the state and its close there are microseconds; a machine that gives
 * the program no processor meanwhile makes them this many. And a record has its way to the daemon.
 */
#define RACE_NS UINT64_C(100000000)

static const struct {
	enum agree_kind kind;
	const char *word, *text;
} results[AGREE_COUNT] = {
#define X(name, kind, word, text) [name] = {kind, word, text},
	AGREE_RESULTS(X)
#undef X
};

enum agree_kind agree_kind(enum agree_result result)
{
	return results[result].kind;
}

const char *agree_word(enum agree_result result)
{
	return results[result].word;
}

const char *agree_text(enum agree_result result)
{
	return results[result].text;
}

static bool is_same(enum close_side claim, enum flow_first wire)
{
	return (claim == SIDE_US && wire == FLOW_US) || (claim == SIDE_PEER && wire == FLOW_PEER) ||
	       (claim == SIDE_BOTH && wire == FLOW_BOTH) ||
	       (claim == SIDE_RESET && wire == FLOW_RESET);
}

/* About the same moment: the daemon's clock is a coarse one. */
static bool is_near(uint64_t when, uint64_t then)
{
	return when && when < then + RACE_NS && then < when + RACE_NS;
}

/* The peer's FIN was the first on the wire, we say that it was ours. */
static enum agree_result explain_peer_first(const struct agree_case *about)
{
	const struct flow_way *us = &about->flow->way[about->us],
			      *peer = &about->flow->way[!about->us];

	if (about->unacked)
		return AGREE_QUEUED;
	if (is_near(peer->fin_ns, flow_ended_ns(about->flow, about->us)) ||
	    (!us->fin && !us->rst && is_near(peer->fin_ns, about->claimed_ns)))
		return AGREE_RACED;
	return AGREE_UNEXPLAINED;
}

/* RST was the first, we say FIN. */
static enum agree_result explain_reset(const struct agree_case *about)
{
	const struct flow_way *us = &about->flow->way[about->us],
			      *peer = &about->flow->way[!about->us];

	if (us->rst && !(peer->rst && peer->rst_nth < us->rst_nth))
		return AGREE_UNREAD;
	return is_near(peer->rst_ns, about->claimed_ns) ? AGREE_PEER_RESET : AGREE_UNEXPLAINED;
}

static enum agree_result explain(const struct agree_case *about, enum flow_first wire)
{
	const struct flow_way *peer = &about->flow->way[!about->us];

	if (wire == FLOW_BOTH && (about->claim == SIDE_US || about->claim == SIDE_PEER))
		return AGREE_CROSSED;
	if (wire == FLOW_PEER && about->claim == SIDE_US)
		return explain_peer_first(about);
	if (wire == FLOW_RESET && (about->claim == SIDE_US || about->claim == SIDE_PEER))
		return explain_reset(about);
	if (about->claim == SIDE_RESET && wire == FLOW_PEER && !peer->rst &&
	    is_near(peer->fin_ns, flow_ended_ns(about->flow, about->us)))
		return AGREE_RACED; /* it would have been RST, and still was */
	if (about->claim == SIDE_RESET && peer->rst)
		return AGREE_FIN_RST;
	return AGREE_UNEXPLAINED;
}

enum agree_result agree_judge(const struct agree_case *about)
{
	enum flow_first wire;

	if (!about->flow)
		return about->lost ? AGREE_LOST : AGREE_UNSEEN;
	wire = flow_first(about->flow, about->us);
	if (is_same(about->claim, wire))
		return AGREE_SAME;
	if (about->lost)
		return AGREE_LOST;
	if (wire == FLOW_REFUSED)
		return AGREE_NEVER;
	if (wire == FLOW_OPEN)
		return AGREE_OPEN;
	if (about->claim == SIDE_UNKNOWN)
		return AGREE_NO_CLAIM;
	return explain(about, wire);
}
