/* SPDX-License-Identifier: MIT */
/* forks MAKE: a child made in this way; who closes first, who uses the connection after the other
 * has closed it, and what the parent is worth afterwards. The connection lives for as long as one
 * of them has it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/raw.h"
#include "tests/shim/pair.h"

enum { STACK = 256 * 1024 };
static char stack[STACK] __attribute__((aligned(16)));

typedef void (*child_fn)(struct pair *p);

struct job {
	child_fn fn;
	struct pair *p;
};

/* The parent goes on once the child has done its part, and the other way round. */
static int to_child[2], to_parent[2];

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		die("write to the pipe");
}

static void wait_for(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		die("read from the pipe");
}

static int run_job(void *arg)
{
	struct job *job = arg;

	job->fn(job->p);
	fflush(stdout);
	return 0;
}

static pid_t by_clone(struct job *job, int flags)
{
	return clone(run_job, stack + STACK, flags, job);
}

static pid_t by_number(long number)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	if (number == SYS_clone)
		return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (number == SYS_clone3)
		return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
#ifdef SYS_fork
	return (pid_t)syscall(SYS_fork);
#else
	return fork();
#endif
}

static pid_t make(const char *how, struct job *job)
{
	pid_t pid;
	int master;

	fflush(stdout);
	if (strcmp(how, "clone") == 0)
		return by_clone(job, SIGCHLD);
	if (strcmp(how, "clone-vm") == 0)
		return by_clone(job, CLONE_VM | SIGCHLD);
	if (strcmp(how, "fork") == 0)
		pid = fork();
	else if (strcmp(how, "_Fork") == 0)
		pid = _Fork();
	else if (strcmp(how, "forkpty") == 0) {
		int out = dup(1);

		pid = forkpty(&master, NULL, NULL, NULL);
		if (pid == 0)
			dup2(out, 1);
		close(out);
	} else if (strcmp(how, "fork-by-number") == 0)
		pid = by_number(0);
	else if (strcmp(how, "clone-by-number") == 0)
		pid = by_number(SYS_clone);
	else if (strcmp(how, "clone3-by-number") == 0)
		pid = by_number(SYS_clone3);
	else if (strcmp(how, "raw-clone") == 0)
		pid = (pid_t)raw(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	else
		_exit(2);
	if (pid == 0) {
		run_job(job);
		_exit(0);
	}
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	printf("the child ended with %x\n", (unsigned int)status);
}

static void run(const char *name, const char *how, child_fn fn, struct pair *p, pid_t *pid)
{
	static struct job job; /* a child in our memory reads it later */

	printf("- %s\n", name);
	job = (struct job){fn, p};
	*pid = make(how, &job);
	if (*pid < 0)
		die("the fork");
}

/* --- what children do ------------------------------------------------------------------------- */

static void close_and_go(struct pair *p)
{
	saw("child: close", close(p->server));
	close(p->client);
}

static void just_go(struct pair *p)
{
	(void)p;
}

/* After the parent has closed it. */
static void serve_to_the_end(struct pair *p)
{
	close(p->client);
	wait_for(to_child[0]);
	pair_say_bye(p->server);
	saw("child: close", close(p->server));
	tell(to_parent[1]);
}

/* Its child serves, after everybody else has closed it. */
static void have_a_child(struct pair *p)
{
	pid_t pid;

	close(p->client);
	pid = fork();
	if (pid == 0) {
		serve_to_the_end(p);
		fflush(stdout);
		_exit(0);
	}
	saw("child: close", close(p->server));
	tell(to_parent[1]);
	reap(pid);
}

static void open_its_own(struct pair *p)
{
	close_and_go(p);
	pair_serve();
	pair_serve();
}

/* --- what their parents do -------------------------------------------------------------------- */

static void child_closes_first(const char *how, child_fn fn, const char *name)
{
	struct pair p = pair_open(false);
	pid_t pid;

	run(name, how, fn, &p, &pid);
	reap(pid);
	pair_look(p.client);
	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("client", p.client);
}

static void parent_closes_first(const char *how)
{
	struct pair p = pair_open(false);
	pid_t pid;

	run("the parent closes first", how, serve_to_the_end, &p, &pid);
	saw("close", close(p.server));
	pair_look(p.client);
	tell(to_child[1]);
	wait_for(to_parent[0]);
	reap(pid);
	pair_hear_bye("client", p.client);
}

static void grandchild_closes_last(const char *how)
{
	struct pair p = pair_open(false);
	pid_t pid;

	run("the grandchild closes last", how, have_a_child, &p, &pid);
	wait_for(to_parent[0]);
	saw("close", close(p.server));
	pair_look(p.client);
	tell(to_child[1]);
	wait_for(to_parent[0]);
	reap(pid);
	pair_hear_bye("client", p.client);
}

/* The table of descriptors is one: who closes closes for both. */
static void one_table(void)
{
	struct pair p = pair_open(false);
	struct job job = {close_and_go, &p};
	pid_t pid;

	pair_say_bye(p.server);
	fflush(stdout);
	p.client = dup2(p.client, 60);
	job.p = &(struct pair){p.server, open("/dev/null", O_RDONLY)};
	pid = by_clone(&job, CLONE_FILES | SIGCHLD);
	reap(pid);
	printf("still open: %d\n", is_open(p.server));
	pair_hear_bye("client", p.client);
	pair_serve();
}

int main(int argc, char **argv)
{
	const char *how = argc == 2 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (pipe(to_child) != 0 || pipe(to_parent) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(how, "one-table") == 0) {
		one_table();
		return 0;
	}
	child_closes_first(how, close_and_go, "the child closes first");
	child_closes_first(how, just_go, "the child ends with it");
	child_closes_first(how, open_its_own, "the child opens its own");
	parent_closes_first(how);
	grandchild_closes_last(how);
	pair_serve();
	return 0;
}
