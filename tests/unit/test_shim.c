/* SPDX-License-Identifier: MIT */
/* The whole shim, linked into this program: its wrappers are what close() and its kin are here, so
 * that sanitizers see them. The daemon is played by the test, in the same process. */
#include "common/close_decide.h"
#include "common/tcp_state.h"
#include "common/wire.h"
#include "shim/holders.h"
#include "shim/libc.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

static char directory[] = "/tmp/closeside-shim-XXXXXX";
static char path[64];
static struct policy_page *page;
static struct session_page *session;
static int daemon_listener = -1, channel = -1; /* the daemon's end of it */
static int listener = -1;
static struct sockaddr_in listener_addr = {.sin_family = AF_INET};

/* Before the shim's constructor, which reads the environment. */
static __attribute__((constructor(101))) void set_environment(void)
{
	if (!mkdtemp(directory))
		abort();
	snprintf(path, sizeof(path), "%s/socket", directory);
	setenv("CLOSESIDE_SOCKET", path, 1);
}

static void beat(void)
{
	atomic_store(&page->heartbeat_ms, wire_now_ms());
}

/* One policy for all: its options as `run -o` has them. */
static void say_policy(const char *options)
{
	const char *error;
	size_t error_len;

	atomic_fetch_add(&page->seq, 1);
	policy_init(&page->rules[0], "all");
	assert_true(policy_parse_options(&page->rules[0], options, &error, &error_len));
	page->count = 1;
	atomic_fetch_add(&page->seq, 1);
	beat();
}

static void make_page(void)
{
	char name[80];
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, WIRE_POLICY_SUFFIX);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*page)), 0);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	close(fd);
	page->magic = WIRE_MAGIC;
	page->version = WIRE_VERSION;
	page->size = sizeof(*page);
	page->rule_size = sizeof(struct policy_rule);
	page->instance = 7;
	page->on = 1;
	/* On a busy machine a close may be late. */
	for (int i = 0; i < WIRE_HINTS; i++)
		atomic_store(&page->hints[i], HINT_LATE_PAYS);
	beat();
}

static bool with_ring; /* or as an earlier version's daemon has it */

static void send_welcome(void)
{
	struct wire_welcome welcome = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .size = sizeof(welcome)};
	struct iovec iov = {&welcome, sizeof(welcome)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = memfd_create("session", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, with_ring ? sizeof(*session) : SESSION_PAGE_MIN), 0);
	session = mmap(NULL, sizeof(*session), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(session, MAP_FAILED);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	assert_int_equal(sendmsg(channel, &msg, 0), sizeof(welcome));
	close(fd);
}

static int play_daemon(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(listener_addr);

	(void)state;
	make_page();
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	daemon_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(daemon_listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(daemon_listener, 16), 0);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	listener_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&listener_addr, len), 0);
	assert_int_equal(listen(listener, 128), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&listener_addr, &len), 0);
	channel = accept(daemon_listener, NULL, NULL);
	assert_true(channel >= 0);
	return 0;
}

static int clean_up(void **state)
{
	char name[80];

	(void)state;
	snprintf(name, sizeof(name), "%s%s", path, WIRE_POLICY_SUFFIX);
	unlink(name);
	unlink(path);
	rmdir(directory);
	return 0;
}

typedef ssize_t receiver(int fd, struct msghdr *msg, int flags);

/* A message and the descriptor with it, or -1. false: nothing. */
static bool receive_by(receiver *by, int from, void *out, size_t size, int *fd)
{
	struct iovec iov = {out, size};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg;

	*fd = -1;
	if (by(from, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)size)
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	return true;
}

/* What the shim sent. libc's recvmsg: to the shim's, a descriptor that came back to its own process
 * would be one more holder. */
static bool receive(int from, void *out, size_t size, int *fd)
{
	receiver *by;

	*(void **)&by = dlsym(RTLD_NEXT, "recvmsg");
	return receive_by(by, from, out, size, fd);
}

static void expect(enum wire_type type, uint64_t cookie, struct wire_record *record, int *fd)
{
	struct wire_record own;
	int own_fd;

	record = record ? record : &own;
	fd = fd ? fd : &own_fd;
	assert_true(receive(channel, record, sizeof(*record), fd));
	assert_string_equal(wire_type_word(record->type), wire_type_word(type));
	if (cookie)
		assert_int_equal(record->cookie, cookie);
}

static void expect_nothing(void)
{
	struct wire_record record;
	int fd;

	assert_false(receive(channel, &record, sizeof(record), &fd));
}

struct pair {
	int client, server;
	uint64_t cookie; /* of the server's end */
};

static uint64_t cookie_of(int fd)
{
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	return cookie;
}

/* A connection that has just had a request and an answer. Only the server's end is watched: the
 * client's is made and closed by raw system calls. */
static struct pair connected(void)
{
	struct pair pair;
	struct wire_record record;
	char text[8];

	/* syscall() is one of ours; libc's is not. */
	static long (*raw)(long, ...);

	if (!raw)
		*(void **)&raw = dlsym(RTLD_NEXT, "syscall");
	pair.client = (int)raw(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(raw(SYS_connect, pair.client, &listener_addr, sizeof(listener_addr)), 0);
	pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.server >= 0);
	pair.cookie = cookie_of(pair.server);
	expect(WIRE_OPEN, pair.cookie, &record, NULL);
	assert_int_equal(record.role, ROLE_SERVER);
	assert_int_equal(record.local.port, ntohs(listener_addr.sin_port));
	assert_int_equal(write(pair.client, "ask", 3), 3);
	assert_int_equal(read(pair.server, text, sizeof(text)), 3);
	assert_int_equal(write(pair.server, "answer", 6), 6);
	assert_int_equal(read(pair.client, text, sizeof(text)), 6);
	beat();
	return pair;
}

/* Has the peer sent its FIN? */
static bool at_eof(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN | POLLRDHUP};

	return poll(&pfd, 1, 100) == 1 && pfd.revents & (POLLRDHUP | POLLHUP);
}

