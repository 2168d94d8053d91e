/* SPDX-License-Identifier: MIT */
/* Threads that accept, close, replace and shut down the same numbers, with the whole shim linked
 * in, so that ThreadSanitizer sees it. The daemon and the clients are played by another process,
 * this program run once more: it takes what is handed over, checks each record, and rewrites the
 * policy page all the while. RACE_ROUNDS says how many connections; `make race` makes it a million.
 */
#include "common/close_decide.h"
#include "common/wire.h"
#include "shim/libc.h"
#include "shim/raw.h"
#include "shim/slots.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NUMBERS = 16, CLIENTS = 3, CREDITS = 64, WAIT_S = 60, ROUNDS_DEFAULT = 20000 };

/* What both processes see. */
struct world {
	_Atomic uint32_t ready, storm;
	_Atomic uint32_t port;
	_Atomic uint64_t records[WIRE_TYPE_COUNT], lost;
	_Atomic uint64_t wrong_fd; /* handed over: not the connection that its record names */
	_Atomic uint64_t torn;	   /* records with terms of two rules */
	_Atomic uint64_t rewrites;
	_Atomic uint64_t by_ring;
	_Atomic uint64_t disorder; /* the end came before the open */
};

static char directory[32];
static struct world *world;

static void name_file(char path[80], const char *name)
{
	snprintf(path, 80, "%s/%s", directory, name);
}

static void *map_file(const char *name, size_t size, int flags)
{
	char path[80];
	void *map;
	int fd;

	name_file(path, name);
	fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		abort();
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	close(fd);
	return map;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* --- the other process: daemon, clients ------------------------------------------------------- */

static struct policy_page *page;

/* Two that differ in all that a record carries of them. */
static const char *const policies[2] = {
	"close-first=peer,grace=100ms,time-wait=none,drain-max=1s,grace-learn=no",
	"close-first=peer,grace=200ms,time-wait=5s,drain-max=2s,grace-learn=no",
};

static void write_page(unsigned int which)
{
	struct policy_rule rule;
	const char *error;
	size_t error_len;

	policy_init(&rule, which ? "odd" : "even");
	if (!policy_parse_options(&rule, policies[which], &error, &error_len))
		abort();
	atomic_fetch_add(&page->seq, 1);
	memcpy(&page->rules[0], &rule, sizeof(rule));
	page->count = 1;
	atomic_fetch_add(&page->seq, 1);
	/* A close on a busy machine may be late: those are to be handed over too, or nearly all. */
	for (int i = 0; i < WIRE_HINTS; i++)
		atomic_store(&page->hints[i],
			     HINT_LATE_PAYS | (which && i % 64 == 0 ? HINT_PROMPT_VAIN : 0));
	atomic_store(&page->heartbeat_ms, wire_now_ms());
}

static void *rewrite_page(void *arg)
{
	for (unsigned int i = 0;; i++) {
		write_page(i & 1);
		atomic_fetch_add(&world->rewrites, 1);
		if (!atomic_load(&world->storm))
			pause_ms(20);
		else
			for (volatile int pause = 0; pause < 2000; pause++)
				;
	}
	return arg;
}

/* Waits for the server's FIN; a reset, so that nothing stays. */
static void *connect_for_ever(void *arg)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	const struct linger linger = {.l_onoff = 1};
	const struct timeval timeout = {.tv_usec = 100000};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		char byte;

		addr.sin_port = htons((uint16_t)atomic_load(&world->port));
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		if (!addr.sin_port || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
			pause_ms(1);
		else
			(void)!recv(fd, &byte, 1, 0);
		close(fd);
	}
	return arg;
}

static bool is_torn(const struct wire_record *record)
{
	static const char *const names[2] = {"even", "odd"};

	if (!record->policy)
		return false; /* the page did not hold still: no policy */
	for (int i = 0; i < 2; i++)
		if (record->policy == policy_id(names[i]))
			return record->grace_ms != (i ? 200 : 100) ||
			       record->drain_max_ms != (i ? 2000 : 1000) ||
			       record->time_wait_ms != (i ? 5000 : TIME_WAIT_NONE);
	return true;
}

/* Cookies are numbers that are given one after the other. */
static void note_order(const struct wire_record *record)
{
	static uint64_t opened[1 << 16];
	uint64_t *place = &opened[record->cookie % (1 << 16)];

	if (record->type == WIRE_OPEN)
		*place = record->cookie;
	else if (*place != record->cookie)
		atomic_fetch_add(&world->disorder, 1);
}

