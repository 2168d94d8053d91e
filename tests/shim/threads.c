/* SPDX-License-Identifier: MIT */
/* threads HOW: several threads, and several tables of descriptors, that open, close and shut down
 * the same connections. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { QUIET_MS = 50 };

static struct pair p;
static int listener;
static _Atomic bool ready;

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg) != 0)
		die("pthread_create");
}

/* Until it is in the call that blocks, as far as one can tell. */
static void start_blocked(pthread_t *thread, void *(*run)(void *), void *arg)
{
	atomic_store(&ready, false);
	start(thread, run, arg);
	while (!atomic_load(&ready))
		usleep(100);
	usleep(QUIET_MS * 1000);
}

static void bye(void)
{
	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("the peer", p.client);
}

/* --- some accept, others close ---------------------------------------------------------------- */

enum { CONNS = 20000, THREADS = 2, QUEUE = 64 };

static int queue[QUEUE];
static unsigned int queue_in, queue_out;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t filled;
static _Atomic int accepted, closed, failed;
static _Atomic bool over;

static void *acceptor(void *arg)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0) {
			if (!atomic_load(&over))
				atomic_fetch_add(&failed, 1);
			return arg;
		}
		atomic_fetch_add(&accepted, 1);
		pthread_mutex_lock(&lock);
		queue[queue_in++ % QUEUE] = fd;
		pthread_mutex_unlock(&lock);
		sem_post(&filled);
	}
}

static void *closer(void *arg)
{
	for (;;) {
		char byte;
		int fd;

		while (sem_wait(&filled) != 0)
			;
		if (atomic_load(&over))
			return arg;
		pthread_mutex_lock(&lock);
		fd = queue[queue_out++ % QUEUE];
		pthread_mutex_unlock(&lock);
		/* The peer has asked, so its connect() has returned. */
		if (read(fd, &byte, 1) != 1 || write(fd, "bye", 3) != 3 || close(fd) != 0)
			atomic_fetch_add(&failed, 1);
		atomic_fetch_add(&closed, 1);
	}
}

static void connect_many(int count)
{
	for (int i = 0; i < count; i++) {
		int client = pair_connect(listener);
		char buf[3];

		if (write(client, "x", 1) != 1 || recv(client, buf, 3, MSG_WAITALL) != 3 ||
		    memcmp(buf, "bye", 3) != 0)
			atomic_fetch_add(&failed, 1);
		close(client);
		if (i % 64 == 0)
			usleep(1000); /* so that a busy machine's daemon gets its turn */
	}
}

static pthread_t servers[2 * THREADS];

static void start_servers(void)
{
	listener = pair_listen();
	sem_init(&filled, 0, 0);
	for (int i = 0; i < THREADS; i++) {
		start(&servers[i], acceptor, NULL);
		start(&servers[THREADS + i], closer, NULL);
	}
}

static void end_servers(void)
{
	while (closed < accepted)
		usleep(1000);
	atomic_store(&over, true);
	shutdown(listener, SHUT_RDWR);
	for (int i = 0; i < THREADS; i++)
		sem_post(&filled);
	for (int i = 0; i < 2 * THREADS; i++)
		pthread_join(servers[i], NULL);
	printf("accepted: %d, closed: %d, failed: %d\n", accepted, closed, failed);
}

static void accept_and_close(void)
{
	int before;

	p = pair_open(false); /* so that what is opened with the first is open */
	bye();
	before = count_open(3);
	start_servers();
	connect_many(CONNS);
	end_servers();
	close(listener);
	printf("leaked: %d\n", count_open(3) - before);
}

/* The same while another thread forks: children hold what they inherit until they end. */
static void fork_meanwhile(void)
{
	volatile int bad = 0; /* vfork */

	start_servers();
	for (int i = 0; i < 60; i++) {
		pid_t child = i % 3 == 2 ? vfork() : fork();
		int status;

		if (child == 0)
			_exit(0);
		connect_many(20);
		bad = bad + (waitpid(child, &status, 0) != child || status != 0);
	}
	printf("bad children: %d\n", bad);
	end_servers();
}

/* --- one blocks, another acts ----------------------------------------------------------------- */

/* What the other thread's call returned is printed when it has ended, for the order's sake. */
static long result;
static int result_errno;

static void returned(long value)
{
	result = value;
	result_errno = errno;
}

static void join_and_print(pthread_t thread, const char *name)
{
	pthread_join(thread, NULL);
	errno = result_errno;
	saw(name, result);
}