static void the_hello_is_said_first(void **state)
{
	struct wire_hello hello;
	int fd;

	(void)state;
	assert_true(receive(channel, &hello, sizeof(hello), &fd));
	assert_int_equal(hello.magic, WIRE_MAGIC);
	assert_int_equal(hello.version, WIRE_VERSION);
	assert_int_equal(hello.size, sizeof(hello));
	assert_int_equal(fd, -1);
}

static void without_a_policy_it_watches(void **state)
{
	struct pair pair = connected();
	struct wire_record record;

	(void)state;
	errno = 77;
	assert_int_equal(close(pair.server), 0);
	assert_int_equal(errno, 77);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	assert_int_equal(record.side, SIDE_US);
	assert_true(at_eof(pair.client));
	assert_int_equal(close(pair.server), -1);
	assert_int_equal(errno, EBADF);
	expect_nothing();
	close(pair.client);
}

static void peer_first_is_handed_over(void **state)
{
	struct pair pair = connected();
	struct wire_record record;
	int held;

	(void)state;
	say_policy("close-first=peer,grace=300ms,time-wait=none");
	assert_int_equal(close(pair.server), 0);
	expect(WIRE_HAND_OVER, pair.cookie, &record, &held);
	assert_true(held >= 0);
	assert_int_equal(cookie_of(held), pair.cookie);
	assert_int_equal(record.policy, policy_id("all"));
	assert_int_equal(record.grace_ms, 300);
	assert_int_equal(record.time_wait_ms, TIME_WAIT_NONE);
	assert_false(at_eof(pair.client));
	close(held);
	assert_true(at_eof(pair.client));
	close(pair.client);
}

static uint32_t lost_early;

/* The queue is short, and there is no page yet to count in. */
static void more_than_the_channel_takes_before_the_welcome(void **state)
{
	enum { ROUNDS_EARLY = 4000, RECORDS = 4 };
	struct wire_record record;
	uint32_t seen = 0;
	int fd;

	(void)state;
	say_policy("time-wait=none");
	for (int i = 0; i < ROUNDS_EARLY; i++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_int_equal(
			connect(client, (struct sockaddr *)&listener_addr, sizeof(listener_addr)),
			0);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		assert_int_equal(close(client), 0);
		assert_int_equal(close(fd), 0);
	}
	while (receive(channel, &record, sizeof(record), &fd))
		seen++;
	lost_early = ROUNDS_EARLY * RECORDS - seen;
	assert_true(seen > 0 && lost_early > 0);
}

/* Eight before the welcome (one is gone), then as many as the daemon allows. */
static void credits_bound_the_hand_overs(void **state)
{
	struct pair pair;

	(void)state;
	say_policy("close-first=peer");
	for (int i = 1; i < WIRE_CREDITS_START + 1; i++) {
		int held = -1;

		pair = connected();
		close(pair.server);
		expect(i < WIRE_CREDITS_START ? WIRE_HAND_OVER : WIRE_CLOSE, pair.cookie, NULL,
		       &held);
		close(held);
		close(pair.client);
	}
	send_welcome();
	pair = connected();
	close(pair.server); /* takes the welcome; none is given yet */
	expect(WIRE_CLOSE, pair.cookie, NULL, NULL);
	assert_int_equal(atomic_load(&session->lost), lost_early);
	close(pair.client);
	atomic_store(&session->credits, 1000);
	pair = connected();
	close(pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, NULL);
	assert_int_equal(atomic_load(&session->credits), 999);
	close(pair.client);
}

static void time_wait_none_is_an_option(void **state)
{
	struct pair pair = connected();
	struct wire_record record;
	int (*unseen)(int, int, ...);
	int copy, value = 0;
	socklen_t len = sizeof(value);

	(void)state;
	say_policy("time-wait=none");
	*(void **)&unseen = dlsym(RTLD_NEXT, "fcntl");
	copy = unseen(pair.server, F_DUPFD, 100); /* so that the option can be looked at */
	assert_int_equal(close(pair.server), 0);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_QUIET);
	assert_int_equal(getsockopt(copy, IPPROTO_TCP, TCP_LINGER2, &value, &len), 0);
	assert_int_equal(value, -1);
	close(copy);
	close(pair.client);
}

/* Closes that are said to be in vain; returns how many were handed over all the same. */
static unsigned int closes_in_vain(unsigned int count, uint8_t hint)
{
	unsigned int handed_over = 0;

	for (int i = 0; i < WIRE_HINTS; i++)
		atomic_store(&page->hints[i], hint);
	while (count--) {
		struct pair pair = connected();
		struct wire_record record;
		int held;

		close(pair.server);
		assert_true(receive(channel, &record, sizeof(record), &held));
		handed_over += record.type == WIRE_HAND_OVER;
		assert_int_equal(record.patience, held < 0 ? PATIENCE_SPARED : PATIENCE_PROBED);
		if (held >= 0)
			close(held);
		close(pair.client);
	}
	return handed_over;
}

/* All but every 64th; where the last trials were in vain, none for a while. */
static void where_waiting_is_in_vain_it_does_not(void **state)
{
	(void)state;
	say_policy("close-first=peer");
	assert_int_equal(closes_in_vain(2 * WIRE_PROBE, HINT_PROMPT_VAIN), 2);
	assert_int_equal(closes_in_vain(2 * WIRE_PROBE, HINT_PROMPT_VAIN | HINT_PROMPT_RESTS), 0);
	say_policy("close-first=peer,grace-learn=no");
	for (int i = 0; i < 2; i++) {
		struct pair pair = connected();
		int held;

		close(pair.server);
		expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
		close(held);
		close(pair.client);
	}
	for (int i = 0; i < WIRE_HINTS; i++)
		atomic_store(&page->hints[i], HINT_LATE_PAYS);
}

static void a_stale_heartbeat_ends_hand_overs(void **state)
{
	struct pair pair = connected();
	struct wire_record record;

	(void)state;
	say_policy("close-first=peer,time-wait=none");
	atomic_store(&page->heartbeat_ms, wire_now_ms() - 2 * WIRE_HEARTBEAT_STALE_MS);
	assert_int_equal(close(pair.server), 0);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_QUIET);
	beat();
	close(pair.client);
}

