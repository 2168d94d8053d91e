/* SPDX-License-Identifier: MIT */
/* The history's file: damaged, cut short, another's, or none at all. */
#include "daemon/history_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/history_world.h"
#include "tests/unit/unit.h"

enum {
	SAMPLES = 20,
	SAMPLES_AT = HISTORY_FILE_SIZE - HISTORY_SAMPLES * sizeof(struct history_sample)
};

static int setup(void **state)
{
	static struct world world;
	struct process web = world_process(10, "/usr/sbin/nginx");

	world_new(&world);
	world_begin(&world);
	note(NOTE_ON, "one");
	for (int i = 0; i < SAMPLES; i++) {
		world_open(&world, &web);
		world_sample(&world);
	}
	world_end(&world);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static unsigned int samples_there(struct history_file *file)
{
	struct history_sample sample;
	unsigned int count = 0;

	for (uint64_t seq = history_file_first(file); seq < history_file_next(file); seq++)
		count += history_file_read(file, seq, &sample);
	return count;
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void scribble(const char *path, off_t at, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, size, at), size);
	close(fd);
}

static void it_is_as_large_as_it_will_ever_be(void **state)
{
	struct world *world = *state;
	struct stat st;

	assert_int_equal(stat(world->path, &st), 0);
	assert_int_equal(st.st_size, HISTORY_FILE_SIZE);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_size < 16000000);
	print_message("# the file has %lld bytes\n", (long long)st.st_size);
	world_begin(world);
	assert_int_equal(samples_there(history_file_of(world->history)), SAMPLES);
	assert_true(history_file_is_kept(history_file_of(world->history)));
	assert_int_equal(size_of(world->aside), -1);
}

/* --- what is no history of ours is put aside -------------------------------------------------- */

static void no_magic(const struct world *world)
{
	scribble(world->path, 0, "nonsense", 8);
}

static void other_version(const struct world *world)
{
	uint32_t version = HISTORY_VERSION + 1;

	scribble(world->path, offsetof(struct history_head, version), &version, sizeof(version));
}

static void other_sizes(const struct world *world)
{
	uint32_t size = UINT32_MAX;

	scribble(world->path, offsetof(struct history_head, samples), &size, sizeof(size));
}

static void cut_in_its_head(const struct world *world)
{
	assert_int_equal(truncate(world->path, 100), 0);
}

static void nothing_in_it(const struct world *world)
{
	assert_int_equal(truncate(world->path, 0), 0);
}

static void a_folder(const struct world *world)
{
	unlink(world->path);
	assert_int_equal(mkdir(world->path, 0700), 0);
}

static void a_fifo(const struct world *world)
{
	unlink(world->path);
	assert_int_equal(mkfifo(world->path, 0600), 0);
}

static void a_link(const struct world *world)
{
	unlink(world->path);
	assert_int_equal(symlink("/etc/passwd", world->path), 0);
}

static void writable_by_others(const struct world *world)
{
	assert_int_equal(chmod(world->path, 0666), 0);
}

static void another_users(const struct world *world)
{
	if (chown(world->path, 1, 1) < 0)
		unit_skip("needs root");
}

static const struct {
	const char *name;
	void (*spoil)(const struct world *world);
} spoilt[] = {
	{"no magic", no_magic},
	{"another version", other_version},
	{"sizes that are not ours", other_sizes},
	{"cut short in its head", cut_in_its_head},
	{"an empty file", nothing_in_it},
	{"a folder in its place", a_folder},
	{"a FIFO in its place", a_fifo},
	{"a symbolic link in its place", a_link},
	{"writable by others", writable_by_others},
	{"another user's", another_users},
};

/* It is there still, and another begins. */
static void is_put_aside(void **state)
{
	static struct world world;
	void (*spoil)(const struct world *) = NULL;
	void *fixture = &world;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(spoilt); i++)
		if (*state == &spoilt[i])
			spoil = spoilt[i].spoil;
	setup(&fixture);
	spoil(fixture);
	world_begin(fixture);
	assert_int_equal(samples_there(history_file_of(((struct world *)fixture)->history)), 0);
	assert_true(history_file_is_kept(history_file_of(((struct world *)fixture)->history)));
	assert_int_equal(lstat(((struct world *)fixture)->aside, &st), 0);
	world_sample(fixture);
	world_restart(fixture);
	assert_int_equal(samples_there(history_file_of(((struct world *)fixture)->history)), 1);
	assert_int_equal(size_of("/etc/passwd") > 0, 1);
	teardown(&fixture);
}

/* --- what can be kept of it is ---------------------------------------------------------------- */

