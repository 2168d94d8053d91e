/* SPDX-License-Identifier: MIT */
/* The drop-in that `closeside enable` writes for a unit, and the file of environment beside it,
 * where one is needed. Each says in its first lines what it is and has the sum of the rest, so that
 * what was edited by hand is known and left alone. */
#ifndef DAEMON_CLI_DROPIN_H
#define DAEMON_CLI_DROPIN_H

#include <stdbool.h>
#include <stddef.h>

enum { DROPIN_TEXT_MAX = 20000, DROPIN_PATH_MAX = 512 };

enum dropin_state {
	DROPIN_ABSENT,
	DROPIN_OURS,
	DROPIN_EDITED,	   /* it was ours */
	DROPIN_FOREIGN,	   /* it never was */
	DROPIN_UNREADABLE, /* errno says why */
};

struct dropin {
	char folder[DROPIN_PATH_MAX], conf[DROPIN_PATH_MAX], env[DROPIN_PATH_MAX];
};

/* Where it is: below /etc, or below /run. */
void dropin_place(struct dropin *dropin, const char *unit, bool runtime);

/* --- pure --- */

/* What it says: the value of LD_PRELOAD; of CLOSESIDE_SOCKET, or NULL. env: for the file beside the
 * drop-in, which then names it; else NULL. False: too long. */
struct dropin_words {
	const char *unit, *preload, *socket;
	bool by_file; /* LD_PRELOAD, for an EnvironmentFile= of the unit sets it too */
};

bool dropin_text(const struct dropin *dropin, const struct dropin_words *words,
		 char out[DROPIN_TEXT_MAX]);
bool dropin_env_text(const struct dropin_words *words, char out[DROPIN_TEXT_MAX]);
enum dropin_state dropin_judge(const char *text);

/* --- files --- */

/* text may be NULL: only what it is. */
enum dropin_state dropin_read(const char *path, char text[DROPIN_TEXT_MAX]);
/* Whole or not at all. False with errno. */
bool dropin_write(const struct dropin *dropin, const char *path, const char *text);
/* And the folder, once it is empty. */
bool dropin_remove(const struct dropin *dropin, const char *path);

#endif
