/* SPDX-License-Identifier: MIT */
/* model [N]: N connections (a million) of 64 processes in the model, brought there by records as
 * shims send them: what each costs in bytes; and through a real control socket how long `ps` takes,
 * `conns` with a filter that few match, `conns` with all of them, and for how long the loop, and
 * with it custody, stands still meanwhile: the gaps between the ticks of a timer of 1 ms, beside
 * those of a loop that has nothing else to do. */
#include "daemon/closer.h"
#include "daemon/control.h"
#include "daemon/custody.h"
#include "daemon/kernel.h"
#include "daemon/limits.h"
#include "daemon/loop.h"
#include "daemon/page.h"
#include "daemon/patience.h"
#include "daemon/record.h"
#include "daemon/retire.h"
#include "daemon/session.h"
#include "daemon/tally.h"
#include "daemon/user.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { OWNERS = 64, GAPS = 1 << 16, BYTES_MAX = 256, STALL_MAX_US = 10000 };

static struct loop loop;
static struct loop_options options = {.config_path = "none"};
static struct conn_owner owners[OWNERS];
static struct custody_client custodies[OWNERS];
static char folder[64] = "/tmp/closeside-model.XXXXXX";
static int failures;

static double clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- the daemon's parts ----------------------------------------------------------------------- */

static int listen_at(const char *name, int type, struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	addr->sun_family = AF_UNIX;
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/%s", folder, name);
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, sizeof(*addr)) < 0 || listen(fd, 8) < 0)
		die(addr->sun_path);
	return fd;
}

/* The ticks are to be as fine as they are said to be. */
static struct event_base *precise_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static void make_stores(void)
{
	char path[128];

	loop.options = &options;
	loop.base = precise_base();
	loop.book = book_new();
	loop.users = users_new();
	loop.closer = closer_new();
	loop.conns = conns_new(LIMIT_CONNS, LIMIT_CONNS_PROCESS, loop.closer);
	loop.patience = patience_new();
	loop.kernel = kernel_open(-1);
	loop.config = calloc(1, sizeof(*loop.config));
	snprintf(path, sizeof(path), "%s/policy", folder);
	loop.page = page_new(path, NULL, 0, true);
	if (!loop.base || !loop.book || !loop.users || !loop.closer || !loop.conns ||
	    !loop.patience || !loop.kernel || !loop.page || !loop.config)
		die("cannot start");
	loop.retire = retire_new(loop.base, loop.book, loop.kernel);
	conns_set_followed(loop.conns, true);
	users_set_limit(loop.users, USER_CONTROL, 16);
}

static void make_services(struct sockaddr_un *control)
{
	struct sockaddr_un sessions = {.sun_family = AF_UNIX};
	struct custody_parts custody = {
		.base = loop.base,
		.book = loop.book,
		.conns = loop.conns,
		.patience = loop.patience,
		.retire = loop.retire,
		.users = loop.users,
		.closer = loop.closer,
	};
	struct session_parts session = {
		.base = loop.base,
		.book = loop.book,
		.conns = loop.conns,
		.retire = loop.retire,
		.users = loop.users,
		.closer = loop.closer,
	};

	session.custody = loop.custody = custody_new(&custody, 1000, 1000);
	loop.sessions = sessions_new(&session, listen_at("s", SOCK_SEQPACKET, &sessions), 100);
	loop.control = control_new(&loop, listen_at("control", SOCK_STREAM, control));
	if (!loop.custody || !loop.sessions || !loop.control)
		die("cannot serve");
}

/* --- the connections -------------------------------------------------------------------------- */

static struct wire_record record_of(uint64_t i)
{
	struct wire_record record = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.type = WIRE_OPEN,
		.role = ROLE_SERVER,
		.cookie = 0x100000 + i * 3, /* other sockets take some */
		.fd = 7,
		.state = STATE_ESTABLISHED,
		.time_wait_ms = TIME_WAIT_KEEP,
		.rtt_us = 120,
	};

	record.local = record.remote = (struct endpoint){
		.addr = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}, .family = AF_INET};
	record.local.port = (uint16_t)(80 + i % OWNERS);
	record.remote.addr[13] = (uint8_t)(i >> 22);
	record.remote.addr[14] = (uint8_t)(i >> 14);
	record.remote.port = (uint16_t)(1024 + i % 60000);
	return record;
}