static void take_record(const struct wire_record *record, int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	atomic_fetch_add(&world->records[record->type % WIRE_TYPE_COUNT], 1);
	if (is_torn(record))
		atomic_fetch_add(&world->torn, 1);
	note_order(record);
	if (fd >= 0 &&
	    (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 || cookie != record->cookie))
		atomic_fetch_add(&world->wrong_fd, 1);
}

union fd_message {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static struct session_page *send_welcome(int channel)
{
	struct wire_welcome welcome = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .size = sizeof(welcome)};
	struct iovec iov = {&welcome, sizeof(welcome)};
	union fd_message control = {{0}};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct session_page *session;
	int fd = memfd_create("session", MFD_CLOEXEC);

	if (ftruncate(fd, sizeof(*session)) < 0)
		abort();
	session = mmap(NULL, sizeof(*session), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (session == MAP_FAILED)
		abort();
	atomic_store(&session->credits, CREDITS);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	if (sendmsg(channel, &msg, MSG_NOSIGNAL) < 0)
		abort();
	close(fd);
	return session;
}

static void take_from_ring(void *arg, const void *bytes)
{
	struct wire_record record;

	(void)arg;
	memcpy(&record, bytes, sizeof(record));
	take_record(&record, -1);
	atomic_fetch_add(&world->by_ring, 1);
}

static struct ring_reader reader;

static void read_ring(struct session_page *session, uint32_t until)
{
	ring_read(&session->ring, &reader, until, wire_now_ms(), take_from_ring, NULL);
}

/* false: nothing came. */
static bool receive(int channel, struct session_page *session)
{
	struct wire_record record;
	struct iovec iov = {&record, sizeof(record)};
	union fd_message control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg;
	ssize_t len = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (len == sizeof(struct wire_call))
		return true;
	if (len != sizeof(record))
		return false;
	read_ring(session, record.ring_head);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	take_record(&record, fd);
	if (fd >= 0) {
		close(fd);
		atomic_fetch_add(&session->credits, 1);
	}
	return true;
}

static void serve(int channel)
{
	struct wire_hello hello;
	struct session_page *session;

	if (recv(channel, &hello, sizeof(hello), 0) != sizeof(hello))
		abort();
	session = send_welcome(channel);
	for (;;) {
		struct pollfd pfd = {.fd = channel, .events = POLLIN};
		uint32_t until;

		if (ring_sleep(&session->ring, &reader))
			poll(&pfd, 1, 10);
		ring_wake(&session->ring);
		until = ring_head(&session->ring);
		while (receive(channel, session))
			;
		read_ring(session, until);
		atomic_store(&world->lost, atomic_load(&session->lost) + reader.given_up);
	}
}

static int play_world(const char *where)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(directory, sizeof(directory), "%s", where);
	world = map_file("world", sizeof(*world), 0);
	page = map_file("socket" WIRE_POLICY_SUFFIX, sizeof(*page), O_CREAT);
	page->magic = WIRE_MAGIC;
	page->version = WIRE_VERSION;
	page->size = sizeof(*page);
	page->rule_size = sizeof(struct policy_rule);
	page->instance = 7;
	page->on = 1;
	write_page(0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", directory);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 4) < 0)
		abort();
	pthread_create(&thread, NULL, rewrite_page, NULL);
	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&thread, NULL, connect_for_ever, NULL);
	atomic_store(&world->ready, 1);
	serve(accept(listener, NULL, NULL));
	return 1;
}

/* --- this process ------------------------------------------------------------------------------
 */

static pid_t other;
static int listener = -1;

/* What the shim calls: bare system calls. ThreadSanitizer takes a descriptor for memory, and would
 * complain of what the threads here do to each other's; and it would take each of its calls for an
 * order of things, which hides what the shim lacks. */
static int plain(long result)
{
	if (result >= 0 || result < -4095)
		return (int)result;
	errno = (int)-result;
	return -1;
}

static int plain_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return plain(raw(SYS_accept4, fd, addr, len, flags));
}

static int plain_close(int fd)
{
	return plain(raw(SYS_close, fd));
}

static int plain_close_range(unsigned int first, unsigned int last, int flags)
{
	return plain(raw(SYS_close_range, first, last, flags));
}

static int plain_dup2(int from, int to)
{
	return plain(raw(SYS_dup3, from, to, 0));
}

static int plain_shutdown(int fd, int how)
{
	return plain(raw(SYS_shutdown, fd, how));
}

static int plain_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return plain(raw(SYS_setsockopt, fd, level, name, value, len));
}

static int plain_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return plain(raw(SYS_epoll_ctl, epfd, op, fd, event));
}

static int plain_fcntl(int fd, int command, ...)
{
	return plain(raw(SYS_fcntl, fd, command, 0));
}

