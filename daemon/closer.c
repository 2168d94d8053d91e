/* SPDX-License-Identifier: MIT */
#include "daemon/closer.h"

#include "daemon/limits.h"
#include "daemon/log.h"

#include "common/wire.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RELIEF_MS = 20, /* the longest wait of the loop for the helpers */
	LOOK_MS = 100,	/* so often, at the end, whether one has blocked */
	QUEUE_START = 1024,
	PENDING = 64,
	INTERRUPT = SIGUSR2, /* a helper's close() */
};

enum how { CLOSE_IT, RESET_IT, DROP_IT };

struct job {
	int fd;
	enum how how;
	uid_t uid;
};

/* A thread that closes. */
struct helper {
	struct closer *closer;
	pthread_t thread;
	bool runs;
	struct job job;	   /* what it is at */
	uint64_t since_ms; /* 0: it is at nothing */
};

/* The lock guards all that follows it. */
struct closer {
	pthread_mutex_t lock;
	pthread_cond_t more, less, empty;
	struct job *ring;
	size_t size, head, count; /* size is a power of two */
	uint64_t taken;		  /* jobs taken out, ever */
	struct helper helper[LIMIT_HELPERS];
	unsigned int helpers, busy;
	bool stop, relieving; /* the loop waits for fewer */
	/* The loop's own: */
	struct job pending[PENDING]; /* since the last flush */
	unsigned int pending_count;
	uint64_t seen_taken;
};

/* What is dropped, a program may still use: its SO_LINGER {1, 0} is none of our business. A time
 * would block us, if the program has closed its own by now. */
static bool lingers(int fd)
{
	struct linger linger = {.l_onoff = 0};
	socklen_t len = sizeof(linger);

	return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 && linger.l_onoff &&
	       linger.l_linger > 0;
}

static void close_job(struct job job)
{
	struct linger linger = {.l_onoff = job.how == RESET_IT, .l_linger = 0};

	if (job.how != DROP_IT || lingers(job.fd))
		setsockopt(job.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(job.fd);
}

static void *help(void *arg)
{
	struct helper *helper = arg;
	struct closer *closer = helper->closer;

	pthread_mutex_lock(&closer->lock);
	for (;;) {
		struct job job;

		while (!closer->count && !closer->stop)
			pthread_cond_wait(&closer->more, &closer->lock);
		if (!closer->count)
			break;
		job = closer->ring[closer->head];
		closer->head = (closer->head + 1) & (closer->size - 1);
		closer->count--;
		closer->taken++;
		closer->busy++;
		helper->job = job;
		helper->since_ms = wire_now_ms();
		if (closer->relieving && closer->count <= LIMIT_CLOSING / 2)
			pthread_cond_signal(&closer->less);
		pthread_mutex_unlock(&closer->lock);
		close_job(job);
		pthread_mutex_lock(&closer->lock);
		closer->busy--;
		helper->since_ms = 0;
		if (!closer->count && !closer->busy)
			pthread_cond_signal(&closer->empty);
	}
	helper->runs = false;
	closer->helpers--;
	pthread_cond_signal(&closer->empty);
	pthread_mutex_unlock(&closer->lock);
	return NULL;
}

static void on_interrupt(int number)
{
	(void)number;
}

/* No SA_RESTART: it is there to interrupt. */
static void take_interrupt(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};

	sigaction(INTERRUPT, &action, NULL);
}

