/* SPDX-License-Identifier: MIT */
#include "common/ring.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITERS = 4, EACH = 50000 };

static struct ring *ring;
static struct ring_reader reader;
static uint64_t taken[RING_SLOTS * 4];
static unsigned int count;

static int setup(void **state)
{
	(void)state;
	ring = calloc(1, sizeof(*ring)); /* as a new page is */
	memset(&reader, 0, sizeof(reader));
	count = 0;
	return ring ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(ring);
	return 0;
}

static enum ring_put put(uint64_t value)
{
	uint8_t bytes[RING_BYTES] = {0};

	memcpy(bytes, &value, sizeof(value));
	memcpy(bytes + sizeof(bytes) - sizeof(value), &value, sizeof(value));
	return ring_put(ring, bytes);
}

static uint64_t value_of(const void *bytes)
{
	uint64_t first, last;

	memcpy(&first, bytes, sizeof(first));
	memcpy(&last, (const uint8_t *)bytes + RING_BYTES - sizeof(last), sizeof(last));
	assert_int_equal(first, last); /* whole */
	return first;
}

static void take(void *arg, const void *bytes)
{
	(void)arg;
	taken[count++ % ARRAY_SIZE(taken)] = value_of(bytes);
}

static unsigned int read_all(uint64_t now_ms)
{
	count = 0;
	return ring_read(ring, &reader, ring_head(ring), now_ms, take, NULL);
}

static void empty(void **state)
{
	(void)state;
	assert_int_equal(read_all(0), 0);
	assert_true(ring_sleep(ring, &reader));
}

static void in_order_over_many_laps(void **state)
{
	uint64_t next = 0, expected = 0;

	(void)state;
	for (unsigned int round = 0; round < 1000; round++) {
		for (unsigned int i = 0; i < round % 300; i++)
			assert_int_not_equal(put(next++), RING_FULL);
		assert_int_equal(read_all(0), round % 300);
		for (unsigned int i = 0; i < count; i++)
			assert_int_equal(taken[i], expected++);
	}
}

/* Positions and turns start anew after four thousand million. */
static void positions_wrap(void **state)
{
	uint32_t before = UINT32_MAX - RING_SLOTS / 2;

	(void)state;
	atomic_store(&ring->head, before);
	reader.tail = before;
	for (uint32_t i = 0; i < RING_SLOTS; i++)
		atomic_store(&ring->slots[(before + i) % RING_SLOTS].turn,
			     (before + i) / RING_SLOTS * 2);
	for (unsigned int round = 0; round < 5; round++) {
		for (unsigned int i = 0; i < RING_SLOTS; i++)
			assert_int_not_equal(put(i), RING_FULL);
		assert_int_equal(put(0), RING_FULL);
		assert_int_equal(read_all(0), RING_SLOTS);
		assert_int_equal(taken[RING_SLOTS - 1], RING_SLOTS - 1);
	}
}

static void what_does_not_fit_is_dropped(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RING_SLOTS; i++)
		assert_int_not_equal(put(i), RING_FULL);
	assert_int_equal(put(7777), RING_FULL);
	assert_int_equal(read_all(0), RING_SLOTS);
	assert_int_equal(taken[0], 0);
	assert_int_equal(put(1), RING_PUT);
	assert_int_equal(read_all(0), 1);
	assert_int_equal(taken[0], 1);
}

static void only_so_far(void **state)
{
	uint32_t position;

	(void)state;
	put(1);
	put(2);
	position = ring_head(ring);
	put(3);
	assert_int_equal(ring_read(ring, &reader, position, 0, take, NULL), 2);
	assert_int_equal(ring_read(ring, &reader, position - 1, 0, take, NULL),
			 0); /* read before */
	assert_int_equal(ring_read(ring, &reader, position + 999, 0, take, NULL), 1);
	assert_int_equal(taken[2], 3);
}

/* A writer that has reserved and not written: what others have put is read, and it later. */
static void a_gap_is_passed_over(void **state)
{
	uint32_t gap;

	(void)state;
	put(1);
	gap = atomic_fetch_add(&ring->head, 1);
	put(3);
	assert_int_equal(read_all(1000), 2);
	assert_int_equal(taken[1], 3);
	assert_int_equal(reader.tail, gap);
	put(4);
	assert_int_equal(read_all(1001), 1);
	memset(ring->slots[gap].bytes, 0, RING_BYTES);
	atomic_store(&ring->slots[gap].turn, 1);
	assert_int_equal(read_all(1002), 1);
	assert_int_equal(taken[0], 0);
	assert_int_equal(reader.tail, ring_head(ring));
	assert_int_equal(reader.given_up, 0);
}

