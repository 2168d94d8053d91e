/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/daemon.h"

#include "daemon/closer.h"
#include "daemon/conn.h"
#include "daemon/control.h"
#include "daemon/custody.h"
#include "daemon/doctor_run.h"
#include "daemon/history.h"
#include "daemon/kernel.h"
#include "daemon/page.h"
#include "daemon/patience.h"
#include "daemon/probe.h"
#include "daemon/retire.h"
#include "daemon/session.h"
#include "daemon/sock.h"
#include "daemon/tally.h"
#include "daemon/tune.h"
#include "daemon/user.h"
#include "daemon/vitals.h"

#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum {
	FDS_SEEN = 512,
	TURNS_MAX = 16,
	CONNS_MAX = 300, /* small, so that limits are reached */
	CONNS_PER_SESSION = 24,
};

static char directory[] = "/tmp/closeside-fuzz-XXXXXX";
static char socket_path[64], config_path[80];
static int session_listener, control_listener, tcp_listener;
static struct sockaddr_in tcp_addr = {.sin_family = AF_INET};
static struct pulse pulse;
static struct loop_options options;

/* --- what the daemon believes of the world ---------------------------------------------------- */

struct fuzz_peer fuzz_peer = {.pidfd = -1};
static uint64_t ahead_ms; /* of the real clock */

void fuzz_advance(unsigned int ms)
{
	ahead_ms += ms;
}

/* In place of libc's, for libevent too. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int result = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) {
		ts->tv_sec += (time_t)(ahead_ms / 1000);
		ts->tv_nsec += (long)(ahead_ms % 1000) * 1000000;
		if (ts->tv_nsec >= 1000000000) {
			ts->tv_sec++;
			ts->tv_nsec -= 1000000000;
		}
	}
	return result;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (level == SOL_SOCKET && name == SO_PEERCRED && *len == sizeof(struct ucred)) {
		struct ucred cred = {.pid = fuzz_peer.pid, .uid = fuzz_peer.uid};

		memcpy(value, &cred, sizeof(cred));
		return 0;
	}
	if (level == SOL_SOCKET && name == SO_PEERPIDFD) {
		int pidfd = fcntl(fuzz_peer.pidfd, F_DUPFD_CLOEXEC, 0);

		errno = ESRCH;
		if (pidfd < 0)
			return -1;
		memcpy(value, &pidfd, sizeof(pidfd));
		return 0;
	}
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

/* The log is written, and then dropped. */
ssize_t write(int fd, const void *buf, size_t size)
{
	if (fd == STDERR_FILENO && size > 12 && !memcmp(buf, "closesided: ", 12)) {
		fuzz_check(memchr(buf, '\n', size) == (const char *)buf + size - 1);
		return (ssize_t)size;
	}
	return syscall(SYS_write, fd, buf, size);
}

/* --- once ------------------------------------------------------------------------------------- */

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* Our thousands of connections a second are nobody else's, and TIME_WAITs may be retired. */
static void own_network(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	int fd;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	lo.ifr_flags = IFF_UP;
	fuzz_check(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	close(fd);
	fd = open("/proc/sys/net/ipv4/tcp_max_tw_buckets", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		fuzz_check(write(fd, "1024", 4) == 4 || errno == EACCES || errno == EPERM);
		close(fd);
	}
}

static struct sockaddr_un address_of(const char *suffix)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", socket_path, suffix);
	return address;
}

static int listen_at(const char *suffix, int type)
{
	struct sockaddr_un address = address_of(suffix);
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	fuzz_check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	fuzz_check(listen(fd, 128) == 0);
	return fd;
}

int fuzz_tcp_listener(void)
{
	return tcp_listener;
}

static void listen_tcp(void)
{
	socklen_t len = sizeof(tcp_addr);

	tcp_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	tcp_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fuzz_check(bind(tcp_listener, (struct sockaddr *)&tcp_addr, len) == 0);
	fuzz_check(listen(tcp_listener, 128) == 0);
	fuzz_check(getsockname(tcp_listener, (struct sockaddr *)&tcp_addr, &len) == 0);
}

