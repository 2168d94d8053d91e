/* SPDX-License-Identifier: MIT */
/* close_all HOW: what daemons do at their start, with a connection and the shim's channel open. HOW
 * is a way to close, or `daemon` and `double-fork-daemon`, which go on to serve.
 *
 * Afterwards everything is as closed as without the shim, the numbers can be used again, and a new
 * connection is steered like the first. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shim/pair.h"

static void close_loop(void)
{
	struct rlimit limit = {.rlim_cur = 1024};

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 3; fd < (int)limit.rlim_cur; fd++)
		close(fd);
}

/* Again and again until nothing is found, as some do; whether close() is pleased, none of them
 * asks, for the directory's own descriptor is among what they find. */
static void close_walk(void)
{
	int found = 1;

	for (int rounds = 0; found > 0 && rounds < 10; rounds++) {
		DIR *dir = opendir("/proc/self/fd");

		found = 0;
		for (struct dirent *e; dir && (e = readdir(dir));) {
			int fd = atoi(e->d_name);

			if (e->d_name[0] == '.' || fd < 3 || fd == dirfd(dir))
				continue;
			close(fd);
			found++;
		}
		closedir(dir);
	}
	printf("left: %d\n", found);
}

/* What is in the holes stays: every other number of 40 to 49. */
static void close_with_holes(void)
{
	int null = open("/dev/null", O_RDONLY);

	for (int fd = 40; fd < 50; fd++)
		dup2(null, fd);
	saw("close_range", close_range(3, 40, 0));
	for (unsigned int fd = 42; fd < 50; fd += 2)
		saw("close_range", close_range(fd, fd, 0));
	saw("close_range", close_range(50, ~0U, 0));
	saw("close_range, the wrong way round", close_range(60, 50, 0));
	saw("close_range, a wrong flag", close_range(60, 70, 1 << 10));
	for (int fd = 40; fd < 50; fd++)
		printf("%d", is_open(fd));
	printf("\n");
	saw("close_range", close_range(40, 49, 0));
}

/* Above all that is open, and above what our numbers are likely to be. */
static void close_beyond(int past)
{
	saw("close_range", close_range((unsigned int)past, ~0U, 0));
	saw("close_range", close_range((unsigned int)past, ~0U, CLOSE_RANGE_CLOEXEC));
	saw("close_range", close_range(1 << 16, ~0U, 0));
	closefrom(1 << 20);
}

static bool close_all(const char *how, int past)
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
	else if (strcmp(how, "walk") == 0)
		close_walk();
	else if (strcmp(how, "holes") == 0)
		close_with_holes();
	else if (strcmp(how, "beyond") == 0)
		close_beyond(past);
	else
		return false;
	return true;
}

static int one_round(const char *how)
{
	struct pair p = pair_open(false);
	int client = dup2(p.client, 0); /* the peer's end survives below 3 */

	pair_say_bye(p.server);
	if (!close_all(how, p.server > p.client ? p.server + 1 : p.client + 1))
		return 2;
	printf("server open: %d, client open: %d\n", is_open(p.server), is_open(p.client));
	if (is_open(p.server)) { /* close-on-exec alone, or out of reach */
		printf("flags: %d\n", fcntl(p.server, F_GETFD));
		close(p.server);
		close(p.client);
	}
	pair_hear_bye("client", client);
	saw("the lowest free number", open("/dev/null", O_RDONLY));
	return 0;
}

/* The textbook: fork, setsid, fork again, close everything, serve. */
static void become_daemon(const char *how)
{
	if (strcmp(how, "daemon") == 0) {
		saw("daemon", daemon(1, 1));
		return;
	}
	if (fork() != 0)
		_exit(0);
	setsid();
	if (fork() != 0)
		_exit(0);
}

/* It has had a connection before, which its forks take along. */
static int as_daemon(const char *how)
{
	pid_t pid;
	int status;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid == 0) {
		struct pair p = pair_open(false);
		int client = dup2(p.client, 0);

		pair_say_bye(p.server);
		become_daemon(how);
		closefrom(3);
		pair_hear_bye("client of before", client);
		saw("the lowest free number", open("/dev/null", O_RDONLY));
		pair_serve();
		pair_serve();
		exit(0);
	}
	while ((pid = wait(&status)) > 0)
		if (status != 0)
			printf("ended with %x\n", (unsigned int)status);
	pair_serve();
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strstr(argv[1], "daemon"))
		return as_daemon(argv[1]);
	for (int i = 0; i < 3; i++) {
		int status = one_round(argv[1]);

		if (status != 0)
			return status;
	}
	return 0;
}
