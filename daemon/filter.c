/* SPDX-License-Identifier: MIT */
#include "daemon/filter.h"

#include "common/tcp_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 16 };

static bool set_state(struct filter *filter, const char *value)
{
	filter->state = tcp_state_parse(value);
	return filter->state != 0;
}

static bool set_pid(struct filter *filter, const char *value)
{
	char *end;
	long pid = strtol(value, &end, 10);

	filter->pid = (pid_t)pid;
	return *value && !*end && pid > 0 && pid < 1 << 30;
}

static bool set_program(struct filter *filter, const char *value)
{
	return snprintf(filter->program, sizeof(filter->program), "%s", value) < FILTER_WORD_MAX;
}

static bool set_policy(struct filter *filter, const char *value)
{
	return snprintf(filter->policy, sizeof(filter->policy), "%s", value) < FILTER_WORD_MAX;
}

static const struct {
	const char *word;
	bool (*set)(struct filter *filter, const char *value);
} selectors[] = {
	{"state", set_state},
	{"pid", set_pid},
	{"program", set_program},
	{"policy", set_policy},
};

static bool set(struct filter *filter, const char *word, const char *value, char *error,
		size_t size)
{
	for (size_t i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		if (strcmp(selectors[i].word, word))
			continue;
		if (value && selectors[i].set(filter, value))
			return true;
		snprintf(error, size,
			 value ? "filter: %s cannot be '%.40s'" : "filter: %s needs a value", word,
			 value);
		return false;
	}
	snprintf(error, size,
		 "filter: unknown word '%.40s': state, pid, program and policy are known", word);
	return false;
}

/* The words of either spelling; -1: too many. */
static int split(const json_t *words, char *copy, size_t size, const char *list[WORDS_MAX])
{
	int count = 0;

	if (json_is_string(words)) {
		char *save, *word;

		if (snprintf(copy, size, "%s", json_string_value(words)) >= (int)size)
			return -1;
		for (word = strtok_r(copy, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
			if (count == WORDS_MAX)
				return -1;
			else
				list[count++] = word;
		return count;
	}
	if (words && !json_is_array(words))
		return -1;
	for (size_t at = 0; at < json_array_size(words); at++) {
		const char *word = json_string_value(json_array_get(words, at));

		if (!word || count == WORDS_MAX)
			return -1;
		list[count++] = word;
	}
	return count;
}

bool filter_parse(struct filter *filter, const json_t *words, char *error, size_t size)
{
	const char *list[WORDS_MAX];
	char copy[512];
	int count = split(words, copy, sizeof(copy), list);

	*filter = (struct filter){.state = 0};
	if (count < 0) {
		snprintf(error, size, "filter: too long, or not words");
		return false;
	}
	for (int i = 0; i < count; i += 2)
		if (!set(filter, list[i], i + 1 < count ? list[i + 1] : NULL, error, size))
			return false;
	return true;
}
