/* SPDX-License-Identifier: MIT */
#include "common/close_decide.h"

#include "common/tcp_state.h"

#include <stddef.h>

static enum close_action because(enum close_action action, enum close_reason reason,
				 enum close_reason *why)
{
	if (why)
		*why = reason;
	return action;
}

/* What stays here when our FIN is the first: also what is left to do when a hand-over can't be. */
static enum close_action local_ending(const struct policy_terms *terms, enum close_reason otherwise,
				      enum close_reason *why)
{
	if (terms->time_wait_ms == TIME_WAIT_NONE)
		return because(CLOSE_QUIET, WHY_TIME_WAIT, why);
	if (terms->time_wait_ms > 0)
		return because(CLOSE_RETIRE, WHY_TIME_WAIT, why);
	return because(CLOSE_PASS, otherwise, why);
}

/* Withholding our FIN would swallow the peer's next request (a pooled connection timed out). */
static bool is_idle(const struct close_facts *facts)
{
	uint32_t round_trips_ms = facts->rtt_us / 250; /* four of them */

	return facts->unread == 0 &&
	       facts->idle_ms >= (round_trips_ms > 100 ? round_trips_ms : 100);
}

/* Why a hand-over can't be; WHY_PEER_FIRST if it can. */
static enum close_reason hand_over_obstacle(const struct close_facts *facts)
{
	if (is_idle(facts))
		return WHY_IDLE;
	if (facts->vain)
		return WHY_VAIN;
	if (facts->unsafe)
		return WHY_UNSAFE;
	if (!facts->daemon_ready)
		return WHY_NO_DAEMON;
	return WHY_PEER_FIRST;
}

static enum close_action decide_established(const struct policy_terms *terms,
					    const struct close_facts *facts, enum close_reason *why)
{
	enum close_reason obstacle;

	if (terms->close_first != FIRST_PEER)
		return local_ending(terms, WHY_APP, why);
	obstacle = hand_over_obstacle(facts);
	if (obstacle != WHY_PEER_FIRST)
		return local_ending(terms, obstacle, why);
	return because(CLOSE_HAND_OVER, WHY_PEER_FIRST, why);
}

static enum close_action decide_close_wait(const struct policy_terms *terms,
					   const struct close_facts *facts, enum close_reason *why)
{
	if (terms->peer_time_wait != PEER_TW_NONE)
		return because(CLOSE_PASS, WHY_PEER_CLOSED, why);
	if (facts->unread || facts->unacked)
		return because(CLOSE_PASS, WHY_NOT_ACKED, why);
	return because(CLOSE_RESET, WHY_PEER_TIME_WAIT, why);
}

enum close_action close_decide(const struct policy_terms *terms, const struct close_facts *facts,
			       enum close_reason *why)
{
	if (!terms)
		return because(CLOSE_PASS, WHY_NO_POLICY, why);
	if (!facts->sole_owner)
		return because(CLOSE_PASS, WHY_SHARED, why);
	if (facts->deferred)
		return because(CLOSE_PASS, WHY_DEFERRED, why);
	if (terms->linger == LINGER_APP && facts->app_linger)
		return because(CLOSE_PASS, WHY_APP_LINGER, why);
	if (terms->linger == LINGER_ABORT)
		return because(CLOSE_ABORT, WHY_LINGER, why);
	if (terms->linger == LINGER_TIME)
		return because(CLOSE_LINGER, WHY_LINGER, why);

	switch (facts->state) {
	case STATE_ESTABLISHED:
		return decide_established(terms, facts, why);
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
		return local_ending(terms, WHY_APP, why);
	case STATE_CLOSE:
		if (facts->ended)
			return because(CLOSE_PASS, WHY_STATE, why);
		/* fall through */
	case STATE_CLOSING: /* it may be a TIME_WAIT already: no option helps, retiring does */
		return terms->time_wait_ms >= 0 ? because(CLOSE_RETIRE, WHY_TIME_WAIT, why)
						: because(CLOSE_PASS, WHY_STATE, why);
	case STATE_CLOSE_WAIT:
		return decide_close_wait(terms, facts, why);
	default:
		return because(CLOSE_PASS, WHY_STATE, why);
	}
}

