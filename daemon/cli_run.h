/* SPDX-License-Identifier: MIT */
/* The parts of `closeside run`. */
#ifndef DAEMON_CLI_RUN_H
#define DAEMON_CLI_RUN_H

#include "common/wire.h"
#include "daemon/cli.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* --- cli_options.c: what -o says --- */

/* The text of -o as CLOSESIDE_SOCKET carries it, users as numbers, checked key by key and as a
 * whole. False with what is wrong, and the near key, in error. */
bool run_options(const char *text, char out[WIRE_OPTIONS_MAX], struct policy_rule *rule,
		 char *error, size_t size);

/* --- cli_command.c: what the command is --- */

enum command_kind {
	COMMAND_FINE,
	COMMAND_NOT_FOUND,
	COMMAND_NOT_EXECUTABLE,
	COMMAND_UNREACHABLE, /* it runs, but the shim cannot enter it; or not see what it does */
};

struct command_verdict {
	enum command_kind kind;
	char path[4096];    /* what execvp() would run */
	char why[512];	    /* for people: names the file that it is about */
	const char *remedy; /* what would let the shim in; NULL: nothing */
	bool foreign; /* another word size or processor: the loader would complain of the shim */
	bool asan;    /* needs gcc's address sanitizer, which insists on coming first */
};

/* Who will run it. */
struct command_user {
	uid_t uid, euid;
	gid_t gid;
	bool no_new_privileges; /* the rights of a file do nothing */
};

/* Looks as execvp() does, follows #! lines, reads ELF headers. path is $PATH's value. */
void command_inspect(const char *name, const char *path, struct command_verdict *verdict);
void command_inspect_for(const char *name, const char *path, const struct command_user *user,
			 struct command_verdict *verdict);

/* --- cli_sandbox.c: the seccomp filters that the command will inherit --- */

/* How many there are and let the shim work, 0 if there are none; -1: they don't, or nobody can say.
 */
int run_filters(void);

/* --- cli_private.c: a daemon for this run alone --- */

/* Starts one that ends with its last session once this process is gone; its socket's path goes to
 * socket. config: its file, or NULL for the installed one if there is one. 0, or an exit code with
 * everything said. */
int private_daemon(char socket[WIRE_PATH_MAX], const char *config);

/* Does a daemon take sessions at this socket? 0, or errno. */
int daemon_probe(const char *socket);

/* A program or library of ours: beside this executable (or in its .libs), else installed. */
bool find_own_file(const char *name, const char *installed_dir, char *out, size_t size);

/* --- cli_report.c: staying as the parent --- */

/* Runs argv as a child, forwards signals, and says how the closes of `tag` went. Returns its exit
 * status, 128 + n for a signal. */
int run_with_report(const struct cli *cli, const char *tag, char **argv);

/* What is to be done while the command runs: act() when one of the descriptors is readable; -1 is
 * none. */
struct run_meanwhile {
	int fds[2];
	void (*act)(void *arg);
	void *arg;
};

/* Runs argv in place of this process; returns only on failure, an exit code. */
int run_exec(char **argv);

#endif
