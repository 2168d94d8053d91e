/* SPDX-License-Identifier: MIT */
/* The filter of `conns`: JSON as it comes over the control socket, or the words themselves. */
#include "daemon/filter.h"

#include "tests/fuzz/fuzz.h"

static struct book *book;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	book = book_new();
	fuzz_check(book != NULL);
	book_name_policy(book, policy_id("web"), "web");
	return 0;
}

static void try_filter(const json_t *words)
{
	struct conn conn = {.pid = 42, .state = 8, .program = "nginx"};
	struct filter filter;
	char error[64]; /* shorter than the longest message */

	conn.account.policy = book_policy_slot(book, policy_id("web"));
	memset(error, 1, sizeof(error));
	if (!filter_parse(&filter, words, error, sizeof(error))) {
		fuzz_check(memchr(error, '\0', sizeof(error)) && error[0]);
		return;
	}
	fuzz_check(filter.pid >= 0 && filter.state < 13);
	fuzz_check(memchr(filter.program, '\0', sizeof(filter.program)));
	fuzz_check(memchr(filter.policy, '\0', sizeof(filter.policy)));
	if (filter_matches(&filter, book, &conn)) {
		fuzz_check(!filter.pid || filter.pid == 42);
		fuzz_check(!filter.program[0] || !strcmp(filter.program, "nginx"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *words = json_loadb((const char *)data, size,
				   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

	if (!words)
		words = json_stringn((const char *)data, size);
	try_filter(words); /* NULL: not UTF-8, and then there is no filter */
	json_decref(words);
	return 0;
}