static void call_plainly(void)
{
	libc.accept4 = plain_accept4;
	libc.close = plain_close;
	libc.close_range = plain_close_range;
	libc.dup2 = plain_dup2;
	libc.shutdown = plain_shutdown;
	libc.setsockopt = plain_setsockopt;
	libc.epoll_ctl = plain_epoll_ctl;
	libc.fcntl = libc.fcntl64 = plain_fcntl;
}

/* Before the shim's constructor, which reads the environment. */
static __attribute__((constructor(101))) void set_environment(void)
{
	char path[80];

	if (getenv("CLOSESIDE_DISABLE"))
		return;
	strcpy(directory, "/tmp/closeside-races-XXXXXX");
	if (!mkdtemp(directory))
		abort();
	name_file(path, "socket");
	setenv("CLOSESIDE_SOCKET", path, 1);
}

static uint64_t sum_of_records(void)
{
	uint64_t sum = atomic_load(&world->lost);

	for (int i = 0; i < WIRE_TYPE_COUNT; i++)
		sum += atomic_load(&world->records[i]);
	return sum;
}

static bool wait_until(bool (*holds)(uint64_t), uint64_t value)
{
	for (int i = 0; i < WAIT_S * 200; i++) {
		if (holds(value))
			return true;
		pause_ms(5);
	}
	return false;
}

static bool is_ready(uint64_t value)
{
	return atomic_load(&world->ready) == value;
}

static bool all_recorded(uint64_t value)
{
	return sum_of_records() == value;
}

static bool handed_over(uint64_t value)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_int_equal(close(fd), 0);
	return atomic_load(&world->records[WIRE_HAND_OVER]) > value;
}

static int start(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);

	(void)state;
	world = map_file("world", sizeof(*world), O_CREAT);
	other = fork();
	if (other == 0) {
		setenv("CLOSESIDE_DISABLE", "1", 1);
		execl("/proc/self/exe", "test_races", directory, NULL);
		_exit(1);
	}
	assert_true(wait_until(is_ready, 1));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 64), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	atomic_store(&world->port, ntohs(addr.sin_port));
	call_plainly();
	/* From here on the shim has its session page, and counts what it cannot send. */
	assert_true(wait_until(handed_over, 2));
	return 0;
}

static int stop(void **state)
{
	static const char *const names[] = {"world", "socket", ("socket" WIRE_POLICY_SUFFIX)};
	char path[80];

	(void)state;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		name_file(path, names[i]);
		unlink(path);
	}
	rmdir(directory);
	return 0;
}

static uint64_t rounds(void)
{
	const char *text = getenv("RACE_ROUNDS");

	return text ? strtoull(text, NULL, 10) : ROUNDS_DEFAULT;
}

static _Atomic uint64_t accepted, wanted;
/* Relaxed throughout: what threads pass on here must not order what the shim does for them. */
static _Atomic int numbers[NUMBERS];
static _Atomic bool over;

static int pass_on(unsigned int at, int fd)
{
	return atomic_exchange_explicit(&numbers[at % NUMBERS], fd, memory_order_relaxed);
}

static void *accept_all(void *arg)
{
	for (unsigned int i = 0; atomic_load_explicit(&accepted, memory_order_relaxed) <
				 atomic_load_explicit(&wanted, memory_order_relaxed);
	     i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		atomic_fetch_add_explicit(&accepted, 1, memory_order_relaxed);
		fd = pass_on(i * 7, fd);
		if (fd >= 0)
			close(fd);
	}
	return arg;
}

static void *close_all(void *arg)
{
	for (unsigned int i = 0; !atomic_load_explicit(&over, memory_order_relaxed); i++) {
		int fd = pass_on(i, -1);

		if (fd >= 0)
			close(fd);
	}
	return arg;
}

/* Closes, replaces and shuts down numbers that are others'. */
static void *meddle(void *arg)
{
	int set = epoll_create1(EPOLL_CLOEXEC);

	for (unsigned int i = 0; !atomic_load_explicit(&over, memory_order_relaxed); i++) {
		int a = atomic_load_explicit(&numbers[i % NUMBERS], memory_order_relaxed),
		    b = atomic_load_explicit(&numbers[i * 5 % NUMBERS], memory_order_relaxed);
		struct epoll_event event = {.events = EPOLLIN};

		if (a < 0 || b < 0)
			continue;
		switch (i % 8) {
		case 0:
			close(a);
			break;
		case 1:
			dup2(a, b);
			break;
		case 2:
			shutdown(a, SHUT_WR);
			break;
		case 3:
			close_range((unsigned int)a, (unsigned int)a, 0);
			break;
		case 4:
			a = fcntl(a, F_DUPFD_CLOEXEC, 0);
			if (a >= 0)
				close(a);
			break;
		case 5:
			setsockopt(a, SOL_SOCKET, SO_LINGER, &(struct linger){0},
				   sizeof(struct linger));
			break;
		default:
			epoll_ctl(set, EPOLL_CTL_ADD, a, &event);
		}
	}
	close(set);
	return arg;
}

