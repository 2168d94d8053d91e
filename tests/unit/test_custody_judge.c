/* SPDX-License-Identifier: MIT */
#include "daemon/custody_judge.h"

#include "common/tcp_state.h"

#include <stdbool.h>

#include "tests/unit/unit.h"

static void quiet_is_no_data_unread_and_none_lately(void **state)
{
	(void)state;
	assert_true(custody_quiet(0, 21, 0));
	assert_false(custody_quiet(0, 20, 0));
	assert_false(custody_quiet(1, 1000, 0));
	assert_false(custody_quiet(0, 100, 50000)); /* 150 ms are three round trips */
	assert_true(custody_quiet(0, 151, 50000));
}

/* A row: what is seen, and what it means. */
static const struct row {
	const char *name;
	struct custody_facts facts;
	enum custody_verdict verdict;
} rows[] = {
	{"established waits", {.state = STATE_ESTABLISHED, .owned = true}, VERDICT_WAIT},
	{"the peer's FIN", {.state = STATE_CLOSE_WAIT, .owned = true}, VERDICT_PEER},
	{"the peer's FIN, after the wait",
	 {.state = STATE_CLOSE_WAIT, .owned = true, .wait_over = true},
	 VERDICT_PEER},
	{"LAST_ACK", {.state = STATE_LAST_ACK}, VERDICT_PEER},
	{"CLOSING", {.state = STATE_CLOSING}, VERDICT_PEER},
	{"CLOSING after the program's shutdown",
	 {.state = STATE_CLOSING, .shut_here = true},
	 VERDICT_BOTH},
	{"CLOSE with an error is RST",
	 {.state = STATE_CLOSE, .owned = true, .error = true},
	 VERDICT_RESET},
	{"CLOSE with no reason is not the peer's FIN",
	 {.state = STATE_CLOSE, .owned = true},
	 VERDICT_RESET},
	{"CLOSE after FIN", {.state = STATE_CLOSE, .owned = true, .saw_fin = true}, VERDICT_PEER},
	{"RST after a FIN that we had no time to see",
	 {.state = STATE_CLOSE, .owned = true, .error = true, .error_pipe = true},
	 VERDICT_PEER},
	{"CLOSE after the program's own shutdown",
	 {.state = STATE_CLOSE, .shut_here = true},
	 VERDICT_US},
	{"FIN_WAIT2 waits", {.state = STATE_FIN_WAIT2}, VERDICT_WAIT},
	{"FIN_WAIT2, after the wait", {.state = STATE_FIN_WAIT2, .wait_over = true}, VERDICT_US},
	{"a new request on a quiet one",
	 {.state = STATE_ESTABLISHED, .owned = true, .quiet = true, .received = 1},
	 VERDICT_EARLY},
	{"data for one who never said a word",
	 {.state = STATE_ESTABLISHED, .owned = true, .mute = true, .received = 1},
	 VERDICT_EARLY},
	{"unread data of one who never said a word",
	 {.state = STATE_ESTABLISHED, .owned = true, .mute = true, .unread_at_start = 1},
	 VERDICT_EARLY},
	{"nothing for one who never said a word",
	 {.state = STATE_ESTABLISHED, .owned = true, .mute = true},
	 VERDICT_WAIT},
	{"an answer to a client that never listened",
	 {.state = STATE_ESTABLISHED,
	  .owned = true,
	  .client = true,
	  .unheard = true,
	  .received = 1},
	 VERDICT_EARLY},
	{"a client that listened may wait for the rest",
	 {.state = STATE_ESTABLISHED, .owned = true, .client = true, .received = 1},
	 VERDICT_WAIT},
	{"but drains no body",
	 {.state = STATE_ESTABLISHED,
	  .owned = true,
	  .wait_over = true,
	  .client = true,
	  .received = 1000,
	  .last_received_ms = 20},
	 VERDICT_GRACE},
	{"a server that never listened may have answered",
	 {.state = STATE_ESTABLISHED, .owned = true, .unheard = true, .unread_at_start = 1},
	 VERDICT_WAIT},
	{"a duplicate of one who never said a word",
	 {.state = STATE_ESTABLISHED, .mute = true, .received = 1, .unread_at_start = 1},
	 VERDICT_WAIT},
	{"on a duplicate it is the program's business",
	 {.state = STATE_ESTABLISHED, .quiet = true, .received = 1},
	 VERDICT_WAIT},
	{"a body goes on within the wait",
	 {.state = STATE_ESTABLISHED, .owned = true, .unread_at_start = 10, .received = 1000},
	 VERDICT_WAIT},
	{"the wait is over",
	 {.state = STATE_ESTABLISHED, .owned = true, .wait_over = true},
	 VERDICT_GRACE},
	{"the wait is over, a request was read just before",
	 {.state = STATE_ESTABLISHED, .owned = true, .wait_over = true, .last_received_ms = 20},
	 VERDICT_GRACE},
	{"the wait is over, a body arrives",
	 {.state = STATE_ESTABLISHED,
	  .owned = true,
	  .wait_over = true,
	  .received = 1000,
	  .last_received_ms = 20},
	 VERDICT_DRAIN},
	{"the wait is over, a body was unread",
	 {.state = STATE_ESTABLISHED,
	  .owned = true,
	  .wait_over = true,
	  .unread_at_start = 10,
	  .last_received_ms = 20},
	 VERDICT_DRAIN},
	{"the wait is over, the body has ended",
	 {.state = STATE_ESTABLISHED,
	  .owned = true,
	  .wait_over = true,
	  .received = 1000,
	  .last_received_ms = CUSTODY_SILENCE_MS},
	 VERDICT_GRACE},
	{"a duplicate is never drained",
	 {.state = STATE_ESTABLISHED, .wait_over = true, .received = 1000, .last_received_ms = 20},
	 VERDICT_GRACE},
	{"draining goes on",
	 {.state = STATE_FIN_WAIT2, .owned = true, .draining = true, .last_received_ms = 20},
	 VERDICT_WAIT},
	{"draining ends in silence",
	 {.state = STATE_FIN_WAIT2,
	  .owned = true,
	  .draining = true,
	  .last_received_ms = CUSTODY_SILENCE_MS},
	 VERDICT_US},
	{"draining ends at drain-max",
	 {.state = STATE_FIN_WAIT2, .owned = true, .draining = true, .wait_over = true},
	 VERDICT_US},
	{"draining ends with the peer's FIN",
	 {.state = STATE_CLOSE, .owned = true, .draining = true},
	 VERDICT_US},
	{"draining ends with RST",
	 {.state = STATE_CLOSE, .owned = true, .draining = true, .error = true},
	 VERDICT_RESET},
	{"FINs cross while draining",
	 {.state = STATE_CLOSING, .owned = true, .draining = true},
	 VERDICT_BOTH},
};

static void row_holds(void **state)
{
	const struct row *row = *state;

	assert_int_equal(custody_judge(&row->facts), row->verdict);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 1] = {
		cmocka_unit_test(quiet_is_no_data_unread_and_none_lately),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i + 1] = unit_row(rows[i].name, row_holds, &rows[i]);
	return cmocka_run_group_tests_name("custody_judge", tests, NULL, NULL);
}
