/* SPDX-License-Identifier: MIT */
/* close_all HOW: what daemons do at their start, with a connection and the shim's channel open.
 *
 * Afterwards everything is as closed as without the shim, the numbers can be used again, and a new
 * connection is steered like the first. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/shim/pair.h"

static void close_loop(void)
{
	struct rlimit limit = {.rlim_cur = 1024};

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 3; fd < (int)limit.rlim_cur; fd++)
		close(fd);
}

static bool close_all(const char *how)
{
	if (strcmp(how, "closefrom") == 0)
		closefrom(3);
	else if (strcmp(how, "close_range") == 0)
		saw("close_range", close_range(3, ~0U, 0));
	else if (strcmp(how, "unshare") == 0)
		saw("close_range", close_range(3, ~0U, CLOSE_RANGE_UNSHARE));
	else if (strcmp(how, "cloexec") == 0)
		saw("close_range", close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
	else if (strcmp(how, "loop") == 0)
		close_loop();
	else
		return false;
	return true;
}

static int one_round(const char *how)
{
	struct pair p = pair_open(false);
	int client = dup2(p.client, 0); /* the peer's end survives below 3 */

	pair_say_bye(p.server);
	if (!close_all(how))
		return 2;
	printf("server open: %d, client open: %d\n", is_open(p.server), is_open(p.client));
	if (is_open(p.server)) { /* close-on-exec alone */
		printf("flags: %d\n", fcntl(p.server, F_GETFD));
		close(p.server);
		close(p.client);
	}
	pair_hear_bye("client", client);
	saw("the lowest free number", open("/dev/null", O_RDONLY));
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 3; i++) {
		int status = one_round(argv[1]);

		if (status != 0)
			return status;
	}
	return 0;
}
