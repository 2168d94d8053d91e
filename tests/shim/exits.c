/* SPDX-License-Identifier: MIT */
/* exits HOW: a process ends in this way with a connection open, and what it had to say arrives. The
 * peer is its parent, who made the connection from outside. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/raw.h"
#include "tests/shim/pair.h"

static int server = -1;
static FILE *stream;
static bool at_the_end; /* the destructor says bye */

static void say_bye(void)
{
	pair_say_bye(server);
}

static void say_bye_and_close(void)
{
	pair_say_bye(server);
	if (close(server) != 0)
		raw(SYS_exit_group, 6);
}

__attribute__((destructor)) static void destructor(void)
{
	if (at_the_end)
		say_bye_and_close();
}

static void *end_later(void *arg)
{
	pthread_join(*(pthread_t *)arg, NULL);
	say_bye();
	exit(3);
}

static void *end_from_a_thread(void *arg)
{
	(void)arg;
	exit(3);
}

static void buffered(const char *text)
{
	stream = fdopen(server, "w");
	if (!stream || fputs(text, stream) < 0)
		die("fdopen");
}

static void end_with_stdio(const char *how)
{
	buffered("bye");
	if (strcmp(how, "stdio-exit") == 0)
		exit(3);
	if (strcmp(how, "stdio-quick_exit") == 0)
		quick_exit(3); /* flushes nothing */
	if (strcmp(how, "stdio-_exit") == 0)
		_exit(3);
	if (strcmp(how, "stdio-fclose") == 0)
		_exit(fclose(stream) == 0 ? 3 : 5);
	if (strcmp(how, "stdio-fclose-of-copy") == 0) {
		int copy = dup(server);

		_exit(fclose(stream) == 0 && close(copy) == 0 ? 3 : 5);
	}
	if (strcmp(how, "stdio-freopen") == 0) {
		stream = freopen("/dev/null", "w", stream);
		_exit(stream && fputs("hidden", stream) >= 0 && fclose(stream) == 0 ? 3 : 5);
	}
	if (strcmp(how, "stdio-freopen-fails") == 0)
		_exit(freopen("/nowhere/at/all", "w", stream) || is_open(server) ? 5 : 3);
	if (strcmp(how, "stdio-fcloseall") == 0)
		_exit(fcloseall() == 0 ? 3 : 5);
	if (strcmp(how, "stdio-closed-below") == 0) {
		fflush(stream);
		close(server);
		_exit(fclose(stream) == EOF && errno == EBADF ? 3 : 5);
	}
	if (strcmp(how, "stdio-popen") == 0) {
		FILE *other = popen("cat", "w");

		fflush(stream);
		_exit(pclose(other) == 0 && is_open(server) ? 3 : 5);
	}
	_exit(2);
}

static void end_with_handlers(const char *how)
{
	if (strcmp(how, "atexit-use") == 0)
		atexit(say_bye);
	else if (strcmp(how, "atexit-close") == 0)
		atexit(say_bye_and_close);
	else if (strcmp(how, "at_quick_exit") == 0) {
		at_quick_exit(say_bye_and_close);
		quick_exit(3);
	} else if (strcmp(how, "destructor") == 0)
		at_the_end = true;
	else
		return;
	exit(3);
}

static void end(const char *how)
{
	static pthread_t self;
	pthread_t thread;

	if (strncmp(how, "stdio", 5) == 0)
		end_with_stdio(how);
	end_with_handlers(how);
	if (strcmp(how, "pthread_exit") == 0) {
		self = pthread_self();
		pthread_create(&thread, NULL, end_later, &self);
		pthread_exit(NULL);
	}
	say_bye();
	if (strcmp(how, "exit") == 0)
		exit(3);
	if (strcmp(how, "_exit") == 0)
		_exit(3);
	if (strcmp(how, "_Exit") == 0)
		_Exit(3);
	if (strcmp(how, "quick_exit") == 0)
		quick_exit(3);
	if (strcmp(how, "exit-by-number") == 0)
		syscall(SYS_exit_group, 3);
	if (strcmp(how, "raw-exit") == 0)
		raw(SYS_exit_group, 3);
	if (strcmp(how, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "exit-in-a-thread") == 0) {
		pthread_create(&thread, NULL, end_from_a_thread, NULL);
		for (;;)
			pause();
	}
}

/* True in the child, which has the server's end. */
static bool apart(int *client, pid_t *pid)
{
	int listener = pair_listen();

	fflush(stdout);
	*pid = fork();
	if (*pid == 0) {
		server = accept(listener, NULL, NULL);
		close(listener);
		return true;
	}
	*client = pair_connect(listener);
	close(listener);
	return false;
}

int main(int argc, char **argv)
{
	struct rlimit no_core = {0, 0};
	int client, status;
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_CORE, &no_core);
	if (argc != 2)
		return 2;
	for (int i = 0; i < 2; i++) {
		if (apart(&client, &pid)) {
			end(argv[1]);
			return 3; /* "return" */
		}
		if (waitpid(pid, &status, 0) != pid) /* first: or the peer would close before it */
			die("waitpid");
		printf("it ended with %x\n", (unsigned int)status);
		pair_hear_bye("client", client);
	}
	return 0;
}
