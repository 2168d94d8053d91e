/* SPDX-License-Identifier: MIT */
/* A library that uses sockets itself; see plugins.c. */
#include "tests/shim/plugin.h"

#include "tests/shim/pair.h"

#include <unistd.h>

int plugin_close(int fd)
{
	return close(fd);
}

void plugin_close_all(int first)
{
	closefrom(first);
}

void plugin_round(void)
{
	struct pair p = pair_open(false);

	pair_say_bye(p.server);
	saw("close by the plugin", close(p.server));
	pair_hear_bye("of the plugin", p.client);
}

int plugin_client(int listener)
{
	return pair_connect(listener);
}