static void clean_up(void)
{
	static const char *const suffixes[] = {"", ".control", ".policy", ".off", ".conf"};
	char path[128];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", socket_path, suffixes[i]);
		unlink(path);
	}
	rmdir(directory);
}

void fuzz_world(void)
{
	signal(SIGPIPE, SIG_IGN); /* as loop_run() does */
	own_network();
	fuzz_check(mkdtemp(directory) != NULL);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
	snprintf(config_path, sizeof(config_path), "%s.conf", socket_path);
	atexit(clean_up);
	put_file(config_path, "policy web { close-first = peer }\n"
			      "limits { custody = 12 custody-per-process = 6 }\n");
	session_listener = listen_at("", SOCK_SEQPACKET);
	control_listener = listen_at(".control", SOCK_STREAM);
	listen_tcp();
	fuzz_peer.pid = getpid();
	options = (struct loop_options){
		.socket_path = socket_path,
		.config_path = config_path,
		.session_fd = session_listener,
		.control_fd = control_listener,
		.pulse = &pulse,
	};
}

/* --- each time -------------------------------------------------------------------------------- */

static unsigned int open_at_start;

static unsigned int count_fds(void)
{
	static struct pollfd fds[FDS_SEEN];
	unsigned int count = 0;

	for (int i = 0; i < FDS_SEEN; i++)
		fds[i] = (struct pollfd){.fd = i};
	poll(fds, FDS_SEEN, 0);
	for (int i = 0; i < FDS_SEEN; i++)
		count += !(fds[i].revents & POLLNVAL);
	return count;
}

static void begin_history(struct loop *loop)
{
	const struct history_parts parts = {.conns = loop->conns, .book = loop->book};
	const struct history_now now = {.now_ms = wire_now_ms(), .wall_ms = history_wall_ms()};

	loop->history = history_new(NULL, &parts, &now);
	fuzz_check(loop->history != NULL);
	note_set_sink(history_note, loop->history);
}

/* Of each turn, for ten seconds never go by. */
static void take_history(struct loop *loop)
{
	const struct history_now now = {
		.now_ms = wire_now_ms(),
		.wall_ms = history_wall_ms(),
		.lost = sessions_lost(loop->sessions),
		.on = page_is_on(loop->page),
	};

	history_take(loop->history, &now);
}

static void make_services(struct loop *loop)
{
	struct custody_parts custody = {
		.base = loop->base,
		.book = loop->book,
		.conns = loop->conns,
		.patience = loop->patience,
		.retire = loop->retire,
		.users = loop->users,
		.closer = loop->closer,
	};
	struct session_parts session = {
		.base = loop->base,
		.book = loop->book,
		.conns = loop->conns,
		.retire = loop->retire,
		.users = loop->users,
		.closer = loop->closer,
		.cuts = doctor_watch_cuts(loop->doctor),
	};

	loop->custody = custody_new(&custody, 12, 6);
	session.custody = loop->custody;
	loop->sessions = sessions_new(&session, session_listener, 6);
	loop->control = control_new(loop, control_listener);
	fuzz_check(loop->custody && loop->sessions && loop->control);
}

struct loop *fuzz_loop_new(void)
{
	static struct loop loop;
	char error[CONFIG_ERROR_MAX], path[80];

