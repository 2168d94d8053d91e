/* SPDX-License-Identifier: MIT */
/* early_late: connections before main() and after it. The same source is the program and, as
 * early_late.so, a library preloaded into it: each constructor and destructor has one of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/shim/pair.h"

static struct pair kept;

__attribute__((constructor)) static void before(void)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("constructor\n");
	close(900);
	pair_serve();
	kept = pair_open(false);
}

__attribute__((destructor)) static void after(void)
{
	printf("destructor\n");
	pair_look(kept.client);
	pair_say_bye(kept.server);
	saw("close", close(kept.server));
	pair_hear_bye("client", kept.client);
	pair_serve();
	fflush(stdout);
}

#ifdef PROGRAM
int main(void)
{
	printf("main\n");
	pair_serve();
	return 0;
}
#endif
