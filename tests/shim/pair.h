/* SPDX-License-Identifier: MIT */
/* What the case programs share: connections over loopback whose two ends are both in this process.
 *
 * A case does one thing that makes interposers fail, and prints what it saw: the same lines, and
 * the same exit status, are expected with the shim and without. What varies by itself (pids, ports,
 * times, descriptor numbers above those the case chose) must not be printed.
 *
 * The server's end is the one to be steered: it was accepted on a port of 8000-8999, which the
 * policies of lib.sh match; the client's end never is. The order in pair_say_bye() makes a close
 * the kind that is handed over: the peer knows where the answer ends, and closes next. */
#ifndef TESTS_SHIM_PAIR_H
#define TESTS_SHIM_PAIR_H

#include <stdbool.h>
#include <stddef.h>

struct pair {
	int server; /* the accepted end */
	int client; /* the connecting end */
};

/* One of the ways to run a case: its name on the command line. */
struct pair_way {
	const char *name;
	void (*run)(void);
};

/* Runs the way that argv names so many times, without SIGPIPE and with its output a line at a time.
 * Returns main()'s status: 2 if it names none. */
int pair_run(int argc, char **argv, const struct pair_way *ways, size_t count, int rounds);

/* Prints what failed with errno's name, and ends the case: its exit status is 9. */
_Noreturn void die(const char *what);

/* Prints NAME: and either ok and the result, or the name of errno if it is negative. Returns it. */
long saw(const char *name, long result);

/* A listening socket on 127.0.0.1; the kernel's next free port of 8000-8999. */
int pair_listen(void);

int pair_socket(void);
void pair_connect_to(int fd, int listener);
int pair_begin_connect(int fd, int listener); /* what connect() returns */

/* Connects to the listener; *client is filled in, the rest is for accept(). */
int pair_connect(int listener);

/* A fresh connection; its listener is closed. Both ends are close-on-exec if cloexec is set. */
struct pair pair_open(bool cloexec);

/* The server says bye and is ready to be closed: write() of 3 bytes. */
void pair_say_bye(int server);

/* The client reads what the server said before it closed, and then closes: the peer's FIN. Prints
 * NAME and what was read. It does not wait for EOF, so that a hand-over is not waited out. */
void pair_hear_bye(const char *name, int client);

/* The same, but waits for EOF (or a reset) and prints that too. */
void pair_hear_eof(const char *name, int client);

/* A whole connection: the server says bye and closes, the client hears it. What a policy steers. */
void pair_serve(void);

/* Nothing has come to the client, and no end either: prints what it sees. */
void pair_look(int client);

/* Is this number open? By fcntl(F_GETFD). */
bool is_open(int fd);

/* How many descriptors are open, by /proc/self/fd, without the one that looks. Above `first` only.
 * The shim's own channel is one of them: not for output, but to compare within a run. */
int count_open(int first);

#endif