/* One that never comes back blocks the ring for a moment, not for ever. */
static void a_gap_is_given_up(void **state)
{
	unsigned int n = 1;

	(void)state;
	atomic_fetch_add(&ring->head, 1);
	while (put(n) != RING_FULL)
		n++;
	assert_int_equal(n, RING_SLOTS);
	assert_int_equal(read_all(5000), RING_SLOTS - 1);
	assert_int_equal(put(9), RING_FULL);
	assert_int_equal(read_all(5000 + RING_PATIENCE_MS - 1), 0);
	assert_int_equal(reader.given_up, 0);
	read_all(5000 + RING_PATIENCE_MS);
	assert_int_equal(reader.given_up, 1);
	assert_int_not_equal(put(10), RING_FULL);
	assert_int_equal(read_all(9000), 1);
	assert_int_equal(taken[0], 10);
	assert_int_equal(reader.given_up, 1);
}

/* Each position waits its own time. */
static void a_gap_after_a_gap(void **state)
{
	(void)state;
	atomic_fetch_add(&ring->head, 2);
	read_all(1000);
	atomic_store(&ring->slots[0].turn, 1);
	assert_int_equal(read_all(1000 + RING_PATIENCE_MS), 1);
	assert_int_equal(reader.given_up, 0);
	assert_int_equal(reader.tail, 1);
}

/* What a late writer to the ring before has left at this address. */
static void remains_of_another_ring(void **state)
{
	(void)state;
	put(1);
	atomic_store(&ring->slots[1].turn, 77);
	assert_int_equal(put(2), RING_FULL);
	assert_int_equal(read_all(0), 1);
	assert_int_not_equal(put(3), RING_FULL);
	assert_int_equal(read_all(0), 1);
	assert_int_equal(taken[0], 3);
}

static void a_lie_is_bounded(void **state)
{
	(void)state;
	put(1);
	atomic_store(&ring->head, 4000000000U);
	assert_true(read_all(0) <= RING_SLOTS);
	for (unsigned int i = 0; i < RING_SLOTS; i++)
		atomic_store(&ring->slots[i].turn, (uint32_t)rand());
	for (unsigned int i = 0; i < 100; i++)
		assert_true(read_all(i * RING_PATIENCE_MS) <= RING_SLOTS);
	ring_sleep(ring, &reader);
}

static void a_sleeper_is_called_once(void **state)
{
	(void)state;
	assert_int_equal(put(1), RING_PUT); /* it is awake */
	assert_false(ring_sleep(ring, &reader));
	read_all(0);
	assert_true(ring_sleep(ring, &reader));
	assert_int_equal(put(2), RING_PUT_CALL);
	assert_int_equal(put(3), RING_PUT);
	ring_wake(ring);
	read_all(0);
	assert_true(ring_sleep(ring, &reader));
	ring_wake(ring);
	assert_int_equal(put(4), RING_PUT);
}

static void one_behind_is_called(void **state)
{
	unsigned int calls = 0, i = 0;

	(void)state;
	for (; i < RING_SLOTS / 2; i++)
		assert_int_equal(put(i), RING_PUT);
	for (; i < RING_SLOTS; i++)
		calls += put(i) == RING_PUT_CALL;
	assert_in_range(calls, 4, 16);
}

/* --- threads ---------------------------------------------------------------------------------- */

static _Atomic uint64_t dropped;
static uint64_t last_of[WRITERS], sum;

static void *write_many(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg;

	for (uint64_t i = 1; i <= EACH; i++)
		if (put(me << 32 | i) == RING_FULL) {
			atomic_fetch_add(&dropped, 1);
			usleep(100); /* the reader has to have a processor, too */
		}
	return NULL;
}

static void take_in_order(void *arg, const void *bytes)
{
	uint64_t value = value_of(bytes), from = value >> 32;

	(void)arg;
	assert_true(from < WRITERS);
	assert_true((value & UINT32_MAX) > last_of[from]);
	last_of[from] = value & UINT32_MAX;
	sum++;
}

/* Whole, each writer's in its order, and none that is neither read nor dropped. */
static void threads_write_one_reads(void **state)
{
	pthread_t threads[WRITERS];
	uint64_t at_least = (uint64_t)WRITERS * EACH;

	(void)state;
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)i), 0);
	while (sum + atomic_load(&dropped) < at_least)
		ring_read(ring, &reader, ring_head(ring), 0, take_in_order, NULL);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sum + atomic_load(&dropped), at_least);
	assert_int_equal(reader.given_up, 0);
	assert_true(sum > RING_SLOTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty, setup, teardown),
		cmocka_unit_test_setup_teardown(in_order_over_many_laps, setup, teardown),
		cmocka_unit_test_setup_teardown(positions_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(only_so_far, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gap_is_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gap_is_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gap_after_a_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(remains_of_another_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lie_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sleeper_is_called_once, setup, teardown),
		cmocka_unit_test_setup_teardown(one_behind_is_called, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_write_one_reads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
