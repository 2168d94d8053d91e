/* SPDX-License-Identifier: MIT */
/* seccomp HOW [GROUP ACTION]: filters that end a process, or fail a call, for what a shim might do.
 *
 *   prctl, syscall   connections opened before and after a filter is installed
 *   strict           SECCOMP_MODE_STRICT
 *   question         asks for what there is, and installs nothing
 *   thread           one thread installs a filter, for itself; the others go on
 *   fork, vfork      a child installs it; the parent goes on
 *   exec             a filter, then the command behind ACTION, or this program again: "rounds"
 *   rounds           five connections */
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shim/filter.h"
#include "tests/shim/pair.h"

static const char *self, *group = "late", *action = "kill";

static void one_round(void)
{
	struct pair p = pair_open(false);

	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("client", p.client);
}

static void rounds(int count)
{
	for (int i = 0; i < count; i++)
		one_round();
}

static void install(enum filter_how how)
{
	if (!filter_install(group, filter_action(action), how))
		die("filter");
}

static void filtered(enum filter_how how)
{
	struct pair before = pair_open(false);

	one_round();
	pair_say_bye(before.server);
	install(how);
	saw("close of what was open", close(before.server));
	pair_hear_bye("client of before", before.client);
	rounds(2);
}

static void strict(void)
{
	struct pair p = pair_open(false);
	char buf[3];

	one_round();
	pair_say_bye(p.server);
	fflush(stdout);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		die("strict");
	if (read(p.client, buf, 3) == 3 && write(1, buf, 3) == 3 && write(1, "\n", 1) == 1)
		syscall(SYS_exit, 0);
	syscall(SYS_exit, 1);
}

static void question(void)
{
	saw("PR_GET_SECCOMP", prctl(PR_GET_SECCOMP));
	saw("a filter that is none", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL));
	saw("seccomp()", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
	rounds(2);
}

static sem_t done;

static void *filtered_thread(void *unused)
{
	(void)unused;
	install(BY_SYSCALL);
	rounds(2);
	sem_post(&done);
	pause(); /* the end of a thread calls what the filter refuses */
	return NULL;
}

static void thread(void)
{
	pthread_t t;

	one_round();
	pthread_create(&t, NULL, filtered_thread, NULL);
	sem_wait(&done);
	rounds(2);
}

static void say_status(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	printf("child: %s %d\n", WIFSIGNALED(status) ? "signal" : "exit",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void forked(void)
{
	struct pair p = pair_open(false);
	pid_t pid = fork();

	if (pid == 0) {
		install(BY_PRCTL);
		close(p.client);
		close(p.server);
		rounds(2);
		exit(0);
	}
	say_status(pid);
	pair_say_bye(p.server);
	close(p.server);
	pair_hear_bye("client", p.client);
	rounds(2);
}

static void vforked(void)
{
	struct pair p = pair_open(true);
	pid_t pid = vfork();

	if (pid == 0) {
		if (!filter_install("early", filter_action(action), BY_PRCTL))
			_exit(3);
		close(p.server);
		execl(self, self, "rounds", (char *)NULL);
		_exit(4);
	}
	say_status(pid);
	pair_say_bye(p.server);
	close(p.server);
	pair_hear_bye("client", p.client);
	rounds(2);
}

static void filtered_exec(char **command)
{
	install(BY_PRCTL);
	if (*command)
		execvp(*command, command);
	execl(self, self, "rounds", (char *)NULL);
	die("exec");
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	self = argv[0];
	if (argc >= 4) {
		group = argv[2];
		action = argv[3];
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(how, "prctl") || !strcmp(how, "syscall"))
		filtered(how[0] == 'p' ? BY_PRCTL : BY_SYSCALL);
	else if (!strcmp(how, "strict"))
		strict();
	else if (!strcmp(how, "question"))
		question();
	else if (!strcmp(how, "thread"))
		thread();
	else if (!strcmp(how, "fork"))
		forked();
	else if (!strcmp(how, "vfork"))
		vforked();
	else if (!strcmp(how, "exec"))
		filtered_exec(argv + (argc < 4 ? argc : 4));
	else if (!strcmp(how, "rounds"))
		rounds(5);
	else
		return 2;
	return 0;
}