static void *accept_once(void *arg)
{
	atomic_store(&ready, true);
	p.server = accept(listener, NULL, NULL);
	returned(p.server < 0 ? -1 : 0);
	return arg;
}

/* Who blocks in accept() keeps the listener, and takes one more connection. */
static void listener_closed(void)
{
	for (int i = 0; i < 5; i++) {
		pthread_t thread;
		int client, kept;

		listener = pair_listen();
		kept = dup(listener); /* for its address */
		start_blocked(&thread, accept_once, NULL);
		saw("close", close(listener));
		client = pair_socket();
		pair_connect_to(client, kept);
		join_and_print(thread, "accept");
		p.client = client;
		close(kept);
		bye();
	}
}

static void listener_shut(void)
{
	for (int i = 0; i < 5; i++) {
		pthread_t thread;

		listener = pair_listen();
		start_blocked(&thread, accept_once, NULL);
		saw("shutdown", shutdown(listener, i % 2 ? SHUT_RD : SHUT_RDWR));
		join_and_print(thread, "accept");
		saw("close", close(listener));
		p = pair_open(false);
		bye();
	}
}

static void *read_once(void *arg)
{
	char buf[8];

	atomic_store(&ready, true);
	returned(read(p.server, buf, sizeof(buf)));
	return arg;
}

static void reader_shut(void)
{
	for (int i = 0; i < 6; i++) {
		pthread_t thread;

		p = pair_open(false);
		start_blocked(&thread, read_once, NULL);
		pair_say_bye(p.server);
		saw("shutdown", shutdown(p.server, i % 2 ? SHUT_RD : SHUT_RDWR));
		join_and_print(thread, "read");
		saw("close", close(p.server));
		pair_hear_bye("the peer", p.client);
	}
}

/* shutdown(SHUT_WR) does not wake a reader; the peer's FIN does. */
static void reader_half_shut(void)
{
	for (int i = 0; i < 3; i++) {
		pthread_t thread;

		p = pair_open(false);
		start_blocked(&thread, read_once, NULL);
		pair_say_bye(p.server);
		saw("shutdown", shutdown(p.server, SHUT_WR));
		pair_hear_bye("the peer", p.client);
		join_and_print(thread, "read");
		saw("close", close(p.server));
	}
}

/* --- two close the same ----------------------------------------------------------------------- */

static pthread_barrier_t barrier;
static _Atomic int closed_here;

enum { DOUBLES = 3000 };

static void *close_it(void *arg)
{
	for (int i = 0; i < DOUBLES; i++) {
		pthread_barrier_wait(&barrier);
		if (close(p.server) == 0)
			atomic_fetch_add(&closed_here, 1);
		else if (errno != EBADF)
			atomic_fetch_add(&failed, 1);
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

static void double_close(void)
{
	int wrong = 0, reset = 0;
	pthread_t thread[2];

	pthread_barrier_init(&barrier, NULL, 3);
	start(&thread[0], close_it, NULL);
	start(&thread[1], close_it, NULL);
	for (int i = 0; i < DOUBLES; i++) {
		char buf[3];

		p = pair_open(false);
		pair_say_bye(p.server);
		atomic_store(&closed_here, 0);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		wrong += closed_here != 1;
		reset += recv(p.client, buf, 3, MSG_WAITALL) != 3;
		close(p.client);
	}
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	printf("not closed exactly once: %d, not heard: %d, failed: %d\n", wrong, reset, failed);
}

/* --- a thread ends ---------------------------------------------------------------------------- */

static void close_at_end(void *fd)
{
	saw("close", close((int)(long)fd));
}

static void *end_with_fd(void *arg)
{
	pthread_key_t *key = arg;

	pthread_setspecific(*key, (void *)(long)p.server);
	return NULL;
}

static void at_thread_end(void)
{
	pthread_key_t key;

	pthread_key_create(&key, close_at_end);
	for (int i = 0; i < 3; i++) {
		pthread_t thread;

		p = pair_open(false);
		pair_say_bye(p.server);
		start(&thread, end_with_fd, &key);
		pthread_join(thread, NULL);
		pair_hear_bye("the peer", p.client);
	}
}

/* --- code that is loaded later ---------------------------------------------------------------- */

static void close_by(int (*function)(int))
{
	for (int i = 0; i < 2; i++) {
		p = pair_open(false);
		pair_say_bye(p.server);
		saw("close", function(p.server));
		pair_hear_bye("the peer", p.client);
	}
}

static int (*look_up(void *handle))(int)
{
	int (*function)(int);

	*(void **)&function = dlsym(handle, "close");
	return function;
}

/* By the name that everybody finds, and by libc's own, which no interposer sees. */
static void loaded(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_LOCAL);
	void *other = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);

	close_by(look_up(RTLD_DEFAULT));
	close_by(look_up(libc));
	if (other)
		close_by(look_up(other));
	close_by(close);
	dlclose(libc);
}