static void switched_off_it_only_watches(void **state)
{
	struct pair pair = connected();
	struct wire_record record;

	(void)state;
	say_policy("close-first=peer,time-wait=none");
	atomic_store(&page->on, 0);
	assert_int_equal(close(pair.server), 0);
	atomic_store(&page->on, 1);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	assert_int_equal(record.policy, 0);
	close(pair.client);
}

/* A daemon that was killed while it rewrote the page. */
static void a_page_that_stays_odd_spins_nobody(void **state)
{
	struct pair pair = connected();
	struct wire_record record;

	(void)state;
	say_policy("close-first=peer");
	atomic_fetch_add(&page->seq, 1);
	assert_int_equal(close(pair.server), 0);
	atomic_fetch_add(&page->seq, 1);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	close(pair.client);
}

static void the_last_duplicate_is_steered(void **state)
{
	struct pair pair = connected();
	int copies[4], held;

	(void)state;
	say_policy("close-first=peer");
	copies[0] = dup(pair.server);
	copies[1] = fcntl(pair.server, F_DUPFD_CLOEXEC, 50);
	copies[2] = dup2(pair.server, 60);
	copies[3] = (int)syscall(SYS_fcntl, pair.server, F_DUPFD, 70);
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(copies[3]);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(copies[0]);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(copies[1]);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(copies[2]);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	close(held);
	close(pair.client);
}

static void dup2_over_it_is_a_close(void **state)
{
	struct pair pair = connected();
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), held;

	(void)state;
	say_policy("close-first=peer");
	assert_int_equal(dup2(-1, pair.server), -1); /* fails: nothing is steered */
	expect_nothing();
	assert_int_equal(dup2(null, pair.server), pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_false(at_eof(pair.client));
	close(held);
	close(null);
	close(pair.server);
	expect_nothing();
	close(pair.client);
}

static void stdio_is_flushed_before(void **state)
{
	struct pair pair = connected();
	FILE *file = fdopen(pair.server, "w");
	char text[8];
	int held;

	(void)state;
	say_policy("close-first=peer");
	assert_true(fputs("rest", file) >= 0);
	assert_int_equal(fclose(file), 0);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_int_equal(read(pair.client, text, sizeof(text)), 4);
	close(held);
	close(pair.client);
}

static void freopen_is_a_close(void **state)
{
	struct pair pair = connected();
	FILE *file = fdopen(pair.server, "w");
	char text[8];
	int held;

	(void)state;
	say_policy("close-first=peer");
	assert_true(fputs("rest", file) >= 0);
	assert_non_null(freopen("/dev/null", "w", file));
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_int_equal(read(pair.client, text, sizeof(text)), 4);
	assert_false(at_eof(pair.client));
	fclose(file);
	expect_nothing();
	close(held);
	close(pair.client);
}

static void it_leaves_its_epoll_sets(void **state)
{
	struct pair pair = connected();
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5};
	int one = epoll_create1(EPOLL_CLOEXEC), two = epoll_create1(EPOLL_CLOEXEC), held;

	(void)state;
	say_policy("close-first=peer");
	assert_int_equal(epoll_ctl(one, EPOLL_CTL_ADD, pair.server, &event), 0);
	assert_int_equal(epoll_ctl(two, EPOLL_CTL_ADD, pair.server, &event), 0);
	close(pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_int_equal(write(pair.client, "more", 4), 4);
	assert_int_equal(epoll_wait(one, &event, 1, 100), 0);
	assert_int_equal(epoll_wait(two, &event, 1, 0), 0);
	close(held);
	close(pair.client);
	close(one);
	close(two);
}

static int (*real_epoll_ctl)(int, int, int, struct epoll_event *);

/* Another thread was told of it, served it and closed it before the call came back. */
static int added_and_closed(int epfd, int op, int fd, struct epoll_event *event)
{
	int result = real_epoll_ctl(epfd, op, fd, event);

	close(fd);
	return result;
}

static void closed_while_it_is_added(void **state)
{
	struct pair pair = connected();
	struct epoll_event event = {.events = EPOLLIN};
	int set = epoll_create1(EPOLL_CLOEXEC), held;

	(void)state;
	say_policy("close-first=peer");
	real_epoll_ctl = libc.epoll_ctl;
	libc.epoll_ctl = added_and_closed;
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, pair.server, &event), 0);
	libc.epoll_ctl = real_epoll_ctl;
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_int_equal(write(pair.client, "more", 4), 4);
	assert_int_equal(epoll_wait(set, &event, 1, 100), 0);
	close(held);
	close(pair.client);
	close(set);
}

static void what_a_set_refused_is_forgotten(void **state)
{
	struct pair pair = connected();
	struct epoll_event event = {.events = EPOLLIN};
	int set = epoll_create1(EPOLL_CLOEXEC), held;

	(void)state;
	say_policy("close-first=peer");
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, pair.server, &event), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, pair.server, &event), -1);
		assert_int_equal(errno, EEXIST);
	}
	close(pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_int_equal(write(pair.client, "more", 4), 4);
	assert_int_equal(epoll_wait(set, &event, 1, 100), 0);
	close(held);
	close(pair.client);
	close(set);
}

static void more_sets_than_it_remembers(void **state)
{
	struct pair pair = connected();
	struct epoll_event event = {.events = EPOLLIN};
	struct wire_record record;
	int sets[3];

	(void)state;
	say_policy("close-first=peer");
	for (int i = 0; i < 3; i++) {
		sets[i] = epoll_create1(EPOLL_CLOEXEC);
		assert_int_equal(epoll_ctl(sets[i], EPOLL_CTL_ADD, pair.server, &event), 0);
	}
	close(pair.server);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	for (int i = 0; i < 3; i++)
		close(sets[i]);
	close(pair.client);
}

static void a_shutdown_is_deferred(void **state)
{
	struct pair pair = connected();
	struct wire_record record;
	char text[8];
	int held;

	(void)state;
	say_policy("close-first=peer,half-close=defer");
	assert_int_equal(shutdown(pair.server, SHUT_RDWR), 0);
	expect(WIRE_DEFER, pair.cookie, &record, &held);
	assert_int_equal(record.how, SHUT_RDWR);
	assert_int_equal(read(pair.server, text, sizeof(text)), 0);
	assert_false(at_eof(pair.client));
	close(pair.server);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	assert_int_equal(record.side, SIDE_UNKNOWN);
	close(held);
	assert_true(at_eof(pair.client));
	close(pair.client);
}