/* Two that accept, until there were so many; the others until then. */
static void race(void *(*third)(void *), void *(*fourth)(void *), uint64_t count)
{
	void *(*work[])(void *) = {accept_all, accept_all, third, fourth};
	pthread_t threads[ARRAY_SIZE(work)];

	atomic_store(&accepted, 0);
	atomic_store(&wanted, count);
	atomic_store(&over, false);
	for (int i = 0; i < NUMBERS; i++)
		atomic_store(&numbers[i], -1);
	for (size_t i = 0; i < ARRAY_SIZE(work); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work[i], NULL), 0);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&over, true);
	for (size_t i = 2; i < ARRAY_SIZE(work); i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < NUMBERS; i++)
		if (atomic_load(&numbers[i]) >= 0)
			close(atomic_load(&numbers[i]));
}

static void say_counts(const char *what, uint64_t before)
{
	print_message("# %s: %llu connections, %llu handed over, %llu records by the ring, %llu "
		      "lost, page "
		      "rewritten %llu times\n",
		      what, (unsigned long long)accepted,
		      (unsigned long long)(world->records[WIRE_HAND_OVER] - before),
		      (unsigned long long)world->by_ring, (unsigned long long)world->lost,
		      (unsigned long long)world->rewrites);
}

/* Every number that is accepted is closed once, by whichever thread: an open and an end of each. */
static void closes_race_accepts(void **state)
{
	uint64_t before, handed = atomic_load(&world->records[WIRE_HAND_OVER]);

	(void)state;
	pause_ms(100);
	before = sum_of_records();
	race(close_all, close_all, rounds());
	assert_true(wait_until(all_recorded, before + 2 * atomic_load(&accepted)));
	say_counts("closes", handed);
	assert_int_equal(atomic_load(&world->wrong_fd), 0);
	assert_int_equal(atomic_load(&world->torn), 0);
	assert_true(atomic_load(&world->disorder) <= atomic_load(&world->lost));
	assert_true(atomic_load(&world->by_ring) > accepted);
	/* What is lost is not counted as handed over; and a lender of credits may be slow. */
	assert_true(atomic_load(&world->records[WIRE_HAND_OVER]) - handed > accepted / 20);
}

/* The same while the page is rewritten without a pause. */
static void closes_race_a_storm_of_rewriting(void **state)
{
	uint64_t handed = atomic_load(&world->records[WIRE_HAND_OVER]),
		 rewrites = atomic_load(&world->rewrites), before;

	(void)state;
	atomic_store(&world->storm, 1);
	pause_ms(100);
	before = sum_of_records();
	race(close_all, close_all, rounds() / 2);
	assert_true(wait_until(all_recorded, before + 2 * atomic_load(&accepted)));
	atomic_store(&world->storm, 0);
	say_counts("storm", handed);
	assert_int_equal(atomic_load(&world->wrong_fd), 0);
	assert_int_equal(atomic_load(&world->torn), 0);
	assert_true(atomic_load(&world->records[WIRE_HAND_OVER]) > handed);
	assert_true(atomic_load(&world->rewrites) > rewrites + 100);
}

/* A program that closes what it does not own: nothing that it does to itself must hurt the shim. */
static void double_closes_hurt_nobody(void **state)
{
	uint64_t handed = atomic_load(&world->records[WIRE_HAND_OVER]);

	(void)state;
	race(close_all, meddle, rounds() / 4);
	say_counts("double closes", handed);
	assert_int_equal(atomic_load(&world->torn), 0);
	for (int fd = 3; fd < slots_high(); fd++)
		if (fd != listener && slot_kind(fd) != SLOT_CHANNEL)
			close(fd);
	for (int fd = 3; fd < slots_high(); fd++)
		if (fd != listener && slot_kind(fd) != SLOT_CHANNEL)
			assert_int_equal(slot_word(fd), 0);
	handed = atomic_load(&world->records[WIRE_HAND_OVER]);
	assert_true(wait_until(handed_over, handed)); /* and it goes on steering */
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closes_race_accepts),
		cmocka_unit_test(closes_race_a_storm_of_rewriting),
		cmocka_unit_test(double_closes_hurt_nobody),
	};

	if (argc > 1)
		return play_world(argv[1]);
	return cmocka_run_group_tests(tests, start, stop);
}
