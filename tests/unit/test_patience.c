/* SPDX-License-Identifier: MIT */
#include "daemon/patience.h"

#include "common/policy.h"

#include <stdbool.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

enum { GRACE = 500, RTT_US = 1000, POLICY = 7 };

static struct endpoint address(uint8_t last, uint16_t port)
{
	struct endpoint ep = {.family = AF_INET, .port = port};

	ep.addr[10] = ep.addr[11] = 0xff;
	ep.addr[12] = 10;
	ep.addr[15] = last;
	return ep;
}

static struct patience_case server_case(uint8_t peer, uint16_t peer_port)
{
	return (struct patience_case){
		.policy = POLICY,
		.role = ROLE_SERVER,
		.local = address(1, 80),
		.remote = address(peer, peer_port),
		.grace_ms = GRACE,
		.rtt_us = RTT_US,
	};
}

static int setup(void **state)
{
	*state = patience_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	patience_free(*state);
	return 0;
}

/* One close of a peer that closes first after `after_ms`, or never if that is over the wait.
 * Returns the wait. */
static uint32_t one(struct patience *patience, const struct patience_case *about, uint32_t after_ms,
		    uint64_t now_ms)
{
	uint32_t wait = patience_next(patience, about, now_ms);

	if (wait)
		patience_learn(patience, about, after_ms <= wait ? PEER_CLOSED : PEER_STAYED,
			       after_ms <= wait ? after_ms : wait, now_ms);
	return wait;
}

#define NEVER UINT32_MAX

static void waits_the_whole_grace_at_first(void **state)
{
	struct patience_case about = server_case(2, 40000);

	assert_int_equal(patience_next(*state, &about, 1), GRACE);
}

static void a_peer_that_reads_until_eof_is_not_waited_for(void **state)
{
	unsigned int waited = 0;

	for (unsigned int i = 0; i < 100; i++) {
		struct patience_case about = server_case(2, (uint16_t)(40000 + i));

		waited += one(*state, &about, NEVER, i) > 0;
	}
	assert_in_range(waited, 1, 24);
}

static void then_one_close_in_64_tries_again(void **state)
{
	struct patience_case about = server_case(2, 40000);
	unsigned int waited = 0;

	for (unsigned int i = 0; i < 100; i++)
		one(*state, &about, NEVER, i);
	for (unsigned int i = 0; i < 10 * PATIENCE_PROBE; i++)
		waited += one(*state, &about, NEVER, 1000 * (i + 1)) > 0;
	assert_int_equal(waited, 10);
}

static void a_probe_that_succeeds_makes_it_wait_again(void **state)
{
	struct patience_case about = server_case(2, 40000);
	unsigned int waited = 0;

	for (unsigned int i = 0; i < 200; i++)
		one(*state, &about, NEVER, i);
	for (unsigned int i = 0; i < PATIENCE_PROBE + 100; i++)
		waited += one(*state, &about, 3, 1000 * (i + 1)) > 0;
	assert_in_range(waited, 100, PATIENCE_PROBE + 100);
}

/* At 10,000 closes a second, for a minute. */
static void trials_in_vain_become_rare(void **state)
{
	struct patience_case about = server_case(2, 40000);
	unsigned int waited = 0;

	for (unsigned int i = 0; i < 600000; i++)
		waited += one(*state, &about, NEVER, i / 10) > 0;
	assert_in_range(waited, 10, 24);
	waited = 0;
	for (unsigned int i = 0; i < 11 * 10000; i++) /* and now it closes first */
		waited += one(*state, &about, 3, 60000 + i / 10) > 0;
	assert_in_range(waited, 100, 11 * 10000);
}

static void a_quick_peer_shortens_the_wait(void **state)
{
	struct patience_case about = server_case(2, 40000);
	unsigned int whole = 0, other = 0;

	for (unsigned int i = 0; i < 100; i++)
		one(*state, &about, 3, i);
	for (unsigned int i = 0; i < 100; i++) {
		uint32_t wait = one(*state, &about, 3, i);

		whole += wait == GRACE; /* now and then, to see later closes */
		other += wait != GRACE && wait != PATIENCE_WAIT_MIN_MS;
	}
	assert_in_range(whole, 1, 5);
	assert_int_equal(other, 0);
}

