/* SPDX-License-Identifier: MIT */
/* systemd.exec(5): the manager's environment, PassEnvironment=, Environment=, EnvironmentFile=,
 * each before the next; among several of the last two the later one wins. So a drop-in that comes
 * last wins over all but a file, and a file that comes last over that. */
#include "daemon/cli_enable_plan.h"

#include "daemon/cli_unit_check.h"

#include "common/wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libcloseside.so"

/* --- the library ---------------------------------------------------------------------------------
 */

/* What the loader puts for $LIB: where libc is, below / or /usr. */
static bool loader_lib(char *out, size_t size)
{
	const char *path, *slash;
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)fopen, &info) || !info.dli_fname)
		return false;
	path = info.dli_fname + (strncmp(info.dli_fname, "/usr/", 5) ? 0 : 4);
	slash = strrchr(path, '/');
	return *path == '/' && slash > path &&
	       snprintf(out, size, "%.*s", (int)(slash - path), path) < (int)size;
}

bool plan_library(char *file, char *token, size_t size)
{
	char lib[256];
	size_t dir_len = strlen(LIBDIR), lib_len;

	snprintf(file, size, "%s", LIBDIR "/" LIBRARY);
	snprintf(token, size, "%s", file);
	if (loader_lib(lib, sizeof(lib))) {
		lib_len = strlen(lib);
		if (dir_len > lib_len && !strcmp(&LIBDIR[dir_len - lib_len], lib))
			snprintf(token, size, "%.*s/$LIB/" LIBRARY, (int)(dir_len - lib_len),
				 LIBDIR);
	}
	return access(file, R_OK) == 0;
}

/* --- who sets LD_PRELOAD -------------------------------------------------------------------------
 */

/* To be freed; NULL: it cannot be read. */
static char *read_text(const char *path)
{
	enum { TEXT_MAX = 1 << 20 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = fd < 0 ? NULL : malloc(TEXT_MAX);
	size_t len = 0;
	ssize_t n = 0;

	while (text && (n = read(fd, text + len, TEXT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (text)
		text[len] = '\0';
	return text;
}

static void look_in_file(const char *path, const char *own, struct enable_plan *plan)
{
	char value[VALUE_MAX], *text = strcmp(path, own) ? read_text(path) : NULL;

	if (text && env_file_assigned(text, "LD_PRELOAD", value, sizeof(value))) {
		snprintf(plan->beside, sizeof(plan->beside), "%s", value);
		snprintf(plan->source, sizeof(plan->source), "EnvironmentFile=%.400s", path);
		plan->by_file = true;
	}
	free(text);
}

/* "/etc/default/foo (ignore_errors=yes)", which may be a pattern. */
static void look_in_files(const struct unit *unit, const char *own, struct enable_plan *plan)
{
	const char *value;
	size_t at = 0;

	while ((value = unit_each(unit, "EnvironmentFiles", &at))) {
		const char *end = strstr(value, " (ignore_errors=");
		char pattern[4096];
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%.*s",
			 end ? (int)(end - value) : (int)strlen(value), value);
		if (glob(pattern, 0, NULL, &found))
			continue;
		for (size_t i = 0; i < found.gl_pathc; i++)
			look_in_file(found.gl_pathv[i], own, plan);
		globfree(&found);
	}
}

/* systemd's own, which PassEnvironment= hands on: of PID 1. */
static bool manager_passes(char *out, size_t size)
{
	static char text[65536];
	int fd = open("/proc/1/environ", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	bool found = false;

	if (fd >= 0)
		close(fd);
	len = len > 0 ? len : 0;
	text[len] = '\0';
	for (const char *p = text; p < text + len; p += strlen(p) + 1)
		if (!strncmp(p, "LD_PRELOAD=", 11))
			found = snprintf(out, size, "%s", p + 11) < (int)size;
	return found;
}

static void look_in_manager(const struct unit *unit, struct enable_plan *plan)
{
	char program[] = "systemctl", what[] = "show-environment", error[256];
	char *argv[] = {program, what, NULL}, *text;

	if (words_have(unit_get(unit, "PassEnvironment"), "LD_PRELOAD") &&
	    manager_passes(plan->beside, sizeof(plan->beside))) {
		snprintf(plan->source, sizeof(plan->source), "PassEnvironment=");
		return;
	}
	text = systemctl(argv, error, sizeof(error));
	if (text && words_assigned(text, "LD_PRELOAD", plan->beside, sizeof(plan->beside)))
		snprintf(plan->source, sizeof(plan->source), "systemctl set-environment");
	free(text);
}

static void look_for_preload(const struct unit *unit, const char *own, const char *token,
			     struct enable_plan *plan)
{
	char value[VALUE_MAX];

	look_in_files(unit, own, plan);
	if (plan->by_file)
		return;
	if (words_assigned(unit_get(unit, "Environment"), "LD_PRELOAD", value, sizeof(value)))
		preload_drop(value, token, plan->beside, sizeof(plan->beside));
	if (*plan->beside)
		snprintf(plan->source, sizeof(plan->source), "Environment=");
	else
		look_in_manager(unit, plan);
}

/* --- the socket ----------------------------------------------------------------------------------
 */

/* "a=1,filters=any" without filters. */
static void drop_filters(char *options)
{
	char *out = options;

	for (const char *p = options; *p;) {
		size_t len = strcspn(p, ",");
		bool kept = strncmp(p, "filters=", 8) != 0;

		if (kept && out > options)
			*out++ = ',';
		if (kept) {
			memmove(out, p, len);
			out += len;
		}
		p += len + (p[len] == ',');
	}
	*out = '\0';
}

/* What the unit says stays; -s and what its filters ask for come to it. */
static bool plan_socket(const struct unit *unit, const char *given, char *out, size_t size)
{
	bool filters = unit_has_filters(unit) && unit_allows_calls(unit);
	char theirs[VALUE_MAX], *options;
	const char *path;

	words_assigned(unit_get(unit, "Environment"), "CLOSESIDE_SOCKET", theirs, sizeof(theirs));
	options = strchr(theirs, '?');
	if (options) {
		*options++ = '\0';
		drop_filters(options);
	}
	path = given ? given : *theirs ? theirs : WIRE_SOCKET_DEFAULT;
	out[0] = '\0';
	if (!strcmp(path, WIRE_SOCKET_DEFAULT) && !filters && !(options && *options))
		return true;
	return snprintf(out, size, "%s%s%s%s%s", path, filters || (options && *options) ? "?" : "",
			options ? options : "", filters && options && *options ? "," : "",
			filters ? "filters=any" : "") < (int)size;
}

bool plan_make(const struct unit *unit, const char *given, const char *own, const char *token,
	       struct enable_plan *plan, char *error, size_t size)
{
	memset(plan, 0, sizeof(*plan));
	look_for_preload(unit, own, token, plan);
	if (preload_add(plan->beside, token, plan->preload, sizeof(plan->preload)) &&
	    plan_socket(unit, given, plan->socket, sizeof(plan->socket)))
		return true;
	snprintf(error, size, "its environment is longer than %d bytes", VALUE_MAX);
	return false;
}
