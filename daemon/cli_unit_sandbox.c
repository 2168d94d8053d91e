/* SPDX-License-Identifier: MIT */
/* systemd.exec(5), as far as it concerns a library that is preloaded, maps two memfds and talks
 * with a UNIX socket. PrivateNetwork= is none of it: a socket with a path is reached from any
 * network namespace. Nor are AmbientCapabilities=: they raise no AT_SECURE. */
#include "daemon/cli_unit_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void obstacle_add(struct obstacles *obstacles, const char *remedy, const char *format, ...)
{
	struct obstacle *obstacle = &obstacles->obstacle[obstacles->count];
	va_list ap;

	if (obstacles->count == OBSTACLES_MAX)
		return;
	obstacles->count++;
	va_start(ap, format);
	vsnprintf(obstacle->why, sizeof(obstacle->why), format, ap);
	va_end(ap);
	snprintf(obstacle->remedy, sizeof(obstacle->remedy), "%s", remedy);
}

static bool is_on(const struct unit *unit, const char *property)
{
	return !strcmp(unit_get(unit, property), "yes");
}

/* --- paths ---------------------------------------------------------------------------------------
 */

/* The length of folder if path is it or below it; 0: it is not. "/" counts as 1. */
static size_t covers(const char *folder, const char *path)
{
	size_t len = strlen(folder);

	while (len > 1 && folder[len - 1] == '/')
		len--;
	if (len <= 1)
		return *folder == '/';
	return !strncmp(folder, path, len) && (!path[len] || path[len] == '/') ? len : 0;
}

/* The longest that covers the path, of a list of [-+]PATH[:MORE], in word. */
static size_t longest(const char *list, const char *path, char *word, size_t size)
{
	char one[4096];
	size_t most = 0;

	while (words_next(&list, one, sizeof(one))) {
		char *folder = one + strspn(one, "-+");
		size_t len;

		folder[strcspn(folder, ":")] = '\0';
		len = covers(folder, path);
		if (len > most)
			snprintf(word, size, "%s", folder);
		most = len > most ? len : most;
	}
	return most;
}

/* The same of SOURCE[:DESTINATION[:MORE]], if what is bound there is what is there outside. */
static size_t longest_bound(const char *list, const char *path)
{
	char one[4096];
	size_t most = 0;

	while (words_next(&list, one, sizeof(one))) {
		char *source = one + strspn(one, "-+"), *to = strchr(source, ':');
		size_t len;

		if (to) {
			*to++ = '\0';
			to[strcspn(to, ":")] = '\0';
		}
		len = !to || !strcmp(source, to) ? covers(source, path) : 0;
		most = len > most ? len : most;
	}
	return most;
}

/* What hides a path, unless something is bound over it. */
struct hiding {
	const char *setting;
	char folder[4096];
	size_t len;
};

static void hide(struct hiding *hiding, const char *setting, const char *list, const char *path)
{
	char folder[4096];
	size_t len = longest(list, path, folder, sizeof(folder));

	if (len <= hiding->len)
		return;
	hiding->setting = setting;
	hiding->len = len;
	snprintf(hiding->folder, sizeof(hiding->folder), "%s", folder);
}

bool unit_shows_path(const struct unit *unit, const char *path, char *why, size_t size)
{
	const char *root = unit_get(unit, "RootDirectory"), *image = unit_get(unit, "RootImage"),
		   *home = unit_get(unit, "ProtectHome");
	size_t bound = longest_bound(unit_get(unit, "BindPaths"), path),
	       bound_read = longest_bound(unit_get(unit, "BindReadOnlyPaths"), path);
	struct hiding hiding = {.len = 0};

	if (bound_read > bound)
		bound = bound_read;
	if (*root && strcmp(root, "/") != 0)
		hide(&hiding, "RootDirectory", "/", path);
	if (*image)
		hide(&hiding, "RootImage", "/", path);
	if (is_on(unit, "PrivateTmp"))
		hide(&hiding, "PrivateTmp", "/tmp /var/tmp", path);
	if (!strcmp(home, "yes") || !strcmp(home, "tmpfs"))
		hide(&hiding, "ProtectHome", "/home /root /run/user", path);
	hide(&hiding, "TemporaryFileSystem", unit_get(unit, "TemporaryFileSystem"), path);
	hide(&hiding, "InaccessiblePaths", unit_get(unit, "InaccessiblePaths"), path);
	if (!hiding.len || bound > hiding.len || (bound && bound == hiding.len && *root))
		return true;
	snprintf(why, size, "%s= hides %s", hiding.setting, path);
	return false;
}

static void check_paths(const struct unit *unit, const struct unit_place *place,
			struct obstacles *obstacles)
{
	char page[4096], folder[4096], why[4200], remedy[4300];
	const char *slash = strrchr(place->socket, '/');

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - place->socket) : 0,
		 place->socket);
	snprintf(page, sizeof(page), "%s.policy", place->socket);
	if (!unit_shows_path(unit, place->socket, why, sizeof(why)) ||
	    !unit_shows_path(unit, page, why, sizeof(why))) {
		snprintf(remedy, sizeof(remedy),
			 "BindReadOnlyPaths=%s in its [Service]: the folder, for the socket is a "
			 "new one after each start of the daemon",
			 folder);
		obstacle_add(obstacles, remedy, "%s, the daemon's socket", why);
	}
	if (!unit_shows_path(unit, place->library, why, sizeof(why))) {
		snprintf(remedy, sizeof(remedy), "BindReadOnlyPaths=%s in its [Service]",
			 place->library);
		obstacle_add(obstacles, remedy, "%s, the shim", why);
	}
	if (longest(unit_get(unit, "NoExecPaths"), place->library, why, sizeof(why)) >
	    longest(unit_get(unit, "ExecPaths"), place->library, page, sizeof(page))) {
		snprintf(remedy, sizeof(remedy), "ExecPaths=%s in its [Service]", place->library);
		obstacle_add(obstacles, remedy, "NoExecPaths=%s lets nobody map %s as code", why,
			     place->library);
	}
}