/* So many connections came since that the table of holders has forgotten this one. */
static void deferred_and_forgotten_it_leaves_its_sets(void **state)
{
	struct pair pair = connected();
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
	int set = epoll_create1(EPOLL_CLOEXEC), held;
	bool server;

	(void)state;
	say_policy("close-first=peer,half-close=defer");
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, pair.server, &event), 0);
	assert_int_equal(shutdown(pair.server, SHUT_WR), 0);
	expect(WIRE_DEFER, pair.cookie, NULL, &held);
	for (uint64_t cookie = pair.cookie; holder_known(pair.cookie, &server);)
		holder_create(++cookie, false);
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(pair.client);
	assert_int_equal(epoll_wait(set, &event, 1, 100), 0);
	close(held);
	close(set);
}

static void what_the_program_lingers_is_its_own(void **state)
{
	struct pair pair = connected();
	struct linger linger = {.l_onoff = 1, .l_linger = 1};
	struct wire_record record;

	(void)state;
	say_policy("close-first=peer,time-wait=none");
	setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(pair.server);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	close(pair.client);
}

static void asynchronous_is_not_handed_over(void **state)
{
	struct pair pair = connected();
	struct wire_record record;

	(void)state;
	say_policy("close-first=peer");
	fcntl(pair.server, F_SETFL, O_ASYNC);
	close(pair.server);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	close(pair.client);
}

/* The number of the shim's end of the channel: a UNIX socket whose peer's name is the daemon's. */
static int find_channel(void)
{
	for (int fd = 3; fd < 65536; fd++) {
		struct sockaddr_un addr = {0};
		socklen_t len = sizeof(addr);

		if (getpeername(fd, (struct sockaddr *)&addr, &len) == 0 &&
		    addr.sun_family == AF_UNIX && !strcmp(addr.sun_path, path))
			return fd;
	}
	return -1;
}

