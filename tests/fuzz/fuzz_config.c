/* SPDX-License-Identifier: MIT */
/* A config file: what is read is sound, is warned of, and is read back from its dump the same. */
#include "daemon/config.h"

#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

enum { DUMP_MAX = 1 << 20 };

static int file; /* in memory */
static char path[32];

static bool has_local_ports(void)
{
	return false; /* so that it is warned of */
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	file = memfd_create("config", MFD_CLOEXEC);
	fuzz_check(file >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	config_probe_local_ports = has_local_ports;
	return 0;
}

static struct config *load(const void *data, size_t size, char *error, size_t error_size)
{
	fuzz_check(ftruncate(file, 0) == 0);
	fuzz_check(pwrite(file, data, size, 0) == (ssize_t)size);
	return config_load(path, error, error_size);
}

static void take_warning(void *arg, const char *text)
{
	(void)arg;
	fuzz_check(text[0] && !strchr(text, '\n'));
}

struct dump {
	size_t len;
	char text[DUMP_MAX];
};

static void add_line(void *arg, const char *line)
{
	struct dump *dump = arg;

	dump->len += (size_t)snprintf(dump->text + dump->len, sizeof(dump->text) - dump->len,
				      "%s\n", line);
	fuzz_check(dump->len < sizeof(dump->text));
}

/* Whom a rule selects and what it says; not `said`, for the dump says all. */
static bool same_rule(const struct policy_rule *a, const struct policy_rule *b)
{
	struct policy_rule copy = *a;

	copy.said = b->said;
	return !memcmp(&copy, b, sizeof(copy));
}

static void check_dump(const struct config *config)
{
	static struct dump first, second;
	char error[CONFIG_ERROR_MAX];
	struct config *again;

	first.len = second.len = 0;
	config_dump(config, add_line, &first);
	again = load(first.text, first.len, error, sizeof(error));
	if (!again)
		fprintf(stderr, "%s\n%s", error, first.text);
	fuzz_check(again != NULL);
	fuzz_check(again->rule_count == config->rule_count);
	for (unsigned int i = 0; i < config->rule_count; i++)
		fuzz_check(same_rule(&config->rules[i], &again->rules[i]));
	fuzz_check(!strcmp(again->group, config->group));
	config_dump(again, add_line, &second);
	fuzz_check(first.len == second.len && !memcmp(first.text, second.text, first.len));
	config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR_MAX];
	struct config *config = load(data, size, error, sizeof(error));

	if (!config) {
		fuzz_check(!strncmp(error, path, strlen(path)));
		return 0;
	}
	fuzz_check(config->rule_count <= WIRE_RULES_MAX);
	for (unsigned int i = 0; i < config->rule_count; i++)
		fuzz_check(!policy_problem(&config->rules[i]));
	config_warnings(config, take_warning, NULL);
	check_dump(config);
	config_free(config);
	return 0;
}
