/* SPDX-License-Identifier: MIT */
/* systemctl is asked rather than the bus: it is there wherever systemd is, and says of a unit that
 * is not loaded what it would be. */
#include "daemon/cli_unit.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct unit {
	char *text; /* its lines, each ended by a NUL */
	size_t len;
};

/* --- its properties -----------------------------------------------------------------------------
 */

struct unit *unit_parse(const char *text)
{
	struct unit *unit = calloc(1, sizeof(*unit));

	if (unit)
		unit->text = strdup(text);
	if (!unit || !unit->text) {
		free(unit);
		return NULL;
	}
	unit->len = strlen(text);
	for (char *p = unit->text; (p = strchr(p, '\n')); p++)
		*p = '\0';
	return unit;
}

void unit_free(struct unit *unit)
{
	if (!unit)
		return;
	free(unit->text);
	free(unit);
}

const char *unit_each(const struct unit *unit, const char *property, size_t *at)
{
	size_t len = strlen(property);

	while (*at < unit->len) {
		const char *line = unit->text + *at;

		*at += strlen(line) + 1;
		if (!strncmp(line, property, len) && line[len] == '=')
			return line + len + 1;
	}
	return NULL;
}

const char *unit_get(const struct unit *unit, const char *property)
{
	size_t at = 0;
	const char *value = unit_each(unit, property, &at);

	return value ? value : "";
}

/* --- asking -------------------------------------------------------------------------------------
 */

/* All of it, to be freed. NULL: out of memory. */
static char *read_all(int fd)
{
	size_t len = 0, size = 65536;
	char *text = malloc(size), *more;
	ssize_t n;

	while (text) {
		n = read(fd, text + len, size - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (size - len > 1)
			continue;
		more = realloc(text, size *= 2);
		if (!more)
			free(text);
		text = more;
	}
	if (text)
		text[len] = '\0';
	return text;
}

/* 0 or errno. Its standard output is read from *out, its errors from *err. */
static int start(char *const argv[], pid_t *pid, int *out, int *err)
{
	posix_spawn_file_actions_t actions;
	int outs[2], errs[2], error;

	if (pipe2(outs, O_CLOEXEC) < 0)
		return errno;
	if (pipe2(errs, O_CLOEXEC) < 0) {
		error = errno;
		close(outs[0]);
		close(outs[1]);
		return error;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, outs[1], 1);
	posix_spawn_file_actions_adddup2(&actions, errs[1], 2);
	error = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(outs[1]);
	close(errs[1]);
	*out = outs[0];
	*err = errs[0];
	if (!error)
		return 0;
	close(*out);
	close(*err);
	return error;
}

char *systemctl(char *const argv[], char *error, size_t size)
{
	int out = -1, err = -1, status = 0, failed;
	char *text, *complaint;
	pid_t pid;

	setenv("SYSTEMD_PAGER", "", 1);
	setenv("SYSTEMD_COLORS", "0", 1);
	setenv("LC_ALL", "C", 1);
	failed = start(argv, &pid, &out, &err);
	if (failed) {
		snprintf(error, size,
			 failed == ENOENT ? "there is no systemctl here: this is for systemd's "
					    "services; other programs: `closeside run`"
					  : "systemctl: %s",
			 strerror(failed));
		return NULL;
	}
	text = read_all(out);
	complaint = read_all(err); /* less than a pipe holds */
	close(out);
	close(err);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (text && complaint && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		free(complaint);
		return text;
	}
	if (complaint)
		complaint[strcspn(complaint, "\n")] = '\0';
	snprintf(error, size, "systemctl %s: %s", argv[1],
		 complaint && *complaint ? complaint : "it failed");
	free(text);
	free(complaint);
	return NULL;
}

/* Every property that something here asks for. */
#define PROPERTIES                                                                            \
	"Id,LoadState,ActiveState,MainPID,NeedDaemonReload,User,Group,SupplementaryGroups,"   \
	"DynamicUser,NoNewPrivileges,ExecStart,Environment,EnvironmentFiles,PassEnvironment," \
	"UnsetEnvironment,RootDirectory,RootImage,TemporaryFileSystem,InaccessiblePaths,"     \
	"BindPaths,BindReadOnlyPaths,NoExecPaths,ExecPaths,PrivateTmp,ProtectHome,"           \
	"RestrictAddressFamilies,SystemCallFilter,SystemCallArchitectures,SystemCallLog,"     \
	"RestrictNamespaces,LockPersonality,MemoryDenyWriteExecute,RestrictRealtime,"         \
	"RestrictSUIDSGID,ProtectClock,ProtectKernelModules,ProtectKernelTunables,"           \
	"ProtectKernelLogs,ProtectHostname,PrivateDevices,AppArmorProfile,SELinuxContext"

struct unit *unit_ask(const char *name, char *error, size_t size)
{
	char asked[UNIT_NAME_MAX + 16], properties[] = PROPERTIES, all[] = "--all", p[] = "-p",
					show[] = "show", program[] = "systemctl", end[] = "--";
	char *argv[] = {program, show, all, p, properties, end, asked, NULL}, *text;
	struct unit *unit;

	if (unit_is_template(name))
		snprintf(asked, sizeof(asked), "%.*s@closeside.service", (int)strcspn(name, "@"),
			 name);
	else
		snprintf(asked, sizeof(asked), "%s", name);
	text = systemctl(argv, error, size);
	if (!text)
		return NULL;
	unit = unit_parse(text);
	free(text);
	if (!unit)
		snprintf(error, size, "%s", strerror(ENOMEM));
	return unit;
}
