/* SPDX-License-Identifier: MIT */
#include "daemon/welcome.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct session_page *welcome_page_new(int32_t credits, int *memfd)
{
	struct session_page *page = MAP_FAILED;
	int fd = memfd_create("closeside-session", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*page)) == 0)
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		if (page != MAP_FAILED)
			munmap(page, sizeof(*page));
		close(fd);
		return NULL;
	}
	page->magic = WIRE_MAGIC;
	page->version = WIRE_VERSION;
	atomic_store(&page->credits, credits);
	ring_sleep(&page->ring, &(struct ring_reader){0});
	*memfd = fd;
	return page;
}

void welcome_page_free(struct session_page *page)
{
	munmap(page, sizeof(*page));
}

bool welcome_send(int fd, int page_fd)
{
	struct wire_welcome welcome = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.size = sizeof(welcome),
	};
	struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.buf = {0}};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &page_fd, sizeof(int));
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(welcome);
}