static void the_channel_is_hidden(void **state)
{
	int fd = find_channel(), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct pair pair;

	(void)state;
	say_policy("");
	assert_true(fd > 100);
	assert_int_equal(close(fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(close_range((unsigned int)fd - 3, (unsigned int)fd + 3, 0), 0);
	assert_int_equal(find_channel(), fd);
	assert_int_equal(dup2(null, fd), fd); /* it moves away */
	assert_int_not_equal(find_channel(), fd);
	assert_int_equal(close(fd), 0);
	close(null);
	pair = connected();
	close(pair.server);
	expect(WIRE_CLOSE, pair.cookie, NULL, NULL);
	close(pair.client);
}

static void close_range_steers_what_it_closes(void **state)
{
	struct pair pair = connected();
	int at, held;

	(void)state;
	say_policy("close-first=peer");
	at = dup2(pair.server, 900);
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	assert_int_equal(close_range((unsigned int)at, (unsigned int)at + 20, 0), 0);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_int_equal(fcntl(at, F_GETFD), -1);
	close(held);
	close(pair.client);
}

static void closefrom_steers_what_it_closes(void **state)
{
	struct pair pair = connected();
	int held;

	(void)state;
	say_policy("close-first=peer");
	assert_int_equal(dup2(pair.server, 900), 900);
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	closefrom(900);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	assert_int_equal(fcntl(900, F_GETFD), -1);
	assert_true(find_channel() >= 900); /* spared */
	close(held);
	close(pair.client);
}

/* Parent accepts, child serves, parent closes its copy. */
static void the_child_closes_last(void **state)
{
	struct pair pair = connected();
	struct wire_hello hello;
	struct wire_record record;
	int own = channel, fd, held, status;
	pid_t pid;

	(void)state;
	say_policy("close-first=peer");
	pid = fork();
	if (pid == 0) {
		char go;

		(void)!read(pair.server, &go, 1); /* the parent has closed its copy */
		close(pair.server);
		_exit(0);
	}
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	beat();
	assert_int_equal(write(pair.client, "g", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	channel = accept(daemon_listener, NULL, NULL); /* the child's own */
	assert_true(receive(channel, &hello, sizeof(hello), &fd));
	expect(WIRE_OPEN, pair.cookie, &record, NULL);
	assert_int_equal(record.how, 1); /* by inheritance */
	expect(WIRE_HAND_OVER, pair.cookie, &record, &held);
	assert_int_equal(cookie_of(held), pair.cookie);
	close(held);
	close(channel);
	channel = own;
	expect_nothing();
	close(pair.client);
}

/* A child that never closed its copy: nothing but a plain close, in the parent. */
static void while_a_child_holds_it_nothing_is_steered(void **state)
{
	struct pair pair = connected();
	pid_t pid;

	(void)state;
	say_policy("close-first=peer,time-wait=none");
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(accept(daemon_listener, NULL, NULL)); /* the child has told of it */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pair.client);
}

static void a_spawned_program_keeps_what_it_inherits(void **state)
{
	struct pair pair = connected();

	(void)state;
	say_policy("close-first=peer");
	fcntl(pair.server, F_SETFD, 0);
	assert_int_equal(system("true"), 0);
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(pair.client);

	pair = connected(); /* close-on-exec: it did not inherit it */
	assert_int_equal(system("true"), 0);
	close(pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, NULL);
	close(pair.client);
}

static void by_popen(void)
{
	assert_int_equal(pclose(popen("true", "r")), 0);
}

static void by_posix_spawn(void)
{
	char name[] = "true", *argv[] = {name, NULL};
	pid_t pid;

	assert_int_equal(posix_spawnp(&pid, "true", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void by_wordexp(void)
{
	wordexp_t words;

	assert_int_equal(wordexp("$(echo a)", &words, 0), 0);
	wordfree(&words);
}

static void by_forkpty(void)
{
	int master;
	pid_t pid = forkpty(&master, NULL, NULL, NULL);

	if (pid == 0) {
		pause();
		_exit(0);
	}
	close(accept(daemon_listener, NULL, NULL)); /* the child has told of it */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(master);
}

static void who_else_spawns_is_seen(void **state)
{
	void (*const spawn[])(void) = {by_popen, by_posix_spawn, by_wordexp, by_forkpty};

	(void)state;
	say_policy("close-first=peer");
	for (size_t i = 0; i < ARRAY_SIZE(spawn); i++) {
		struct pair pair = connected();

		fcntl(pair.server, F_SETFD, 0);
		spawn[i]();
		close(pair.server);
		expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
		close(pair.client);
	}
}

/* What a filter does to whom it does not like, it would do for a system call of ours. */
static void after_a_filter_it_is_inert(void **state)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};
	struct pair pair = connected();
	struct wire_hello hello;
	struct wire_record record;
	int own = channel, fd, status;
	pid_t pid;

	(void)state;
	say_policy("close-first=peer,time-wait=none");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL); /* only asks; stays on */
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
			_exit(1);
		_exit(close(pair.server));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	channel = accept(daemon_listener, NULL, NULL);
	assert_true(receive(channel, &hello, sizeof(hello), &fd));
	expect(WIRE_OPEN, pair.cookie, &record, NULL);
	expect_nothing();
	close(channel);
	channel = own;
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL); /* the child's copy was never given back */
	close(pair.client);
}

/* As another library's vfork may do: a fork that we did not announce. */
static void a_fork_that_no_wrapper_saw(void **state)
{
	struct pair pair = connected();
	pid_t (*unseen)(void);
	int status;
	pid_t pid;

	(void)state;
	say_policy("close-first=peer");
	*(void **)&unseen = dlsym(RTLD_NEXT, "fork");
	pid = unseen();
	if (pid == 0) {
		close(pair.server);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	expect_nothing();
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(pair.client);
}

static void vfork_changes_nothing_of_ours(void **state)
{
#if defined(__SANITIZE_THREAD__)
	unit_skip("ThreadSanitizer makes a fork of it");
#endif

	struct pair pair = connected();
	int number = find_channel(), held, status;
	pid_t pid;

	(void)state;
	say_policy("close-first=peer");
	pid = vfork();
	if (pid == 0) {
		close(pair.server);
		_exit(dup2(pair.client, number) == number ? 3 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 3);
	assert_int_equal(find_channel(), number); /* it did not move away */
	expect_nothing();
	close(pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	close(held);
	close(pair.client);
}

static void descriptors_in_messages_are_counted(void **state)
{
	struct pair pair = connected();
	int ends[2], got = -1, held;
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	(void)state;
	say_policy("close-first=peer");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &pair.server, sizeof(int));
	assert_int_equal(sendmsg(ends[0], &msg, 0), 1);
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	assert_true(receive_by(recvmsg, ends[1], &byte, 1, &got));
	expect(WIRE_OPEN, pair.cookie, NULL, NULL);
	close(got);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	close(held);
	close(ends[0]);
	close(ends[1]);
	close(pair.client);
}

/* libc's own, which no wrapper sees. */
static long unseen(long number, long a, long b, long c)
{
	static long (*raw)(long, ...);

	if (!raw)
		*(void **)&raw = dlsym(RTLD_NEXT, "syscall");
	return raw(number, a, b, c);
}

/* The client's end is watched here, the server's is not. The socket is the caller's. */
static struct pair connected_from(int client)
{
	struct pair pair = {.client = client};

	assert_int_equal(connect(client, (struct sockaddr *)&listener_addr, sizeof(listener_addr)),
			 0);
	pair.cookie = cookie_of(client);
	expect(WIRE_OPEN, pair.cookie, NULL, NULL);
	pair.server = (int)unseen(SYS_accept, listener, 0, 0);
	assert_true(pair.server >= 0);
	beat();
	return pair;
}

static void shared_before_it_was_connected(void **state)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), copy = dup(client);
	struct pair pair;
	pid_t pid;

	(void)state;
	say_policy("close-first=peer");
	pair = connected_from(client);
	close(client);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(copy);
	close(pair.server);

	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	pair = connected_from(client);
	close(client);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pair.server);

	/* Made by whom? As one that was inherited by exec. */
	client = (int)unseen(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair = connected_from(client);
	close(client);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(pair.server);
}

static void in_more_sets_before_it_was_connected(void **state)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), sets[3];
	struct epoll_event event = {.events = EPOLLIN};
	struct pair pair;

	(void)state;
	say_policy("close-first=peer");
	for (int i = 0; i < 3; i++) {
		sets[i] = epoll_create1(EPOLL_CLOEXEC);
		assert_int_equal(epoll_ctl(sets[i], EPOLL_CTL_ADD, client, &event), 0);
	}
	pair = connected_from(client);
	close(client);
	expect(WIRE_CLOSE, pair.cookie, NULL, NULL);
	for (int i = 0; i < 3; i++)
		close(sets[i]);
	close(pair.server);
}

static void what_was_set_through_a_duplicate(void **state)
{
	struct pair pair = connected();
	int copy = dup(pair.server);
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct wire_record record;

	(void)state;
	say_policy("close-first=peer");
	setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(copy);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	close(pair.client);
}