	open_at_start = count_fds();
	loop = (struct loop){.options = &options};
	loop.config = config_load(config_path, error, sizeof(error));
	loop.base = event_base_new();
	loop.book = book_new();
	loop.users = users_new();
	loop.closer = closer_new();
	loop.conns = conns_new(CONNS_MAX, CONNS_PER_SESSION, loop.closer);
	loop.patience = patience_new();
	loop.kernel = kernel_open(-1);
	fuzz_check(loop.config && loop.base && loop.users && loop.book && loop.conns &&
		   loop.patience && loop.closer && loop.kernel);
	loop.retire = retire_new(loop.base, loop.book, loop.kernel);
	loop.probe = probe_new(NULL);
	fuzz_check(loop.probe != NULL);
	loop.vitals = vitals_new(loop.probe, wire_now_ms());
	loop.doctor = doctor_watch_new(loop.conns, loop.probe, loop.vitals);
	fuzz_check(loop.doctor != NULL);
	make_services(&loop);
	loop.tune = tune_new(&loop, -1);
	fuzz_check(loop.tune != NULL);
	begin_history(&loop);
	book_name_policy(loop.book, policy_id("web"), "web");
	snprintf(path, sizeof(path), "%s%s", socket_path, WIRE_POLICY_SUFFIX);
	loop.page = page_new(path, loop.config->rules, loop.config->rule_count, true);
	fuzz_check(loop.page != NULL);
	patience_publish(loop.patience, page_hints(loop.page));
	return &loop;
}

static void on_blocked(void *arg, uid_t uid)
{
	(void)arg;
	(void)uid;
}

/* As the daemon's own loop does. */
void fuzz_turn(struct loop *loop)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		event_base_loop(loop->base, EVLOOP_NONBLOCK);
		closer_flush(loop->closer);
		if (!sessions_have_read(loop->sessions) && i > 1)
			break;
	}
	page_beat(loop->page);
	closer_check(loop->closer, wire_now_ms(), on_blocked, loop);
	users_tick(loop->users, wire_now_ms());
	doctor_watch_tick(loop->doctor, wire_now_ms());
	tune_tick(loop->tune, wire_now_ms());
	take_history(loop);
}

/* What each policy, and each tag, has add up to what all have. */
static void check_book(const struct book *book)
{
	uint64_t held = 0, opens = 0, closes = 0, all_closes = 0;

	for (int i = 0; i < BOOK_POLICIES; i++) {
		held += book->policy[i].tally.held;
		opens += book->policy[i].tally.opens;
		for (int side = 0; side < SIDE_COUNT; side++)
			closes += book->policy[i].tally.closes[side];
	}
	for (int side = 0; side < SIDE_COUNT; side++)
		all_closes += book->all.closes[side];
	fuzz_check(book->all.held == 0 && held == 0);
	fuzz_check(opens == book->all.opens && closes == all_closes);
	for (int i = 0; i < BOOK_TAGS; i++)
		fuzz_check(book->tag[i].sessions == 0);
}

void fuzz_loop_free(struct loop *loop)
{
	patience_publish(loop->patience, NULL);
	page_free(loop->page);
	control_free(loop->control);
	sessions_free(loop->sessions);
	custody_free(loop->custody);
	closer_free(loop->closer, 10000);
	retire_free(loop->retire);
	kernel_close(loop->kernel);
	tune_free(loop->tune);
	doctor_watch_free(loop->doctor);
	vitals_free(loop->vitals);
	probe_free(loop->probe);
	note_set_sink(NULL, NULL);
	history_free(loop->history);
	conns_free(loop->conns);
	patience_free(loop->patience);
	users_free(loop->users);
	check_book(loop->book);
	book_free(loop->book);
	config_free(loop->config);
	event_base_free(loop->base);
	fuzz_check(count_fds() == open_at_start);
}

/* --- peers ------------------------------------------------------------------------------------ */

static int connect_to(struct loop *loop, const char *suffix, int type)
{
	struct sockaddr_un address = address_of(suffix);
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	fuzz_check(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	fuzz_turn(loop);
	return fd;
}

int fuzz_connect_session(struct loop *loop)
{
	return connect_to(loop, "", SOCK_SEQPACKET);
}

int fuzz_connect_control(struct loop *loop)
{
	return connect_to(loop, ".control", SOCK_STREAM);
}

struct fuzz_pair fuzz_pair(void)
{
	struct fuzz_pair pair;

	pair.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fuzz_check(connect(pair.peer, (struct sockaddr *)&tcp_addr, sizeof(tcp_addr)) == 0);
	pair.program = accept4(tcp_listener, NULL, NULL, SOCK_CLOEXEC);
	fuzz_check(pair.program >= 0);
	pair.cookie = sock_cookie(pair.program);
	return pair;
}
