/* SPDX-License-Identifier: MIT */
/* plugins HOW LIBRARY: calls that come from somewhere else than the program, or past the shim.
 *
 *   open, deep, far   plugin.c by dlopen(), with RTLD_DEEPBIND (it binds to libc, past the shim),
 * in a namespace of its own (dlmopen(): another libc, past the shim as well) next, handle close()
 * as RTLD_NEXT and as libc's handle know it twice             opened and closed again and again
 *   load              opens LIBRARY and closes it, between connections */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/shim/pair.h"

struct plugin {
	void *handle;
	int (*close)(int fd);
	void (*close_all)(int first);
	void (*round)(void);
	int (*client)(int listener);
};

static void fail(void)
{
	printf("%s\n", dlerror());
	exit(9);
}

static void *symbol(void *handle, const char *name)
{
	void *found = dlsym(handle, name);

	if (!found)
		fail();
	return found;
}

static struct plugin load(const char *how, const char *path)
{
	int flags = RTLD_NOW | (strcmp(how, "deep") == 0 ? RTLD_DEEPBIND : 0);
	struct plugin p = {.handle = strcmp(how, "far") == 0 ? dlmopen(LM_ID_NEWLM, path, flags)
							     : dlopen(path, flags)};

	if (!p.handle)
		fail();
	*(void **)&p.close = symbol(p.handle, "plugin_close");
	*(void **)&p.close_all = symbol(p.handle, "plugin_close_all");
	*(void **)&p.round = symbol(p.handle, "plugin_round");
	*(void **)&p.client = symbol(p.handle, "plugin_client");
	return p;
}

static void one_round(int (*close_it)(int fd))
{
	struct pair p = pair_open(false);

	pair_say_bye(p.server);
	saw("close", close_it(p.server));
	pair_hear_bye("client", p.client);
}

/* The plugin opens it, and the program closes it; and the other way round. */
static void across(const struct plugin *plugin)
{
	int listener = pair_listen(), client = plugin->client(listener);
	int server = accept(listener, NULL, NULL);

	pair_say_bye(server);
	saw("close by the plugin", plugin->close(server));
	pair_hear_bye("client", client);
	saw("again", close(server));
	saw("close of the listener", plugin->close(listener));
}

static void with_plugin(const char *how, const char *path)
{
	struct plugin plugin = load(how, path);

	plugin.round();
	for (int i = 0; i < 3; i++) {
		one_round(close);
		one_round(plugin.close);
		across(&plugin);
	}
	plugin.close_all(3); /* the shim's channel too, if it is past the shim */
	one_round(close);
	saw("dlclose", dlclose(plugin.handle));
	one_round(close);
}

static void past(void *handle)
{
	int (*next)(int fd);

	*(void **)&next = symbol(handle, "close");
	for (int i = 0; i < 3; i++) {
		one_round(next);
		one_round(close);
	}
}

static void twice(const char *path)
{
	for (int i = 0; i < 50; i++) {
		struct plugin plugin = load("open", path);

		plugin.round();
		dlclose(plugin.handle);
	}
}

static void other(const char *path)
{
	for (int i = 0; i < 2; i++) {
		void *handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);

		if (!handle)
			fail();
		one_round(close);
		saw("dlclose", dlclose(handle));
		one_round(close);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc == 3 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(how, "open") || !strcmp(how, "deep") || !strcmp(how, "far"))
		with_plugin(how, argv[2]);
	else if (!strcmp(how, "next"))
		past(RTLD_NEXT);
	else if (!strcmp(how, "handle"))
		past(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD));
	else if (!strcmp(how, "twice"))
		twice(argv[2]);
	else if (!strcmp(how, "load"))
		other(argv[2]);
	else
		return 2;
	fflush(stdout);
	return 0;
}
