/* SPDX-License-Identifier: MIT */
/* channel_number HOW: the program wants the number that the shim's channel has, or does something
 * to it. It finds the number in /proc/self/fd: a descriptor that it did not open. Without the shim
 * there is none, and 1008 is as good as any. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/raw.h"
#include "tests/shim/pair.h"

static bool inherited[4096];

static void note_inherited(void)
{
	for (int fd = 0; fd < 4096; fd++)
		inherited[fd] = is_open(fd);
}

static int find(const struct pair *p)
{
	DIR *dir = opendir("/proc/self/fd");
	int found = 1008;

	if (!dir)
		die("/proc/self/fd");
	for (struct dirent *e; (e = readdir(dir));) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] != '.' && fd < 4096 && !inherited[fd] && fd != p->server &&
		    fd != p->client && fd != dirfd(dir))
			found = fd;
	}
	closedir(dir);
	return found;
}

/* made is to be `wanted`, and an open file that can be read to its end. */
static void took(const char *name, int made, int wanted)
{
	char c;

	if (made < 0)
		saw(name, made);
	else
		printf("%s: the number wanted: %d, read %zd\n", name, made == wanted,
		       read(made, &c, 1));
}

static void open_past(int number)
{
	struct rlimit limit;
	int fd, last = 2, bad = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)number + 64;
	if (limit.rlim_cur <= limit.rlim_max)
		setrlimit(RLIMIT_NOFILE, &limit);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0 && fd < number + 32) {
		bad += fd <= last;
		last = fd;
	}
	printf("past it: %d, out of order: %d\n", fd == number + 32, bad);
	for (fd = 10; fd <= number + 32; fd++)
		if (fd != number)
			close(fd);
}

static bool act(const char *how, int number)
{
	int null = open("/dev/null", O_RDONLY);

	if (strcmp(how, "dup2") == 0)
		took(how, dup2(null, number), number);
	else if (strcmp(how, "dup3") == 0)
		took(how, dup3(null, number, O_CLOEXEC), number);
	else if (strcmp(how, "dupfd") == 0)
		took(how, fcntl(null, F_DUPFD, number), number);
	else if (strcmp(how, "dupfd-cloexec") == 0)
		took(how, fcntl(null, F_DUPFD_CLOEXEC, number), number);
	else if (strcmp(how, "dup3-by-number") == 0)
		took(how, (int)syscall(SYS_dup3, null, number, 0), number);
	else if (strcmp(how, "raw-dup3") == 0)
		took(how, (int)raw(SYS_dup3, null, number, 0), number);
	else if (strcmp(how, "open") == 0)
		open_past(number);
	else if (strcmp(how, "close") == 0)
		saw(how, close(number));
	else if (strcmp(how, "close-by-number") == 0)
		saw(how, syscall(SYS_close, number));
	else if (strcmp(how, "raw-close") == 0)
		raw(SYS_close, number);
	else if (strcmp(how, "use") == 0) {
		saw("F_GETFD", fcntl(number, F_GETFD));
		saw("F_SETFD", fcntl(number, F_SETFD, 0));
		saw("F_GETFL", fcntl(number, F_GETFL));
		saw("dup", dup(number));
		saw("dup2", dup2(number, 60));
		saw("dup2 onto itself", dup2(number, number));
		saw("dup3", dup3(number, 60, 0));
		saw("F_DUPFD", fcntl(number, F_DUPFD, 60));
	} else {
		return false;
	}
	close(null);
	return true;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc != 2)
		return 2;
	note_inherited();
	for (int i = 0; i < 2; i++) {
		struct pair p = pair_open(false);
		int number = find(&p);

		pair_say_bye(p.server);
		if (!act(argv[1], number))
			return 2;
		saw("close", close(p.server));
		pair_hear_bye("client", p.client);
		pair_serve();
		if (strncmp(argv[1], "raw", 3) == 0)
			usleep(1100000); /* a channel that was lost is opened again after a second
					  */
		pair_serve();
		if (is_open(number))
			close(number);
	}
	return 0;
}
