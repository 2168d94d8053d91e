/* SPDX-License-Identifier: MIT */
#include "daemon/history_file.h"

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "csdhist"

enum {
	NAMES_AT = sizeof(struct history_head),
	NOTES_AT = NAMES_AT + HISTORY_IDS * sizeof(struct history_name),
	SAMPLES_AT = NOTES_AT + HISTORY_NOTES_ALL * sizeof(struct history_note),
};

/* No file of ten seconds comes this far; one that says so was made. */
static const uint64_t SEQ_MAX = (uint64_t)1 << 48;

struct history_file {
	int fd;
	bool kept, failed; /* over our end; writing has failed, and that is said */
	uint64_t next;	   /* sample */
	uint64_t next_note;
	uint32_t run;
	struct history_name name[HISTORY_IDS];
	uint64_t last[HISTORY_IDS]; /* sample in which the id is */
	struct history_note note[HISTORY_NOTES_ALL];
};

/* --- parts of the file ------------------------------------------------------------------------ */

static void put(struct history_file *file, const void *data, size_t size, size_t at)
{
	ssize_t n = pwrite(file->fd, data, size, (off_t)at);

	if (n == (ssize_t)size)
		return;
	if (!file->failed)
		log_warning("the history cannot be written: %s",
			    n < 0 ? strerror(errno) : "no room");
	file->failed = true;
}

static bool get(const struct history_file *file, void *data, size_t size, size_t at)
{
	return pread(file->fd, data, size, (off_t)at) == (ssize_t)size;
}

static size_t place_of(uint64_t seq)
{
	return SAMPLES_AT + seq % HISTORY_SAMPLES * sizeof(struct history_sample);
}

static uint32_t check_name(const struct history_name *name)
{
	struct history_name copy = *name;

	copy.check = 0;
	return history_check(&copy, sizeof(copy));
}

static uint32_t check_note(const struct history_note *one)
{
	struct history_note copy = *one;

	copy.check = 0;
	return history_check(&copy, sizeof(copy));
}

static void fill_head(struct history_head *head)
{
	*head = (struct history_head){
		.magic = MAGIC,
		.version = HISTORY_VERSION,
		.head_size = sizeof(*head),
		.sample_size = sizeof(struct history_sample),
		.samples = HISTORY_SAMPLES,
		.values = HISTORY_VALUES,
		.name_size = sizeof(struct history_name),
		.names = HISTORY_IDS,
		.note_size = sizeof(struct history_note),
		.notes = HISTORY_NOTES_ALL,
	};
	head->check = history_check(head, sizeof(*head));
}

/* --- what is there ---------------------------------------------------------------------------- */

static const char *head_problem(const struct history_file *file)
{
	struct history_head head, ours;

	fill_head(&ours);
	if (!get(file, &head, sizeof(head), 0))
		return "it is cut short";
	if (memcmp(head.magic, ours.magic, sizeof(head.magic)) != 0)
		return "it is no history";
	if (head.version != ours.version)
		return "it is of another version";
	return memcmp(&head, &ours, sizeof(head)) ? "it is damaged" : NULL;
}

static void load_sample(struct history_file *file, uint64_t at)
{
	struct history_sample sample;
	struct history_row row;

	if (!get(file, &sample, sizeof(sample), place_of(at)) || !history_is_whole(&sample) ||
	    sample.seq % HISTORY_SAMPLES != at || sample.seq >= SEQ_MAX)
		return;
	if (sample.seq >= file->next)
		file->next = sample.seq + 1;
	if (sample.run >= file->run && sample.run < UINT32_MAX)
		file->run = sample.run + 1;
	for (uint32_t i = 0; history_next(&sample, &i, &row);)
		if (file->last[row.id] < sample.seq)
			file->last[row.id] = sample.seq;
}

static bool is_name(const struct history_file *file, uint32_t id)
{
	const struct history_name *name = &file->name[id];

	return name->since && name->since <= file->next && name->id == id && name->name[0] &&
	       !name->name[HISTORY_NAME - 1] && name->check == check_name(name);
}

