/* SPDX-License-Identifier: MIT */
/* limits NUMBER [exec]: RLIMIT_NOFILE becomes NUMBER while a connection is open, or before the
 * program is started anew. What is open stays usable above it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/shim/pair.h"

static struct rlimit set_limit(rlim_t number)
{
	struct rlimit old, new;

	getrlimit(RLIMIT_NOFILE, &old);
	new = old;
	new.rlim_cur = number > old.rlim_max ? old.rlim_max : number;
	saw("setrlimit", setrlimit(RLIMIT_NOFILE, &new));
	return old;
}

static void end(struct pair p)
{
	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("client", p.client);
}

int main(int argc, char **argv)
{
	rlim_t number = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	struct rlimit old;
	struct pair p, q;

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && strcmp(argv[2], "exec") == 0) {
		set_limit(number);
		execl(argv[0], argv[0], "serve", NULL);
		return 7;
	}
	if (argc > 1 && strcmp(argv[1], "serve") == 0) {
		for (int i = 0; i < 3; i++)
			pair_serve();
		return 0;
	}
	p = pair_open(false);
	q = pair_open(true);
	old = set_limit(number);
	end(p);
	if (number < 16)
		saw("socket", socket(AF_INET, SOCK_STREAM, 0));
	else
		pair_serve();
	end(q);
	saw("setrlimit", setrlimit(RLIMIT_NOFILE, &old));
	pair_serve();
	printf("dup2 far up: %d\n", number > 100000 ? dup2(0, 900000) == 900000 : -1);
	return 0;
}