/* Signals are the loop's, but for one. */
static int start_helper(struct closer *closer)
{
	struct helper *helper = &closer->helper[closer->helpers];
	sigset_t mask, old;
	int error;

	sigfillset(&mask);
	sigdelset(&mask, INTERRUPT);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	pthread_mutex_lock(&closer->lock);
	helper->closer = closer;
	error = pthread_create(&helper->thread, NULL, help, helper);
	if (!error) {
		pthread_detach(helper->thread);
		helper->runs = true;
		closer->helpers++;
	}
	pthread_mutex_unlock(&closer->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return error ? -1 : 0;
}

struct closer *closer_new(void)
{
	struct closer *closer = calloc(1, sizeof(*closer));

	if (!closer)
		return NULL;
	pthread_mutex_init(&closer->lock, NULL);
	pthread_cond_init(&closer->more, NULL);
	pthread_cond_init(&closer->less, NULL);
	pthread_cond_init(&closer->empty, NULL);
	take_interrupt();
	closer->size = QUEUE_START;
	closer->ring = calloc(closer->size, sizeof(closer->ring[0]));
	if (!closer->ring || start_helper(closer) < 0) {
		free(closer->ring);
		free(closer);
		return NULL;
	}
	return closer;
}

static void deadline_in(struct timespec *until, unsigned int ms)
{
	clock_gettime(CLOCK_REALTIME, until);
	until->tv_sec += ms / 1000;
	until->tv_nsec += (long)(ms % 1000) * 1000000;
	if (until->tv_nsec >= 1000000000) {
		until->tv_sec++;
		until->tv_nsec -= 1000000000;
	}
}

/* With the lock held, so that it is still at the same. Again each time, until it is not. */
static unsigned int interrupt(struct closer *closer, uint64_t now_ms, uid_t uids[LIMIT_HELPERS])
{
	unsigned int count = 0;

	for (int i = 0; i < LIMIT_HELPERS; i++) {
		struct helper *helper = &closer->helper[i];

		if (!helper->runs || !helper->since_ms ||
		    now_ms - helper->since_ms < LIMIT_CLOSE_MS)
			continue;
		pthread_kill(helper->thread, INTERRUPT);
		uids[count++] = helper->job.uid;
	}
	return count;
}

/* A helper that is blocked past our patience keeps what it uses: then nothing is freed. */
void closer_free(struct closer *closer, unsigned int patience_ms)
{
	uint64_t end = wire_now_ms() + patience_ms;
	uid_t uids[LIMIT_HELPERS];
	struct timespec soon;
	bool done;

	if (!closer)
		return;
	closer_flush(closer);
	pthread_mutex_lock(&closer->lock);
	closer->stop = true;
	pthread_cond_broadcast(&closer->more);
	while (closer->helpers && wire_now_ms() < end) {
		interrupt(closer, wire_now_ms(), uids);
		deadline_in(&soon, LOOK_MS);
		pthread_cond_timedwait(&closer->empty, &closer->lock, &soon);
	}
	done = !closer->helpers;
	pthread_mutex_unlock(&closer->lock);
	if (!done)
		return;
	free(closer->ring);
	free(closer);
}

static bool grow(struct closer *closer)
{
	struct job *ring = calloc(closer->size * 2, sizeof(ring[0]));

	if (!ring)
		return false;
	for (size_t i = 0; i < closer->count; i++)
		ring[i] = closer->ring[(closer->head + i) & (closer->size - 1)];
	free(closer->ring);
	closer->ring = ring;
	closer->head = 0;
	closer->size *= 2;
	return true;
}

/* With the lock held. */
static bool enqueue(struct closer *closer, struct job job)
{
	if (closer->count == closer->size && !grow(closer))
		return false;
	closer->ring[(closer->head + closer->count) & (closer->size - 1)] = job;
	closer->count++;
	return true;
}

void closer_flush(struct closer *closer)
{
	unsigned int done = 0;

	if (!closer->pending_count)
		return;
	pthread_mutex_lock(&closer->lock);
	while (done < closer->pending_count && enqueue(closer, closer->pending[done]))
		done++;
	pthread_cond_signal(&closer->more);
	pthread_mutex_unlock(&closer->lock);
	while (done < closer->pending_count) /* out of memory: better a risk than a leak */
		close_job(closer->pending[done++]);
	closer->pending_count = 0;
}

static void add(struct closer *closer, int fd, enum how how, uid_t uid)
{
	if (closer->pending_count == PENDING)
		closer_flush(closer);
	closer->pending[closer->pending_count++] = (struct job){.fd = fd, .how = how, .uid = uid};
}

void closer_close(struct closer *closer, int fd, uid_t uid)
{
	add(closer, fd, CLOSE_IT, uid);
}

void closer_drop(struct closer *closer, int fd, uid_t uid)
{
	add(closer, fd, DROP_IT, uid);
}

void closer_reset(struct closer *closer, int fd, uid_t uid)
{
	add(closer, fd, RESET_IT, uid);
}

void closer_relieve(struct closer *closer)
{
	struct timespec until;

	bool many;

	pthread_mutex_lock(&closer->lock);
	many = closer->count + closer->pending_count > LIMIT_CLOSING;
	pthread_mutex_unlock(&closer->lock);
	if (!many)
		return;
	closer_flush(closer);
	deadline_in(&until, RELIEF_MS);
	pthread_mutex_lock(&closer->lock);
	closer->relieving = true;
	while (closer->count > LIMIT_CLOSING / 2 &&
	       pthread_cond_timedwait(&closer->less, &closer->lock, &until) != ETIMEDOUT)
		;
	closer->relieving = false;
	pthread_mutex_unlock(&closer->lock);
}

void closer_check(struct closer *closer, uint64_t now_ms, void (*blocked)(void *arg, uid_t uid),
		  void *arg)
{
	uid_t uids[LIMIT_HELPERS];
	unsigned int count;
	bool stuck, can;

	pthread_mutex_lock(&closer->lock);
	stuck = closer->count > 0 && closer->taken == closer->seen_taken;
	can = closer->helpers < LIMIT_HELPERS && !closer->stop;
	closer->seen_taken = closer->taken;
	count = interrupt(closer, now_ms, uids);
	pthread_mutex_unlock(&closer->lock);
	for (unsigned int i = 0; i < count; i++)
		blocked(arg, uids[i]);
	if (stuck && can && start_helper(closer) < 0)
		log_limited(LOG_WARNING, "cannot start another helper: %m");
}