static bool is_note(const struct history_note *one)
{
	return one->seq && one->seq < SEQ_MAX && !one->text[HISTORY_TEXT - 1] &&
	       one->check == check_note(one);
}

/* Where its sample is not there any more, it comes after the last. */
static void load_note(struct history_file *file, struct history_note *one)
{
	if (!is_note(one)) {
		*one = (struct history_note){.seq = 0};
		return;
	}
	if (one->sample > file->next)
		one->sample = file->next;
	if (one->seq >= file->next_note)
		file->next_note = one->seq + 1;
}

/* What is damaged of it is not there. */
static void load(struct history_file *file)
{
	for (uint64_t at = 0; at < HISTORY_SAMPLES; at++)
		load_sample(file, at);
	if (!get(file, file->name, sizeof(file->name), NAMES_AT))
		memset(file->name, 0, sizeof(file->name));
	if (!get(file, file->note, sizeof(file->note), NOTES_AT))
		memset(file->note, 0, sizeof(file->note));
	for (uint32_t id = 0; id < HISTORY_IDS; id++)
		if (!is_name(file, id))
			file->name[id] = (struct history_name){.since = 0};
	for (unsigned int i = 0; i < HISTORY_NOTES_ALL; i++)
		load_note(file, &file->note[i]);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* NULL with file->fd: it may be read. ENOENT: there is none. */
static const char *open_problem(struct history_file *file, const char *path)
{
	struct stat st;

	file->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file->fd < 0 && errno == ELOOP)
		return "it is a symbolic link";
	if (file->fd < 0)
		return strerror(errno);
	if (fstat(file->fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no regular file";
	if (st.st_uid != geteuid())
		return "it is another user's";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "others may write it";
	return head_problem(file);
}

/* As large as it will ever be. What a file system cannot give ahead comes as it is written. */
static bool make_room(int fd)
{
	if (fallocate(fd, 0, 0, (off_t)HISTORY_FILE_SIZE) == 0)
		return true;
	return (errno == EOPNOTSUPP || errno == ENOSYS) &&
	       ftruncate(fd, (off_t)HISTORY_FILE_SIZE) == 0;
}

/* fd is a new file. */
static bool make(struct history_file *file, int fd)
{
	struct history_head head;

	fill_head(&head);
	file->fd = fd;
	return fd >= 0 && pwrite(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head);
}

static bool create(struct history_file *file, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), error;

	if (fd >= 0 && make_room(fd) && make(file, fd))
		return true;
	error = errno;
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	file->fd = -1;
	errno = error;
	return false;
}

static bool put_aside(const char *path, const char *problem)
{
	char aside[PATH_MAX];

	if (snprintf(aside, sizeof(aside), "%s.damaged", path) < (int)sizeof(aside) &&
	    rename(path, aside) == 0) {
		log_warning("%s: %s: put aside as %s, and begun anew", path, problem, aside);
		return true;
	}
	log_warning("%s: %s, and it cannot be put aside: %m; the history is kept in memory, and "
		    "ends with this process",
		    path, problem);
	return false;
}

/* Samples that are missing are not there; those to come have their place again. */
static void mend_size(struct history_file *file, const char *path)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0 || st.st_size == (off_t)HISTORY_FILE_SIZE)
		return;
	log_warning("%s: it was %s: what is left of it is kept", path,
		    st.st_size < (off_t)HISTORY_FILE_SIZE ? "cut short" : "made longer");
	if (ftruncate(file->fd, (off_t)HISTORY_FILE_SIZE) < 0 || !make_room(file->fd))
		log_warning("%s: %m", path);
}

static bool open_kept(struct history_file *file, const char *path)
{
	const char *problem = open_problem(file, path);
	bool missing = problem && file->fd < 0 && errno == ENOENT;

	if (!problem) {
		mend_size(file, path);
		load(file);
		return true;
	}
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	if (!missing && !put_aside(path, problem))
		return false;
	if (create(file, path))
		return true;
	log_warning("%s: %m: the history is kept in memory, and ends with this process", path);
	return false;
}

