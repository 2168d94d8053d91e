/* SPDX-License-Identifier: MIT */
/* The programs that a unit starts, as whom, and whether that user reaches the library and the
 * socket. */
#include "daemon/cli_unit_check.h"

#include "daemon/cli_run.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUPS_MAX = 64 };

struct runner {
	struct command_user user;
	gid_t groups[GROUPS_MAX];
	int group_count;
	char name[128];
};

/* --- as whom -------------------------------------------------------------------------------------
 */

static void add_group(struct runner *runner, const char *name)
{
	const struct group *group = getgrnam(name);
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	if (runner->group_count == GROUPS_MAX || (!group && (*end || end == name)))
		return;
	runner->groups[runner->group_count++] = group ? group->gr_gid : (gid_t)number;
}

static const struct passwd *find_user(const char *name)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	return *end || end == name ? getpwnam(name) : getpwuid((uid_t)number);
}

static void take_user(struct runner *runner, const char *name)
{
	const struct passwd *user = find_user(name);
	int count = GROUPS_MAX;

	snprintf(runner->name, sizeof(runner->name), "%s", name);
	if (!user) { /* made when it starts, as DynamicUser= does: nobody's rights */
		runner->user = (struct command_user){65534, 65534, 65534, false};
		return;
	}
	runner->user = (struct command_user){user->pw_uid, user->pw_uid, user->pw_gid, false};
	if (getgrouplist(user->pw_name, user->pw_gid, runner->groups, &count) >= 0)
		runner->group_count = count;
}

static void find_runner(const struct unit *unit, struct runner *runner)
{
	const char *user = unit_get(unit, "User"), *group = unit_get(unit, "Group"),
		   *more = unit_get(unit, "SupplementaryGroups");
	char word[128];

	memset(runner, 0, sizeof(*runner));
	if (*user)
		take_user(runner, user);
	else if (!strcmp(unit_get(unit, "DynamicUser"), "yes"))
		take_user(runner, unit_get(unit, "Id"));
	if (*group) {
		add_group(runner, group);
		if (runner->group_count)
			runner->user.gid = runner->groups[runner->group_count - 1];
	}
	while (words_next(&more, word, sizeof(word)))
		add_group(runner, word);
	runner->user.no_new_privileges = !strcmp(unit_get(unit, "NoNewPrivileges"), "yes");
}

/* --- what that user reaches ----------------------------------------------------------------------
 */

static bool is_allowed(const struct runner *runner, const struct stat *st, mode_t bits)
{
	bool in_group = st->st_gid == runner->user.gid;

	for (int i = 0; i < runner->group_count; i++)
		in_group |= st->st_gid == runner->groups[i];
	if (st->st_uid == runner->user.uid)
		return (st->st_mode >> 6 & bits) == bits;
	return (st->st_mode >> (in_group ? 3 : 0) & bits) == bits;
}

/* 0; EACCES with where in at; or errno. */
static int reach(const struct runner *runner, const char *path, mode_t bits, char *at, size_t size)
{
	struct stat st;

	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		snprintf(at, size, "%.*s", p == path ? 1 : (int)(p - path), path);
		if (stat(at, &st) < 0)
			return errno;
		if (runner->user.uid != 0 && !is_allowed(runner, &st, S_IXOTH))
			return EACCES;
	}
	snprintf(at, size, "%s", path);
	if (stat(path, &st) < 0)
		return errno;
	return runner->user.uid == 0 || is_allowed(runner, &st, bits) ? 0 : EACCES;
}

static void check_reach(const struct runner *runner, const struct unit_place *place,
			struct obstacles *obstacles)
{
	const struct {
		const char *path;
		mode_t bits;
	} rows[] = {{place->library, S_IROTH}, {place->socket, S_IROTH | S_IWOTH}};
	char at[PATH_MAX], remedy[PATH_MAX + 64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (reach(runner, rows[i].path, rows[i].bits, at, sizeof(at)) != EACCES)
			continue;
		snprintf(remedy, sizeof(remedy), "let it: chmod o+%s %s",
			 !strcmp(at, rows[i].path) ? (i ? "rw" : "r") : "x", at);
		obstacle_add(obstacles, remedy, "User=%s may not reach %s, because of %s",
			     runner->name, rows[i].path, at);
	}
}

/* --- the programs --------------------------------------------------------------------------------
 */

/* The path in "{ path=/usr/sbin/nginx ; argv[]=... }". */
static bool take_path(const char *value, char *out, size_t size)
{
	static const char before[] = "{ path=", after[] = " ; argv[]=";
	const char *end = strstr(value, after);

	if (strncmp(value, before, sizeof(before) - 1) != 0 || !end)
		return false;
	value += sizeof(before) - 1;
	return snprintf(out, size, "%.*s", (int)(end - value), value) < (int)size;
}

static void check_program(const char *path, const struct runner *runner,
			  struct obstacles *obstacles)
{
	static struct command_verdict verdict;

	command_inspect_for(path, NULL, &runner->user, &verdict);
	if (verdict.kind != COMMAND_FINE)
		obstacle_add(obstacles,
			     verdict.remedy ? verdict.remedy
					    : "mend this first: the service cannot start",
			     "%s", verdict.why);
	else if (verdict.asan)
		obstacle_add(obstacles,
			     "ASAN_OPTIONS=verify_asan_link_order=0 in its Environment=; then "
			     "--force",
			     "%s needs gcc's address sanitizer, which ends a program in which "
			     "another library comes first",
			     path);
}

static bool has_other_root(const struct unit *unit)
{
	const char *root = unit_get(unit, "RootDirectory");

	return (*root && strcmp(root, "/") != 0) || *unit_get(unit, "RootImage");
}

void unit_check(const struct unit *unit, const struct unit_place *place,
		struct obstacles *obstacles)
{
	struct runner runner;
	char path[PATH_MAX];
	const char *value;
	size_t at = 0;

	find_runner(unit, &runner);
	/* in another root the program is another one */
	while (!has_other_root(unit) && (value = unit_each(unit, "ExecStart", &at)))
		if (take_path(value, path, sizeof(path)))
			check_program(path, &runner, obstacles);
	unit_check_sandbox(unit, place, obstacles);
	check_reach(&runner, place, obstacles);
}
