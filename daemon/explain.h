/* SPDX-License-Identifier: MIT */
/* What closeside can explain: the states of TCP, what socket calls fail with, the doctor's
 * verdicts. A const table and what finds a word in it; no I/O. */
#ifndef DAEMON_EXPLAIN_H
#define DAEMON_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

enum explain_kind { EXPLAIN_STATE, EXPLAIN_ERROR, EXPLAIN_VERDICT, EXPLAIN_KINDS };

struct explanation {
	const char *word; /* TIME_WAIT, ECONNRESET, close-wait-leak */
	enum explain_kind kind;
	int error;	 /* errno of an EXPLAIN_ERROR */
	uint32_t states; /* bits 1 << state: what is counted of it; 0: nothing */
	/* One line; a paragraph each; and a command line that shows them, or NULL. */
	const char *summary, *what, *why, *remedy, *see;
};

extern const struct explanation explanations[];
extern const size_t explanation_count;

/* "state", "error", "verdict" */
const char *explain_kind_word(enum explain_kind kind);

/* By the word in any case, with '-' for '_' and none of both; a state also by ss's names, an error
 * also by its number or as perror(3) says it. NULL: there is none. */
const struct explanation *explain_find(const char *text);

/* What was meant, or NULL if nothing is near. */
const struct explanation *explain_near(const char *text);

#endif