static void what_the_kernel_refuses_is_refused(void **state)
{
	struct pair pair = connected();
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), ends[2];
	struct cmsghdr cmsg = {
		.cmsg_len = 1 << 30, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	struct msghdr msg = {.msg_control = &cmsg, .msg_controllen = sizeof(cmsg)};

	(void)state;
	say_policy("close-first=peer,half-close=defer");
	assert_int_equal(shutdown(pair.server, 7), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(dup3(null, pair.server, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(sendmsg(ends[0], &msg, 0), -1);
	assert_int_equal(errno, EINVAL);
	expect_nothing();
	close(pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, NULL);
	close(pair.client);
	close(null);
	close(ends[0]);
	close(ends[1]);
}

static void *close_own_copy(void *arg)
{
	unsigned int fd = *(unsigned int *)arg;

	if (close_range(fd, fd, CLOSE_RANGE_UNSHARE) != 0)
		*(int *)arg = -1;
	return NULL;
}

static void a_table_of_its_own(void **state)
{
	struct pair pair = connected();
	pthread_t thread;
	int fd = pair.server;

	(void)state;
	say_policy("close-first=peer");
	pthread_create(&thread, NULL, close_own_copy, &fd);
	pthread_join(thread, NULL);
	assert_int_equal(fd, pair.server);
	expect_nothing();
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL); /* the thread may have copies */
	close(pair.client);
}

static void *close_by_number(void *arg)
{
	pthread_cancel(pthread_self());
	syscall(SYS_close, *(int *)arg);
	*(int *)arg = -1;
	pthread_testcancel();
	return NULL;
}

static void syscall_is_no_cancellation_point(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, close_by_number, &fd);
	pthread_join(thread, NULL);
	assert_int_equal(fd, -1);
}

/* It has no connection, and will never do anything with TCP. */
static void no_child_keeps_the_channel(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(find_channel() == -1 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The channel of a new process, and what it says first. */
static void accept_channel(void)
{
	struct wire_hello hello;
	int fd;

	channel = accept(daemon_listener, NULL, NULL);
	assert_true(channel >= 0);
	assert_int_equal(recv(channel, &hello, sizeof(hello), MSG_PEEK), sizeof(hello));
	assert_true(receive(channel, &hello, sizeof(hello), &fd));
}

static void wait_for_record(void)
{
	struct pollfd pfd = {.fd = channel, .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, 10000), 1);
}

static void daemon_keeps_what_it_had(void **state)
{
	struct pair pair = connected();
	int own = channel, child, held, status;
	pid_t pid;

	(void)state;
	say_policy("close-first=peer");
	pid = fork();
	if (pid == 0) {
		char go;

		if (daemon(1, 1) == 0) {
			(void)!read(pair.server, &go, 1);
			(void)!write(pair.server, &go, 1); /* not idle, however late it is */
			beat();
			close(pair.server);
		}
		_exit(0);
	}
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	accept_channel();
	child = channel;
	accept_channel();
	beat();
	assert_int_equal(write(pair.client, "g", 1), 1);
	wait_for_record();
	expect(WIRE_OPEN, pair.cookie, NULL, NULL);
	wait_for_record();
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &held);
	close(held);
	close(channel);
	close(child);
	channel = own;
	close(pair.client);
}

/* An exit does not reset, and does not say that it did. */
static void exit_resets_nothing(void **state)
{
	struct pair pair = connected();
	struct wire_record record;
	int own = channel;
	pid_t pid;

	(void)state;
	say_policy("peer-time-wait=none");
	pid = fork();
	if (pid == 0) {
		char go;

		close(pair.client);
		(void)!read(pair.server, &go, 1);
		_exit(0);
	}
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	beat();
	close(pair.client);
	waitpid(pid, NULL, 0);
	accept_channel();
	expect(WIRE_OPEN, pair.cookie, NULL, NULL);
	expect(WIRE_CLOSE, pair.cookie, &record, NULL);
	assert_int_equal(record.action, CLOSE_PASS);
	assert_int_equal(record.side, SIDE_PEER);
	close(channel);
	channel = own;
}

static int linger2_of(int fd)
{
	socklen_t len = sizeof(int);
	int value = 0;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &value, &len), 0);
	return value;
}

/* Its descriptor that the shim does not know of. */
static int unseen_copy(int fd)
{
	return (int)unseen(SYS_fcntl, fd, F_DUPFD, 100);
}

static void close_as(struct pair *pair, enum close_action action, enum close_side side)
{
	struct wire_record record;

	assert_int_equal(close(pair->server), 0);
	expect(WIRE_CLOSE, pair->cookie, &record, NULL);
	assert_int_equal(record.action, action);
	assert_int_equal(record.side, side);
	close(pair->client);
}

/* The option is set when it is opened, and taken back if the close is to be another. */
static void quiet_from_the_start(void **state)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 1};
	int copy, usual;
	struct pair pair;

	(void)state;
	say_policy("close-first=app");
	pair = connected();
	usual = linger2_of(pair.server);
	assert_true(usual > 0);
	close_as(&pair, CLOSE_PASS, SIDE_US);

	say_policy("time-wait=none");
	pair = connected();
	assert_int_equal(linger2_of(pair.server), -1);
	close_as(&pair, CLOSE_QUIET, SIDE_US);

	pair = connected();
	copy = unseen_copy(pair.server);
	say_policy("close-first=app");
	close_as(&pair, CLOSE_PASS, SIDE_US);
	assert_int_equal(linger2_of(copy), usual);
	close(copy);

	say_policy("time-wait=none");
	pair = connected();
	copy = unseen_copy(pair.server);
	atomic_store(&page->on, 0);
	close_as(&pair, CLOSE_PASS, SIDE_US);
	atomic_store(&page->on, 1);
	assert_int_equal(linger2_of(copy), usual);
	close(copy);

	pair = connected();
	copy = unseen_copy(pair.server);
	setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_as(&pair, CLOSE_PASS, SIDE_US);
	assert_int_equal(linger2_of(copy), usual);
	close(copy);

	/* Not with close-first = peer: there the daemon ends it. */
	say_policy("close-first=peer,time-wait=none,grace-learn=no");
	pair = connected();
	assert_int_equal(linger2_of(pair.server), usual);
	close(pair.server);
	expect(WIRE_HAND_OVER, pair.cookie, NULL, &copy);
	close(copy);
	close(pair.client);
}

/* To whom it was passed on closes as usual: nobody knows whose the last close will be. */
static void quiet_is_taken_back_of_what_is_shared(void **state)
{
	struct pair pair;
	int copy, other;

	(void)state;
	say_policy("time-wait=none");
	pair = connected();
	copy = unseen_copy(pair.server);
	other = dup(pair.server);
	holder_pin(pair.cookie);
	close(pair.server);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	assert_true(linger2_of(copy) > 0);
	close(other);
	expect(WIRE_LET_GO, pair.cookie, NULL, NULL);
	close(copy);
	close(pair.client);
}

