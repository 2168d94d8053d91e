/* SPDX-License-Identifier: MIT */
#include "common/tcp_state.h"

#include "tests/unit/unit.h"

static void names_are_the_kernels_and_ss(void **state)
{
	(void)state;
	assert_string_equal(tcp_state_name(STATE_TIME_WAIT), "TIME_WAIT");
	assert_string_equal(tcp_state_ss(STATE_TIME_WAIT), "time-wait");
	assert_string_equal(tcp_state_ss(STATE_FIN_WAIT2), "fin-wait-2");
	assert_string_equal(tcp_state_name(STATE_NEW_SYN_RECV), "NEW_SYN_RECV");
}

static void every_name_is_read_back(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < STATE_COUNT; i++) {
		assert_int_equal(tcp_state_parse(tcp_state_name(i)), i);
		assert_int_equal(tcp_state_parse(tcp_state_ss(i)), i);
	}
}

static void case_does_not_matter(void **state)
{
	(void)state;
	assert_int_equal(tcp_state_parse("Time-Wait"), STATE_TIME_WAIT);
	assert_int_equal(tcp_state_parse("established"), STATE_ESTABLISHED);
	assert_int_equal(tcp_state_parse("fin_wait_1"), STATE_FIN_WAIT1);
	assert_int_equal(tcp_state_parse("FinWait2"), STATE_FIN_WAIT2);
	assert_int_equal(tcp_state_parse("fin-wait1"), STATE_FIN_WAIT1);
}

static void what_ss_prints(void **state)
{
	(void)state;
	assert_int_equal(tcp_state_parse("ESTAB"), STATE_ESTABLISHED);
	assert_int_equal(tcp_state_parse("LISTEN"), STATE_LISTEN);
	assert_int_equal(tcp_state_parse("UNCONN"), STATE_CLOSE);
	assert_int_equal(tcp_state_parse("SYN-RCV"), STATE_SYN_RECV);
}

static void unknown_numbers_and_names(void **state)
{
	(void)state;
	assert_string_equal(tcp_state_name(0), "UNKNOWN");
	assert_string_equal(tcp_state_name(STATE_COUNT), "UNKNOWN");
	assert_string_equal(tcp_state_name(UINT32_MAX), "UNKNOWN");
	assert_string_equal(tcp_state_ss(0), "unknown");
	assert_string_equal(tcp_state_ss(STATE_COUNT), "unknown");
	assert_int_equal(tcp_state_parse(""), 0);
	assert_int_equal(tcp_state_parse("TIME"), 0);
	assert_int_equal(tcp_state_parse("UNKNOWN"), 0);
	assert_int_equal(tcp_state_parse("--"), 0);
	assert_int_equal(tcp_state_parse("time wait"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_the_kernels_and_ss),
		cmocka_unit_test(every_name_is_read_back),
		cmocka_unit_test(case_does_not_matter),
		cmocka_unit_test(what_ss_prints),
		cmocka_unit_test(unknown_numbers_and_names),
	};

	return cmocka_run_group_tests_name("tcp_state", tests, NULL, NULL);
}
