/* SPDX-License-Identifier: MIT */
/* The decision, row by row: what the policy says, what is known of the connection, what close()
 * (or shutdown()) then does and why. */
#include "common/close_decide.h"

#include "common/tcp_state.h"
#include "tests/unit/unit.h"

struct row {
	const char *name;
	const char *policy; /* as `run -o` takes it; NULL: none matches */
	struct close_facts facts;
	enum close_action action;
	enum close_reason why;
};

/* What is mostly so: a busy connection that is ours alone, and a daemon to take it. */
#define FACTS(s, ...)                                                                     \
	{                                                                                 \
		.state = STATE_##s, .sole_owner = true, .daemon_ready = true, __VA_ARGS__ \
	}
#define SHARED(s)                                        \
	{                                                \
		.state = STATE_##s, .daemon_ready = true \
	}
#define NO_DAEMON(s, ...)                                           \
	{                                                           \
		.state = STATE_##s, .sole_owner = true, __VA_ARGS__ \
	}

#define PEER "close-first=peer"
#define PEER_NONE "close-first=peer,time-wait=none"
#define PEER_5S "close-first=peer,time-wait=5s"
#define SELF_NONE "close-first=self,time-wait=none"

static const struct row close_rows[] = {
	/* no policy: nothing, whatever the facts */
	{"no policy, established", NULL, FACTS(ESTABLISHED), CLOSE_PASS, WHY_NO_POLICY},
	{"no policy, close-wait", NULL, FACTS(CLOSE_WAIT), CLOSE_PASS, WHY_NO_POLICY},
	{"no policy, not the sole owner", NULL, SHARED(ESTABLISHED), CLOSE_PASS, WHY_NO_POLICY},

	/* the defaults change nothing in any state */
	{"defaults, established", "", FACTS(ESTABLISHED), CLOSE_PASS, WHY_APP},
	{"defaults, syn-sent", "", FACTS(SYN_SENT), CLOSE_PASS, WHY_STATE},
	{"defaults, syn-recv", "", FACTS(SYN_RECV), CLOSE_PASS, WHY_STATE},
	{"defaults, fin-wait-1", "", FACTS(FIN_WAIT1), CLOSE_PASS, WHY_APP},
	{"defaults, fin-wait-2", "", FACTS(FIN_WAIT2), CLOSE_PASS, WHY_APP},
	{"defaults, time-wait", "", FACTS(TIME_WAIT), CLOSE_PASS, WHY_STATE},
	{"defaults, closed", "", FACTS(CLOSE), CLOSE_PASS, WHY_STATE},
	{"defaults, close-wait", "", FACTS(CLOSE_WAIT), CLOSE_PASS, WHY_PEER_CLOSED},
	{"defaults, last-ack", "", FACTS(LAST_ACK), CLOSE_PASS, WHY_STATE},
	{"defaults, listening", "", FACTS(LISTEN), CLOSE_PASS, WHY_STATE},
	{"defaults, closing", "", FACTS(CLOSING), CLOSE_PASS, WHY_STATE},
	{"state not known",
	 PEER_NONE,
	 {.sole_owner = true, .daemon_ready = true},
	 CLOSE_PASS,
	 WHY_STATE},

	{"time-wait = none, ended by a reset", "time-wait=none", FACTS(CLOSE, .ended = true),
	 CLOSE_PASS, WHY_STATE},

	/* close-first = peer, in every state */
	{"peer, established", PEER, FACTS(ESTABLISHED), CLOSE_HAND_OVER, WHY_PEER_FIRST},
	{"peer, syn-sent", PEER, FACTS(SYN_SENT), CLOSE_PASS, WHY_STATE},
	{"peer, syn-recv", PEER, FACTS(SYN_RECV), CLOSE_PASS, WHY_STATE},
	{"peer, fin-wait-1", PEER, FACTS(FIN_WAIT1), CLOSE_PASS, WHY_APP},
	{"peer, fin-wait-2", PEER, FACTS(FIN_WAIT2), CLOSE_PASS, WHY_APP},
	{"peer, close-wait", PEER, FACTS(CLOSE_WAIT), CLOSE_PASS, WHY_PEER_CLOSED},
	{"peer, last-ack", PEER, FACTS(LAST_ACK), CLOSE_PASS, WHY_STATE},
	{"peer, closing", PEER, FACTS(CLOSING), CLOSE_PASS, WHY_STATE},
	{"peer, closed", PEER, FACTS(CLOSE), CLOSE_PASS, WHY_STATE},
	{"peer, listening", PEER, FACTS(LISTEN), CLOSE_PASS, WHY_STATE},

	/* data on its way is the daemon's business, not an obstacle */
	{"peer, unread data", PEER, FACTS(ESTABLISHED, .unread = 1000), CLOSE_HAND_OVER,
	 WHY_PEER_FIRST},
	{"peer, unacknowledged data", PEER, FACTS(ESTABLISHED, .unacked = 1000), CLOSE_HAND_OVER,
	 WHY_PEER_FIRST},

	/* what stands in the way of a hand-over, and the local ending that is then left */
	{"peer, shared", PEER, SHARED(ESTABLISHED), CLOSE_PASS, WHY_SHARED},
	{"peer, shared, time-wait none", PEER_NONE, SHARED(ESTABLISHED), CLOSE_PASS, WHY_SHARED},
	{"peer, unsafe", PEER, FACTS(ESTABLISHED, .unsafe = true), CLOSE_PASS, WHY_UNSAFE},
	{"peer, unsafe, time-wait none", PEER_NONE, FACTS(ESTABLISHED, .unsafe = true), CLOSE_QUIET,
	 WHY_TIME_WAIT},
	{"peer, unsafe, time-wait 5s", PEER_5S, FACTS(ESTABLISHED, .unsafe = true), CLOSE_RETIRE,
	 WHY_TIME_WAIT},
	{"peer, no daemon", PEER, NO_DAEMON(ESTABLISHED), CLOSE_PASS, WHY_NO_DAEMON},
	{"peer, no daemon, time-wait none", PEER_NONE, NO_DAEMON(ESTABLISHED), CLOSE_QUIET,
	 WHY_TIME_WAIT},
	{"peer, unsafe and no daemon", PEER, NO_DAEMON(ESTABLISHED, .unsafe = true), CLOSE_PASS,
	 WHY_UNSAFE},
	{"peer, shutdown already deferred", PEER, FACTS(ESTABLISHED, .deferred = true), CLOSE_PASS,
	 WHY_DEFERRED},
	{"peer, deferred, peer has closed", PEER_NONE, FACTS(CLOSE_WAIT, .deferred = true),
	 CLOSE_PASS, WHY_DEFERRED},

	/* an idle connection: four round trips, at least 100 ms, and nothing unread */
	{"peer, idle 99 ms", PEER, FACTS(ESTABLISHED, .idle_ms = 99), CLOSE_HAND_OVER,
	 WHY_PEER_FIRST},
	{"peer, idle 100 ms", PEER, FACTS(ESTABLISHED, .idle_ms = 100), CLOSE_PASS, WHY_IDLE},
	{"peer, idle, time-wait none", PEER_NONE, FACTS(ESTABLISHED, .idle_ms = 5000), CLOSE_QUIET,
	 WHY_TIME_WAIT},
	{"peer, idle 100 ms, rtt 50 ms", PEER, FACTS(ESTABLISHED, .idle_ms = 100, .rtt_us = 50000),
	 CLOSE_HAND_OVER, WHY_PEER_FIRST},
	{"peer, idle 199 ms, rtt 50 ms", PEER, FACTS(ESTABLISHED, .idle_ms = 199, .rtt_us = 50000),
	 CLOSE_HAND_OVER, WHY_PEER_FIRST},
	{"peer, idle 200 ms, rtt 50 ms", PEER, FACTS(ESTABLISHED, .idle_ms = 200, .rtt_us = 50000),
	 CLOSE_PASS, WHY_IDLE},
	{"peer, idle but unread", PEER, FACTS(ESTABLISHED, .idle_ms = 5000, .unread = 1),
	 CLOSE_HAND_OVER, WHY_PEER_FIRST},
	{"peer, idle for ever", PEER, FACTS(ESTABLISHED, .idle_ms = UINT32_MAX), CLOSE_PASS,
	 WHY_IDLE},

	/* close-first = self never waits */
	{"self, established", "close-first=self", FACTS(ESTABLISHED), CLOSE_PASS, WHY_APP},
	{"self, time-wait none", SELF_NONE, FACTS(ESTABLISHED), CLOSE_QUIET, WHY_TIME_WAIT},
	{"self, no daemon", SELF_NONE, NO_DAEMON(ESTABLISHED), CLOSE_QUIET, WHY_TIME_WAIT},

	/* time-wait: where our FIN is the first */
	{"none, established", "time-wait=none", FACTS(ESTABLISHED), CLOSE_QUIET, WHY_TIME_WAIT},
	{"none, fin-wait-1", "time-wait=none", FACTS(FIN_WAIT1), CLOSE_QUIET, WHY_TIME_WAIT},
	{"none, fin-wait-2", "time-wait=none", FACTS(FIN_WAIT2), CLOSE_QUIET, WHY_TIME_WAIT},
	{"none, closing", "time-wait=none", FACTS(CLOSING), CLOSE_RETIRE, WHY_TIME_WAIT},
	{"none, closed", "time-wait=none", FACTS(CLOSE), CLOSE_RETIRE, WHY_TIME_WAIT},
	{"none, close-wait", "time-wait=none", FACTS(CLOSE_WAIT), CLOSE_PASS, WHY_PEER_CLOSED},
	{"none, last-ack", "time-wait=none", FACTS(LAST_ACK), CLOSE_PASS, WHY_STATE},
	{"none, syn-sent", "time-wait=none", FACTS(SYN_SENT), CLOSE_PASS, WHY_STATE},
	{"none, listening", "time-wait=none", FACTS(LISTEN), CLOSE_PASS, WHY_STATE},
	{"none, shared", "time-wait=none", SHARED(ESTABLISHED), CLOSE_PASS, WHY_SHARED},
	{"none, idle", "time-wait=none", FACTS(ESTABLISHED, .idle_ms = 5000), CLOSE_QUIET,
	 WHY_TIME_WAIT},
	{"5s, established", "time-wait=5s", FACTS(ESTABLISHED), CLOSE_RETIRE, WHY_TIME_WAIT},
	{"5s, fin-wait-2", "time-wait=5s", FACTS(FIN_WAIT2), CLOSE_RETIRE, WHY_TIME_WAIT},
	{"5s, closing", "time-wait=5s", FACTS(CLOSING), CLOSE_RETIRE, WHY_TIME_WAIT},
	{"5s, close-wait", "time-wait=5s", FACTS(CLOSE_WAIT), CLOSE_PASS, WHY_PEER_CLOSED},
	{"keep, closing", "time-wait=keep", FACTS(CLOSING), CLOSE_PASS, WHY_STATE},
	{"peer and none, established", PEER_NONE, FACTS(ESTABLISHED), CLOSE_HAND_OVER,
	 WHY_PEER_FIRST},

	/* peer-time-wait: only a peer that closed, and has everything */
	{"peer-time-wait none, close-wait", "peer-time-wait=none", FACTS(CLOSE_WAIT), CLOSE_RESET,
	 WHY_PEER_TIME_WAIT},
	{"peer-time-wait none, unread", "peer-time-wait=none", FACTS(CLOSE_WAIT, .unread = 1),
	 CLOSE_PASS, WHY_NOT_ACKED},
	{"peer-time-wait none, unacknowledged", "peer-time-wait=none",
	 FACTS(CLOSE_WAIT, .unacked = 1), CLOSE_PASS, WHY_NOT_ACKED},
	{"peer-time-wait none, shared", "peer-time-wait=none", SHARED(CLOSE_WAIT), CLOSE_PASS,
	 WHY_SHARED},
	{"peer-time-wait none, established", "peer-time-wait=none", FACTS(ESTABLISHED), CLOSE_PASS,
	 WHY_APP},
	{"peer-time-wait none, last-ack", "peer-time-wait=none", FACTS(LAST_ACK), CLOSE_PASS,
	 WHY_STATE},

	/* linger: the program's own word first, then the policy's */
	{"program's linger, peer", PEER, FACTS(ESTABLISHED, .app_linger = true), CLOSE_PASS,
	 WHY_APP_LINGER},
	{"program's linger, time-wait none", "time-wait=none",
	 FACTS(ESTABLISHED, .app_linger = true), CLOSE_PASS, WHY_APP_LINGER},
	{"program's linger, peer-time-wait none", "peer-time-wait=none",
	 FACTS(CLOSE_WAIT, .app_linger = true), CLOSE_PASS, WHY_APP_LINGER},
	{"program's linger, linger off, peer", PEER ",linger=off",
	 FACTS(ESTABLISHED, .app_linger = true), CLOSE_HAND_OVER, WHY_PEER_FIRST},
	{"program's linger, linger off, none", "time-wait=none,linger=off",
	 FACTS(ESTABLISHED, .app_linger = true), CLOSE_QUIET, WHY_TIME_WAIT},
	{"linger abort", "linger=abort,allow-data-loss=yes", FACTS(ESTABLISHED), CLOSE_ABORT,
	 WHY_LINGER},
	{"linger abort, peer", PEER ",linger=abort,allow-data-loss=yes", FACTS(ESTABLISHED),
	 CLOSE_ABORT, WHY_LINGER},
	{"linger abort, program's linger", "linger=abort,allow-data-loss=yes",
	 FACTS(ESTABLISHED, .app_linger = true), CLOSE_ABORT, WHY_LINGER},
	{"linger abort, shared", "linger=abort,allow-data-loss=yes", SHARED(ESTABLISHED),
	 CLOSE_PASS, WHY_SHARED},
	{"linger 3s", "linger=3s", FACTS(ESTABLISHED), CLOSE_LINGER, WHY_LINGER},
	{"linger 3s, peer", PEER ",linger=3s", FACTS(ESTABLISHED), CLOSE_LINGER, WHY_LINGER},
};

