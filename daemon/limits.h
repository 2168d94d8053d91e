/* SPDX-License-Identifier: MIT */
/* What the daemon takes upon itself, in one place: README.md has this table, and a check compares
 * them. What `limits {}` of the config sets begins with the number here. A share is of what is
 * allowed in all; root and the daemon's own user have no share, only what is allowed in all. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

/* X(enum, number, words) */
#define LIMITS(X)                                                                               \
	X(LIMIT_SESSIONS, 10000, "sessions in all (`sessions`), two descriptors each")          \
	X(LIMIT_SESSIONS_USER, 5000, "sessions of a user (`sessions-per-user`)")                \
	X(LIMIT_SESSIONS_PART, 2, "sessions of a user: no more than all of them divided by")    \
	X(LIMIT_SESSIONS_NOFILE, 5, "sessions in all: the limit of open files divided by")      \
	X(LIMIT_HELLO_MS, 10000, "a session without a hello, ms")                               \
	X(LIMIT_BAD_MESSAGES, 64, "wrong messages before a session is ended")                   \
	X(LIMIT_MESSAGES_TURN, 128, "messages of a session before others have their turn")      \
	X(LIMIT_RING_RECORDS, 1024, "records of a session on their way, 128 bytes each")        \
	X(LIMIT_CREDITS, 256, "descriptors of a session on their way")                          \
	X(LIMIT_HELD, 50000, "held sockets in all (`custody`), one descriptor each")            \
	X(LIMIT_HELD_PROCESS, 10000, "held sockets of a session (`custody-per-process`)")       \
	X(LIMIT_HELD_PART, 2, "held sockets of a user: no more than all of them divided by")    \
	X(LIMIT_HELD_NOFILE, 2, "held sockets in all: the limit of open files divided by")      \
	X(LIMIT_HOLD_MS, 600000, "a socket is waited for, and then drained, each at most, ms")  \
	X(LIMIT_NAMESPACES, 64, "network namespaces looked into (`namespaces`)")                \
	X(LIMIT_CONNS, 1048576, "connections followed in all")                                  \
	X(LIMIT_CONNS_PROCESS, 262144, "connections followed of a session")                     \
	X(LIMIT_CONNS_PART, 4, "connections followed of a user: all of them divided by")        \
	X(LIMIT_RETIRES, 1048576, "TIME_WAITs to be ended in all")                              \
	X(LIMIT_RETIRES_PART, 4, "TIME_WAITs to be ended of a user: all of them divided by")    \
	X(LIMIT_CLOSING, 1024, "descriptors to be closed before no more are received")          \
	X(LIMIT_CLOSE_MS, 300, "a close() that lingers is interrupted after, ms")               \
	X(LIMIT_HELPERS, 8, "threads that close")                                               \
	X(LIMIT_TAGS, 63, "tags of `run --report` in use in all")                               \
	X(LIMIT_TAGS_USER, 16, "tags of `run --report` in use of a user")                       \
	X(LIMIT_CONTROL, 64, "clients of the control socket")                                   \
	X(LIMIT_CONTROL_USER, 16, "clients of the control socket of a user")                    \
	X(LIMIT_CONTROL_LINE, 65536, "a request to the control socket, bytes")                  \
	X(LIMIT_CONTROL_OUTPUT, 262144, "unread answers before no more are made, bytes")        \
	X(LIMIT_WATCH_OUTPUT, 2097152, "unread transitions before some are lost, bytes")        \
	X(LIMIT_CONTROL_IDLE_S, 300, "a client of the control socket that does not read, s")    \
	X(LIMIT_SCRAPERS, 32, "connections to the metrics' listener; then the oldest is ended") \
	X(LIMIT_SCRAPE_MS, 10000, "a request to it that is not whole is ended after, ms")       \
	X(LIMIT_SCRAPE_IDLE_S, 300, "a connection to it without a request, s")                  \
	X(LIMIT_SCRAPE_BYTES, 8192, "the head of a request to it, bytes")                       \
	X(LIMIT_USERS, 1024, "users remembered for what they did")                              \
	X(LIMIT_FAULT_QUIET_S, 60, "what a user does is logged again after a pause of, s")

enum limit {
#define X(name, number, words) name = (number),
	LIMITS(X)
#undef X
};

#endif