static void the_odd_slow_one_is_within_the_wait(void **state)
{
	struct patience_case about = server_case(2, 40000);
	uint32_t wait = 0;

	for (unsigned int i = 0; i < 200; i++)
		wait = one(*state, &about, i % 20 ? 3 : 100, i);
	assert_in_range(wait, 100, GRACE);
}

static void the_wait_is_a_few_round_trips_at_least(void **state)
{
	struct patience_case about = server_case(2, 40000);
	uint32_t wait = 0;

	about.rtt_us = 80000;
	for (unsigned int i = 0; i < 100; i++)
		wait = one(*state, &about, 1, i);
	assert_in_range(wait, 320, GRACE);
}

static void a_peer_that_becomes_slower_is_followed(void **state)
{
	struct patience_case about = server_case(2, 40000);
	unsigned int successes = 0;

	for (unsigned int i = 0; i < 100; i++)
		one(*state, &about, 3, i);
	for (unsigned int i = 0; i < 1000; i++)
		successes += 200 <= one(*state, &about, 200, i);
	assert_in_range(successes, 970, 1000); /* every second at first, until they are many */
}

static void each_kind_of_peer_gets_what_suits_it(void **state)
{
	unsigned int reader_waits = 0, closer_skips = 0;

	for (unsigned int i = 0; i < 400; i++) {
		struct patience_case reader = server_case((uint8_t)(2 + i % 2), 40000);
		struct patience_case closer = server_case((uint8_t)(102 + i % 2), 40000);

		if (i == 200)
			reader_waits = closer_skips = 0;
		reader_waits += one(*state, &reader, NEVER, i) > 0;
		closer_skips += one(*state, &closer, 3, i) == 0;
	}
	assert_in_range(reader_waits, 0, 8);
	assert_int_equal(closer_skips, 0);
}

static void a_late_close_is_waited_for_where_prompt_ones_pay(void **state)
{
	struct patience_case about = server_case(2, 40000);
	unsigned int waited = 0;

	about.late = true;
	for (unsigned int i = 1; i < PATIENCE_PROBE; i++)
		waited += one(*state, &about, NEVER, i) > 0;
	assert_int_equal(waited, 0);
	about.late = false;
	for (unsigned int i = 0; i < 100; i++)
		one(*state, &about, 3, i);
	about.late = true;
	for (unsigned int i = 0; i < 100; i++)
		waited += one(*state, &about, 3, i) > 0;
	assert_int_equal(waited, 100);
}

static void late_closes_that_do_not_pay_leave_prompt_ones_alone(void **state)
{
	struct patience_case prompt = server_case(2, 40000), late = prompt;
	unsigned int waited = 0;

	late.late = true;
	for (unsigned int i = 0; i < 200; i++) {
		assert_true(one(*state, &prompt, 3, i) > 0);
		if (i >= 20)
			waited += one(*state, &late, NEVER, i) > 0;
	}
	assert_in_range(waited, 1, 8);
}

static void what_shims_are_told(void **state)
{
	struct patience_case reader = server_case(2, 40000), closer = reader;
	static _Atomic uint8_t hints[WIRE_HINTS];
	_Atomic uint8_t *of_80 = &hints[wire_hint_index(POLICY, ROLE_SERVER, 80)];
	_Atomic uint8_t *of_81 = &hints[wire_hint_index(POLICY, ROLE_SERVER, 81)];

	patience_publish(*state, hints);
	closer.local.port = 81;
	for (unsigned int i = 0; i < 30; i++) {
		one(*state, &reader, NEVER, i);
		one(*state, &closer, 3, i);
	}
	assert_int_equal(atomic_load(of_80), HINT_PROMPT_VAIN | HINT_PROMPT_RESTS);
	assert_int_equal(atomic_load(of_81), HINT_LATE_PAYS);
	patience_tick(*state, 40);
	assert_int_equal(atomic_load(of_80), HINT_PROMPT_VAIN | HINT_PROMPT_RESTS);
	patience_tick(*state, 40 + PATIENCE_REST_MAX_MS);
	assert_int_equal(atomic_load(of_80), HINT_PROMPT_VAIN);
	/* A shim's probe is waited for, and one success is enough for more. */
	reader.probe = true;
	assert_int_equal(one(*state, &reader, 3, 40), GRACE);
	assert_int_equal(atomic_load(of_80) & (HINT_PROMPT_VAIN | HINT_PROMPT_RESTS), 0);
}

