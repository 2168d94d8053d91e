/* SPDX-License-Identifier: MIT */
/* bad_pointers: what the kernel answers with EFAULT or EINVAL, a wrapper must not turn into a
 * crash. Pointers to a page that cannot be read, into the first page, and past the end of a good
 * one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/shim/pair.h"

/* Through pointers to functions, as no attribute of the headers binds these. */
static int (*const volatile do_bind)(int, const struct sockaddr *, socklen_t) = (void *)bind;
static int (*const volatile do_connect)(int, const struct sockaddr *, socklen_t) = (void *)connect;
static int (*const volatile do_accept)(int, struct sockaddr *, socklen_t *) = (void *)accept;
static int (*const volatile do_accept4)(int, struct sockaddr *, socklen_t *, int) = (void *)accept4;
static int (*const volatile do_name)(int, struct sockaddr *, socklen_t *) = (void *)getsockname;

static char *pages;

/* The kernel may have written half an address there. */
static void sane(const char *bad)
{
	if (bad == pages + 4092)
		memcpy(pages + 4092, (int[]){AF_INET}, 4);
}

static void addresses(void *bad)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), listener = pair_listen(), client;
	socklen_t len = sizeof(struct sockaddr_in), zero = 0, six = 6;
	struct sockaddr_in addr = {.sin_family = AF_INET};

	saw("bind", do_bind(fd, bad, len));
	saw("connect", do_connect(fd, bad, len));
	saw("connect, short", do_connect(fd, (struct sockaddr *)&addr, 3));
	saw("connect, long", do_connect(fd, (struct sockaddr *)&addr, 100000));
	saw("connect, no descriptor", do_connect(900, bad, len));
	saw("getsockname", do_name(fd, bad, &len));
	saw("getsockname, length", do_name(fd, (struct sockaddr *)&addr, bad));
	saw("setsockopt", setsockopt(fd, SOL_SOCKET, SO_LINGER, bad, sizeof(struct linger)));
	saw("epoll_ctl", epoll_ctl(fd, EPOLL_CTL_ADD, fd, bad));
	close(fd);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	saw("accept, nobody", do_accept(listener, bad, bad));
	client = pair_connect(listener);
	saw("accept", do_accept(listener, bad, &len));
	close(client);
	client = pair_connect(listener);
	sane(bad);
	saw("accept, length", do_accept(listener, (struct sockaddr *)&addr, bad));
	close(client);
	client = pair_connect(listener);
	sane(bad);
	saw("accept4", do_accept4(listener, bad, bad, SOCK_CLOEXEC));
	close(client);
	client = pair_connect(listener);
	fd = do_accept(listener, bad, &zero); /* nothing to be written there */
	printf("accept, no room: %d, %u\n", fd >= 0, zero);
	close(fd);
	close(client);
	client = pair_connect(listener);
	fd = do_accept(listener, (struct sockaddr *)&addr, &six);
	printf("accept, little room: %d, %u\n", fd >= 0, six);
	close(fd);
	close(client);
	close(listener);
}

static void messages(char *bad)
{
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr two[2] = {{.msg_hdr = msg}, {.msg_hdr = msg}};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
		die("socketpair");
	saw("sendmsg", sendmsg(ends[0], (void *)bad, 0));
	saw("recvmsg", recvmsg(ends[1], (void *)bad, MSG_DONTWAIT));
	saw("sendmmsg", sendmmsg(ends[0], (void *)bad, 2, 0));
	saw("recvmmsg", recvmmsg(ends[1], (void *)bad, 2, MSG_DONTWAIT, NULL));
	msg.msg_control = bad;
	msg.msg_controllen = 64;
	saw("sendmsg, control", sendmsg(ends[0], &msg, 0));
	msg.msg_controllen = ~(size_t)0;
	saw("sendmsg, long control", sendmsg(ends[0], &msg, 0));
	two[1].msg_hdr.msg_control = bad;
	two[1].msg_hdr.msg_controllen = 64;
	saw("sendmmsg, the second", sendmmsg(ends[0], two, 2, 0));
	saw("sendmmsg, none", sendmmsg(ends[0], (void *)bad, 0, 0));
	msg.msg_controllen = 64;
	saw("recvmsg, control", recvmsg(ends[1], &msg, MSG_DONTWAIT));
	close(ends[0]);
	close(ends[1]);
}

static void others(void *bad)
{
	saw("clone3", syscall(SYS_clone3, bad, CLONE_ARGS_SIZE_VER0));
	saw("clone3, short", syscall(SYS_clone3, bad, 8));
	saw("connect by number", syscall(SYS_connect, 900, bad, 16));
	saw("sendmsg by number", syscall(SYS_sendmsg, 0, bad, 0));
	saw("no such call", syscall(100000));
}

int main(void)
{
	char *bad[3];

	pages = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pages == MAP_FAILED || mprotect(pages + 4096, 4096, PROT_NONE) != 0)
		die("mmap");
	memset(pages, 0, 4096);
	bad[0] = (char *)8;
	bad[1] = pages + 4096;
	bad[2] = pages + 4096 - 4;
	sane(bad[2]);
	for (int i = 0; i < 3; i++) {
		printf("- pointer %d\n", i);
		addresses(bad[i]);
		messages(bad[i]);
		others(bad[i]);
		pair_serve();
	}
	return 0;
}
