/* SPDX-License-Identifier: MIT */
/* enable, disable: the shim in a service of systemd, by a drop-in. Nothing is restarted; systemd is
 * only told to read its units again, which touches no service. */
#include "daemon/cli_enable_plan.h"

#include "daemon/cli.h"
#include "daemon/cli_run.h"
#include "daemon/cli_unit_check.h"
#include "daemon/enabled.h"
#include "daemon/verdict.h"

#include "common/wire.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct target {
	char name[UNIT_NAME_MAX], shell[2 * UNIT_NAME_MAX];
	struct unit *unit; /* NULL: systemd does not say */
	char error[512];   /* why */
};

/* --- which unit ----------------------------------------------------------------------------------
 */

static void set_name(struct target *target, const char *name)
{
	snprintf(target->name, sizeof(target->name), "%s", name);
	if (!verdict_quoted(name, target->shell, sizeof(target->shell)))
		snprintf(target->shell, sizeof(target->shell), "UNIT");
}

static bool is_there(const struct target *target)
{
	return target->unit && strcmp(unit_get(target->unit, "LoadState"), "not-found") != 0;
}

/* 0, or an exit code. An alias becomes what it stands for. */
static int find_target(const struct cli *cli, struct target *target)
{
	char name[UNIT_NAME_MAX];
	const char *id;

	memset(target, 0, sizeof(*target));
	if (!unit_name(cli->argv[0], name, target->error, sizeof(target->error)))
		return cli_fail(CLI_USAGE, "%s", target->error);
	set_name(target, name);
	if (geteuid() != 0)
		return cli_fail(CLI_FAILED, "%s writes below " ENABLED_FOLDER ": run it as root",
				cli->command->name);
	target->unit = unit_ask(name, target->error, sizeof(target->error));
	if (!is_there(target) || unit_is_template(name))
		return 0;
	id = unit_get(target->unit, "Id");
	if (*id && strcmp(id, name) != 0 &&
	    unit_name(id, name, target->error, sizeof(target->error))) {
		printf("%s is an alias of %s\n", target->name, id);
		set_name(target, name);
	}
	return 0;
}

static int check_loaded(const struct target *target)
{
	const char *state;

	if (!target->unit)
		return cli_fail(CLI_FAILED, "%s", target->error);
	state = unit_get(target->unit, "LoadState");
	if (!strcmp(state, "not-found"))
		return cli_fail(CLI_FAILED,
				"there is no unit %s: `systemctl list-unit-files --type=service` "
				"has those that are there",
				target->name);
	if (!strcmp(state, "masked"))
		return cli_fail(CLI_FAILED, "%s is masked: `systemctl unmask %s` first",
				target->name, target->shell);
	if (strcmp(state, "loaded") != 0)
		return cli_fail(CLI_FAILED,
				"systemd cannot read %s (%s): `systemctl status %s` says why",
				target->name, state, target->shell);
	return 0;
}

static bool reload_systemd(void)
{
	char program[] = "systemctl", what[] = "daemon-reload", error[512];
	char *argv[] = {program, what, NULL}, *text = systemctl(argv, error, sizeof(error));

	if (!text)
		cli_warn("%s: systemd reads it with the next `systemctl daemon-reload`", error);
	free(text);
	return text != NULL;
}

/* --- enable --------------------------------------------------------------------------------------
 */

static int say_obstacles(const struct target *target, const struct obstacles *obstacles, bool force)
{
	for (unsigned int i = 0; i < obstacles->count; i++)
		cli_fail(0, "%s: %s\ncloseside:   remedy: %s", target->name,
			 obstacles->obstacle[i].why, obstacles->obstacle[i].remedy);
	if (!obstacles->count)
		return 0;
	if (force) {
		cli_warn("%s is enabled all the same", target->name);
		return 0;
	}
	return cli_fail(CLI_FINDING,
			"%s is not enabled: the shim would not work in it (--force "
			"enables it all the same)",
			target->name);
}

/* What the daemon's socket is called from anywhere. NULL: the default one, or the unit's own. */
static const char *given_socket(const struct cli *cli, char out[PATH_MAX])
{
	if (!cli->value[OPT_SOCKET] && !strcmp(cli->socket, WIRE_SOCKET_DEFAULT))
		return NULL;
	if (*cli->socket == '/' || !realpath(cli->socket, out))
		snprintf(out, PATH_MAX, "%s", cli->socket);
	return out;
}

