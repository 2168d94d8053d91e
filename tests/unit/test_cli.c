/* SPDX-License-Identifier: MIT */
/* The pure parts of the CLI: what -o says, what a command is, what is explained. */
#include "daemon/cli_run.h"
#include "daemon/policy_explain.h"

#include "common/close_decide.h"
#include "tests/unit/unit.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* closeside.c has them, and main(). */
int cli_fail(int code, const char *format, ...)
{
	(void)format;
	return code;
}

void cli_warn(const char *format, ...)
{
	(void)format;
}

/* --- -o ------------------------------------------------------------------------------------- */

static void options_rows(void **state)
{
	static const struct {
		const char *text, *out; /* out NULL: an error, which says `says` */
		const char *says;
	} rows[] = {
		{"close-first=peer", "close-first=peer", NULL},
		{"close-first=peer,grace=1s", "close-first=peer,grace=1s", NULL},
		{"user=root", "user=0", NULL},
		{"user=root+7,role=server", "user=0+7,role=server", NULL},
		{"role=client,user=7", "role=client,user=7", NULL},
		{"local-port=80+8000-8099", "local-port=80+8000-8099", NULL},
		{"close-frist=peer", NULL, "did you mean 'close-first'"},
		{"nothing-near-it=1", NULL, "there is no key"},
		{"grace=1s,grac=2s", NULL, "did you mean 'grace'"},
		{"grace", NULL, "expected grace=VALUE"},
		{"grace=x", NULL, "'x' is not a value of it"},
		{"user=nobody-of-this-name", NULL, "-o user"},
		{"linger=abort", NULL, "allow-data-loss"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[WIRE_OPTIONS_MAX], error[512] = "";
		struct policy_rule rule;
		bool sound = run_options(rows[i].text, out, &rule, error, sizeof(error));

		if (sound != !!rows[i].out)
			fail_msg("%s: %s", rows[i].text, error);
		if (sound)
			assert_string_equal(out, rows[i].out);
		else if (!strstr(error, rows[i].says))
			fail_msg("%s: said %s", rows[i].text, error);
	}
}

static void options_too_long(void **state)
{
	char text[WIRE_OPTIONS_MAX + 20], out[WIRE_OPTIONS_MAX], error[512] = "";
	struct policy_rule rule;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(run_options(text, out, &rule, error, sizeof(error)));
	assert_non_null(strstr(error, "longer than"));
}

/* --- commands ------------------------------------------------------------------------------- */

static char directory[] = "/tmp/closeside-test-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? chdir(directory) : -1;
}

static int remove_directory(void **state)
{
	static const char *const files[] = {"script", "plain", "static",
					    "go",     "other", "env-script"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	return chdir("/") || rmdir(directory);
}

static void write_file(const char *name, const void *content, size_t len, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	close(fd);
}

static void expect_kind(const char *name, enum command_kind kind, const char *says)
{
	static struct command_verdict verdict;

	command_inspect(name, "/nowhere:/usr/bin:/bin", &verdict);
	if (verdict.kind != kind || (says && !strstr(verdict.why, says)))
		fail_msg("%s: %d, %s", name, (int)verdict.kind, verdict.why);
}

static void commands_found(void **state)
{
	(void)state;
	expect_kind("sh", COMMAND_FINE, NULL);
	expect_kind("/bin/sh", COMMAND_FINE, NULL);
	expect_kind("nothing-of-this-name", COMMAND_NOT_FOUND, NULL);
	expect_kind("./nothing", COMMAND_NOT_FOUND, NULL);
	expect_kind("", COMMAND_NOT_FOUND, NULL);
	expect_kind("/", COMMAND_NOT_EXECUTABLE, NULL);
	write_file("plain", "true\n", 5, 0600);
	expect_kind("./plain", COMMAND_NOT_EXECUTABLE, "plain");
}

static void commands_scripts(void **state)
{
	static const char nowhere[] = "#!/nowhere/sh -x\n", shell[] = "#! /bin/sh\n",
			  env[] = "#!/usr/bin/env sh\n";

	(void)state;
	write_file("script", nowhere, sizeof(nowhere) - 1, 0700);
	expect_kind("./script", COMMAND_NOT_FOUND, "/nowhere/sh");
	write_file("script", shell, sizeof(shell) - 1, 0700);
	expect_kind("./script", COMMAND_FINE, NULL);
	write_file("env-script", env, sizeof(env) - 1, 0700);
	expect_kind("./env-script", COMMAND_FINE, NULL);
}

/* An ELF file of only headers: with these segments, then text. */
static size_t make_elf(char *out, const Elf64_Phdr *segments, unsigned int count, const char *text,
		       size_t len)
{
	Elf64_Ehdr elf = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
#if defined(__x86_64__)
		.e_machine = EM_X86_64,
#else
		.e_machine = EM_AARCH64,
#endif
		.e_phoff = sizeof(elf),
		.e_phentsize = sizeof(*segments),
		.e_phnum = (Elf64_Half)count,
	};
	size_t at = sizeof(elf) + count * sizeof(*segments);

	memcpy(out, &elf, sizeof(elf));
	memcpy(out + sizeof(elf), segments, count * sizeof(*segments));
	memcpy(out + at, text, len);
	return at + len;
}