#define DEFER "close-first=peer,half-close=defer"

static const struct row shutdown_rows[] = {
	{"shutdown, no policy", NULL, FACTS(ESTABLISHED), CLOSE_PASS, WHY_NO_POLICY},
	{"shutdown, defaults", "", FACTS(ESTABLISHED), CLOSE_PASS, WHY_APP},
	{"shutdown, peer and pass", PEER, FACTS(ESTABLISHED), CLOSE_PASS, WHY_APP},
	{"shutdown, defer without peer", "half-close=defer", FACTS(ESTABLISHED), CLOSE_PASS,
	 WHY_APP},
	{"shutdown, defer", DEFER, FACTS(ESTABLISHED), CLOSE_DEFER, WHY_HALF_CLOSE},
	{"shutdown, defer, unread", DEFER, FACTS(ESTABLISHED, .unread = 10, .idle_ms = 5000),
	 CLOSE_DEFER, WHY_HALF_CLOSE},
	{"shutdown, defer, twice", DEFER, FACTS(ESTABLISHED, .deferred = true), CLOSE_DEFER,
	 WHY_DEFERRED},
	{"shutdown, defer, shared", DEFER, SHARED(ESTABLISHED), CLOSE_PASS, WHY_SHARED},
	{"shutdown, defer, idle", DEFER, FACTS(ESTABLISHED, .idle_ms = 100), CLOSE_PASS, WHY_IDLE},
	{"shutdown, defer, unsafe", DEFER, FACTS(ESTABLISHED, .unsafe = true), CLOSE_PASS,
	 WHY_UNSAFE},
	{"shutdown, defer, no daemon", DEFER, NO_DAEMON(ESTABLISHED), CLOSE_PASS, WHY_NO_DAEMON},
	{"shutdown, defer, time-wait none, no daemon", DEFER ",time-wait=none",
	 NO_DAEMON(ESTABLISHED), CLOSE_PASS, WHY_NO_DAEMON},
	{"shutdown, defer, program's linger", DEFER, FACTS(ESTABLISHED, .app_linger = true),
	 CLOSE_PASS, WHY_APP_LINGER},
	{"shutdown, defer, linger off", DEFER ",linger=off", FACTS(ESTABLISHED, .app_linger = true),
	 CLOSE_DEFER, WHY_HALF_CLOSE},
	{"shutdown, defer, linger 3s", DEFER ",linger=3s", FACTS(ESTABLISHED), CLOSE_PASS,
	 WHY_APP_LINGER},
	{"shutdown, defer, peer has closed", DEFER, FACTS(CLOSE_WAIT), CLOSE_PASS, WHY_STATE},
	{"shutdown, defer, fin-wait-2", DEFER, FACTS(FIN_WAIT2), CLOSE_PASS, WHY_STATE},
};

