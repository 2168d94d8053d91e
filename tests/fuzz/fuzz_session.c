/* SPDX-License-Identifier: MIT */
/* Sessions: what programs send over SOCKET, with descriptors of every kind, while their peers,
 * their own close, their death and time do as they like. The input is a program of steps; the
 * daemon's code is all real. Whatever came, at the end nothing is held and no descriptor is left
 * open. */
#include "tests/fuzz/daemon.h"
#include "tests/fuzz/fuzz.h"

#include "daemon/closer.h"
#include "daemon/custody.h"
#include "daemon/session.h"
#include "daemon/sock.h"

#include "common/close_decide.h"
#include "common/wire.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SESSIONS = 6, CONNS = 6, STEPS_MAX = 160, BURST = 40, FDS_MAX = 12 };

struct client {
	int fd; /* -1: not connected */
	int life;
	struct session_page *page;
};

static struct loop *loop;
static struct client clients[SESSIONS];
static struct fuzz_pair conns[CONNS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_world();
	return 0;
}

/* --- connections ------------------------------------------------------------------------------ */

static struct fuzz_pair *conn_at(struct fuzz_input *input)
{
	struct fuzz_pair *conn = &conns[fuzz_byte(input) % CONNS];

	if (!conn->cookie)
		*conn = fuzz_pair();
	return conn;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* With a reset, so that TIME_WAITs do not pile up. */
static void reset_fd(int *fd)
{
	struct linger linger = {.l_onoff = 1};

	if (*fd >= 0)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_fd(fd);
}

/* What the peer does, or the program without telling anyone. */
static void act_on_conn(struct fuzz_input *input)
{
	static char data[4096];
	struct fuzz_pair *conn = conn_at(input);
	uint8_t what = fuzz_byte(input);
	int *fd = what & 0x80 ? &conn->program : &conn->peer;
	struct linger linger = {.l_onoff = what & 1, .l_linger = what & 2};

	switch (what % 8) {
	case 0:
		(void)!send(*fd, data, fuzz_byte(input) * 16u, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 1:
		(void)!recv(*fd, data, sizeof(data), MSG_DONTWAIT);
		break;
	case 2:
		shutdown(*fd, SHUT_WR);
		break;
	case 3:
		shutdown(*fd, SHUT_RD);
		break;
	case 4:
		close_fd(fd);
		break;
	case 5:
		reset_fd(fd);
		break;
	default:
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
}

/* --- sessions --------------------------------------------------------------------------------- */

static struct client *client_at(struct fuzz_input *input)
{
	return &clients[fuzz_byte(input) % SESSIONS];
}

static void hang_up(struct client *client)
{
	close_fd(&client->fd);
	close_fd(&client->life);
	if (client->page)
		munmap(client->page, sizeof(*client->page));
	client->page = NULL;
}

static void connect_client(struct fuzz_input *input)
{
	static const uid_t uids[] = {0, 1000, 1001, (uid_t)-1};
	struct client *client = client_at(input);
	uint8_t who = fuzz_byte(input);

	hang_up(client);
	client->life = who & 0x40 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fuzz_peer = (struct fuzz_peer){
		.pid = who & 0x10   ? 1
		       : who & 0x20 ? 99999999
				    : getpid(),
		.uid = uids[who % 4],
		.pidfd = client->life,
	};
	client->fd = fuzz_connect_session(loop);
}

static void die(struct fuzz_input *input)
{
	struct client *client = client_at(input);
	uint64_t one = 1;

	if (client->life >= 0)
		(void)!write(client->life, &one, sizeof(one));
}

/* A message with `count` descriptors of one kind; they are still ours. */
static void send_message(struct client *client, const void *data, size_t size, const int *fds,
			 size_t count)
{
	struct iovec iov = {(void *)data, size};
	union {
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {.buf = {0}};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	}
	if (client->fd >= 0)
		(void)!sendmsg(client->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A descriptor of any kind, new or a duplicate; -1: none. */
static int any_fd(struct fuzz_input *input, const struct fuzz_pair *conn)
{
	uint8_t kind = fuzz_byte(input);
	int fds[2];

	switch (kind % 16) {
	case 0:
		return -1;
	case 1:
		return memfd_create("fuzz", MFD_CLOEXEC);
	case 2:
		return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 3:
		return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case 4:
		return dup(fuzz_tcp_listener());
	case 5:
		return dup(clients[kind / 16 % SESSIONS].fd);
	case 6:
		if (pipe2(fds, O_CLOEXEC) < 0)
			return -1;
		close(fds[1]);
		return fds[0];
	case 7:
		return dup(conn->peer);
	default:
		return dup(conn->program);
	}
}

static void send_raw(struct fuzz_input *input)
{
	struct client *client = client_at(input);
	char data[1100];
	int fds[FDS_MAX] = {0};
	size_t size = fuzz_byte(input) * (fuzz_byte(input) & 1 ? 5u : 1u), count = 0;

	if (size > fuzz_left(input))
		size = fuzz_left(input);
	if (size > sizeof(data))
		size = sizeof(data);
	for (int i = fuzz_byte(input) % FDS_MAX; i > 0 && count < FDS_MAX; i--) {
		fds[count] = any_fd(input, conn_at(input));
		count += fds[count] >= 0;
	}
	fuzz_bytes(input, data, size);
	send_message(client, data, size, fds, count);
	while (count)
		close(fds[--count]);
}

static void send_hello(struct fuzz_input *input)
{
	struct client *client = client_at(input);
	struct wire_hello hello = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.size = sizeof(hello),
		.nofile = 1u << fuzz_byte(input) % 32,
	};

	fuzz_bytes(input, hello.options, fuzz_byte(input) % 64);
	send_message(client, &hello, sizeof(hello), NULL, 0);
}

/* A record that is right, but for what the input changes in it. */
static struct wire_record record_of(struct fuzz_input *input, const struct fuzz_pair *conn)
{
	uint8_t type = fuzz_byte(input), policy = fuzz_byte(input);
	struct wire_record record = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.type = type % 8,
		.role = ROLE_SERVER,
		.cookie = conn->cookie,
		.policy = policy & 1 ? policy_id("web") : policy,
		.state = 1,
		.action = fuzz_byte(input) % CLOSE_ACTION_COUNT,
		.side = SIDE_US,
		.how = policy >> 6 & 1,
		.grace_ms = fuzz_byte(input) * 4u,
		.time_wait_ms = (int8_t)fuzz_byte(input) * 16,
		.drain_max_ms = 1000,
		.grace_learn = policy >> 5 & 1,
		.peer_time_wait = policy >> 4 & 1,
		.close_first = policy >> 2 & 3,
		.patience = policy >> 3 & 1,
	};

	sock_endpoints(conn->program, &record.local, &record.remote);
	for (int i = fuzz_byte(input) % 4; i > 0; i--) {
		size_t at = fuzz_byte(input) % sizeof(record);

		((uint8_t *)&record)[at] = fuzz_byte(input);
	}
	return record;
}

static void send_record(struct fuzz_input *input, unsigned int times)
{
	struct client *client = client_at(input);
	const struct fuzz_pair *conn = conn_at(input);
	struct wire_record record = record_of(input, conn);
	int fd = any_fd(input, conn);

	while (times--) {
		send_message(client, &record, sizeof(record), &fd, fd >= 0);
		if (times % 16 == 15)
			fuzz_turn(loop);
		if (times)
			record.cookie += record.how; /* a flood of connections that are not */
	}
	if (fd >= 0)
		close(fd);
}

static void take_welcome(struct fuzz_input *input)
{
	struct client *client = client_at(input);
	char data[64];
	struct iovec iov = {data, sizeof(data)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg;
	void *page;
	int fd;

	if (client->page || client->fd < 0 ||
	    recvmsg(client->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return;
	cmsg = CMSG_FIRSTHDR(&msg);
	fuzz_check(cmsg && cmsg->cmsg_len == CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	fuzz_check(ftruncate(fd, 0) < 0); /* or the daemon would die of SIGBUS */
	page = mmap(NULL, sizeof(*client->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fuzz_check(page != MAP_FAILED);
	client->page = page;
	close(fd);
}

/* Anywhere in it: the counts, where the ring's head is, what a slot says of itself. */
static void scribble(struct fuzz_input *input)
{
	struct client *client = client_at(input);
	size_t at = fuzz_byte(input) % 3 == 0
			    ? fuzz_byte(input) % 80
			    : offsetof(struct session_page, ring.slots) +
				      sizeof(struct ring_slot) * (fuzz_byte(input) % 8);
	uint8_t bytes[24] = {0};

	fuzz_bytes(input, bytes, sizeof(bytes));
	if (client->page)
		memcpy((uint8_t *)client->page + at, bytes, sizeof(bytes));
}

/* As the shim does, or in a lap or order of its own. */
static void put_into_ring(struct fuzz_input *input)
{
	struct client *client = client_at(input);
	struct wire_record record = record_of(input, conn_at(input));
	struct wire_call call = {.magic = WIRE_MAGIC};
	unsigned int times = fuzz_byte(input) % BURST;

	if (!client->page)
		return;
	while (times--) {
		if (ring_put(&client->page->ring, &record) == RING_PUT_CALL)
			send_message(client, &call, sizeof(call), NULL, 0);
		record.cookie += record.how;
	}
}

/* --- the program of steps --------------------------------------------------------------------- */

static void step(struct fuzz_input *input)
{
	uint8_t what = fuzz_byte(input), n;

	switch (what % 18) {
	case 0:
	case 1:
		connect_client(input);
		break;
	case 2:
		send_hello(input);
		break;
	case 3:
		send_raw(input);
		break;
	case 4:
		send_record(input, fuzz_byte(input) % BURST);
		break;
	case 5:
		act_on_conn(input);
		break;
	case 6:
		take_welcome(input);
		break;
	case 7:
		scribble(input);
		break;
	case 8:
		hang_up(client_at(input));
		break;
	case 9:
		die(input);
		break;
	case 10:
		n = fuzz_byte(input);
		fuzz_advance((unsigned int)n * n);
		fuzz_turn(loop);
		break;
	case 11:
		custody_set_limits(loop->custody, 1 + fuzz_byte(input) % 12,
				   1 + fuzz_byte(input) % 6);
		break;
	case 12:
		fuzz_turn(loop);
		break;
	case 16:
	case 17:
		put_into_ring(input);
		break;
	default:
		send_record(input, 1);
	}
}

/* Programs and peers stay as they are; time alone must end all custody. */
static void wait_out(void)
{
	for (int i = 0; i < 40 && custody_count(loop->custody); i++) {
		fuzz_advance(60000);
		fuzz_turn(loop);
	}
	fuzz_check(custody_count(loop->custody) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};

	for (int i = 0; i < SESSIONS; i++)
		clients[i] = (struct client){.fd = -1, .life = -1};
	memset(conns, 0, sizeof(conns));
	loop = fuzz_loop_new();
	for (int i = 0; i < STEPS_MAX && fuzz_left(&input); i++) {
		step(&input);
		fuzz_check(sessions_count(loop->sessions) <= 12);
		fuzz_check(custody_count(loop->custody) <= 12);
	}
	fuzz_turn(loop);
	if (size % 2)
		wait_out();
	for (int i = 0; i < SESSIONS; i++)
		hang_up(&clients[i]);
	for (int i = 0; i < CONNS; i++)
		if (conns[i].cookie) {
			reset_fd(&conns[i].peer);
			reset_fd(&conns[i].program);
		}
	fuzz_loop_free(loop);
	return 0;
}