/* A file that is there and is not as we left it. */
static int check_file(const struct target *target, const char *path, bool force)
{
	switch (dropin_read(path, NULL)) {
	case DROPIN_UNREADABLE:
		return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
	case DROPIN_EDITED:
	case DROPIN_FOREIGN:
		if (force)
			return 0;
		return cli_fail(CLI_FINDING,
				"%s has been edited by hand, and stays as it is: `closeside enable "
				"--force %s` writes it anew",
				path, target->shell);
	default:
		return 0;
	}
}

/* 1: written; 0: it was there already; -1: failed, all said. */
static int put_file(const struct dropin *dropin, const char *path, const char *text)
{
	static char before[DROPIN_TEXT_MAX];

	if (dropin_read(path, before) == DROPIN_OURS && !strcmp(before, text))
		return 0;
	if (dropin_write(dropin, path, text)) {
		printf("wrote %s\n", path);
		return 1;
	}
	cli_fail(CLI_FAILED, "%s: %s%s", path, strerror(errno),
		 errno == EROFS ? ": --runtime enables it until the next boot" : "");
	return -1;
}

/* The drop-in and, if there is to be one, the file beside it. As put_file(). */
static int put_files(const struct target *target, const struct dropin *dropin,
		     const struct enable_plan *plan)
{
	static char conf[DROPIN_TEXT_MAX], env[DROPIN_TEXT_MAX];
	struct dropin_words words = {target->name, plan->preload,
				     *plan->socket ? plan->socket : NULL, plan->by_file};
	int wrote = 0, more;

	if (plan->by_file && strpbrk(dropin->env, "\\*?[")) {
		cli_fail(CLI_FAILED,
			 "%s sets LD_PRELOAD, and the path %s cannot be written in a "
			 "unit beside it",
			 plan->source, dropin->env);
		return -1;
	}
	if (!dropin_text(dropin, &words, conf) ||
	    (plan->by_file && !dropin_env_text(&words, env))) {
		cli_fail(CLI_FAILED, "%s: its environment is too long", target->name);
		return -1;
	}
	if (plan->by_file)
		wrote = put_file(dropin, dropin->env, env);
	more = wrote < 0 ? -1 : put_file(dropin, dropin->conf, conf);
	if (more > 0)
		for (char *line = strtok(conf, "\n"); line; line = strtok(NULL, "\n"))
			if (*line != '#')
				printf("  %s\n", line);
	if (more >= 0 && !plan->by_file && dropin_read(dropin->env, NULL) == DROPIN_OURS)
		dropin_remove(dropin, dropin->env); /* of an earlier time */
	return more < 0 ? -1 : more | wrote;
}

static bool is_active(const struct unit *unit)
{
	const char *state = unit ? unit_get(unit, "ActiveState") : "";

	return !strcmp(state, "active") || !strcmp(state, "activating") ||
	       !strcmp(state, "reloading");
}

/* Another setting that comes later than ours. */
static int check_effect(const struct target *target, const struct enable_plan *plan,
			const char *token)
{
	char error[512], value[VALUE_MAX];
	struct unit *unit = unit_ask(target->name, error, sizeof(error));
	bool acts = !unit || plan->by_file ||
		    (words_assigned(unit_get(unit, "Environment"), "LD_PRELOAD", value,
				    sizeof(value)) &&
		     preload_has(value, token));

	unit_free(unit);
	return acts ? 0
		    : cli_fail(CLI_FINDING,
			       "%s: another drop-in comes later and sets LD_PRELOAD: `systemctl "
			       "cat %s` has them in their order",
			       target->name, target->shell);
}

static void say_next(const struct target *target, bool changed)
{
	struct enabled_unit now;

	if (unit_is_template(target->name))
		printf("its instances have the shim from their next start: systemctl restart "
		       "'%.*s@*'\n",
		       (int)strcspn(target->name, "@"), target->name);
	else if (!is_active(target->unit))
		printf("%s is not running: it has the shim once it starts\n", target->name);
	else if (!enabled_look_at(target->name, &now) || !now.loaded)
		printf("%s has the shim from its next start: systemctl restart %s\n", target->name,
		       target->shell);
	else if (changed)
		printf("what has changed acts from its next start: systemctl restart %s\n",
		       target->shell);
}

