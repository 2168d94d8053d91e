/* SPDX-License-Identifier: MIT */
/* A seccomp filter that is in force here will be in force in the command, and could end it for a
 * call that only the shim makes. So a child makes the shim's calls first, and if it lives, the shim
 * is told that so many filters let it work. What fails with an error is harmless: it is what the
 * shim expects of any call. */
#include "daemon/cli_run.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sockios.h>

static long status_number(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long number = 0;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			number = strtol(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return number;
}

static void try_memory(void)
{
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *mine = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *file = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	char text[16];
	struct rlimit limit;

	madvise(mine, 4096, MADV_WIPEONFORK);
	madvise(mine, 4096, MADV_DONTDUMP);
	munmap(shared, 4096);
	munmap(mine, 4096);
	if (file != MAP_FAILED)
		munmap(file, 4096);
	if (readlink("/proc/self/exe", text, sizeof(text)) > 0 && read(fd, text, sizeof(text)) > 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	close(fd);
	sched_yield();
	getpid();
	geteuid();
}

static void try_channel(int passed)
{
	char byte = 0;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), high;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &passed, sizeof(passed));
	connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere));
	sendto(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	high = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	dup3(fd, high, O_CLOEXEC);
	close(fd);
	close(high);
}

static void try_tcp(int fd)
{
	static const int asked[][2] = {{SOL_SOCKET, SO_COOKIE},
				       {SOL_SOCKET, SO_PROTOCOL},
				       {SOL_SOCKET, SO_LINGER},
				       {IPPROTO_TCP, TCP_INFO},
				       {IPPROTO_TCP, TCP_ULP},
				       {IPPROTO_TCP, TCP_LINGER2},
				       {SOL_SOCKET, SO_REUSEADDR},
				       {SOL_SOCKET, SO_REUSEPORT},
				       {SOL_SOCKET, SO_KEEPALIVE},
				       {IPPROTO_TCP, TCP_KEEPIDLE},
				       {IPPROTO_TCP, TCP_KEEPINTVL},
				       {IPPROTO_TCP, TCP_KEEPCNT},
				       {IPPROTO_TCP, TCP_NODELAY},
				       {IPPROTO_TCP, TCP_USER_TIMEOUT},
				       {IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */},
				       {IPPROTO_IP, 51 /* IP_LOCAL_PORT_RANGE */}};
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t addr_len = sizeof(addr);
	int bytes;

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		char value[256] = "";
		socklen_t len = sizeof(value);

		getsockopt(fd, asked[i][0], asked[i][1], value, &len);
		setsockopt(fd, asked[i][0], asked[i][1], value, sizeof(int));
	}
	ioctl(fd, SIOCINQ, &bytes);
	ioctl(fd, SIOCOUTQ, &bytes);
	fcntl(fd, F_GETFL);
	fcntl(fd, F_GETFD);
	poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0);
	epoll_ctl(-1, EPOLL_CTL_DEL, fd, NULL);
	getsockname(fd, (struct sockaddr *)&addr, &addr_len);
	getpeername(fd, (struct sockaddr *)&addr, &addr_len);
	bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	shutdown(fd, SHUT_RD);
}

static _Noreturn void try_all(void)
{
	struct rlimit none = {0, 0};
	int fd;

	setrlimit(RLIMIT_CORE, &none);
	try_memory();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	try_channel(fd);
	try_tcp(fd);
	_exit(0);
}

int run_filters(void)
{
	long filters = status_number("Seccomp_filters:"); /* Linux 5.9 */
	int status;
	pid_t child;

	if (status_number("Seccomp:") == 0)
		return 0;
	child = fork();
	if (child == 0)
		try_all();
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) && filters > 0 ? (int)filters : -1;
}