/* Every other one has been closed, and is in TIME_WAIT. */
static void bring(uint64_t i)
{
	unsigned int owner = i % OWNERS;
	struct record_context context = {
		.book = loop.book,
		.conns = loop.conns,
		.custody = loop.custody,
		.retire = loop.retire,
		.owner = &owners[owner],
		.client = &custodies[owner],
	};
	struct wire_record record = record_of(i);
	struct conn *conn;

	if (record_take(&context, &record, -1, false))
		die("a record was not taken");
	if (i / OWNERS % 2)
		return;
	record.type = WIRE_CLOSE;
	record.side = SIDE_US;
	record_take(&context, &record, -1, false);
	conn = conn_find(loop.conns, record.cookie);
	if (conn)
		conn_set_state(loop.conns, conn, STATE_TIME_WAIT, wire_now_ms());
}

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static long resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long size = 0, pages = 0;

	if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
		die("statm");
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static void verdict(bool good, const char *what)
{
	failures += !good;
	printf("%s - %s\n", good ? "ok" : "not ok", what);
}

static void fill(unsigned int count)
{
	size_t bytes = allocated();
	long pages = resident();
	double began = now_us(), took;

	for (unsigned int i = 0; i < OWNERS; i++) {
		owners[i].process =
			(struct process){.pid = (pid_t)(100 + i), .uid = 33, .start = 5};
		snprintf(owners[i].process.comm, sizeof(owners[i].process.comm), "prog%u", i);
		owners[i].pidfd = -1;
		custodies[i].process = &owners[i].process;
	}
	for (uint64_t i = 0; i < count; i++)
		bring(i);
	took = now_us() - began;
	bytes = allocated() - bytes;
	printf("# %u connections in the model, by %.0f records a second\n", conns_count(loop.conns),
	       count * 1.5 / took * 1e6);
	printf("# each takes %.1f bytes (malloc), %.1f (resident)\n", (double)bytes / count,
	       (double)(resident() - pages) / count);
	verdict(conns_count(loop.conns) == count, "all of them are there");
	verdict(bytes <= (size_t)count * BYTES_MAX, "at most 256 bytes each");
}

/* --- how long the loop stands still ----------------------------------------------------------- */

static float gaps[GAPS], works[GAPS];
static unsigned int gap_count;
static double ticked_us, worked_us;

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	double now = now_us(), work = clock_us(CLOCK_THREAD_CPUTIME_ID);

	(void)fd;
	(void)what;
	(void)arg;
	if (ticked_us > 0 && gap_count < GAPS) {
		gaps[gap_count] = (float)(now - ticked_us);
		works[gap_count++] = (float)(work - worked_us);
	}
	ticked_us = now;
	worked_us = work;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static float say_sorted(const char *what, float *all)
{
	unsigned int n = gap_count;

	qsort(all, n, sizeof(all[0]), compare);
	printf("%s: median %.2f, 99 %% %.2f, 99.9 %% %.2f, longest %.2f ms", what,
	       (double)all[n / 2] / 1e3, (double)all[n * 99ul / 100] / 1e3,
	       (double)all[n * 999ul / 1000] / 1e3, (double)all[n - 1] / 1e3);
	return all[n - 1];
}

/* Returns the longest that the loop itself had the processor, in us: the others have it as well. */
static float say_gaps(const char *name)
{
	float longest;

	if (!gap_count)
		return 0;
	printf("# %s: ", name);
	say_sorted("gaps between ticks", gaps);
	longest = say_sorted("; the loop's own work in one", works);
	printf("; of %u\n", gap_count);
	return longest;
}

/* --- who asks --------------------------------------------------------------------------------- */