/* What one poll() tells of most closes, it does not tell of these. */
static void closes_that_are_looked_at_closer(void **state)
{
	static const char *const policies[] = {"close-first=app", "time-wait=none"};
	const int wanted = 3, low = 1; /* connected() reads three bytes */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		enum close_action action = i ? CLOSE_QUIET : CLOSE_PASS;
		struct wire_record record;
		struct pair pair;

		say_policy(policies[i]);
		pair = connected();
		assert_int_equal(write(pair.client, "more", 4), 4);
		assert_int_equal(close(pair.server), 0);
		expect(WIRE_CLOSE, pair.cookie, &record, NULL);
		assert_int_equal(record.unread, 4);
		assert_int_equal(record.side, SIDE_RESET);
		assert_int_equal(record.action, action);
		close(pair.client);

		pair = connected();
		setsockopt(pair.server, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
		assert_int_equal(write(pair.client, "mo", 2), 2);
		close_as(&pair, action, SIDE_RESET);

		setsockopt(listener, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
		pair = connected();
		assert_int_equal(write(pair.client, "mo", 2), 2);
		close_as(&pair, action, SIDE_RESET);
		setsockopt(listener, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));

		pair = connected();
		close(pair.client);
		assert_true(at_eof(pair.server));
		close_as(&pair, CLOSE_PASS, SIDE_PEER);

		pair = connected();
		assert_int_equal(shutdown(pair.server, SHUT_WR), 0);
		close_as(&pair, action, SIDE_US);
	}
}

/* Closed before it was connected: it is in SYN_SENT, and poll() has nothing to say. */
static void closed_while_it_connects(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int deaf = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[8];
	struct wire_record record = {0};
	socklen_t len = sizeof(addr);
	unsigned int sent = 0;

	(void)state;
	say_policy("close-first=app");
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(deaf, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(deaf, 0), 0);
	assert_int_equal(getsockname(deaf, (struct sockaddr *)&addr, &len), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(fds[i], (struct sockaddr *)&addr, len);
		expect(WIRE_OPEN, 0, NULL, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		close(fds[i]);
		expect(WIRE_CLOSE, 0, &record, NULL);
		sent += record.state == STATE_SYN_SENT;
	}
	assert_in_range(sent, 4, ARRAY_SIZE(fds)); /* the others the queue has taken */
	close(deaf);
}

/* --- the ring --------------------------------------------------------------------------------- */

static struct ring_reader reader;
static uint64_t by_ring[64];
static unsigned int ring_count;

static void take_from_ring(void *arg, const void *bytes)
{
	struct wire_record record;

	(void)arg;
	memcpy(&record, bytes, sizeof(record));
	by_ring[ring_count++ % ARRAY_SIZE(by_ring)] = record.cookie;
}

/* A daemon that is restarted, with another instance of the page. */
static void new_daemon(bool ring)
{
	struct wire_hello hello;
	int fd;

	close(channel);
	page->instance++;
	beat();
	for (int i = 0; i < 400; i++) { /* the shim tries once a second */
		struct pollfd pfd = {.fd = daemon_listener, .events = POLLIN};

		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
			connect(fd, (struct sockaddr *)&listener_addr, sizeof(listener_addr)), 0);
		close(fd);
		close(accept(listener, NULL, NULL));
		if (poll(&pfd, 1, 50) == 1)
			break;
		beat();
	}
	channel = accept4(daemon_listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(channel >= 0);
	assert_true(receive(channel, &hello, sizeof(hello), &fd));
	with_ring = ring;
	send_welcome();
	atomic_store(&session->credits, 100);
	memset(&reader, 0, sizeof(reader));
}

static unsigned int by_socket(void)
{
	struct wire_record record;
	unsigned int n = 0;
	int fd;

	while (receive(channel, &record, sizeof(record), &fd))
		n++;
	return n;
}

static struct pair connected_unheard(void)
{
	struct pair pair = {.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	connect(pair.client, (struct sockaddr *)&listener_addr, sizeof(listener_addr));
	pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	pair.cookie = cookie_of(pair.server);
	beat();
	return pair;
}

static void open_and_close(unsigned int times)
{
	while (times--) {
		struct pair pair = connected_unheard();

		close(pair.server);
		close(pair.client);
	}
}

/* A few records by the socket, then none; a call when the daemon sleeps, and only one. What is
 * handed over says how much of the ring is before it. */
static void records_go_by_the_ring(void **state)
{
	struct wire_record record;
	struct wire_call call;
	struct pair pair;
	int held;

	(void)state;
	say_policy("close-first=app");
	new_daemon(true);
	open_and_close(4);
	/* The page is asked for once in a tick of the coarse clock. */
	for (int i = 0; i < 100 && ring_head(&session->ring) == 0; i++) {
		usleep(10000);
		open_and_close(1);
	}
	assert_true(ring_head(&session->ring) > 0);
	by_socket();
	ring_read(&session->ring, &reader, ring_head(&session->ring), 0, take_from_ring, NULL);
	ring_count = 0;
	open_and_close(4);
	assert_int_equal(by_socket(), 0);
	assert_int_equal(ring_read(&session->ring, &reader, ring_head(&session->ring), 0,
				   take_from_ring, NULL),
			 16);
	for (int i = 0; i < 16; i++)
		assert_true(by_ring[i] > 0);

	assert_true(ring_sleep(&session->ring, &reader));
	open_and_close(2);
	assert_true(receive(channel, &call, sizeof(call), &held));
	assert_int_equal(call.magic, WIRE_MAGIC);
	assert_false(receive(channel, &call, sizeof(call), &held));

	say_policy("close-first=peer,grace-learn=no");
	pair = connected_unheard();
	(void)!write(pair.client, "x", 1);
	close(pair.server);
	assert_true(receive(channel, &record, sizeof(record), &held));
	assert_int_equal(record.type, WIRE_HAND_OVER);
	ring_count = 0;
	ring_read(&session->ring, &reader, record.ring_head, 0, take_from_ring, NULL);
	assert_int_equal(by_ring[ring_count - 1], pair.cookie); /* its OPEN is the last before */
	close(held);
	close(pair.client);
	say_policy("close-first=app");
}

static void what_the_ring_has_no_room_for_is_counted(void **state)
{
	uint32_t before = atomic_load(&session->lost), head;

	(void)state;
	ring_read(&session->ring, &reader, ring_head(&session->ring), 0, take_from_ring, NULL);
	head = ring_head(&session->ring);
	open_and_close(RING_SLOTS / 4 + 10);
	assert_int_equal(ring_head(&session->ring) - head, RING_SLOTS);
	assert_int_equal(atomic_load(&session->lost) - before, 40);
}

/* An earlier version, put in its place: its file ends where the ring would be. */
static void a_daemon_without_a_ring(void **state)
{
	struct ring_reader none = {0};

	(void)state;
	new_daemon(false);
	open_and_close(20);
	by_socket();
	usleep(10000);
	open_and_close(20);
	assert_int_equal(by_socket(), 80);
	new_daemon(true);
	for (int i = 0; i < 100 && ring_head(&session->ring) == 0; i++) {
		usleep(10000);
		open_and_close(4);
	}
	by_socket();
	assert_true(ring_read(&session->ring, &none, ring_head(&session->ring), 0, take_from_ring,
			      NULL) > 0);
}

/* Somebody's raw system call has put something else in its place: that is the program's. */
static void a_number_that_was_taken(void **state)
{
	int fd = find_channel(), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unseen(SYS_dup3, null, fd, O_CLOEXEC), fd);
	assert_int_equal(close_range((unsigned int)fd, (unsigned int)fd, 0), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(unseen(SYS_dup3, null, fd, O_CLOEXEC), fd);
	assert_int_equal(close(fd), 0);
	close(null);
}

enum { ROUNDS = 300 };

static _Atomic unsigned int opened;

static void *accept_and_close(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			atomic_fetch_add(&opened, 1);
			close(fd);
		}
	}
	return arg;
}

