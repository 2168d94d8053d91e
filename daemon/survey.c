/* SPDX-License-Identifier: MIT */
#include "daemon/survey.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	INTERRUPT = SIGUSR2,
	PIECE = 256,	 /* sockets */
	PIECES_MAX = 64, /* that wait for the loop; then the thread waits */
	PIECES_AT_ONCE = 8,
	NAMESPACES_MAX = 256,
};

enum job { JOB_NONE, JOB_DUMP, JOB_HOLDERS, JOB_NAMESPACES, JOB_QUIT };

/* What was found: sockets, or one holder. */
struct piece {
	struct piece *next;
	struct process *process; /* NULL: sockets */
	uint64_t inode;
	unsigned int count;
	struct kernel_socket sockets[];
};

struct survey {
	struct survey_calls calls;
	void *arg;
	struct event wake;
	int fd; /* eventfd */
	pthread_t thread;
	bool busy;	 /* the loop's: a job is under way */
	bool namespaces; /* and this is the one */
	/* Of the job; the thread's until it is done. */
	struct kernel *kernel;
	unsigned int what;
	uint64_t *inodes;
	bool *is_found; /* of each */
	unsigned int inode_count, found;
	pid_t *spare; /* not to be looked at */
	unsigned int spare_count;
	struct piece *filling;
	/* Shared, under the lock: */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum job job;
	struct piece *first, *last;
	unsigned int pieces;
	bool done;
	int error;
	uint64_t cpu_us;
};

/* --- in the thread ---------------------------------------------------------------------------- */

static void wake_loop(const struct survey *survey)
{
	uint64_t one = 1;
	ssize_t n = write(survey->fd, &one, sizeof(one));

	(void)n; /* full is awake */
}

static void hand_in(struct survey *survey, struct piece *piece)
{
	pthread_mutex_lock(&survey->lock);
	while (survey->pieces >= PIECES_MAX && survey->job != JOB_QUIT)
		pthread_cond_wait(&survey->changed, &survey->lock);
	if (survey->last)
		survey->last->next = piece;
	else
		survey->first = piece;
	survey->last = piece;
	survey->pieces++;
	pthread_mutex_unlock(&survey->lock);
	wake_loop(survey);
}

static void hand_in_sockets(struct survey *survey)
{
	if (survey->filling)
		hand_in(survey, survey->filling);
	survey->filling = NULL;
}

static bool is_to_quit(struct survey *survey)
{
	bool quit;

	pthread_mutex_lock(&survey->lock);
	quit = survey->job == JOB_QUIT;
	pthread_mutex_unlock(&survey->lock);
	return quit;
}

static bool take_socket(const struct kernel_socket *socket, void *arg)
{
	struct survey *survey = arg;
	struct piece *piece = survey->filling;

	if (!piece) {
		piece = calloc(1, sizeof(*piece) + PIECE * sizeof(piece->sockets[0]));
		if (!piece)
			return false;
		survey->filling = piece;
	}
	piece->sockets[piece->count++] = *socket;
	if (piece->count < PIECE)
		return true;
	hand_in_sockets(survey);
	return !is_to_quit(survey);
}

static int compare_inodes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* "socket:[4242]". Several may hold it: the first one found has it. */
static bool is_wanted(struct survey *survey, const char *link, uint64_t *inode)
{
	const uint64_t *wanted;
	char *end;

	if (strncmp(link, "socket:[", 8) != 0)
		return false;
	*inode = strtoull(link + 8, &end, 10);
	if (*end != ']')
		return false;
	wanted =
		bsearch(inode, survey->inodes, survey->inode_count, sizeof(*inode), compare_inodes);
	if (!wanted || survey->is_found[wanted - survey->inodes])
		return false;
	survey->is_found[wanted - survey->inodes] = true;
	survey->found++;
	return true;
}

static void hand_in_holder(struct survey *survey, uint64_t inode, const struct process *who)
{
	struct piece *piece = calloc(1, sizeof(*piece));
	struct process *process = malloc(sizeof(*process));

	if (!piece || !process) {
		free(piece);
		free(process);
		return;
	}
	*process = *who;
	piece->process = process;
	piece->inode = inode;
	hand_in(survey, piece);
}