struct question {
	const struct sockaddr_un *addr;
	const char *text;
	unsigned int times;
	double took_us; /* of the longest */
	double sum_us;
	size_t bytes;
	atomic_bool done;
};

/* Returns how much was read, up to the row that ends it. */
static size_t read_answer(int fd)
{
	static const char end[] = "\"type\":\"end\"";
	static char buf[1 << 16];
	char tail[sizeof(buf) + 128] = "";
	size_t all = 0, kept = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		memcpy(tail + kept, buf, (size_t)n);
		kept += (size_t)n;
		all += (size_t)n;
		if (memmem(tail, kept, end, sizeof(end) - 1) && tail[kept - 1] == '\n')
			return all;
		if (kept > 100) {
			memmove(tail, tail + kept - 100, 100);
			kept = 100;
		}
	}
	return all;
}

static void *ask(void *arg)
{
	struct question *question = arg;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (const struct sockaddr *)question->addr, sizeof(*question->addr)) < 0)
		die("connect");
	for (unsigned int i = 0; i < question->times; i++) {
		double began = now_us(), took;

		if (write(fd, question->text, strlen(question->text)) < 0)
			die("write");
		question->bytes = read_answer(fd);
		took = now_us() - began;
		question->sum_us += took;
		if (took > question->took_us)
			question->took_us = took;
	}
	close(fd);
	atomic_store(&question->done, true);
	return NULL;
}

static void run_until(const atomic_bool *done, double until_us)
{
	while (done ? !atomic_load(done) : now_us() < until_us)
		event_base_loop(loop.base, EVLOOP_ONCE);
}

static float measure(const char *name, struct question *question)
{
	pthread_t thread;
	gap_count = 0;
	ticked_us = 0;
	if (pthread_create(&thread, NULL, ask, question))
		die("pthread_create");
	run_until(&question->done, 0);
	pthread_join(thread, NULL);
	printf("# %s: %.1f ms on average, %.1f at most, of %u; %zu bytes\n", name,
	       question->sum_us / question->times / 1e3, question->took_us / 1e3, question->times,
	       question->bytes);
	return say_gaps(name);
}

static void quiet(const char *name)
{
	gap_count = 0;
	ticked_us = 0;
	run_until(NULL, now_us() + 3e6);
	say_gaps(name);
}

static void ask_all(const struct sockaddr_un *addr)
{
	struct question ps = {addr, "{\"v\":1,\"cmd\":\"ps\"}\n", .times = 50};
	struct question few = {
		addr, "{\"v\":1,\"cmd\":\"conns\",\"filter\":\"pid 121 and dport = :1077\"}\n",
		.times = 10};
	struct question all = {addr, "{\"v\":1,\"cmd\":\"conns\"}\n", .times = 1};
	float longest = measure("ps", &ps), stall;

	verdict(ps.bytes > 1000 && ps.sum_us / ps.times < 100e3, "ps: under 100 ms");
	stall = measure("conns, few match", &few);
	longest = stall > longest ? stall : longest;
	verdict(few.bytes > 100 && few.sum_us / few.times < 1e6, "conns, few match: under 1 s");
	stall = measure("conns, all match", &all);
	longest = stall > longest ? stall : longest;
	verdict(longest < STALL_MAX_US, "the loop never works for 10 ms at a stretch");
}

static void clean_up(void)
{
	static const char *const names[] = {"s", "control", "policy"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

int main(int argc, char **argv)
{
	static const struct timeval millisecond = {.tv_usec = 1000};
	unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : 1000000;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct event tick;

	if (!mkdtemp(folder))
		die(folder);
	atexit(clean_up);
	make_stores();
	make_services(&addr);
	event_assign(&tick, loop.base, -1, EV_PERSIST, on_tick, NULL);
	event_add(&tick, &millisecond);
	quiet("nothing to do");
	fill(count);
	ask_all(&addr);
	quiet("nothing to do, afterwards");
	printf("1..6\n");
	return failures > 0;
}
