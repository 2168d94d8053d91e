/* SPDX-License-Identifier: MIT */
/* What the kernel counts and allows: of a network namespace its counters, ports and listeners;
 * of a process its descriptors. Nothing here walks the connections, so it takes a fraction of a
 * millisecond however many there are. */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include "daemon/opener.h"

#include "common/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* X(enum, line, name): of netstat and snmp, which only grow, and of sockstat and sockstat6, which
 * say how many there are now. */
#define PROBE_COUNTERS(X)                                                 \
	X(LISTEN_OVERFLOWS, "TcpExt", "ListenOverflows")                  \
	X(LISTEN_DROPS, "TcpExt", "ListenDrops")                          \
	X(TIME_WAIT_OVERFLOWS, "TcpExt", "TCPTimeWaitOverflow")           \
	X(TIME_WAITS_ENTERED, "TcpExt", "TW")                             \
	X(TIME_WAITS_SHORT, "TcpExt", "TWKilled")                         \
	X(TIME_WAITS_REUSED, "TcpExt", "TWRecycled")                      \
	X(REQUEST_QUEUE_DROPS, "TcpExt", "TCPReqQFullDrop")               \
	X(REQUEST_QUEUE_COOKIES, "TcpExt", "TCPReqQFullDoCookies")        \
	X(UNREAD_CLOSES, "TcpExt", "TCPAbortOnClose")                     \
	X(TIMEOUT_ABORTS, "TcpExt", "TCPAbortOnTimeout")                  \
	X(LINGER_ABORTS, "TcpExt", "TCPAbortOnLinger")                    \
	X(MEMORY_ABORTS, "TcpExt", "TCPAbortOnMemory")                    \
	X(MEMORY_PRESSURES, "TcpExt", "TCPMemoryPressures")               \
	X(ACTIVE_OPENS, "Tcp", "ActiveOpens")                             \
	X(PASSIVE_OPENS, "Tcp", "PassiveOpens")                           \
	X(FAILED_ATTEMPTS, "Tcp", "AttemptFails")                         \
	X(SEGMENTS_SENT, "Tcp", "OutSegs")                                \
	X(SEGMENTS_RETRANSMITTED, "Tcp", "RetransSegs")                   \
	X(RESETS_SENT, "Tcp", "OutRsts")                                  \
	X(SOCKETS_IN_USE, "TCP", "inuse") /* of IPv4 */                   \
	X(ORPHANS, "TCP", "orphan")	  /* of all network namespaces */ \
	X(TIME_WAITS, "TCP", "tw")                                        \
	X(MEMORY_PAGES, "TCP", "mem") /* of all network namespaces */     \
	X(SOCKETS6_IN_USE, "TCP6", "inuse")

enum probe_counter {
#define X(name, line, word) PROBE_##name,
	PROBE_COUNTERS(X)
#undef X
		PROBE_COUNTER_COUNT
};

struct probe_ports {
	uint16_t lo, hi;   /* net.ipv4.ip_local_port_range; 0, 0: not known */
	uint32_t reserved; /* of ip_local_reserved_ports, those within it */
};

enum { PROBE_PORT_BYTES = 65536 / 8 };

struct probe_listener {
	uint64_t cookie, inode;
	struct endpoint local;
	uint32_t queue, backlog; /* waiting for accept(), and at most */
	uint32_t drops;		 /* SYNs and handshakes, since it listens */
	uid_t uid;
};

struct probe_descriptors {
	uint32_t used;
	uint64_t limit, hard; /* UINT64_MAX: none */
};

struct probe;

/* fds: what the guardian has opened in a network namespace: those from OPENED_LISTENERS on become
 * the probe's, also if it fails. NULL: the namespace of the caller. NULL with errno. */
struct probe *probe_new(const int fds[OPENED_FDS]);
void probe_free(struct probe *probe);
/* Folders of sysctl.h: as long as the probe. */
const int *probe_folders(const struct probe *probe);

/* What cannot be read is 0. */
void probe_counters(struct probe *probe, uint64_t counters[PROBE_COUNTER_COUNT]);
/* How many minisockets of both families there are, in TIME_WAIT or FIN_WAIT2 (sockstat); -1: not
 * known. */
long probe_time_waits(struct probe *probe);
struct probe_ports probe_local_ports(const struct probe *probe);
/* Adds the bits of reserved ports. */
void probe_reserved_ports(const struct probe *probe, uint8_t ports[PROBE_PORT_BYTES]);
/* false: it did not go well to the end. */
bool probe_listeners(struct probe *probe,
		     void (*take)(const struct probe_listener *listener, void *arg), void *arg);

/* False where it has gone, or may not be seen. */
bool probe_descriptors(pid_t pid, struct probe_descriptors *descriptors);

/* Texts as /proc has them. "Name: a b\nName: 1 2\n", */
void probe_parse_netstat(const char *text, uint64_t counters[PROBE_COUNTER_COUNT]);
/* "TCP: inuse 1 orphan 2\n", */
void probe_parse_sockstat(const char *text, uint64_t counters[PROBE_COUNTER_COUNT]);
/* "1-5,8", and how many of them are within; or a bit for each; */
uint32_t probe_parse_reserved(const char *text, uint16_t lo, uint16_t hi);
void probe_mark_reserved(const char *text, uint8_t ports[PROBE_PORT_BYTES]);
/* "Max open files  1024  4096  files\n". */
bool probe_parse_limits(const char *text, struct probe_descriptors *descriptors);

#endif