static enum close_action decide(const struct row *row, enum close_reason *why,
				enum close_action (*how)(const struct policy_terms *,
							 const struct close_facts *,
							 enum close_reason *))
{
	struct policy_rule rule;
	const char *error = NULL;
	size_t len;

	policy_init(&rule, "row");
	if (row->policy && !policy_parse_options(&rule, row->policy, &error, &len))
		fail_msg("the row's policy is wrong at: %s", error);
	return how(row->policy ? &rule.terms : NULL, &row->facts, why);
}

/* Words, not numbers, so that a failure says what it is about. */
static void check_row(const struct row *row,
		      enum close_action (*how)(const struct policy_terms *,
					       const struct close_facts *, enum close_reason *))
{
	enum close_reason why = CLOSE_REASON_COUNT;
	enum close_action action = decide(row, &why, how);

	assert_string_equal(close_action_word(action), close_action_word(row->action));
	assert_string_equal(close_reason_text(why), close_reason_text(row->why));
	/* the reason is optional */
	assert_int_equal(decide(row, NULL, how), row->action);
}

static void close_row(void **state)
{
	check_row(*state, close_decide);
}

static void shutdown_row(void **state)
{
	check_row(*state, shutdown_decide);
}

/* Whatever the facts, a connection that another may hold, or that no policy selects, is let be;
 * and only linger = abort throws data away. */
