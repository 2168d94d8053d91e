/* SPDX-License-Identifier: MIT */
/* duplicates HOW: copies of a connection's descriptor in one process. The connection ends with the
 * last of them, and not before. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/shim/pair.h"

static void end(const struct pair *p, int last)
{
	pair_say_bye(last);
	saw("close of the last", close(last));
	pair_hear_bye("client", p->client);
}

static int duplicate(const char *how, int fd)
{
	if (strcmp(how, "dup") == 0)
		return dup(fd);
	if (strcmp(how, "dup2") == 0)
		return dup2(fd, 50);
	if (strcmp(how, "dup3") == 0)
		return dup3(fd, 50, O_CLOEXEC);
	if (strcmp(how, "dupfd") == 0)
		return fcntl(fd, F_DUPFD, 50);
	if (strcmp(how, "dupfd-cloexec") == 0)
		return fcntl64(fd, F_DUPFD_CLOEXEC, 50);
	if (strcmp(how, "dup-by-number") == 0)
		return (int)syscall(SYS_dup, fd);
	if (strcmp(how, "dup3-by-number") == 0)
		return (int)syscall(SYS_dup3, fd, 50, 0);
	if (strcmp(how, "dupfd-by-number") == 0)
		return (int)syscall(SYS_fcntl, fd, F_DUPFD, 50);
	return -1;
}

static void in_both_orders(const char *how)
{
	for (int first = 0; first < 2; first++) {
		struct pair p = pair_open(false);
		int copy = duplicate(how, p.server);

		printf("copied: %d, close-on-exec: %d\n", copy >= 0, fcntl(copy, F_GETFD));
		saw("close of the first", close(first ? copy : p.server));
		pair_look(p.client);
		end(&p, first ? p.server : copy);
	}
}

/* dup2() over a live connection closes it. */
static void over(void)
{
	struct pair p = pair_open(false), q = pair_open(false);

	pair_say_bye(p.server);
	printf("dup2 over it: %d\n", dup2(q.server, p.server) == p.server);
	pair_hear_bye("client", p.client);
	saw("close", close(q.server));
	pair_look(q.client);
	end(&q, p.server);

	p = pair_open(false);
	q.server = open("/dev/null", O_RDONLY);
	pair_say_bye(p.server);
	printf("dup3 over it: %d\n", dup3(q.server, p.server, O_CLOEXEC) == p.server);
	pair_hear_bye("client", p.client);
	close(q.server);
	close(p.server);
}

/* All of these leave everything as it was. */
static void not_at_all(void)
{
	struct pair p = pair_open(false);

	printf("dup2 onto itself: %d\n", dup2(p.server, p.server) == p.server);
	saw("dup3 onto itself", dup3(p.server, p.server, 0));
	saw("dup3 with a wrong flag", dup3(0, p.server, O_APPEND));
	saw("dup2 of nothing over it", dup2(900, p.server));
	saw("dup3 of nothing over it", dup3(900, p.server, 0));
	saw("dup2 to a wrong number", dup2(p.server, -1));
	saw("dup2 to a number too high", dup2(p.server, 1 << 30));
	saw("F_DUPFD from a wrong number", fcntl(p.server, F_DUPFD, -1));
	saw("F_DUPFD from a number too high", fcntl(p.server, F_DUPFD, 1 << 30));
	saw("dup of nothing", dup(900));
	saw("dup of -1", dup(-1));
	saw("close of nothing", close(900));
	saw("close of -1", close(-1));
	pair_look(p.client);
	end(&p, p.server);
	saw("close again", close(p.server));
}

/* Everything else that fcntl() does passes. */
static void commands(void)
{
	struct pair p = pair_open(false);
	struct f_owner_ex owner = {.type = F_OWNER_PID};
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int on = 1;

	saw("F_GETFD", fcntl(p.server, F_GETFD));
	saw("F_SETFD", fcntl(p.server, F_SETFD, FD_CLOEXEC));
	saw("F_GETFD", fcntl64(p.server, F_GETFD));
	saw("FIONCLEX", ioctl(p.server, FIONCLEX));
	saw("F_GETFD", fcntl(p.server, F_GETFD));
	saw("F_SETFL", fcntl(p.server, F_SETFL, O_RDWR | O_NONBLOCK));
	saw("F_GETFL", fcntl64(p.server, F_GETFL) & O_NONBLOCK);
	saw("FIONBIO", ioctl(p.server, FIONBIO, &on));
	saw("F_GETLK", fcntl(p.server, F_GETLK, &lock));
	saw("F_SETLK", fcntl64(p.server, F_SETLK, &lock));
	saw("F_SETOWN", fcntl(p.server, F_SETOWN, getpid()));
	printf("F_GETOWN: %d\n", fcntl(p.server, F_GETOWN) == getpid());
	saw("F_SETOWN_EX", fcntl64(p.server, F_SETOWN_EX, &owner));
	saw("F_GETOWN_EX", fcntl(p.server, F_GETOWN_EX, &owner));
	saw("F_SETSIG", fcntl(p.server, F_SETSIG, SIGUSR1));
	saw("F_GETSIG", fcntl(p.server, F_GETSIG));
	saw("F_GETPIPE_SZ", fcntl(p.server, F_GETPIPE_SZ));
	saw("F_SETLEASE", fcntl(p.server, F_SETLEASE, F_RDLCK));
	saw("a wrong command", fcntl(p.server, 12345));
	saw("a wrong descriptor", fcntl(900, F_GETFD));
	saw("a wrong pointer", fcntl(p.server, F_GETLK, (void *)8));
	pair_look(p.client);
	end(&p, p.server);
}

/* Many copies, closed in the order of a shuffled deck; and a copy of a socket from before it was
 * connected, which cannot be counted. */
static void many(void)
{
	struct pair p = pair_open(false);
	int copies[40], listener = pair_listen(), fd, copy;

	for (int i = 0; i < 40; i++)
		copies[i] = dup(i > 0 && i % 2 ? copies[i / 2] : p.server);
	for (int i = 0; i < 40; i++) {
		int at = i * 7 % 40;

		if (copies[at] >= 0)
			close(copies[at]);
	}
	pair_look(p.client);
	end(&p, p.server);

	fd = socket(AF_INET, SOCK_STREAM, 0);
	copy = dup(fd);
	close(fd);
	close(copy);
	copy = dup(listener);
	close(listener);
	p.client = pair_connect(copy);
	fd = dup(p.client);
	p.server = accept(copy, NULL, NULL);
	close(p.client);
	p.client = fd;
	end(&p, p.server);
	close(copy);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "over") == 0)
		over();
	else if (strcmp(argv[1], "not-at-all") == 0)
		not_at_all();
	else if (strcmp(argv[1], "commands") == 0)
		commands();
	else if (strcmp(argv[1], "many") == 0)
		many();
	else
		in_both_orders(argv[1]);
	return 0;
}
