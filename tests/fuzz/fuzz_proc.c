/* SPDX-License-Identifier: MIT */
/* What the kernel says: the files of /proc/PID, and sock_diag's answers. */
#include "daemon/kernel.h"
#include "daemon/process.h"

#include "common/tcp_state.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PID = 77777777, QUERIES = 8 };

static struct fuzz_input answers; /* to what netlink is asked */
static char *file, *link_target;
static struct kernel *kernel;

/* --- in place of libc's ----------------------------------------------------------------------- */

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	int fd;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (strncmp(path, "/proc/77777777/", 15) != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	fd = memfd_create("proc", MFD_CLOEXEC);
	fuzz_check(fd >= 0 && pwrite(fd, file, strlen(file), 0) == (ssize_t)strlen(file));
	return fd;
}

ssize_t readlink(const char *restrict path, char *restrict buf, size_t size)
{
	size_t len = link_target ? strlen(link_target) : 0;

	if (strncmp(path, "/proc/77777777/", 15) != 0)
		return syscall(SYS_readlinkat, AT_FDCWD, path, buf, size);
	len = len < size ? len : size;
	memcpy(buf, link_target, len);
	return (ssize_t)len;
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	(void)fd;
	(void)buf;
	(void)flags;
	(void)to;
	(void)to_len;
	return (ssize_t)len;
}

/* The next answer, or none; a length of 255 is an error that passes. */
ssize_t recv(int fd, void *buf, size_t size, int flags)
{
	size_t len = fuzz_byte(&answers) * 4u;

	(void)fd;
	(void)flags;
	errno = len == 255 * 4 && fuzz_left(&answers) ? ENOBUFS : EAGAIN;
	if (len == 0 || len == 255 * 4)
		return -1;
	len = len < size ? len : size;
	len = len < fuzz_left(&answers) ? len : fuzz_left(&answers);
	if (len == 0)
		return -1;
	fuzz_bytes(&answers, buf, len);
	return (ssize_t)len;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* --- /proc ------------------------------------------------------------------------------------ */

static void check_process(const uint8_t *data, size_t size)
{
	struct process process;
	char unit[16];

	file = fuzz_text(data, size);
	link_target = file;
	process_read(&process, PID, 0);
	fuzz_check(memchr(process.comm, '\0', sizeof(process.comm)));
	fuzz_check(memchr(process.exe, '\0', sizeof(process.exe)));
	fuzz_check(memchr(process.unit, '\0', sizeof(process.unit)));
	fuzz_check(process_name(&process)[0]);
	process_unit_of_cgroup(file, unit, sizeof(unit));
	fuzz_check(memchr(unit, '\0', sizeof(unit)));
	free(file);
	file = link_target = NULL;
}

/* --- netlink ---------------------------------------------------------------------------------- */

static bool take_socket(const struct kernel_socket *socket, void *arg)
{
	(*(unsigned int *)arg)++;
	fuzz_check(socket->local.family == AF_INET || socket->local.family == AF_INET6);
	fuzz_check(socket->remote.family == AF_INET || socket->remote.family == AF_INET6);
	return true;
}

static void check_netlink(const uint8_t *data, size_t size)
{
	struct kernel_query queries[QUERIES];
	unsigned int taken = 0;

	memset(queries, 0, sizeof(queries));
	kernel = kernel_open(-1);
	if (!kernel)
		return;
	answers = (struct fuzz_input){data, data + size};
	kernel_lookup(kernel, queries, QUERIES);
	kernel_destroy(kernel, queries, QUERIES);
	kernel_dump(kernel, KERNEL_LIVE | KERNEL_TIME_WAIT, take_socket, &taken);
	kernel_destroyed(kernel, QUERIES, take_socket, &taken);
	fuzz_check(taken <= size);
	kernel_close(kernel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		check_process(data + 1, size - 1);
	else
		check_netlink(data + 1, size - 1);
	return 0;
}
