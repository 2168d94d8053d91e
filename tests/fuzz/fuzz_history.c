/* SPDX-License-Identifier: MIT */
/* The history's file, which anything may have been done to. The input is written over a sound one
 * in pieces, sealed again if it says so, for else the checksums would stop all of it. Whatever
 * comes of that, what is read is in bounds, and samples go on to be taken and read. */
#include "daemon/history_file.h"
#include "daemon/history_merge.h"

#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NAMES_AT = sizeof(struct history_head),
	NOTES_AT = NAMES_AT + HISTORY_IDS * sizeof(struct history_name),
	SAMPLES_AT = NOTES_AT + HISTORY_NOTES_ALL * sizeof(struct history_note),
	PIECES = 16,
};

static char folder[] = "/tmp/closeside-fuzz-history-XXXXXX";
static char path[64], aside[80];

static void clean_up(void)
{
	unlink(path);
	unlink(aside);
	rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_check(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/history", folder);
	snprintf(aside, sizeof(aside), "%s.damaged", path);
	atexit(clean_up);
	return 0;
}

/* In place of libc's: the log is written, and then dropped. */
ssize_t write(int fd, const void *buf, size_t size);
ssize_t write(int fd, const void *buf, size_t size)
{
	(void)buf;
	fuzz_check(fd == STDERR_FILENO);
	return (ssize_t)size;
}

static void put(int fd, const void *data, size_t size, size_t at)
{
	fuzz_check(pwrite(fd, data, size, (off_t)at) == (ssize_t)size);
}

static void put_sample(int fd, struct fuzz_input *input, bool sealed)
{
	struct history_sample sample = {.seq = fuzz_byte(input)};
	size_t at = sample.seq % HISTORY_SAMPLES;

	fuzz_bytes(input, (char *)&sample + 8, fuzz_byte(input) * 4u);
	sample.used %= 2 * HISTORY_WORDS;
	if (sealed)
		history_seal(&sample);
	put(fd, &sample, sizeof(sample), SAMPLES_AT + at * sizeof(sample));
}

static void put_name(int fd, struct fuzz_input *input, bool sealed)
{
	struct history_name name = {.id = fuzz_byte(input)};

	name.since = fuzz_byte(input);
	fuzz_bytes(input, name.name, sizeof(name.name) - 1);
	if (sealed)
		name.check = history_check(&name, sizeof(name));
	put(fd, &name, sizeof(name), NAMES_AT + name.id * sizeof(name));
}

static void put_note(int fd, struct fuzz_input *input, bool sealed)
{
	struct history_note note = {.seq = fuzz_byte(input)};
	size_t at = (size_t)fuzz_byte(input) * 4;

	note.sample = fuzz_byte(input);
	note.kind = fuzz_byte(input);
	fuzz_bytes(input, &note.time_ms, sizeof(note.time_ms));
	fuzz_bytes(input, note.text, fuzz_byte(input) % sizeof(note.text));
	if (sealed)
		note.check = history_check(&note, sizeof(note));
	put(fd, &note, sizeof(note), NOTES_AT + at * sizeof(note));
}

static void put_bytes(int fd, struct fuzz_input *input)
{
	uint8_t bytes[256];
	size_t at =
		(size_t)fuzz_byte(input) << 16 | (size_t)fuzz_byte(input) << 8 | fuzz_byte(input);
	size_t n = fuzz_bytes(input, bytes, fuzz_byte(input));

	put(fd, bytes, n, at);
}

static void spoil(struct fuzz_input *input)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	fuzz_check(fd >= 0);
	for (int i = 0; i < PIECES && fuzz_left(input); i++) {
		uint8_t what = fuzz_byte(input);

		switch (what % 8) {
		case 0:
			put_bytes(fd, input);
			break;
		case 1:
			put_name(fd, input, what & 8);
			break;
		case 2:
			put_note(fd, input, what & 8);
			break;
		case 3:
			fuzz_check(ftruncate(fd, (off_t)fuzz_byte(input) << 16) == 0);
			break;
		default:
			put_sample(fd, input, what & 8);
		}
	}
	close(fd);
}

/* --- what must hold --------------------------------------------------------------------------- */

static void read_sample(struct history_file *file, uint64_t seq)
{
	struct history_sum sum = {.is_there = false};
	struct history_sample sample;
	struct history_row row;
	unsigned int rows = 0;

	if (!history_file_read(file, seq, &sample))
		return;
	fuzz_check(sample.seq == seq && sample.used <= HISTORY_WORDS);
	for (uint32_t at = 0; history_next(&sample, &at, &row); rows++) {
		const char *name = history_file_name(file, row.id, seq);

		fuzz_check(at <= HISTORY_WORDS && row.id < HISTORY_IDS);
		fuzz_check(!name || strlen(name) < HISTORY_NAME);
		history_sum_add(&sum, &row, sample.length_ms);
	}
	fuzz_check(rows <= HISTORY_WORDS);
	fuzz_check(history_start_ms(&sample) <= sample.end_ms);
	history_index(&sample, 60000, -3600000);
}

static void read_all(struct history_file *file)
{
	const struct history_note *note;
	uint64_t seq = 0;

	fuzz_check(history_file_first(file) >= 1);
	fuzz_check(history_file_next(file) - history_file_first(file) <= HISTORY_SAMPLES);
	for (uint64_t i = history_file_first(file); i < history_file_next(file); i++)
		read_sample(file, i);
	for (unsigned int count = 0; (note = history_file_note_after(file, seq)); count++) {
		fuzz_check(note->seq > seq && count < HISTORY_NOTES_ALL);
		fuzz_check(strlen(note->text) < HISTORY_TEXT);
		fuzz_check(note_word(note->kind) != NULL);
		seq = note->seq;
	}
}

static void go_on(struct history_file *file)
{
	struct history_row row = {.id = history_file_id(file, "nginx"), .value = {1}};
	struct history_sample sample = {.end_ms = 1000, .length_ms = 10}, again;

	fuzz_check(row.id >= HISTORY_FIXED && row.id < HISTORY_IDS);
	fuzz_check(history_put(&sample, &row));
	history_file_note(file, NOTE_OFF, 1, "off");
	history_file_add(file, &sample);
	fuzz_check(history_file_read(file, sample.seq, &again));
	fuzz_check(!strcmp(history_file_name(file, row.id, sample.seq), "nginx"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	struct history_file *file;

	unlink(path);
	file = history_file_open(path);
	fuzz_check(file && history_file_is_kept(file));
	go_on(file);
	history_file_close(file);
	spoil(&input);
	for (int i = 0; i < 2; i++) { /* and once more, as a restart would */
		file = history_file_open(path);
		fuzz_check(file && history_file_is_kept(file));
		read_all(file);
		go_on(file);
		history_file_close(file);
	}
	return 0;
}