static void cut_short_the_samples_before_are_kept(void **state)
{
	struct world *world = *state;

	/* within the words of the sample at place 10; the first is number 1, at place 1 */
	assert_int_equal(truncate(world->path,
				  (off_t)(SAMPLES_AT + 10 * sizeof(struct history_sample) + 44)),
			 0);
	world_begin(world);
	assert_int_equal(samples_there(history_file_of(world->history)), 9);
	assert_int_equal(history_file_next(history_file_of(world->history)), 10);
	assert_int_equal(size_of(world->path), HISTORY_FILE_SIZE);
	world_sample(world);
	assert_int_equal(samples_there(history_file_of(world->history)), 10);
}

static void made_longer_it_is_as_it_was(void **state)
{
	struct world *world = *state;

	assert_int_equal(truncate(world->path, HISTORY_FILE_SIZE * 3), 0);
	world_begin(world);
	assert_int_equal(samples_there(history_file_of(world->history)), SAMPLES);
	assert_int_equal(size_of(world->path), HISTORY_FILE_SIZE);
}

/* mmap() would end the daemon here (SIGBUS). */
static void cut_short_under_us_costs_samples_only(void **state)
{
	struct world *world = *state;

	world_begin(world);
	assert_int_equal(truncate(world->path, 0), 0);
	assert_int_equal(samples_there(history_file_of(world->history)), 0);
	world_sample(world);
	assert_int_equal(samples_there(history_file_of(world->history)), 1);
}

static void a_torn_sample_is_not_there(void **state)
{
	struct world *world = *state;
	char half[sizeof(struct history_sample) / 2] = {0};

	scribble(world->path,
		 (off_t)(SAMPLES_AT + SAMPLES * sizeof(struct history_sample) + sizeof(half)),
		 "torn", 4);
	world_begin(world);
	assert_int_equal(samples_there(history_file_of(world->history)), SAMPLES - 1);
	assert_int_equal(history_file_next(history_file_of(world->history)), SAMPLES);
	world_sample(world);
	assert_int_equal(samples_there(history_file_of(world->history)), SAMPLES);
}

static void random_bytes_are_no_samples(void **state)
{
	struct world *world = *state;
	struct history_sample sample;
	unsigned char noise[4096];

	srandom(3);
	for (int round = 0; round < 200; round++) {
		off_t at = (off_t)sizeof(struct history_head) +
			   (off_t)((unsigned long)random() %
				   (SAMPLES_AT + 100000 - sizeof(struct history_head)));

		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (unsigned char)random();
		scribble(world->path, at, noise, sizeof(noise));
		world_begin(world);
		for (uint32_t id = 0; id < HISTORY_IDS; id++)
			history_file_name(history_file_of(world->history), id, 1);
		samples_there(history_file_of(world->history));
		world_sample(world);
		assert_true(world_last(world, &sample));
		world_end(world);
	}
}

/* --- where there is none ---------------------------------------------------------------------- */

static void without_a_folder_it_is_in_memory(void **state)
{
	struct history_file *file = history_file_open("/nonexistent/closeside/history");
	struct history_sample sample = {.end_ms = 1};

	(void)state;
	assert_non_null(file);
	assert_false(history_file_is_kept(file));
	history_file_add(file, &sample);
	assert_int_equal(samples_there(file), 1);
	history_file_close(file);
}

static void what_cannot_be_put_aside_stays(void **state)
{
	struct world *world = *state;
	char inside[128];

	assert_int_equal(mkdir(world->aside, 0700), 0);
	snprintf(inside, sizeof(inside), "%s/x", world->aside);
	assert_int_equal(mkdir(inside, 0700), 0);
	other_version(world);
	world_begin(world);
	assert_false(history_file_is_kept(history_file_of(world->history)));
	assert_int_equal(size_of(world->path), HISTORY_FILE_SIZE);
	world_sample(world);
	assert_int_equal(samples_there(history_file_of(world->history)), 1);
	rmdir(inside);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest others[] = {
		IN_WORLD(it_is_as_large_as_it_will_ever_be),
		IN_WORLD(cut_short_the_samples_before_are_kept),
		IN_WORLD(made_longer_it_is_as_it_was),
		IN_WORLD(cut_short_under_us_costs_samples_only),
		IN_WORLD(a_torn_sample_is_not_there),
		IN_WORLD(random_bytes_are_no_samples),
		cmocka_unit_test(without_a_folder_it_is_in_memory),
		IN_WORLD(what_cannot_be_put_aside_stays),
	};
	struct CMUnitTest tests[ARRAY_SIZE(others) + ARRAY_SIZE(spoilt)];

	memcpy(tests, others, sizeof(others));
	for (size_t i = 0; i < ARRAY_SIZE(spoilt); i++)
		tests[ARRAY_SIZE(others) + i] = unit_row(spoilt[i].name, is_put_aside, &spoilt[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
