/* SPDX-License-Identifier: MIT */
#include "daemon/custody_judge.h"

#include "common/tcp_state.h"

bool custody_quiet(uint32_t unread, uint32_t idle_ms, uint32_t rtt_us)
{
	uint32_t round_trips_ms = rtt_us / 1000 * 3;

	return unread == 0 &&
	       idle_ms > (round_trips_ms > CUSTODY_QUIET_MS ? round_trips_ms : CUSTODY_QUIET_MS);
}

bool custody_body_arrives(bool quiet, uint32_t unread_at_start, uint64_t received,
			  uint32_t last_received_ms)
{
	return !quiet && (unread_at_start > 0 || received > 0) &&
	       last_received_ms < CUSTODY_SILENCE_MS;
}

/* What may still arrive for a client is an answer; it has none to give that were to be protected.
 */
static bool body_arrives(const struct custody_facts *facts)
{
	return !facts->client && custody_body_arrives(facts->quiet, facts->unread_at_start,
						      facts->received, facts->last_received_ms);
}

/* Our FIN is out: whatever comes now, we were the first closer. */
static enum custody_verdict judge_draining(const struct custody_facts *facts)
{
	if (facts->state == STATE_CLOSE)
		return facts->error ? VERDICT_RESET : VERDICT_US;
	if (facts->state == STATE_CLOSING)
		return VERDICT_BOTH;
	if (facts->wait_over || facts->last_received_ms >= CUSTODY_SILENCE_MS)
		return VERDICT_US;
	return VERDICT_WAIT;
}

/* CLOSE is where every way ends: which way was it? */
static enum custody_verdict judge_closed(const struct custody_facts *facts)
{
	if (facts->error)
		return facts->error_pipe ? VERDICT_PEER : VERDICT_RESET;
	if (facts->saw_fin)
		return VERDICT_PEER;
	return facts->shut_here ? VERDICT_US : VERDICT_RESET;
}

/* A new request, which is to be made elsewhere; or one who sends to an end that never said a word,
 * or answers a client that never listened. No answer of ours is on its way that a reset could
 * destroy, and the peer is to learn that nobody reads. */
static bool is_unwanted(const struct custody_facts *facts)
{
	if (facts->quiet && facts->received > 0)
		return true;
	return (facts->mute || (facts->client && facts->unheard)) &&
	       (facts->received > 0 || facts->unread_at_start > 0);
}

static enum custody_verdict judge_open(const struct custody_facts *facts)
{
	if (facts->owned && is_unwanted(facts))
		return VERDICT_EARLY;
	if (!facts->wait_over)
		return VERDICT_WAIT;
	return facts->owned && body_arrives(facts) ? VERDICT_DRAIN : VERDICT_GRACE;
}

enum custody_verdict custody_judge(const struct custody_facts *facts)
{
	if (facts->draining)
		return judge_draining(facts);
	switch (facts->state) {
	case STATE_CLOSE:
		return judge_closed(facts);
	case STATE_CLOSE_WAIT:
	case STATE_LAST_ACK:
		return VERDICT_PEER;
	case STATE_CLOSING:
		return facts->shut_here ? VERDICT_BOTH : VERDICT_PEER;
	case STATE_FIN_WAIT1: /* the program has shut it down itself */
	case STATE_FIN_WAIT2:
		return facts->wait_over ? VERDICT_US : VERDICT_WAIT;
	default:
		return judge_open(facts);
	}
}
