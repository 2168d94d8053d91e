/* SPDX-License-Identifier: MIT */
/* What enable makes of systemd's words, and what it writes. */
#include "daemon/cli_dropin.h"
#include "daemon/cli_unit.h"
#include "daemon/cli_unit_check.h"
#include "daemon/enabled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static void names_are_services(void **state)
{
	static const struct {
		const char *typed, *name, *error; /* error: a part of it */
	} rows[] = {
		{"nginx", "nginx.service", NULL},
		{"nginx.service", "nginx.service", NULL},
		{"foo@.service", "foo@.service", NULL},
		{"foo@", "foo@.service", NULL},
		{"foo@a-b:1", "foo@a-b:1.service", NULL},
		{"a\\x2db", "a\\x2db.service", NULL},
		{"my.app", "my.app.service", NULL},
		{"ssh.socket", NULL, "closeside enable ssh.service"},
		{"x.timer", NULL, "no service"},
		{"../x", NULL, "no name of a unit"},
		{"a/b", NULL, "no name of a unit"},
		{"..", NULL, "no name of a unit"},
		{"", NULL, "no name of a unit"},
		{"-x", NULL, "no name of a unit"},
		{"a b", NULL, "no name of a unit"},
		{"a\nb", NULL, "no name of a unit"},
		{"@x", NULL, "no name of a unit"},
	};
	char name[UNIT_NAME_MAX], error[512], longer[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool right = unit_name(rows[i].typed, name, error, sizeof(error));

		assert_int_equal(right, rows[i].name != NULL);
		if (right)
			assert_string_equal(name, rows[i].name);
		else
			assert_non_null(strstr(error, rows[i].error));
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_false(unit_name(longer, name, error, sizeof(error)));
}

static void templates_have_instances(void **state)
{
	(void)state;
	assert_true(unit_is_template("foo@.service"));
	assert_false(unit_is_template("foo@a.service"));
	assert_false(unit_is_template("foo.service"));
	assert_true(unit_is_of("foo@a.service", "foo@.service"));
	assert_false(unit_is_of("foo@.service", "foo@.service"));
	assert_false(unit_is_of("food@a.service", "foo@.service"));
	assert_false(unit_is_of("foo@a.socket", "foo@.service"));
	assert_true(unit_is_of("foo.service", "foo.service"));
	assert_false(unit_is_of("foo.service", "o.service"));
}

static void properties_are_found(void **state)
{
	struct unit *unit =
		unit_parse("Id=a.service\nExecStart={ 1 }\nIdle=x\nExecStart={ 2 }\nEnd=");
	size_t at = 0;

	(void)state;
	assert_string_equal(unit_get(unit, "Id"), "a.service");
	assert_string_equal(unit_get(unit, "End"), "");
	assert_string_equal(unit_get(unit, "None"), "");
	assert_string_equal(unit_each(unit, "ExecStart", &at), "{ 1 }");
	assert_string_equal(unit_each(unit, "ExecStart", &at), "{ 2 }");
	assert_null(unit_each(unit, "ExecStart", &at));
	unit_free(unit);
}

/* As systemd 252 prints them: the list, and LD_PRELOAD in it; NULL: it is not there. */
static void lists_are_read(void **state)
{
	static const char *const rows[][2] = {
		{"LD_PRELOAD=/a.so", "/a.so"},
		{"A=1 LD_PRELOAD=/a.so B=2", "/a.so"},
		{"\"LD_PRELOAD=/a.so /b.so:/c.so\"", "/a.so /b.so:/c.so"},
		{"X=1 \"LD_PRELOAD=/a\\$LIB/b\\\"c\\\\d\"", "/a$LIB/b\"c\\d"},
		{"LD_PRELOAD=$'/a b:\\'$c\\n'", "/a b:'$c\n"},
		{"LD_PRELOAD=/a LD_PRELOAD=/b", "/b"},
		{"LANG=C\nLD_PRELOAD=/a\nPATH=/bin", "/a"},
		{"LD_PRELOAD=", ""},
		{"XLD_PRELOAD=/a \"A=LD_PRELOAD=/b\"", NULL},
		{"", NULL},
	};
	char value[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool found = words_assigned(rows[i][0], "LD_PRELOAD", value, sizeof(value));

		assert_int_equal(found, rows[i][1] != NULL);
		if (found)
			assert_string_equal(value, rows[i][1]);
	}
	assert_false(words_assigned("A=0123456789", "A", value, 5));
	assert_true(words_have("AF_INET AF_UNIX", "AF_UNIX"));
	assert_false(words_have("AF_INET AF_UNIX", "AF_UNI"));
}

static void files_are_read(void **state)
{
	static const char *const rows[][2] = {
		{"LD_PRELOAD=/a.so\n", "/a.so"},
		{"LD_PRELOAD=/a.so", "/a.so"},
		{" LD_PRELOAD = /a.so  \n", "/a.so"},
		{"LD_PRELOAD=\"/a.so /b.so\"\n", "/a.so /b.so"},
		{"LD_PRELOAD='/a$LIB/b.so' \nX=1", "/a$LIB/b.so"},
		{"LD_PRELOAD=\"/a\\$LIB\\\"\\x\"", "/a$LIB\"\\x"},
		{"LD_PRELOAD=/a\\\n/b", "/a/b"},
		{"LD_PRELOAD=/a /b\n", "/a /b"},
		{"LD_PRELOAD=\"/a\"'b'c\n", "/abc"},
		{"LD_PRELOAD=/it's\n", "/it's"},
		{"LD_PRELOAD=/a\nLD_PRELOAD=/b\n", "/b"},
		{"#LD_PRELOAD=/a\n;LD_PRELOAD=/b\n", NULL},
		{"X=\"\nLD_PRELOAD=/a\n\"\n", NULL},
		{"no assignment\nLD_PRELOAD=/a", "/a"},
		{"LD_PRELOADS=/a\n", NULL},
		{"LD_PRELOAD\n", NULL},
		{"", NULL},
	};
	char value[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool found = env_file_assigned(rows[i][0], "LD_PRELOAD", value, sizeof(value));

		if (found != (rows[i][1] != NULL))
			fail_msg("%s", rows[i][0]);
		if (found)
			assert_string_equal(value, rows[i][1]);
	}
}

static void quotes_are_systemds(void **state)
{
	char out[64], back[64];

	(void)state;
	assert_true(quote_for_unit("A=/usr/$LIB/x.so:/b c\"d\\e%f", out, sizeof(out)));
	assert_string_equal(out, "\"A=/usr/$LIB/x.so:/b c\\\"d\\\\e%%f\"");
	assert_true(quote_for_env_file("/$LIB `a\\\"b%", out, sizeof(out)));
	assert_string_equal(out, "\"/\\$LIB \\`a\\\\\\\"b%\"");
	snprintf(back, sizeof(back), "X=%.50s\n", out);
	assert_true(env_file_assigned(back, "X", out, sizeof(out)));
	assert_string_equal(out, "/$LIB `a\\\"b%");
	assert_false(quote_for_unit("0123456789", out, 8));
}

static void preloads_are_kept(void **state)
{
	static const struct {
		const char *before, *with, *without;
	} rows[] = {
		{"", "/u/$LIB/o.so", ""},
		{"/a.so", "/u/$LIB/o.so:/a.so", "/a.so"},
		{"/a.so /b.so:/c.so", "/u/$LIB/o.so:/a.so /b.so:/c.so", "/a.so /b.so:/c.so"},
		{" :/a.so", "/u/$LIB/o.so:/a.so", "/a.so"},
		{"/a.so:/other/o.so", "/a.so:/other/o.so", "/a.so:/other/o.so"},
		{"o.so", "o.so", "o.so"},
		{"/a/foo.so:/o.so.1", "/u/$LIB/o.so:/a/foo.so:/o.so.1", "/a/foo.so:/o.so.1"},
		{"/u/$LIB/o.so /a.so", "/u/$LIB/o.so /a.so", "/a.so"},
	};
	char out[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(preload_add(rows[i].before, "/u/$LIB/o.so", out, sizeof(out)));
		assert_string_equal(out, rows[i].with);
		preload_drop(rows[i].with, "/u/$LIB/o.so", out, sizeof(out));
		assert_string_equal(out, rows[i].without);
	}
	assert_false(preload_add("/a.so", "/u/o.so", out, 10));
}

/* --- what keeps the shim out -------------------------------------------------------------------
 */

struct sandbox {
	const char *settings, *why; /* a part of it; NULL: nothing is in the way */
};

static const struct sandbox sandboxes[] = {
	{"", NULL},
	{"RestrictAddressFamilies=~\nSystemCallFilter=~", NULL},
	{"PrivateNetwork=yes\nAmbientCapabilities=cap_net_bind_service\nPrivateUsers=yes", NULL},
	{"ProtectSystem=strict\nPrivateTmp=yes\nProtectHome=yes", NULL},
	{"RestrictAddressFamilies=AF_INET AF_UNIX", NULL},
	{"RestrictAddressFamilies=AF_INET AF_INET6", "AF_UNIX"},
	{"RestrictAddressFamilies=~AF_UNIX", "AF_UNIX"},
	{"RestrictAddressFamilies=~AF_PACKET", NULL},
	{"SystemCallFilter=~mount sendmsg", "calls: sendmsg"},
	{"SystemCallFilter=~mount recvmsg:EPERM", "calls: recvmsg"},
	{"SystemCallFilter=~mount", NULL},
	{"SystemCallFilter=read write", "calls: bind"},
	{"RootDirectory=/srv/root", "RootDirectory= hides /run/closeside/socket"},
	{"RootDirectory=/", NULL},
	{"RootImage=/srv/image", "RootImage="},
	{"RootDirectory=/srv/root\nBindReadOnlyPaths=/run/closeside:/run/closeside:rbind "
	 "/usr/lib:/usr/lib:rbind",
	 NULL},
	{"RootDirectory=/srv/root\nBindReadOnlyPaths=/run/closeside:/run/closeside:rbind",
	 "the shim"},
	{"RootDirectory=/srv/root\nBindPaths=/elsewhere:/run/closeside:rbind /usr:/usr:rbind",
	 "the daemon's socket"},
	{"RootDirectory=/srv/root\nBindPaths=/:/:rbind", NULL},
	{"TemporaryFileSystem=/run:ro", "TemporaryFileSystem= hides /run/closeside/socket"},
	{"TemporaryFileSystem=/run:ro\nBindPaths=/run/closeside:/run/closeside:rbind", NULL},
	{"TemporaryFileSystem=/run\nBindPaths=/run/closeside/socket:/run/closeside/socket:rbind",
	 "hides /run/closeside/socket.policy"},
	{"TemporaryFileSystem=/runs /var", NULL},
	{"TemporaryFileSystem=/usr/lib", "the shim"},
	{"InaccessiblePaths=/foo -/run/closeside/", "InaccessiblePaths="},
	{"InaccessiblePaths=/run/closeside/socket.policy", "socket.policy"},
	{"NoExecPaths=/", "NoExecPaths="},
	{"NoExecPaths=/\nExecPaths=/usr", NULL},
	{"NoExecPaths=/usr/lib\nExecPaths=/usr", "NoExecPaths="},
	{"AppArmorProfile=-web", "AppArmorProfile=web"},
	{"SELinuxContext=a:b:c", "SELinuxContext=a:b:c"},
	{"UnsetEnvironment=A LD_PRELOAD", "UnsetEnvironment="},
};

static void sandbox_is_judged(void **state)
{
	static const struct unit_place place = {"/usr/lib/libcloseside.so",
						"/run/closeside/socket"};
	const struct sandbox *row = *state;
	struct unit *unit = unit_parse(row->settings);
	static struct obstacles obstacles;

	obstacles.count = 0;
	unit_check_sandbox(unit, &place, &obstacles);
	if (!row->why && obstacles.count)
		fail_msg("%s", obstacles.obstacle[0].why);
	if (row->why) {
		bool found = false;

		for (unsigned int i = 0; i < obstacles.count; i++)
			found |= strstr(obstacles.obstacle[i].why, row->why) &&
				 *obstacles.obstacle[i].remedy;
		if (!found)
			fail_msg("not found: %s; but %u: %s", row->why, obstacles.count,
				 obstacles.count ? obstacles.obstacle[0].why : "");
	}
	unit_free(unit);
}

static void homes_and_tmp_hide(void **state)
{
	static const struct unit_place place = {"/usr/lib/libcloseside.so", "/tmp/me/socket"};
	struct unit *private_tmp = unit_parse("PrivateTmp=yes");
	char why[256];

	(void)state;
	assert_false(unit_shows_path(private_tmp, place.socket, why, sizeof(why)));
	assert_true(unit_shows_path(private_tmp, "/tmpfile", why, sizeof(why)));
	unit_free(private_tmp);
}

static void filters_are_seen(void **state)
{
	static const struct {
		const char *settings;
		bool filters;
	} rows[] = {
		{"", false},
		{"SystemCallFilter=~\nRestrictAddressFamilies=~\nRestrictNamespaces=no", false},
		{"SystemCallFilter=read", true},
		{"RestrictAddressFamilies=AF_UNIX", true},
		{"RestrictNamespaces=yes", true},
		{"LockPersonality=yes", true},
		{"LockPersonality=no\nProtectClock=yes", true},
		{"SystemCallArchitectures=native", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct unit *unit = unit_parse(rows[i].settings);

		assert_int_equal(unit_has_filters(unit), rows[i].filters);
		unit_free(unit);
	}
}

/* --- the drop-in -------------------------------------------------------------------------------
 */

static void dropins_know_editors(void **state)
{
	static char text[DROPIN_TEXT_MAX];
	struct dropin_words words = {"a.service", "/usr/$LIB/o.so:/b%c", NULL, false};
	struct dropin dropin;
	char *at;

	(void)state;
	dropin_place(&dropin, "a.service", false);
	assert_string_equal(dropin.conf, "/etc/systemd/system/a.service.d/zz-closeside.conf");
	assert_true(dropin_text(&dropin, &words, text));
	assert_non_null(
		strstr(text, "\n[Service]\nEnvironment=\"LD_PRELOAD=/usr/$LIB/o.so:/b%%c\"\n"));
	assert_int_equal(dropin_judge(text), DROPIN_OURS);
	at = strstr(text, "/b%%");
	*at = '.';
	assert_int_equal(dropin_judge(text), DROPIN_EDITED);
	*at = '/';
	assert_int_equal(dropin_judge(text), DROPIN_OURS);
	strcat(text, "\n");
	assert_int_equal(dropin_judge(text), DROPIN_EDITED);
	text[40] = '\0';
	assert_int_equal(dropin_judge(text), DROPIN_EDITED);
	assert_int_equal(dropin_judge("[Service]\nEnvironment=A=1\n"), DROPIN_FOREIGN);
	assert_int_equal(dropin_judge(""), DROPIN_FOREIGN);
	words.by_file = true;
	words.socket = "/s?filters=any";
	assert_true(dropin_text(&dropin, &words, text));
	assert_null(strstr(text, "\"LD_PRELOAD"));
	assert_non_null(strstr(text, "\nEnvironment=\"CLOSESIDE_SOCKET=/s?filters=any\"\n"));
	assert_non_null(strstr(text, "\nEnvironmentFile=/etc/systemd/system/a.service.d/"));
	assert_true(dropin_env_text(&words, text));
	assert_non_null(strstr(text, "\nLD_PRELOAD=\"/usr/\\$LIB/o.so:/b%c\"\n"));
	assert_int_equal(dropin_judge(text), DROPIN_OURS);
}

static void enabled_units_are_judged(void **state)
{
	static const struct {
		struct enabled_unit unit;
		enum enabled_verdict verdict;
	} rows[] = {
		{{.unit = "a.service"}, ENABLED_FINE},
		{{.unit = "a.service", .processes = 3, .loaded = 1, .before = 2}, ENABLED_FINE},
		{{.unit = "a.service", .processes = 3, .before = 3}, ENABLED_NOT_RESTARTED},
		{{.unit = "a.service", .processes = 3, .before = 1}, ENABLED_NOT_RESTARTED},
		{{.unit = "a.service", .processes = 3}, ENABLED_KEPT_OUT},
		{{.unit = "a.service", .hidden = 3}, ENABLED_UNKNOWN},
		{{.unit = "a@.service", .processes = 3, .loaded = 1, .before = 2},
		 ENABLED_NOT_RESTARTED},
		{{.unit = "a@.service", .processes = 3, .loaded = 1}, ENABLED_FINE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(enabled_judge(&rows[i].unit), rows[i].verdict);
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(names_are_services),
		cmocka_unit_test(templates_have_instances),
		cmocka_unit_test(properties_are_found),
		cmocka_unit_test(lists_are_read),
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(quotes_are_systemds),
		cmocka_unit_test(preloads_are_kept),
		cmocka_unit_test(homes_and_tmp_hide),
		cmocka_unit_test(filters_are_seen),
		cmocka_unit_test(dropins_know_editors),
		cmocka_unit_test(enabled_units_are_judged),
	};
	struct CMUnitTest tests[ARRAY_SIZE(sandboxes) + ARRAY_SIZE(fixed)];

	for (size_t i = 0; i < ARRAY_SIZE(sandboxes); i++) {
		static char name[ARRAY_SIZE(sandboxes)][128];

		snprintf(name[i], sizeof(name[i]), "sandbox: %s", sandboxes[i].settings);
		for (char *p = name[i]; (p = strchr(p, '\n'));)
			*p = ' ';
		tests[i] = unit_row(name[i], sandbox_is_judged, &sandboxes[i]);
	}
	memcpy(tests + ARRAY_SIZE(sandboxes), fixed, sizeof(fixed));
	return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}