enum close_action shutdown_decide(const struct policy_terms *terms, const struct close_facts *facts,
				  enum close_reason *why)
{
	enum close_reason obstacle;

	if (!terms)
		return because(CLOSE_PASS, WHY_NO_POLICY, why);
	if (terms->close_first != FIRST_PEER || terms->half_close != HALF_DEFER)
		return because(CLOSE_PASS, WHY_APP, why);
	if (facts->state != STATE_ESTABLISHED)
		return because(CLOSE_PASS, WHY_STATE, why);
	if (!facts->sole_owner)
		return because(CLOSE_PASS, WHY_SHARED, why);
	if (facts->deferred)
		return because(CLOSE_DEFER, WHY_DEFERRED, why);
	if (terms->linger >= LINGER_ABORT || (terms->linger == LINGER_APP && facts->app_linger))
		return because(CLOSE_PASS, WHY_APP_LINGER, why);
	obstacle = hand_over_obstacle(facts);
	if (obstacle != WHY_PEER_FIRST)
		return because(CLOSE_PASS, obstacle, why);
	return because(CLOSE_DEFER, WHY_HALF_CLOSE, why);
}

enum close_reason close_obstacle(const struct policy_terms *terms, const struct close_facts *facts)
{
	if (!terms || terms->close_first != FIRST_PEER)
		return WHY_APP;
	if (facts->deferred)
		return WHY_DEFERRED;
	if (!facts->sole_owner)
		return WHY_SHARED;
	if (terms->linger == LINGER_APP && facts->app_linger)
		return WHY_APP_LINGER;
	if (terms->linger == LINGER_ABORT || terms->linger == LINGER_TIME)
		return WHY_LINGER;
	switch (facts->state) {
	case STATE_ESTABLISHED:
		return hand_over_obstacle(facts);
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
	case STATE_CLOSING:
		return WHY_SHUT;
	case STATE_CLOSE: /* a TIME_WAIT, if it was we who shut it down */
		return facts->ended ? WHY_STATE : WHY_SHUT;
	case STATE_CLOSE_WAIT:
	case STATE_LAST_ACK:
		return WHY_PEER_CLOSED;
	default:
		return WHY_STATE;
	}
}

bool close_reason_missed(enum close_reason reason)
{
	switch (reason) {
	case WHY_SHARED:
	case WHY_APP_LINGER:
	case WHY_LINGER:
	case WHY_IDLE:
	case WHY_VAIN:
	case WHY_UNSAFE:
	case WHY_NO_DAEMON:
	case WHY_SHUT:
		return true;
	default:
		return false;
	}
}

const char *close_action_word(enum close_action action)
{
	static const char *const words[] = {
#define X(name, word, text) [name] = word,
		CLOSE_ACTIONS(X)
#undef X
	};

	return (size_t)action < CLOSE_ACTION_COUNT ? words[action] : "unknown";
}

const char *close_action_text(enum close_action action)
{
	static const char *const texts[] = {
#define X(name, word, text) [name] = text,
		CLOSE_ACTIONS(X)
#undef X
	};

	return (size_t)action < CLOSE_ACTION_COUNT ? texts[action] : "unknown";
}

const char *close_reason_word(enum close_reason reason)
{
	static const char *const words[] = {
#define X(name, word, text) [name] = word,
		CLOSE_REASONS(X)
#undef X
	};

	return (size_t)reason < CLOSE_REASON_COUNT ? words[reason] : "unknown";
}

const char *close_reason_text(enum close_reason reason)
{
	static const char *const texts[] = {
#define X(name, word, text) [name] = text,
		CLOSE_REASONS(X)
#undef X
	};

	return (size_t)reason < CLOSE_REASON_COUNT ? texts[reason] : "unknown";
}

const char *close_side_word(enum close_side side)
{
	static const char *const words[] = {
#define X(name, word) [name] = word,
		CLOSE_SIDES(X)
#undef X
	};

	return (size_t)side < SIDE_COUNT ? words[side] : "unknown";
}