static void what_never_happens(void **state)
{
	static const char *const policies[] = {
		"",	     PEER,
		PEER_NONE,   PEER_5S,
		SELF_NONE,   "linger=off," PEER_NONE,
		"linger=5s", DEFER ",time-wait=none,peer-time-wait=none",
	};

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (unsigned int bits = 0; bits < STATE_COUNT << 7; bits++) {
			struct row row = {.policy = policies[p]};
			enum close_action action;

			row.facts = (struct close_facts){
				.state = (uint8_t)(bits >> 7),
				.sole_owner = bits & 1,
				.app_linger = bits & 2,
				.unsafe = bits & 4,
				.daemon_ready = bits & 8,
				.unread = bits & 16,
				.unacked = bits & 32,
				.idle_ms = bits & 64 ? 5000 : 0,
			};
			action = decide(&row, NULL, close_decide);
			assert_int_not_equal(action, CLOSE_ABORT);
			if (!row.facts.sole_owner)
				assert_int_equal(action, CLOSE_PASS);
			if (action == CLOSE_HAND_OVER) {
				assert_int_equal(row.facts.state, STATE_ESTABLISHED);
				assert_true(row.facts.daemon_ready && !row.facts.unsafe);
			}
			if (action == CLOSE_RESET) {
				assert_int_equal(row.facts.state, STATE_CLOSE_WAIT);
				assert_false(row.facts.unread || row.facts.unacked);
			}
		}
	}
}

