/* SPDX-License-Identifier: MIT */
#include "tests/shim/pair.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int pair_run(int argc, char **argv, const struct pair_way *ways, size_t count, int rounds)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc == 2 && i < count; i++)
		if (strcmp(argv[1], ways[i].name) == 0) {
			for (int round = 0; round < rounds; round++)
				ways[i].run();
			return 0;
		}
	return 2;
}

void die(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	fflush(stdout);
	_exit(9);
}

long saw(const char *name, long result)
{
	if (result < 0)
		printf("%s: %s\n", name, strerrorname_np(errno));
	else
		printf("%s: ok %ld\n", name, result);
	return result;
}

int pair_listen(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int port = 8000; port < 9000; port++) {
		addr.sin_port = htons((uint16_t)port);
		if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 64) == 0)
			return fd;
	}
	die("bind");
}

int pair_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

int pair_begin_connect(int fd, int listener)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	if (getsockname(listener, (struct sockaddr *)&addr, &len) != 0)
		die("getsockname");
	return connect(fd, (struct sockaddr *)&addr, len);
}

void pair_connect_to(int fd, int listener)
{
	if (pair_begin_connect(fd, listener) != 0)
		die("connect");
}

int pair_connect(int listener)
{
	int fd = pair_socket();

	pair_connect_to(fd, listener);
	return fd;
}

struct pair pair_open(bool cloexec)
{
	int listener = pair_listen();
	struct pair p = {.client = pair_connect(listener)};

	p.server = accept4(listener, NULL, NULL, cloexec ? SOCK_CLOEXEC : 0);
	if (p.server < 0)
		die("accept");
	if (cloexec)
		fcntl(p.client, F_SETFD, FD_CLOEXEC);
	close(listener);
	return p;
}

void pair_say_bye(int server)
{
	if (write(server, "bye", 3) != 3)
		die("write");
}

static size_t read_all(int fd, char *buf, size_t len)
{
	size_t have = 0;
	ssize_t got;

	while (have < len && (got = read(fd, buf + have, len - have)) > 0)
		have += (size_t)got;
	return have;
}

void pair_hear_bye(const char *name, int client)
{
	char buf[4] = "";

	printf("%s: read %zu '%s'\n", name, read_all(client, buf, 3), buf);
	if (close(client) != 0)
		die("close of the client");
}

void pair_hear_eof(const char *name, int client)
{
	char buf[64];
	size_t have = 0;
	ssize_t got;

	while ((got = read(client, buf, sizeof(buf))) > 0)
		have += (size_t)got;
	printf("%s: read %zu, then %s\n", name, have, got == 0 ? "EOF" : strerrorname_np(errno));
	if (close(client) != 0)
		die("close of the client");
}

void pair_serve(void)
{
	struct pair p = pair_open(false);

	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("client", p.client);
}

void pair_look(int client)
{
	char c;

	saw("the client sees", recv(client, &c, 1, MSG_DONTWAIT | MSG_PEEK));
}

bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

int count_open(int first)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		die("/proc/self/fd");
	for (struct dirent *e; (e = readdir(dir));) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] != '.' && fd >= first && fd != dirfd(dir))
			n++;
	}
	closedir(dir);
	return n;
}
