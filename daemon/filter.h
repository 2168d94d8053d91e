/* SPDX-License-Identifier: MIT */
/* Which connections to show: "state close-wait pid 42 program nginx policy web", all must match. */
#ifndef DAEMON_FILTER_H
#define DAEMON_FILTER_H

#include "daemon/conn.h"
#include "daemon/tally.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

enum { FILTER_WORD_MAX = 64 };

struct filter {
	unsigned int state; /* 0: any */
	pid_t pid;	    /* 0: any */
	char program[FILTER_WORD_MAX];
	char policy[FILTER_WORD_MAX];
};

/* words: NULL, a string, or an array of strings. false with a message. */
bool filter_parse(struct filter *filter, const json_t *words, char *error, size_t size);
bool filter_matches(const struct filter *filter, const struct book *book, const struct conn *conn);

#endif