static void every_word_is_there(void **state)
{
	(void)state;
	for (int i = 0; i < CLOSE_ACTION_COUNT; i++) {
		assert_non_null(close_action_word((enum close_action)i));
		assert_non_null(close_action_text((enum close_action)i));
	}
	for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
		assert_non_null(close_reason_word((enum close_reason)i));
		assert_non_null(close_reason_text((enum close_reason)i));
	}
	assert_string_equal(close_action_word(CLOSE_ACTION_COUNT), "unknown");
	assert_string_equal(close_action_text(CLOSE_ACTION_COUNT), "unknown");
	assert_string_equal(close_reason_word(CLOSE_REASON_COUNT), "unknown");
	assert_string_equal(close_reason_text(CLOSE_REASON_COUNT), "unknown");
	assert_string_equal(close_side_word(SIDE_PEER), "peer");
	assert_string_equal(close_side_word(SIDE_COUNT), "unknown");
}

struct missed_row {
	const char *name, *policy;
	struct close_facts facts;
	enum close_reason why;
};

static const struct missed_row missed_rows[] = {
	{"missed: no policy", NULL, FACTS(ESTABLISHED), WHY_APP},
	{"missed: close-first = app", "time-wait=none", FACTS(ESTABLISHED), WHY_APP},
	{"missed: handed over", PEER_NONE, FACTS(ESTABLISHED), WHY_PEER_FIRST},
	{"missed: shared", PEER_NONE, SHARED(ESTABLISHED), WHY_SHARED},
	{"missed: deferred is not", PEER_NONE, FACTS(ESTABLISHED, .deferred = true), WHY_DEFERRED},
	{"missed: the program's linger", PEER_NONE, FACTS(ESTABLISHED, .app_linger = true),
	 WHY_APP_LINGER},
	{"missed: the policy's linger", PEER ",linger=2s", FACTS(ESTABLISHED), WHY_LINGER},
	{"missed: idle, whatever time-wait says", PEER_NONE, FACTS(ESTABLISHED, .idle_ms = 5000),
	 WHY_IDLE},
	{"missed: in vain", PEER_NONE, FACTS(ESTABLISHED, .vain = true), WHY_VAIN},
	{"missed: unsafe", PEER_NONE, FACTS(ESTABLISHED, .unsafe = true), WHY_UNSAFE},
	{"missed: no daemon", PEER_NONE, NO_DAEMON(ESTABLISHED), WHY_NO_DAEMON},
	{"missed: shut down before", PEER_NONE, FACTS(FIN_WAIT2), WHY_SHUT},
	{"missed: shut down before, and now a TIME_WAIT", PEER_NONE, FACTS(CLOSE), WHY_SHUT},
	{"missed: reset is not", PEER_NONE, FACTS(CLOSE, .ended = true), WHY_STATE},
	{"missed: the peer closed first", PEER_NONE, FACTS(CLOSE_WAIT), WHY_PEER_CLOSED},
	{"missed: never opened is not", PEER_NONE, FACTS(SYN_SENT), WHY_STATE},
};