struct history_file *history_file_open(const char *path)
{
	struct history_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->next = file->next_note = 1;
	file->run = 1;
	file->fd = -1;
	file->kept = path && open_kept(file, path);
	if (file->kept || make(file, memfd_create("closeside-history", MFD_CLOEXEC)))
		return file;
	history_file_close(file);
	return NULL;
}

void history_file_close(struct history_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

bool history_file_is_kept(const struct history_file *file)
{
	return file->kept && !file->failed;
}

/* --- samples ---------------------------------------------------------------------------------- */

uint64_t history_file_first(const struct history_file *file)
{
	return file->next > HISTORY_SAMPLES ? file->next - HISTORY_SAMPLES : 1;
}

uint64_t history_file_next(const struct history_file *file)
{
	return file->next;
}

uint32_t history_file_run(const struct history_file *file)
{
	return file->run;
}

void history_file_add(struct history_file *file, struct history_sample *sample)
{
	struct history_row row;

	sample->seq = file->next++;
	sample->run = file->run;
	history_seal(sample);
	put(file, sample, sizeof(*sample), place_of(sample->seq));
	for (uint32_t at = 0; history_next(sample, &at, &row);)
		file->last[row.id] = sample->seq;
}

bool history_file_read(struct history_file *file, uint64_t seq, struct history_sample *sample)
{
	return get(file, sample, sizeof(*sample), place_of(seq)) && history_is_whole(sample) &&
	       sample->seq == seq;
}

/* --- names ------------------------------------------------------------------------------------ */

uint32_t history_file_id(struct history_file *file, const char *name)
{
	char cut[HISTORY_NAME] = "";
	uint32_t id = HISTORY_FIXED;

	snprintf(cut, sizeof(cut), "%s", name);
	for (uint32_t i = HISTORY_FIXED; i < HISTORY_IDS; i++) {
		if (file->name[i].since && !strcmp(file->name[i].name, cut)) {
			file->last[i] = file->next;
			return i;
		}
		if (file->last[i] < file->last[id])
			id = i;
	}
	file->name[id] = (struct history_name){.since = file->next, .id = id};
	memcpy(file->name[id].name, cut, sizeof(cut));
	file->name[id].check = check_name(&file->name[id]);
	file->last[id] = file->next; /* it is in the next sample */
	put(file, &file->name[id], sizeof(file->name[id]), NAMES_AT + id * sizeof(file->name[id]));
	return id;
}

const char *history_file_name(const struct history_file *file, uint32_t id, uint64_t seq)
{
	const struct history_name *name = &file->name[id < HISTORY_IDS ? id : 0];

	return name->since && name->since <= seq ? name->name : NULL;
}

/* --- notes ------------------------------------------------------------------------------------ */

static bool is_provoked(enum note_kind kind)
{
	return kind == NOTE_LIMIT || kind == NOTE_LOST;
}

/* The oldest of its ring. */
static unsigned int note_place(const struct history_file *file, enum note_kind kind)
{
	unsigned int first = is_provoked(kind) ? HISTORY_NOTES : 0;
	unsigned int end = is_provoked(kind) ? HISTORY_NOTES_ALL : HISTORY_NOTES, oldest = first;

	for (unsigned int i = first; i < end; i++)
		if (file->note[i].seq < file->note[oldest].seq)
			oldest = i;
	return oldest;
}

void history_file_note(struct history_file *file, enum note_kind kind, uint64_t time_ms,
		       const char *text)
{
	unsigned int place = note_place(file, kind);
	struct history_note *one = &file->note[place];

	*one = (struct history_note){
		.seq = file->next_note++,
		.sample = file->next,
		.time_ms = time_ms,
		.kind = kind,
	};
	snprintf(one->text, sizeof(one->text), "%s", text);
	for (char *p = one->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	one->check = check_note(one);
	put(file, one, sizeof(*one), NOTES_AT + place * sizeof(*one));
}

const struct history_note *history_file_note_after(const struct history_file *file, uint64_t seq)
{
	const struct history_note *found = NULL;

	for (unsigned int i = 0; i < HISTORY_NOTES_ALL; i++)
		if (file->note[i].seq > seq && (!found || file->note[i].seq < found->seq))
			found = &file->note[i];
	return found;
}