static void a_client_is_keyed_by_the_server(void **state)
{
	struct patience_case about = server_case(2, 80);
	unsigned int waited = 0;

	about.role = ROLE_CLIENT;
	for (unsigned int i = 0; i < 100; i++) {
		about.local.port = (uint16_t)(40000 + i);
		waited += one(*state, &about, NEVER, i) > 0;
	}
	assert_in_range(waited, 1, 24);
	about.remote.port = 443; /* another service of that host */
	assert_int_equal(patience_next(*state, &about, 200), GRACE);
}

static void more_peers_than_there_is_room_for(void **state)
{
	for (unsigned int i = 0; i < 100000; i++) {
		struct patience_case about = server_case(2, 40000);

		about.remote.addr[13] = (uint8_t)(i >> 16);
		about.remote.addr[14] = (uint8_t)(i >> 8);
		about.remote.addr[15] = (uint8_t)i;
		one(*state, &about, 3, i);
	}
}

static void count(const struct patience_entry *entry, void *arg)
{
	unsigned int *kinds = arg;

	kinds[entry->addr.family != 0]++;
}

static void what_was_learned_can_be_listed(void **state)
{
	struct patience_case about = server_case(2, 40000);
	unsigned int kinds[2] = {0, 0};

	one(*state, &about, 3, 1);
	patience_each(*state, POLICY, count, kinds);
	assert_int_equal(kinds[0], 1);
	assert_int_equal(kinds[1], 1);
	patience_each(*state, POLICY + 1, count, kinds);
	assert_int_equal(kinds[0], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Somebody else's peers never close first. */
static void nobody_learns_from_another_user(void **state)
{
	static _Atomic uint8_t hints[WIRE_HINTS];
	struct patience_case mine = server_case(2, 40000), theirs = mine;
	_Atomic uint8_t *hint = &hints[wire_hint_index(POLICY, ROLE_SERVER, 80)];

	theirs.uid = 1000;
	patience_publish(*state, hints);
	for (uint32_t i = 0; i < 20; i++)
		one(*state, &mine, 3, i);
	for (uint32_t i = 0; i < 100; i++)
		one(*state, &theirs, NEVER, i);
	assert_true(patience_next(*state, &mine, 200) > 0);
	assert_int_equal(*hint & HINT_PROMPT_VAIN, 0);
	for (uint32_t i = 0; i < 10000; i++) { /* and has ever so many */
		theirs.policy = i;
		one(*state, &theirs, NEVER, 1000 + i);
	}
	assert_in_range(patience_next(*state, &mine, 20000), 1, GRACE - 1);
	patience_publish(*state, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waits_the_whole_grace_at_first),
		TEST(a_peer_that_reads_until_eof_is_not_waited_for),
		TEST(then_one_close_in_64_tries_again),
		TEST(a_probe_that_succeeds_makes_it_wait_again),
		TEST(trials_in_vain_become_rare),
		TEST(a_quick_peer_shortens_the_wait),
		TEST(the_odd_slow_one_is_within_the_wait),
		TEST(the_wait_is_a_few_round_trips_at_least),
		TEST(a_peer_that_becomes_slower_is_followed),
		TEST(each_kind_of_peer_gets_what_suits_it),
		TEST(a_late_close_is_waited_for_where_prompt_ones_pay),
		TEST(late_closes_that_do_not_pay_leave_prompt_ones_alone),
		TEST(what_shims_are_told),
		TEST(a_client_is_keyed_by_the_server),
		TEST(more_peers_than_there_is_room_for),
		TEST(what_was_learned_can_be_listed),
		cmocka_unit_test_setup_teardown(nobody_learns_from_another_user, setup, teardown),
	};

	return cmocka_run_group_tests_name("patience", tests, NULL, NULL);
}