static enum close_action obstacle(const struct policy_terms *terms, const struct close_facts *facts,
				  enum close_reason *why)
{
	*why = close_obstacle(terms, facts);
	return close_decide(terms, facts, NULL);
}

static void missed_row(void **state)
{
	const struct missed_row *missed = *state;
	struct row row = {.policy = missed->policy, .facts = missed->facts};
	enum close_reason why;
	enum close_action action = decide(&row, &why, obstacle);

	assert_string_equal(close_reason_word(why), close_reason_word(missed->why));
	assert_int_equal(action == CLOSE_HAND_OVER, why == WHY_PEER_FIRST);
	assert_false(action == CLOSE_HAND_OVER && close_reason_missed(why));
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(close_rows) + ARRAY_SIZE(shutdown_rows) +
				ARRAY_SIZE(missed_rows) + 2];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(close_rows); i++)
		tests[n++] = unit_row(close_rows[i].name, close_row, &close_rows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(shutdown_rows); i++)
		tests[n++] = unit_row(shutdown_rows[i].name, shutdown_row, &shutdown_rows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(missed_rows); i++)
		tests[n++] = unit_row(missed_rows[i].name, missed_row, &missed_rows[i]);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_never_happens);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_word_is_there);
	return cmocka_run_group_tests_name("close_decide", tests, NULL, NULL);
}