static int enable(const struct cli *cli, const struct target *target)
{
	char file[PATH_MAX], token[PATH_MAX], socket_path[PATH_MAX], error[512];
	const char *given = given_socket(cli, socket_path);
	bool force = cli->value[OPT_FORCE];
	struct unit_place place = {file, given ? given : WIRE_SOCKET_DEFAULT};
	static struct obstacles obstacles;
	static struct enable_plan plan;
	struct dropin dropin;
	int code, wrote;

	if (!plan_library(file, token, sizeof(file)))
		return cli_fail(CLI_FAILED, "the shim is not installed: %s: %s", file,
				strerror(errno));
	dropin_place(&dropin, target->name, cli->value[OPT_RUNTIME]);
	unit_check(target->unit, &place, &obstacles);
	if ((code = say_obstacles(target, &obstacles, force)) ||
	    (code = check_file(target, dropin.conf, force)) ||
	    (code = check_file(target, dropin.env, force)))
		return code;
	if (!plan_make(target->unit, given, dropin.env, token, &plan, error, sizeof(error)))
		return cli_fail(CLI_FAILED, "%s: %s", target->name, error);
	wrote = put_files(target, &dropin, &plan);
	if (wrote < 0)
		return CLI_FAILED;
	if (wrote && *plan.beside)
		printf("it keeps what %s has in LD_PRELOAD: %s\n", plan.source, plan.beside);
	if (!wrote)
		printf("%s is enabled already: nothing has changed\n", target->name);
	if (wrote || !strcmp(unit_get(target->unit, "NeedDaemonReload"), "yes"))
		code = reload_systemd() ? check_effect(target, &plan, token) : 0;
	if (daemon_probe(place.socket))
		cli_warn("no daemon answers at %s: until one does, the shim does nothing",
			 place.socket);
	if (!code)
		say_next(target, wrote);
	return code;
}

int cli_enable(struct cli *cli)
{
	struct target target;
	int code = find_target(cli, &target);

	if (!code)
		code = check_loaded(&target);
	if (!code)
		code = enable(cli, &target);
	unit_free(target.unit);
	return code;
}

/* --- disable -------------------------------------------------------------------------------------
 */

/* 1: removed; 0: there is none; -1: left, all said. */
static int remove_file(const struct dropin *dropin, const char *path, bool force)
{
	enum dropin_state state = dropin_read(path, NULL);

	if (state == DROPIN_ABSENT)
		return 0;
	if ((state == DROPIN_EDITED || state == DROPIN_FOREIGN) && !force) {
		char quoted[2 * DROPIN_PATH_MAX];

		cli_fail(0,
			 "%s has been edited by hand, and stays: --force removes it, or\n"
			 "closeside:   rm %s && systemctl daemon-reload",
			 path, verdict_quoted(path, quoted, sizeof(quoted)) ? quoted : path);
		return -1;
	}
	if (!dropin_remove(dropin, path)) {
		cli_fail(0, "%s: %s", path, strerror(errno));
		return -1;
	}
	printf("removed %s\n", path);
	return 1;
}

static void say_rest(const struct target *target)
{
	struct enabled_unit now;

	if (!enabled_look_at(target->name, &now) || !now.loaded)
		return;
	printf("%u of its processes %s the shim until then: systemctl restart ", now.loaded,
	       now.loaded == 1 ? "has" : "have");
	if (unit_is_template(target->name))
		printf("'%.*s@*'\n", (int)strcspn(target->name, "@"), target->name);
	else
		printf("%s\n", target->shell);
}

static int disable(const struct cli *cli, const struct target *target)
{
	bool force = cli->value[OPT_FORCE], left = false;
	int removed = 0;

	for (int runtime = 0; runtime < 2; runtime++) {
		struct dropin dropin;
		int conf, env;

		dropin_place(&dropin, target->name, runtime);
		conf = remove_file(&dropin, dropin.conf, force);
		/* a drop-in that stays may name it */
		env = conf < 0 ? 0 : remove_file(&dropin, dropin.env, force);
		left |= conf < 0 || env < 0;
		removed += (conf > 0) + (env > 0);
	}
	if (!removed && !left && is_there(target))
		printf("%s is not enabled: nothing has changed\n", target->name);
	else if (!removed && !left)
		return target->unit ? check_loaded(target)
				    : cli_fail(CLI_FAILED, "%s", target->error);
	if (removed)
		reload_systemd();
	if (!left)
		say_rest(target);
	return left ? CLI_FINDING : CLI_FINE;
}

int cli_disable(struct cli *cli)
{
	struct target target;
	int code = find_target(cli, &target);

	if (!code)
		code = disable(cli, &target);
	unit_free(target.unit);
	return code;
}
