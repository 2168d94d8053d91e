/* SPDX-License-Identifier: MIT */
/* short_conns HOST PORT N THREADS [MS]: N requests, each on a connection of its own, which is
 * closed once the answer is complete by its Content-Length, or so many milliseconds later. Prints
 * how many were answered and the seconds. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

static struct sockaddr_in server;
static useconds_t pause_us;
static atomic_long left, answered;

/* Is the answer in buf whole? */
static bool whole(const char *buf, size_t len)
{
	const char *end = strstr(buf, "\r\n\r\n"), *field = strcasestr(buf, "\r\nContent-Length:");
	size_t head;

	if (!end || !field || field > end)
		return false;
	head = (size_t)(end + 4 - buf);
	return len >= head + strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
}

static bool exchange(int fd)
{
	char buf[4096];
	size_t len = 0;
	ssize_t n;

	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) != 0 ||
	    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		return false;
	do {
		n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
	} while (!whole(buf, len) && len < sizeof(buf) - 1);
	return true;
}

static void *run(void *arg)
{
	while (atomic_fetch_sub(&left, 1) > 0) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			continue;
		if (exchange(fd))
			atomic_fetch_add(&answered, 1);
		if (pause_us)
			usleep(pause_us);
		close(fd);
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread[64];
	struct timespec begin, end;
	int threads, i;

	if (argc < 5 || argc > 6 || (threads = atoi(argv[4])) < 1 || threads > 64) {
		fprintf(stderr, "usage: short_conns HOST PORT N THREADS [MS]\n");
		return 2;
	}
	pause_us = argc > 5 ? (useconds_t)atoi(argv[5]) * 1000 : 0;
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)atoi(argv[2]));
	if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
		return 2;
	atomic_store(&left, atol(argv[3]));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, run, NULL) != 0)
			return 2;
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%ld %.4f\n", atomic_load(&answered),
	       (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	return 0;
}
