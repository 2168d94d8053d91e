/* SPDX-License-Identifier: MIT */
/* spawns HOW: programs started, with and without a connection that they keep, and what a child does
 * between vfork() and exec. spawns report NUMBER...: the program that is started. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include "shim/raw.h"
#include "tests/shim/pair.h"

extern char **environ;
static const char *self;

/* Are they open? Says bye on the first that is. */
static int report(char **numbers)
{
	bool said = false;

	for (; *numbers; numbers++) {
		int fd = atoi(*numbers);

		printf("program: %s is %s\n", *numbers, is_open(fd) ? "open" : "closed");
		if (is_open(fd) && !said)
			pair_say_bye(fd);
		said = said || is_open(fd);
	}
	return 3;
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	printf("it ended with %x\n", (unsigned int)status);
}

/* The two ends at 70 and 80; the server's is kept by what is started, if `keep`. */
static struct pair at_numbers(bool keep)
{
	struct pair p = pair_open(true), q = {70, 80};

	if ((keep ? dup2(p.server, 70) : dup3(p.server, 70, O_CLOEXEC)) != 70 ||
	    dup3(p.client, 80, O_CLOEXEC) != 80)
		die("dup2");
	close(p.server);
	close(p.client);
	return q;
}

static void end(struct pair p)
{
	pair_look(p.client);
	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("client", p.client);
}

/* --- posix_spawn ------------------------------------------------------------------------------ */

static void spawn(const posix_spawn_file_actions_t *actions, bool by_path)
{
	char *const argv[] = {(char *)self, "report", "0", "60", "70", "80", NULL};
	char *const path_argv[] = {"true", NULL};
	pid_t pid;
	int error;

	fflush(stdout);
	if (by_path)
		error = posix_spawnp(&pid, "true", actions, NULL, path_argv, environ);
	else
		error = posix_spawn(&pid, self, actions, NULL, argv, environ);
	if (error)
		printf("posix_spawn: %s\n", strerrorname_np(error));
	else
		reap(pid);
}

static void posix_spawns(bool keep)
{
	posix_spawn_file_actions_t actions;
	struct pair p;

	/* Made before there is a connection of that number. */
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, 0);
	posix_spawn_file_actions_adddup2(&actions, 70, 60);
	p = at_numbers(keep);
	spawn(NULL, false);
	end(p);
	p = at_numbers(keep);
	spawn(&actions, false);
	end(p);
	posix_spawn_file_actions_destroy(&actions);

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 70, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&actions, 71);
	posix_spawn_file_actions_addclose(&actions, 60);
	p = at_numbers(keep);
	spawn(&actions, false);
	spawn(NULL, true);
	end(p);
	posix_spawn_file_actions_addopen(&actions, 71, "/nowhere/at/all", O_RDONLY, 0);
	p = at_numbers(keep);
	spawn(&actions, false);
	end(p);
	posix_spawn_file_actions_destroy(&actions);
}

/* --- shells ----------------------------------------------------------------------------------- */

static void shells(bool keep)
{
	struct pair p = at_numbers(keep);
	wordexp_t words;
	char line[200];
	FILE *pipe;

	snprintf(line, sizeof(line), "exec %s report 70 80", self);
	fflush(stdout);
	printf("system: %x\n", (unsigned int)system(line));
	fflush(stdout);
	pipe = popen(line, "r");
	while (fgets(line, sizeof(line), pipe))
		printf("popen: %s", line);
	printf("pclose: %x\n", (unsigned int)pclose(pipe));
	printf("wordexp: %d\n", wordexp("a $(echo b; echo c) d", &words, 0));
	printf("%zu words, the third is %s\n", words.we_wordc, words.we_wordv[2]);
	wordfree(&words);
	end(p);
}

/* --- vfork ------------------------------------------------------------------------------------ */

static struct sock_filter allow_exec[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* After it, one system call that is not asked for is the end. */
static void sandbox(void)
{
	struct sock_fprog program = {sizeof(allow_exec) / sizeof(allow_exec[0]), allow_exec};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(8);
}

static void in_the_child(const char *how, const struct pair *p)
{
	char *const argv[] = {(char *)self, "report", "0", "60", "70", "80", NULL};

	if (strstr(how, "close")) {
		if (close(p->server) != 0)
			_exit(7);
		closefrom(3);
	}
	if (strstr(how, "dup")) {
		dup2(p->server, 60);
		dup2(1, p->server);
	}
	if (strstr(how, "tcp")) {
		int fd = pair_listen();

		close(pair_connect(fd));
		close(fd);
	}
	if (strstr(how, "filter")) {
		sandbox();
		close(p->server);
		close(p->client);
		close(900);
		_exit(0);
	}
	if (strstr(how, "exec"))
		execv(self, argv);
	if (strstr(how, "nested")) {
		pid_t pid = vfork();

		if (pid == 0)
			execv(self, argv);
		waitpid(pid, NULL, 0);
	}
	_exit(5);
}

static void vforks(const char *how, bool keep)
{
	struct pair p = {-1, -1};
	pid_t pid;

	if (strncmp(how, "vfork-first", 11) != 0)
		p = at_numbers(keep);
	fflush(stdout);
	pid = vfork();
	if (pid == 0)
		in_the_child(how, &p);
	if (pid < 0)
		die("vfork");
	reap(pid);
	if (p.server >= 0)
		end(p);
}

/* The child's own calls would overwrite the frame that syscall() returns through. */
static void vfork_by_number(void)
{
#ifdef SYS_vfork
	struct pair p = at_numbers(true);
	long pid = syscall(SYS_vfork);

	if (pid == 0) {
		raw(SYS_close, 70);
		raw(SYS_exit_group, 5);
	}
	reap((pid_t)pid);
	end(p);
#else
	vforks("vfork-exit", true);
#endif
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 2 && strcmp(argv[1], "report") == 0)
		return report(argv + 2);
	signal(SIGPIPE, SIG_IGN);
	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int keep = 0; keep < 2; keep++) {
		printf("- kept: %d\n", keep);
		if (strcmp(argv[1], "posix-spawn") == 0)
			posix_spawns(keep);
		else if (strcmp(argv[1], "shells") == 0)
			shells(keep);
		else if (strcmp(argv[1], "vfork-by-number") == 0)
			vfork_by_number();
		else
			vforks(argv[1], keep);
		pair_serve();
	}
	return 0;
}