static uint64_t namespace_of(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void look_at_process(struct survey *survey, pid_t pid)
{
	struct process process = {.pid = 0};
	const struct dirent *entry;
	char path[32], link[64];
	struct stat st;
	uint64_t inode;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	if (!fds)
		return;
	/* What is in it is root's if the process has changed its user (proc(5)). */
	if (fstatat(dirfd(fds), "..", &st, 0) < 0)
		st.st_uid = (uid_t)-1;
	while ((entry = readdir(fds))) {
		ssize_t n = entry->d_name[0] == '.'
				    ? -1
				    : readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		if (n <= 0)
			continue;
		link[n] = '\0';
		if (!is_wanted(survey, link, &inode))
			continue;
		if (!process.pid)
			process_read(&process, pid, st.st_uid);
		hand_in_holder(survey, inode, &process);
	}
	closedir(fds);
}

static bool is_spared(const struct survey *survey, pid_t pid)
{
	for (unsigned int i = 0; i < survey->spare_count; i++)
		if (survey->spare[i] == pid)
			return true;
	return false;
}

/* Lower numbers first: mostly those who began it, before those that they forked. */
static void look_at_processes(struct survey *survey)
{
	const struct dirent *entry;
	DIR *proc = opendir("/proc");

	qsort(survey->inodes, survey->inode_count, sizeof(survey->inodes[0]), compare_inodes);
	survey->found = 0;
	survey->is_found = calloc(survey->inode_count, sizeof(survey->is_found[0]));
	while (proc && survey->is_found && survey->found < survey->inode_count &&
	       (entry = readdir(proc))) {
		int pid = atoi(entry->d_name);

		if (pid > 0 && pid != getpid() && !is_spared(survey, (pid_t)pid))
			look_at_process(survey, (pid_t)pid);
		if (is_to_quit(survey))
			break;
	}
	free(survey->is_found);
	if (proc)
		closedir(proc);
}

/* Each once. */
static void look_at_namespaces(struct survey *survey)
{
	uint64_t seen[NAMESPACES_MAX];
	unsigned int count = 0, i;
	const struct dirent *entry;
	DIR *proc = opendir("/proc");

	seen[count++] = namespace_of(getpid());
	while (proc && count < NAMESPACES_MAX && (entry = readdir(proc))) {
		struct process process = {.pid = atoi(entry->d_name)};
		uint64_t inode = process.pid > 0 ? namespace_of(process.pid) : 0;

		for (i = 0; i < count && seen[i] != inode; i++)
			;
		if (!inode || i < count)
			continue;
		seen[count++] = inode;
		hand_in_holder(survey, inode, &process);
	}
	if (proc)
		closedir(proc);
}

static uint64_t thread_cpu_us(void)
{
	struct timespec ts = {.tv_sec = 0};

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void do_job(struct survey *survey, enum job job)
{
	uint64_t began = thread_cpu_us();
	int error = 0;

	if (job == JOB_DUMP) {
		error = kernel_dump(survey->kernel, survey->what, take_socket, survey);
		hand_in_sockets(survey);
	} else if (job == JOB_NAMESPACES) {
		look_at_namespaces(survey);
	} else {
		look_at_processes(survey);
		free(survey->inodes);
		survey->inodes = NULL;
		free(survey->spare);
		survey->spare = NULL;
	}
	pthread_mutex_lock(&survey->lock);
	if (survey->job != JOB_QUIT)
		survey->job = JOB_NONE;
	survey->done = true;
	survey->error = error;
	survey->cpu_us = thread_cpu_us() - began;
	pthread_mutex_unlock(&survey->lock);
	wake_loop(survey);
}

static void *run(void *arg)
{
	struct survey *survey = arg;
	enum job job;

	prctl(PR_SET_NAME, "survey");
	for (;;) {
		pthread_mutex_lock(&survey->lock);
		while (survey->job == JOB_NONE)
			pthread_cond_wait(&survey->changed, &survey->lock);
		job = survey->job;
		pthread_mutex_unlock(&survey->lock);
		if (job == JOB_QUIT)
			return NULL;
		do_job(survey, job);
	}
}

/* --- in the loop ------------------------------------------------------------------------------ */

static struct piece *next_piece(struct survey *survey)
{
	struct piece *piece;

	pthread_mutex_lock(&survey->lock);
	piece = survey->first;
	if (piece) {
		survey->first = piece->next;
		if (!survey->first)
			survey->last = NULL;
		survey->pieces--;
		pthread_cond_signal(&survey->changed);
	}
	pthread_mutex_unlock(&survey->lock);
	return piece;
}

static void piece_free(struct piece *piece)
{
	free(piece->process);
	free(piece);
}

/* true: nothing is left to be taken, and the job is done. */
static bool take_done(struct survey *survey, int *error, uint64_t *cpu_us)
{
	bool done, more;

	pthread_mutex_lock(&survey->lock);
	more = survey->first != NULL;
	done = survey->done && !more;
	if (done)
		survey->done = false;
	*error = survey->error;
	*cpu_us = survey->cpu_us;
	pthread_mutex_unlock(&survey->lock);
	if (more)
		wake_loop(survey); /* others have their turn before the rest */
	return done;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct survey *survey = arg;
	uint64_t count, cpu_us;
	struct piece *piece;
	int error;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	for (int i = 0; i < PIECES_AT_ONCE && (piece = next_piece(survey)); i++) {
		if (piece->process && survey->namespaces)
			survey->calls.namespace(survey->arg, piece->inode, piece->process->pid);
		else if (piece->process)
			survey->calls.holder(survey->arg, piece->inode, piece->process);
		else
			survey->calls.sockets(survey->arg, piece->sockets, piece->count);
		piece_free(piece);
	}
	if (!take_done(survey, &error, &cpu_us))
		return;
	survey->busy = false;
	survey->calls.done(survey->arg, error, cpu_us);
}

bool survey_is_busy(const struct survey *survey)
{
	return survey->busy;
}

void survey_interrupt(struct survey *survey)
{
	if (survey->busy)
		pthread_kill(survey->thread, INTERRUPT);
}

static void begin(struct survey *survey, enum job job)
{
	survey->busy = true;
	survey->namespaces = job == JOB_NAMESPACES;
	pthread_mutex_lock(&survey->lock);
	survey->job = job;
	pthread_cond_signal(&survey->changed);
	pthread_mutex_unlock(&survey->lock);
}

void survey_dump(struct survey *survey, struct kernel *kernel, unsigned int what)
{
	survey->kernel = kernel;
	survey->what = what;
	begin(survey, JOB_DUMP);
}

void survey_namespaces(struct survey *survey)
{
	begin(survey, JOB_NAMESPACES);
}

void survey_holders(struct survey *survey, uint64_t *inodes, unsigned int count, pid_t *spare,
		    unsigned int spare_count)
{
	survey->inodes = inodes;
	survey->inode_count = count;
	survey->spare = spare;
	survey->spare_count = spare_count;
	begin(survey, JOB_HOLDERS);
}

/* That it came is enough. */
static void on_interrupt(int number)
{
	(void)number;
}

/* The other signals are the loop's. */
static int start_thread(struct survey *survey)
{
	static const struct sigaction action = {.sa_handler = on_interrupt};
	sigset_t all, old;
	int error;

	sigaction(INTERRUPT, &action, NULL);
	sigfillset(&all);
	sigdelset(&all, INTERRUPT);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&survey->thread, NULL, run, survey);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

struct survey *survey_new(struct event_base *base, const struct survey_calls *calls, void *arg)
{
	struct survey *survey = calloc(1, sizeof(*survey));

	if (!survey)
		return NULL;
	survey->calls = *calls;
	survey->arg = arg;
	pthread_mutex_init(&survey->lock, NULL);
	pthread_cond_init(&survey->changed, NULL);
	survey->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (survey->fd < 0)
		goto fail;
	event_assign(&survey->wake, base, survey->fd, EV_READ | EV_PERSIST, on_wake, survey);
	if (event_add(&survey->wake, NULL) < 0)
		goto fail;
	errno = start_thread(survey);
	if (!errno)
		return survey;
	event_del(&survey->wake);
fail:
	if (survey->fd >= 0)
		close(survey->fd);
	free(survey);
	return NULL;
}

void survey_free(struct survey *survey)
{
	struct piece *piece;

	if (!survey)
		return;
	pthread_mutex_lock(&survey->lock);
	survey->job = JOB_QUIT;
	pthread_cond_signal(&survey->changed);
	pthread_mutex_unlock(&survey->lock);
	pthread_join(survey->thread, NULL);
	while ((piece = next_piece(survey)))
		piece_free(piece);
	event_del(&survey->wake);
	close(survey->fd);
	pthread_mutex_destroy(&survey->lock);
	pthread_cond_destroy(&survey->changed);
	free(survey->inodes);
	free(survey->spare);
	free(survey);
}
