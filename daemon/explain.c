/* SPDX-License-Identifier: MIT */
#include "daemon/explain.h"

#include "common/near.h"
#include "common/tcp_state.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *explain_kind_word(enum explain_kind kind)
{
	static const char *const words[] = {"state", "error", "verdict"};

	return words[kind];
}

/* --- finding ---------------------------------------------------------------------------------- */

enum { WORD_MAX = 32 };

/* Lower case, without '-', '_' and blanks. */
static void squeeze(const char *text, char out[WORD_MAX])
{
	size_t used = 0;

	for (; *text && used + 1 < WORD_MAX; text++)
		if (!strchr("-_ \t", *text))
			out[used++] = (char)tolower((unsigned char)*text);
	out[used] = '\0';
}

static const struct explanation *find_state(unsigned int state)
{
	if (state == STATE_NEW_SYN_RECV)
		state = STATE_SYN_RECV;
	for (size_t i = 0; state && i < explanation_count; i++)
		if (explanations[i].kind == EXPLAIN_STATE &&
		    tcp_state_parse(explanations[i].word) == state)
			return &explanations[i];
	return NULL;
}

static bool is_error(const struct explanation *row, const char *text, long number)
{
	return row->kind == EXPLAIN_ERROR &&
	       (row->error == number || !strcasecmp(text, strerror(row->error)));
}

const struct explanation *explain_find(const char *text)
{
	char word[WORD_MAX], other[WORD_MAX], *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end)
		number = -1;
	squeeze(text, word);
	for (size_t i = 0; i < explanation_count; i++) {
		squeeze(explanations[i].word, other);
		if (is_error(&explanations[i], text, number) ||
		    (strlen(text) < WORD_MAX && !strcmp(word, other)))
			return &explanations[i];
	}
	return find_state(tcp_state_parse(text));
}

const struct explanation *explain_near(const char *text)
{
	char word[WORD_MAX], other[WORD_MAX];
	const struct explanation *near = NULL;
	unsigned int best;

	squeeze(text, word);
	best = near_limit(strlen(word));
	for (size_t i = 0; strlen(text) < WORD_MAX && i < explanation_count; i++) {
		squeeze(explanations[i].word, other);
		if (near_improves(&best, word, strlen(word), other))
			near = &explanations[i];
	}
	return near;
}
