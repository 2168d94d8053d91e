/* SPDX-License-Identifier: MIT */
#include "shim/slots.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>

static const struct slot_info some = {
	.local = {.addr = {1, 2, 3}, .port = 80, .family = 2},
	.remote = {.addr = {4, 5, 6}, .port = 41000, .family = 2},
};

static void untracked_is_zero(void **state)
{
	(void)state;
	assert_int_equal(slot_word(5), 0);
	assert_int_equal(slot_word(-1), 0);
	assert_int_equal(slot_word(SLOTS_MAX), 0);
	assert_null(slot_at(-1));
	assert_null(slot_at(SLOTS_MAX));
	slot_set_flag(5, SLOT_BOUND); /* never revives a cleared slot */
	assert_int_equal(slot_word(5), 0);
}

static void what_is_filled_is_found(void **state)
{
	struct slot_info info;

	(void)state;
	slot_fill(7, SLOT_CONN | SLOT_SERVER, 42, &some, false);
	assert_int_equal(slot_kind(7), SLOT_CONN);
	assert_int_equal(atomic_load(&slot_at(7)->cookie), 42);
	slot_load_info(slot_at(7), &info);
	assert_memory_equal(&info, &some, sizeof(info));
	assert_true(slots_high() >= 8);
	slot_set_flag(7, SLOT_DEFERRED);
	assert_int_equal(slot_word(7), SLOT_CONN | SLOT_SERVER | SLOT_DEFERRED);
	slot_clear_flag(7, SLOT_DEFERRED);
	assert_int_equal(slot_claim(slot_at(7)), SLOT_CONN | SLOT_SERVER);
	assert_int_equal(slot_claim(slot_at(7)), 0);
}

static void sets_are_kept_or_forgotten(void **state)
{
	(void)state;
	slot_fill(8, SLOT_SOCKET, 0, NULL, false);
	atomic_store(&slot_at(8)->set[0], 4);
	slot_fill(8, SLOT_CONN, 1, &some, true);
	assert_int_equal(atomic_load(&slot_at(8)->set[0]), 4);
	slot_fill(8, SLOT_CONN, 2, &some, false);
	assert_int_equal(atomic_load(&slot_at(8)->set[0]), 0);
	slot_clear(8);
}

enum { ROUNDS = 200000, FDS = 4 };

static _Atomic bool stop;
static _Atomic int claimed;
static int filled;

static void *fill(void *arg)
{
	/* On a busy machine the others may have yet to begin. */
	for (; filled < ROUNDS || atomic_load(&claimed) == 0; filled++)
		slot_fill(10 + filled % FDS, SLOT_CONN, (uint64_t)filled + 1, &some, false);
	atomic_store(&stop, true);
	return arg;
}

static void *claim(void *arg)
{
	while (!atomic_load(&stop))
		for (int fd = 10; fd < 10 + FDS; fd++)
			if (slot_claim(slot_at(fd)))
				atomic_fetch_add(&claimed, 1);
	return arg;
}

/* As publish_all() looks at what other threads open and close. */
static void *look(void *arg)
{
	struct slot_info info;

	while (!atomic_load(&stop))
		for (int fd = 10; fd < 10 + FDS; fd++)
			if (slot_kind(fd) == SLOT_CONN) {
				slot_set_flag(fd, SLOT_SHUT_FIRST);
				slot_load_info(slot_at(fd), &info);
			}
	return arg;
}

static void threads_claim_each_filling_at_most_once(void **state)
{
	void *(*work[])(void *) = {fill, claim, claim, look};
	pthread_t threads[ARRAY_SIZE(work)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(work); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(work); i++)
		pthread_join(threads[i], NULL);
	assert_in_range(claimed, 1, filled);
}

static void disabled_tracks_nothing(void **state)
{
	(void)state;
	slot_fill(9, SLOT_CONN, 1, &some, false);
	slots_disable();
	assert_int_equal(slot_word(9), 0);
	assert_null(slot_at(9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(untracked_is_zero),
		cmocka_unit_test(what_is_filled_is_found),
		cmocka_unit_test(sets_are_kept_or_forgotten),
		cmocka_unit_test(threads_claim_each_filling_at_most_once),
		cmocka_unit_test(disabled_tracks_nothing),
	};

	if (!slots_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
