/* SPDX-License-Identifier: MIT */
#include "daemon/filter_conn.h"

#include <stdio.h>

/* False: too long, or not words. */
static bool join_words(const json_t *words, char *text, size_t size)
{
	size_t i;
	const json_t *word;

	text[0] = '\0';
	if (!words)
		return true;
	if (json_is_string(words))
		return filter_add_word(text, size, json_string_value(words));
	if (!json_is_array(words))
		return false;
	json_array_foreach(words, i, word)
	{
		if (!json_is_string(word) || !filter_add_word(text, size, json_string_value(word)))
			return false;
	}
	return true;
}

bool filter_from_json(struct filter *filter, const json_t *words, char *error, size_t size)
{
	char text[FILTER_TEXT_MAX];
	struct filter_error why;

	if (!join_words(words, text, sizeof(text))) {
		snprintf(error, size, "filter: too long, or not words");
		return false;
	}
	if (filter_parse(filter, text, NULL, &why))
		return true;
	snprintf(error, size, "filter, character %zu: %s", why.at + 1, why.text);
	return false;
}

struct filter_subject filter_subject_of(const struct conn *conn, const struct book *book,
					uint64_t now_ms)
{
	const char *policy = book->policy[conn->account.policy].name;
	const struct process *process = conn_process(conn);

	return (struct filter_subject){
		.state = conn->state,
		.local = conn->local,
		.remote = conn->remote,
		.pid = process->pid,
		.program = conn->proc ? process_name(process) : NULL,
		.unit = *process->unit ? process->unit : NULL,
		.policy = *policy ? policy : NULL,
		.uid = process->uid,
		.netns = process->other_netns ? process->netns : 0,
		.role = conn->role,
		.side = conn->side,
		.shim = conn->proc && conn->proc->sessions,
		.age_ms = now_ms - conn->opened_ms,
		.state_ms = now_ms - conn->since_ms,
	};
}