static void commands_elf(void **state)
{
	static const char interpreter[] = "/lib64/ld-linux-x86-64.so.2",
			  musl[] = "/lib/ld-musl-x86_64.so.1",
			  go_note[] = "\4\0\0\0\4\0\0\0\4\0\0\0Go\0\0abcd";
	const size_t at = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
	Elf64_Phdr segments[2] = {{.p_type = PT_LOAD}, {.p_type = PT_LOAD}};
	char file[1024], text[256];
	size_t len;

	(void)state;
	len = make_elf(file, segments, 2, "", 0);
	write_file("static", file, len, 0700);
	expect_kind("./static", COMMAND_UNREACHABLE, "statically linked");

	segments[0] =
		(Elf64_Phdr){.p_type = PT_INTERP, .p_offset = at, .p_filesz = sizeof(interpreter)};
	memcpy(text, interpreter, sizeof(interpreter));
	memcpy(text + sizeof(interpreter), go_note, sizeof(go_note) - 1);
	len = make_elf(file, segments, 2, text, sizeof(interpreter) + sizeof(go_note) - 1);
	write_file("go", file, len, 0700);
	expect_kind("./go", COMMAND_FINE, NULL);
	segments[1] = (Elf64_Phdr){.p_type = PT_NOTE,
				   .p_offset = at + sizeof(interpreter),
				   .p_filesz = sizeof(go_note) - 1};
	len = make_elf(file, segments, 2, text, sizeof(interpreter) + sizeof(go_note) - 1);
	write_file("go", file, len, 0700);
	expect_kind("./go", COMMAND_UNREACHABLE, "Go program");

	segments[1] = (Elf64_Phdr){.p_type = PT_LOAD};
	len = make_elf(file, segments, 2, musl, sizeof(musl));
	segments[0].p_filesz = sizeof(musl);
	len = make_elf(file, segments, 2, musl, sizeof(musl));
	write_file("other", file, len, 0700);
	expect_kind("./other", COMMAND_UNREACHABLE, "another libc");
	file[EI_CLASS] = ELFCLASS32;
	write_file("other", file, len, 0700);
	expect_kind("./other", COMMAND_UNREACHABLE, "word size");
}

/* --- what is explained ------------------------------------------------------------------------ */

static const struct policy_process nginx = {"/usr/sbin/nginx", "nginx", "nginx.service", ""};

static struct policy_rule rule_of(const char *name, const char *options)
{
	struct policy_rule rule;
	const char *error;
	size_t len;

	policy_init(&rule, name);
	assert_true(policy_parse_options(&rule, options, &error, &len));
	return rule;
}

static void obstacles(void **state)
{
	static const struct {
		const char *rule, *obstacle;
	} rows[] = {
		{"role=server", NULL},
		{"role=client", "role = client"},
		{"program=nginx,local-port=80+443", NULL},
		{"program=ngin?", NULL},
		{"program=apache2+httpd", "program = apache2, httpd"},
		{"local-port=1-79", "local-port = 1-79"},
		{"remote=10.0.0.0/8", NULL},
		{"remote=192.0.2.0/24", "remote = 192.0.2.0/24"},
		{"user=1", "user = 1"},
		{"unit=nginx.service", NULL},
		{"role=server,unit=x", "unit = x"},
	};
	struct policy_subject subject = {.role = ROLE_SERVER};
	const char *local = "10.0.0.1:80", *remote = "10.0.0.9:41000";
	char buf[256];

	(void)state;
	assert_true(parse_endpoint(&local, &subject.local));
	assert_true(parse_endpoint(&remote, &subject.remote));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_rule rule = rule_of("x", rows[i].rule);
		const char *obstacle = policy_obstacle(&rule, &nginx, &subject, buf, sizeof(buf));

		if (!obstacle != !rows[i].obstacle ||
		    (obstacle && strcmp(obstacle, rows[i].obstacle)))
			fail_msg("%s: %s", rows[i].rule, obstacle ? obstacle : "none");
	}
}

static const char *action_in(json_t *explained, const char *list, const char *member,
			     const char *label)
{
	json_t *row;
	size_t i;

	json_array_foreach(
		json_object_get(explained, list), i,
		row) if (!strcmp(json_string_value(json_object_get(row, member)),
				 label)) return json_string_value(json_object_get(row, "action"));
	return "none";
}

static void explanation(void **state)
{
	struct policy_subject subject = {.role = ROLE_SERVER};
	struct policy_rule rules[] = {
		rule_of("first", "role=client"),
		rule_of("second", "close-first=peer,time-wait=none,half-close=defer,keepalive=off"),
		rule_of("third", "role=server"),
	};
	json_t *explained = policy_explain(rules, 3, &nginx, &subject), *row;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(explained, "policy")), "second");
	assert_string_equal(action_in(explained, "close", "state", "ESTABLISHED"), "hand-over");
	assert_string_equal(action_in(explained, "close", "state", "FIN_WAIT2"), "quiet");
	assert_string_equal(action_in(explained, "close", "state", "CLOSE_WAIT"), "pass");
	assert_string_equal(action_in(explained, "cases", "case", "idle for a minute"), "quiet");
	assert_string_equal(action_in(explained, "shutdown", "state", "ESTABLISHED"), "defer");
	row = json_array_get(json_object_get(explained, "options"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "key")), "keepalive");
	row = json_array_get(json_object_get(explained, "policies"), 2);
	assert_true(json_is_true(json_object_get(row, "matches")));
	json_decref(explained);

	explained = policy_explain(rules, 1, &nginx, &subject);
	assert_true(json_is_null(json_object_get(explained, "policy")));
	assert_string_equal(action_in(explained, "close", "state", "ESTABLISHED"), "pass");
	json_decref(explained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_rows),	  cmocka_unit_test(options_too_long),
		cmocka_unit_test(commands_found), cmocka_unit_test(commands_scripts),
		cmocka_unit_test(commands_elf),	  cmocka_unit_test(obstacles),
		cmocka_unit_test(explanation),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
