/* SPDX-License-Identifier: MIT */
/* The history's file: rings of samples and of notes, and the names of programs, all of fixed size,
 * as the machine has its numbers. It is written and read with pwrite() and pread(), never mapped:
 * whoever cuts it short under us costs us samples and no SIGBUS. Each part has a checksum, and a
 * sample's place follows from its number, so a write that a SIGKILL cut short is a sample that is
 * not there. Nothing in the file says how large anything is.
 *
 * It is made whole at once (fallocate), so that a disk that becomes full later takes nothing from
 * it. It is never synced: a crash of the machine is the end of its connections too. */
#ifndef DAEMON_HISTORY_FILE_H
#define DAEMON_HISTORY_FILE_H

#include "daemon/history_sample.h"
#include "daemon/note.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	HISTORY_SAMPLES = 8656, /* 24 h of 10 s, and some that restarts make shorter */
	HISTORY_NAME = 32,	/* with its NUL; longer names are cut */
	HISTORY_TEXT = 96,
	/* What others can provoke must not wash away what an admin did. */
	HISTORY_NOTES = 768,
	HISTORY_PROVOKED = 256,
	HISTORY_NOTES_ALL = HISTORY_NOTES + HISTORY_PROVOKED,
	HISTORY_VERSION = 1,
};

struct history_head {
	char magic[8];
	uint32_t version, head_size;
	uint32_t sample_size, samples, values;
	uint32_t name_size, names;
	uint32_t note_size, notes;
	uint32_t check;
	char room[4096 - 48];
};
_Static_assert(sizeof(struct history_head) == 4096, "as in the file");

/* The name of an id, from a sample on: rows of that id in older ones are another's. */
struct history_name {
	uint64_t since; /* seq; 0: not in use */
	char name[HISTORY_NAME];
	uint32_t id;
	uint32_t check;
};
_Static_assert(sizeof(struct history_name) == 48, "as in the file");

struct history_note {
	uint64_t seq;	  /* from 1 on; 0: none */
	uint64_t sample;  /* it happened in the time of this sample */
	uint64_t time_ms; /* CLOCK_REALTIME */
	uint32_t kind;	  /* enum note_kind */
	uint32_t check;
	char text[HISTORY_TEXT];
};
_Static_assert(sizeof(struct history_note) == 128, "as in the file");

_Static_assert(HISTORY_VALUES == 23 && NOTE_COUNT == 11, "another number, another HISTORY_VERSION");

#define HISTORY_FILE_SIZE                                                                    \
	(sizeof(struct history_head) + (uint64_t)HISTORY_IDS * sizeof(struct history_name) + \
	 (uint64_t)HISTORY_NOTES_ALL * sizeof(struct history_note) +                         \
	 (uint64_t)HISTORY_SAMPLES * sizeof(struct history_sample))
/* Names and notes are in memory as well, and what gathers for the next sample: 300 KB. */
_Static_assert(HISTORY_FILE_SIZE + 300000 < 16000000, "24 hours of all programs in 16 MB");

struct history_file;

/* path NULL, or a file that cannot be made, which is said: kept in memory, and gone with us. What
 * is there and is no history of ours is said, and put aside as PATH.damaged. NULL: no memory. */
struct history_file *history_file_open(const char *path);
void history_file_close(struct history_file *file);
bool history_file_is_kept(const struct history_file *file);

/* Numbers of the samples that may be there: first <= seq < next. */
uint64_t history_file_first(const struct history_file *file);
uint64_t history_file_next(const struct history_file *file);
/* Of this process. */
uint32_t history_file_run(const struct history_file *file);
/* Gives it seq, run and check. */
void history_file_add(struct history_file *file, struct history_sample *sample);
/* false: it is not there, or damaged. */
bool history_file_read(struct history_file *file, uint64_t seq, struct history_sample *sample);

/* The id of a program for the next sample; of one that has none, the id of the program that has
 * not been in a sample for longest. */
uint32_t history_file_id(struct history_file *file, const char *name);
/* Whose row it was in that sample; NULL: of a program whose name has been forgotten. */
const char *history_file_name(const struct history_file *file, uint32_t id, uint64_t seq);

/* Adds to the time of the next sample. */
void history_file_note(struct history_file *file, enum note_kind kind, uint64_t time_ms,
		       const char *text);
/* The first that came after the one with this number, or NULL. */
const struct history_note *history_file_note_after(const struct history_file *file, uint64_t seq);

#endif
