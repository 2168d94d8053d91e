/* SPDX-License-Identifier: MIT */
/* The filter of `conns` and `watch`: JSON as it comes over the control socket, or the text itself.
 * What is understood has a canonical form that is understood, is its own canonical form, and
 * matches the same connections. */
#include "daemon/filter_conn.h"

#include "common/parse.h"
#include "common/tcp_state.h"

#include "tests/fuzz/fuzz.h"

static bool root_only(const char *name, uid_t *uid)
{
	*uid = 0;
	return !strcmp(name, "root");
}

static struct filter_subject subject_of(unsigned int nth)
{
	static const char *const names[] = {NULL, "nginx", "web", ""};
	const char *local = "10.0.0.1:80",
		   *remote = nth & 1 ? "192.0.2.9:41000" : "[2001:db8::1]:9";
	struct filter_subject subject = {
		.state = nth % STATE_COUNT,
		.pid = (pid_t)(nth % 3 * 42),
		.program = names[nth % 4],
		.unit = names[(nth + 1) % 4],
		.policy = names[(nth + 2) % 4],
		.uid = nth % 5 ? nth % 5 - 1 : (uid_t)-1,
		.role = (uint8_t)(nth % 3),
		.side = (uint8_t)(nth % 5),
		.shim = nth % 2,
		.age_ms = nth % 4 ? nth * 1000 : FILTER_UNKNOWN,
		.state_ms = nth % 3 ? nth * 100 : FILTER_UNKNOWN,
	};

	fuzz_check(parse_endpoint(&local, &subject.local));
	fuzz_check(parse_endpoint(&remote, &subject.remote));
	return subject;
}

static void check_filter(const struct filter *filter)
{
	static char once[FILTER_FORMAT_MAX], twice[FILTER_FORMAT_MAX];
	static struct filter again;
	struct filter_error error;

	fuzz_check(filter->count <= FILTER_NODES_MAX &&
		   (!filter->count || filter->root < filter->count));
	fuzz_check(filter->text_len < FILTER_TEXT_MAX && !filter->text[filter->text_len]);
	fuzz_check(filter_pid(filter) >= 0);
	filter_format(filter, once, sizeof(once));
	fuzz_check(strlen(once) < sizeof(once) - 1);
	if (strlen(once) >= FILTER_TEXT_MAX)
		return;
	fuzz_check(filter_parse(&again, once, NULL, &error));
	fuzz_check(!strcmp(filter_format(&again, twice, sizeof(twice)), once));
	for (unsigned int i = 0; i < 60; i++) {
		struct filter_subject subject = subject_of(i);

		fuzz_check(filter_matches(filter, &subject) == filter_matches(&again, &subject));
	}
}

static void try_json(const json_t *words)
{
	static struct filter filter;
	char error[64]; /* shorter than the longest message */

	memset(error, 1, sizeof(error));
	if (filter_from_json(&filter, words, error, sizeof(error)))
		check_filter(&filter);
	else
		fuzz_check(memchr(error, '\0', sizeof(error)) && error[0]);
}

static void try_text(const char *text)
{
	static struct filter filter;
	struct filter_error error;

	memset(&error, 1, sizeof(error));
	if (filter_parse(&filter, text, root_only, &error)) {
		check_filter(&filter);
		return;
	}
	fuzz_check(memchr(error.text, '\0', sizeof(error.text)) && error.text[0]);
	fuzz_check(error.at <= strlen(text));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *words = json_loadb((const char *)data, size,
				   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	char *text = fuzz_text(data, size);

	if (words)
		try_json(words);
	json_decref(words);
	try_text(text);
	free(text);
	return 0;
}
