/* SPDX-License-Identifier: MIT */
/* rounds: connections from before main() until after exit(), from threads with the smallest stack,
 * a child and a signal handler. For other preloads, compilers, loaders and debuggers.
 *
 * Also compiled by the tests themselves: statically, with sanitizers, with another libc. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { STACK = 16384, SIGNAL_STACK = 8192 };

static void one_round(const char *name)
{
	struct pair p = pair_open(false);

	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye(name, p.client);
}

static __attribute__((constructor)) void before_main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	one_round("before main");
}

static __attribute__((destructor)) void after_exit(void)
{
	one_round("in a destructor");
	fflush(stdout);
}

static void at_exit(void)
{
	one_round("at exit");
}

static void *in_thread(void *unused)
{
	struct pair p = pair_open(false);

	pair_say_bye(p.server);
	close(p.server); /* stdio wants more stack than there is */
	close(p.client);
	return unused;
}

static void small_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	saw("thread", -pthread_create(&thread, &attr, in_thread, NULL));
	pthread_join(thread, NULL);
}

static int to_close = -1;

static void handler(int number)
{
	(void)number;
	close(to_close);
}

static void in_handler(void)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
	static char memory[SIGNAL_STACK];
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};
	struct pair p = pair_open(false);

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	pair_say_bye(p.server);
	to_close = p.server;
	raise(SIGUSR1);
	printf("server open: %d\n", is_open(p.server));
	pair_hear_bye("of the handler", p.client);
}

static void in_child(void)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		one_round("in a child");
		_exit(7);
	}
	waitpid(pid, &status, 0);
	saw("child", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

int main(void)
{
	atexit(at_exit);
	for (int i = 0; i < 5; i++)
		one_round("in main");
	small_thread();
	in_handler();
	in_child();
	return 3;
}
