/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3 */
#endif

int churn_socket_linger0(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* One of the sources, by turns. The port is looked for by connect(), which knows where to. */
static int bind_source(const struct churn_options *options, int fd, uint64_t number)
{
	const struct churn_address *source = &options->source[number % options->source_count];
	int on = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&source->sa, source->len);
}

static int prepare(const struct churn_options *options, int fd, uint64_t number)
{
	if (options->port_range &&
	    setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &options->port_range,
		       sizeof(options->port_range)) < 0)
		return -1;
	if (options->linger0 && churn_socket_linger0(fd) < 0)
		return -1;
	return options->source_count ? bind_source(options, fd, number) : 0;
}

int churn_socket(const struct churn_options *options, uint64_t number)
{
	int fd = socket(options->at.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0 || prepare(options, fd, number) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}
