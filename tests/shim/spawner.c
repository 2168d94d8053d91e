/* SPDX-License-Identifier: MIT */
/* spawner HOW COUNT [tcp]: makes so many children in this way, each of which ends at once; with tcp
 * it has a connection. For counting what the shim adds to each. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shim/pair.h"

extern char **environ;

static pid_t make(const char *how)
{
	char *const argv[] = {(char *)"/bin/true", NULL};
	pid_t pid = -1;

	if (strcmp(how, "fork") == 0) {
		pid = fork();
		if (pid == 0)
			_exit(0);
	} else if (strcmp(how, "fork-exec") == 0) {
		pid = fork();
		if (pid == 0)
			execv(argv[0], argv);
	} else if (strcmp(how, "vfork") == 0) {
		pid = vfork();
		if (pid == 0)
			_exit(0);
	} else if (strcmp(how, "vfork-exec") == 0) {
		pid = vfork();
		if (pid == 0)
			execv(argv[0], argv);
	} else if (strcmp(how, "spawn") == 0) {
		if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0)
			pid = -1;
	}
	return pid;
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0;

	if (argc > 3)
		pair_open(true);
	for (int i = 0; i < count; i++) {
		pid_t pid = make(argv[1]);

		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("a child");
	}
	return 0;
}
