/* SPDX-License-Identifier: MIT */
#include "daemon/closer.h"

#include "daemon/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HELPERS_MAX = 8,
	STUCK_MS = 300, /* a queue that has not moved for so long needs another helper */
	QUEUE_START = 1024,
	PENDING = 64,
};

enum how { CLOSE_IT, RESET_IT, DROP_IT };

struct job {
	int fd;
	enum how how;
};

/* The lock guards all that follows it. */
struct closer {
	pthread_mutex_t lock;
	pthread_cond_t more, empty;
	struct job *ring;
	size_t size, head, count; /* size is a power of two */
	uint64_t taken;		  /* jobs taken out, ever */
	unsigned int helpers, busy;
	bool stop;
	/* The loop's own: */
	struct job pending[PENDING]; /* since the last flush */
	unsigned int pending_count;
	uint64_t seen_taken;
	uint64_t stuck_ms; /* when it was first seen not to move, 0: it moves */
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

static void *helper(void *arg)
{
	struct closer *closer = arg;

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
		pthread_mutex_unlock(&closer->lock);
		close_job(job);
		pthread_mutex_lock(&closer->lock);
		closer->busy--;
		if (!closer->count && !closer->busy)
			pthread_cond_signal(&closer->empty);
	}
	closer->helpers--;
	pthread_cond_signal(&closer->empty);
	pthread_mutex_unlock(&closer->lock);
	return NULL;
}

/* Signals are the loop's. */
static int start_helper(struct closer *closer)
{
	sigset_t all, old;
	pthread_t thread;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, NULL, helper, closer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		errno = error;
		return -1;
	}
	pthread_detach(thread);
	pthread_mutex_lock(&closer->lock);
	closer->helpers++;
	pthread_mutex_unlock(&closer->lock);
	return 0;
}

struct closer *closer_new(void)
{
	struct closer *closer = calloc(1, sizeof(*closer));

	if (!closer)
		return NULL;
	pthread_mutex_init(&closer->lock, NULL);
	pthread_cond_init(&closer->more, NULL);
	pthread_cond_init(&closer->empty, NULL);
	closer->size = QUEUE_START;
	closer->ring = calloc(closer->size, sizeof(closer->ring[0]));
	if (!closer->ring || start_helper(closer) < 0) {
		free(closer->ring);
		free(closer);
		return NULL;
	}
	return closer;
}

/* A helper that is blocked past our patience keeps what it uses: then nothing is freed. */
void closer_free(struct closer *closer, unsigned int patience_ms)
{
	struct timespec until;
	bool done;

	if (!closer)
		return;
	closer_flush(closer);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += patience_ms / 1000;
	until.tv_nsec += (long)(patience_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&closer->lock);
	closer->stop = true;
	pthread_cond_broadcast(&closer->more);
	while (closer->helpers &&
	       pthread_cond_timedwait(&closer->empty, &closer->lock, &until) != ETIMEDOUT)
		;
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

static void add(struct closer *closer, int fd, enum how how)
{
	if (closer->pending_count == PENDING)
		closer_flush(closer);
	closer->pending[closer->pending_count++] = (struct job){.fd = fd, .how = how};
}

void closer_close(struct closer *closer, int fd)
{
	add(closer, fd, CLOSE_IT);
}

void closer_drop(struct closer *closer, int fd)
{
	add(closer, fd, DROP_IT);
}

void closer_reset(struct closer *closer, int fd)
{
	add(closer, fd, RESET_IT);
}

void closer_check(struct closer *closer, uint64_t now_ms)
{
	bool stuck, can;

	pthread_mutex_lock(&closer->lock);
	stuck = closer->count > 0 && closer->taken == closer->seen_taken;
	can = closer->helpers < HELPERS_MAX;
	closer->seen_taken = closer->taken;
	pthread_mutex_unlock(&closer->lock);
	if (!stuck || !closer->stuck_ms)
		closer->stuck_ms = stuck ? now_ms : 0;
	if (!stuck || now_ms - closer->stuck_ms < STUCK_MS)
		return;
	closer->stuck_ms = now_ms;
	log_limited(LOG_WARNING,
		    "a close() has blocked: someone sets SO_LINGER on a socket handed over%s",
		    can ? "" : "; no helper is left");
	if (can && start_helper(closer) < 0)
		log_limited(LOG_WARNING, "cannot start another helper: %m");
}