/* --- system calls --------------------------------------------------------------------------------
 */

/* All that the shim does of its own, and those that a wrapped call becomes are the program's. A
 * test holds this against the shim's sources. */
static const char *const needed[] = {
	"bind",	     "clock_gettime",	 "close",	"connect",
	"dup3",	     "epoll_ctl",	 "fcntl",	"fstat",
	"futex",     "geteuid",		 "gettid",	"getpeername",
	"getpid",    "getppid",		 "getsockname", "getsockopt",
	"ioctl",     "madvise",		 "mmap",	"mremap",
	"munmap",    "openat",		 "poll",	"ppoll",
	"prlimit64", "process_vm_readv", "read",	"readlinkat",
	"recvmsg",   "rt_sigprocmask",	 "sched_yield", "sendmsg",
	"sendto",    "setsockopt",	 "shutdown",	"socket",
	"tgkill",
};

static void check_calls(const struct unit *unit, struct obstacles *obstacles)
{
	const char *list = unit_get(unit, "SystemCallFilter");
	bool denies = *list == '~';
	char refused[256] = "", remedy[400];
	unsigned int count = 0;

	list += denies;
	if (!*list) /* an empty one is none */
		return;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		char with_error[64];
		size_t used = strlen(refused);
		const char *at = list, *found = NULL;
		char word[256];

		snprintf(with_error, sizeof(with_error), "%s:", needed[i]);
		while (!found && words_next(&at, word, sizeof(word)))
			if (!strcmp(word, needed[i]) ||
			    !strncmp(word, with_error, strlen(with_error)))
				found = needed[i];
		if (!found == denies)
			continue;
		count++;
		snprintf(refused + used, sizeof(refused) - used, " %s", needed[i]);
	}
	if (!count)
		return;
	if (denies)
		snprintf(remedy, sizeof(remedy), "leave these calls out of its SystemCallFilter=");
	else
		snprintf(remedy, sizeof(remedy), "SystemCallFilter=%s in its [Service]",
			 refused + 1);
	obstacle_add(obstacles, remedy, "SystemCallFilter= refuses what the shim calls:%s",
		     refused);
}

bool unit_has_filters(const struct unit *unit)
{
	static const char *const flags[] = {"LockPersonality",	 "MemoryDenyWriteExecute",
					    "RestrictRealtime",	 "RestrictSUIDSGID",
					    "ProtectClock",	 "ProtectKernelModules",
					    "ProtectKernelLogs", "ProtectKernelTunables",
					    "ProtectHostname",	 "PrivateDevices"};
	static const char *const lists[] = {"SystemCallFilter", "SystemCallLog",
					    "RestrictAddressFamilies", "SystemCallArchitectures"};
	const char *namespaces = unit_get(unit, "RestrictNamespaces");

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (is_on(unit, flags[i]))
			return true;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *list = unit_get(unit, lists[i]);

		if (*list && strcmp(list, "~") != 0)
			return true;
	}
	return *namespaces && strcmp(namespaces, "no") != 0;
}

static void check_families(const struct unit *unit, struct obstacles *obstacles)
{
	const char *list = unit_get(unit, "RestrictAddressFamilies");
	bool denies = *list == '~';

	list += denies;
	if (*list && words_have(list, "AF_UNIX") == denies)
		obstacle_add(obstacles,
			     denies ? "leave AF_UNIX out of it"
				    : "RestrictAddressFamilies=AF_UNIX in its [Service]",
			     "RestrictAddressFamilies= allows no AF_UNIX: the shim cannot talk "
			     "with the daemon");
}

bool unit_allows_calls(const struct unit *unit)
{
	static struct obstacles obstacles;

	obstacles.count = 0;
	check_calls(unit, &obstacles);
	check_families(unit, &obstacles);
	return !obstacles.count;
}

/* --- domains -------------------------------------------------------------------------------------
 */

static void check_domains(const struct unit *unit, const struct unit_place *place,
			  struct obstacles *obstacles)
{
	const char *profile = unit_get(unit, "AppArmorProfile"),
		   *context = unit_get(unit, "SELinuxContext");
	char remedy[512];

	if (*profile) {
		snprintf(remedy, sizeof(remedy),
			 "in the profile: `%s mr,`, `%s* rw,` and `unix,`; then --force",
			 place->library, place->socket);
		obstacle_add(obstacles, remedy,
			     "AppArmorProfile=%s confines it, and what it allows cannot be told "
			     "from here",
			     profile + strspn(profile, "-"));
	}
	if (*context)
		obstacle_add(obstacles,
			     "in SELinux's policy, for this domain: process noatsecure, execute of "
			     "the library, and connectto of the daemon; then --force",
			     "SELinuxContext=%s is another domain: such a transition makes the "
			     "loader ignore LD_PRELOAD",
			     context + strspn(context, "-"));
	if (words_have(unit_get(unit, "UnsetEnvironment"), "LD_PRELOAD"))
		obstacle_add(obstacles, "take it from there",
			     "UnsetEnvironment= takes LD_PRELOAD away at last");
}

void unit_check_sandbox(const struct unit *unit, const struct unit_place *place,
			struct obstacles *obstacles)
{
	check_paths(unit, place, obstacles);
	check_families(unit, obstacles);
	check_calls(unit, obstacles);
	check_domains(unit, place, obstacles);
}