static void *connect_and_close(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		/* Where the server's FIN and RST are here before this thread runs again, it fails.
		 */
		if (connect(fd, (struct sockaddr *)&listener_addr, sizeof(listener_addr)) == 0)
			atomic_fetch_add(&opened, 1);
		close(fd);
	}
	return arg;
}

static void threads_open_and_close(void **state)
{
	pthread_t threads[4];
	int opens = 0, ends = 0, fd;
	struct wire_record record;
	uint32_t before;

	(void)state;
	before = atomic_load(&session->lost);
	say_policy("time-wait=none");
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, i % 2 ? connect_and_close : accept_and_close,
			       NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	while (receive(channel, &record, sizeof(record), &fd)) {
		opens += record.type == WIRE_OPEN;
		ends += record.type == WIRE_CLOSE;
	}
	/* The queue is short; what did not fit in is counted. */
	assert_true(opens > 0 && ends > 0);
	assert_int_equal((unsigned int)(opens + ends) + atomic_load(&session->lost) - before,
			 2 * opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hello_is_said_first),
		cmocka_unit_test(without_a_policy_it_watches),
		cmocka_unit_test(peer_first_is_handed_over),
		cmocka_unit_test(more_than_the_channel_takes_before_the_welcome),
		cmocka_unit_test(credits_bound_the_hand_overs),
		cmocka_unit_test(time_wait_none_is_an_option),
		cmocka_unit_test(where_waiting_is_in_vain_it_does_not),
		cmocka_unit_test(a_stale_heartbeat_ends_hand_overs),
		cmocka_unit_test(switched_off_it_only_watches),
		cmocka_unit_test(a_page_that_stays_odd_spins_nobody),
		cmocka_unit_test(the_last_duplicate_is_steered),
		cmocka_unit_test(dup2_over_it_is_a_close),
		cmocka_unit_test(stdio_is_flushed_before),
		cmocka_unit_test(freopen_is_a_close),
		cmocka_unit_test(it_leaves_its_epoll_sets),
		cmocka_unit_test(closed_while_it_is_added),
		cmocka_unit_test(what_a_set_refused_is_forgotten),
		cmocka_unit_test(more_sets_than_it_remembers),
		cmocka_unit_test(a_shutdown_is_deferred),
		cmocka_unit_test(deferred_and_forgotten_it_leaves_its_sets),
		cmocka_unit_test(what_the_program_lingers_is_its_own),
		cmocka_unit_test(asynchronous_is_not_handed_over),
		cmocka_unit_test(the_channel_is_hidden),
		cmocka_unit_test(close_range_steers_what_it_closes),
		cmocka_unit_test(closefrom_steers_what_it_closes),
		cmocka_unit_test(the_child_closes_last),
		cmocka_unit_test(while_a_child_holds_it_nothing_is_steered),
		cmocka_unit_test(a_spawned_program_keeps_what_it_inherits),
		cmocka_unit_test(who_else_spawns_is_seen),
		cmocka_unit_test(after_a_filter_it_is_inert),
		cmocka_unit_test(a_fork_that_no_wrapper_saw),
		cmocka_unit_test(vfork_changes_nothing_of_ours),
		cmocka_unit_test(descriptors_in_messages_are_counted),
		cmocka_unit_test(shared_before_it_was_connected),
		cmocka_unit_test(in_more_sets_before_it_was_connected),
		cmocka_unit_test(what_was_set_through_a_duplicate),
		cmocka_unit_test(what_the_kernel_refuses_is_refused),
		cmocka_unit_test(a_table_of_its_own),
		cmocka_unit_test(syscall_is_no_cancellation_point),
		cmocka_unit_test(no_child_keeps_the_channel),
		cmocka_unit_test(daemon_keeps_what_it_had),
		cmocka_unit_test(exit_resets_nothing),
		cmocka_unit_test(threads_open_and_close),
		cmocka_unit_test(quiet_from_the_start),
		cmocka_unit_test(quiet_is_taken_back_of_what_is_shared),
		cmocka_unit_test(closes_that_are_looked_at_closer),
		cmocka_unit_test(closed_while_it_connects),
		cmocka_unit_test(records_go_by_the_ring),
		cmocka_unit_test(what_the_ring_has_no_room_for_is_counted),
		cmocka_unit_test(a_daemon_without_a_ring),
		cmocka_unit_test(a_number_that_was_taken), /* the last: no channel after it */
	};

	return cmocka_run_group_tests(tests, play_daemon, clean_up);
}