/* --- tables of their own ---------------------------------------------------------------------- */

static bool peer_sees_end(void)
{
	char byte;

	usleep(QUIET_MS * 1000);
	return recv(p.client, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno != EAGAIN;
}

static sem_t own_table, go_on;

static void serve_here(const char *name, int count)
{
	for (int i = 0; i < count; i++) {
		struct pair here;

		pthread_mutex_lock(&lock); /* two that bind at once could find the same port */
		here = pair_open(false);
		pthread_mutex_unlock(&lock);
		pair_say_bye(here.server);
		if (close(here.server) != 0)
			die(name);
		close(here.client);
	}
}

static void *unshares(void *by)
{
	int server = p.server, client = p.client;

	if (by ? close_range(900, 901, 2 /* CLOSE_RANGE_UNSHARE */) != 0
	       : unshare(CLONE_FILES) != 0)
		die("unshare");
	saw("close of a copy", close(server));
	saw("close of a copy", close(client));
	sem_post(&own_table);
	sem_wait(&go_on);
	serve_here("close in the other table", 300);
	return NULL;
}

/* The copies of a thread that has unshared its descriptors close, and the connection stays. */
static void tables(void *by)
{
	pthread_t thread;
	int before;

	p = pair_open(false);
	bye();
	sem_init(&own_table, 0, 0);
	sem_init(&go_on, 0, 0);
	p = pair_open(false);
	before = count_open(3);
	start(&thread, unshares, by);
	sem_wait(&own_table);
	printf("open here: %d, the peer sees an end: %d\n", is_open(p.server), peer_sees_end());
	sem_post(&go_on);
	serve_here("close in this table", 300);
	pthread_join(thread, NULL);
	printf("open here: %d, the peer sees an end: %d\n", is_open(p.server), peer_sees_end());
	printf("leaked: %d\n", count_open(3) - before);
	bye();
}

static void unshared(void)
{
	tables(NULL);
}

static void unshared_range(void)
{
	tables(&listener);
}

static _Atomic bool tables_over;

static void *serves_apart(void *arg)
{
	if (unshare(CLONE_FILES) != 0)
		die("unshare");
	sem_post(&own_table);
	while (!atomic_load(&tables_over)) {
		serve_here("close in the other table", 1);
		usleep(1000);
	}
	return arg;
}

/* Apart before the first call, so that each table would have to have what the shim opens. */
static void unshared_first(void)
{
	struct timespec start_time, now;
	pthread_t thread;
	int before;

	sem_init(&own_table, 0, 0);
	start(&thread, serves_apart, NULL);
	sem_wait(&own_table);
	serve_here("close in this table", 1);
	before = count_open(3);
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	do {
		serve_here("close in this table", 1);
		usleep(1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start_time.tv_sec < 5);
	atomic_store(&tables_over, true);
	pthread_join(thread, NULL);
	printf("leaked: %d\n", count_open(3) - before > 1);
}

/* With one thread there is nothing to share: it goes on as before. */
static void unshared_alone(void)
{
	p = pair_open(false);
	saw("unshare", unshare(CLONE_FILES | CLONE_FS));
	saw("unshare", syscall(SYS_unshare, CLONE_FILES));
	bye();
	p = pair_open(false);
	bye();
}

int main(int argc, char **argv)
{
	static const struct pair_way ways[] = {
		{"accept-and-close", accept_and_close},
		{"fork", fork_meanwhile},
		{"listener-closed", listener_closed},
		{"listener-shut", listener_shut},
		{"reader-shut", reader_shut},
		{"reader-half-shut", reader_half_shut},
		{"double-close", double_close},
		{"at-thread-end", at_thread_end},
		{"loaded", loaded},
		{"unshared", unshared},
		{"unshared-range", unshared_range},
		{"unshared-first", unshared_first},
		{"unshared-alone", unshared_alone},
	};

	return pair_run(argc, argv, ways, sizeof(ways) / sizeof(ways[0]), 1);
}
