/* SPDX-License-Identifier: MIT */
/* The kernel's settings that matter here: one table, read in the network namespace they are of, by
 * descriptors of its three folders under /proc/sys/net. These are looked up in the namespace that
 * they were opened in, whoever uses them from wherever, and do not keep it alive: once it has gone,
 * ENOENT. */
#ifndef DAEMON_SYSCTL_H
#define DAEMON_SYSCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYSCTL_FOLDER "/proc/sys/net/"
enum sysctl_folder { SYSCTL_IPV4, SYSCTL_CORE, SYSCTL_NETFILTER, SYSCTL_FOLDERS };

/* What closeside itself may do to one, ever. Each may be put back to what it was. */
enum sysctl_lever {
	SYSCTL_READ,   /* nothing: it is read, and named in advice */
	SYSCTL_RISE,   /* raise it */
	SYSCTL_FALL,   /* lower it */
	SYSCTL_WIDEN,  /* a range: only ever wider than it was */
	SYSCTL_SWITCH, /* tcp_tw_reuse: to 1 */
};

/* X(enum, folder, file, numbers, lever, may shrink back by itself once demand has gone, least,
 * most): least and most are what closeside would ever set. The machine's, not a namespace's:
 * tcp_max_orphans, tcp_mem, nf_conntrack_max; they can be written in the first namespace only. */
#define SYSCTLS(X)                                                                                \
	X(TIME_WAITS_MAX, IPV4, "tcp_max_tw_buckets", 1, RISE, false, 1, 4194304)                 \
	X(ORPHANS_MAX, IPV4, "tcp_max_orphans", 1, RISE, true, 1, 4194304)                        \
	X(FIN_TIMEOUT_S, IPV4, "tcp_fin_timeout", 1, FALL, true, 5, 60)                           \
	X(SOMAXCONN, CORE, "somaxconn", 1, RISE, true, 1, 65535)                                  \
	X(SYN_BACKLOG_MAX, IPV4, "tcp_max_syn_backlog", 1, RISE, true, 1, 1048576)                \
	X(PORT_RANGE, IPV4, "ip_local_port_range", 2, WIDEN, false, 1024, 65535)                  \
	X(TIME_WAIT_REUSE, IPV4, "tcp_tw_reuse", 1, SWITCH, false, 1, 1)                          \
	X(TIME_WAIT_REUSE_DELAY_MS, IPV4, "tcp_tw_reuse_delay", 1, READ, false, 0, 0)             \
	X(TIMESTAMPS, IPV4, "tcp_timestamps", 1, READ, false, 0, 0)                               \
	X(SYN_COOKIES, IPV4, "tcp_syncookies", 1, READ, false, 0, 0)                              \
	X(SYN_ACK_RETRIES, IPV4, "tcp_synack_retries", 1, READ, false, 0, 0)                      \
	X(ORPHAN_RETRIES, IPV4, "tcp_orphan_retries", 1, READ, false, 0, 0)                       \
	X(MEMORY_PAGES, IPV4, "tcp_mem", 3, READ, false, 0, 0)                                    \
	X(CONNTRACK_MAX, NETFILTER, "nf_conntrack_max", 1, READ, false, 0, 0)                     \
	X(CONNTRACK_COUNT, NETFILTER, "nf_conntrack_count", 1, READ, false, 0, 0)                 \
	X(CONNTRACK_TIME_WAIT_S, NETFILTER, "nf_conntrack_tcp_timeout_time_wait", 1, READ, false, \
	  0, 0)

enum sysctl {
#define X(name, folder, file, numbers, lever, shrinks, least, most) SYSCTL_##name,
	SYSCTLS(X)
#undef X
		SYSCTL_COUNT
};

enum { SYSCTL_NUMBERS = 3, SYSCTL_TEXT = 64 };

struct sysctl_value {
	uint32_t count; /* of numbers; 0: not known */
	uint32_t pad;
	int64_t number[SYSCTL_NUMBERS];
};

struct sysctl_row {
	const char *name; /* "net.ipv4.tcp_max_tw_buckets" */
	const char *file;
	enum sysctl_folder folder;
	unsigned int numbers;
	enum sysctl_lever lever;
	bool shrinks;
	int64_t least, most;
};

extern const struct sysctl_row sysctls[SYSCTL_COUNT];

/* By its name, with dots or slashes; SYSCTL_COUNT: no such one. */
enum sysctl sysctl_find(const char *name);

/* The folders of the namespace that the calling thread is in. -1 where there is none. */
void sysctl_open_folders(int folders[SYSCTL_FOLDERS]);
void sysctl_close_folders(int folders[SYSCTL_FOLDERS]);

/* false with errno: ENOENT (the kernel has none, or the namespace has gone), EINVAL (it is no row
 * of numbers). */
bool sysctl_read(const int folders[SYSCTL_FOLDERS], enum sysctl key, struct sysctl_value *value);
/* The whole value in one write(2), its result checked: ENOENT, EACCES, EROFS, EINVAL... */
bool sysctl_write(const int folders[SYSCTL_FOLDERS], enum sysctl key,
		  const struct sysctl_value *value);

bool sysctl_same(const struct sysctl_value *a, const struct sysctl_value *b);
/* Would going from one to the other be what the lever is for? */
bool sysctl_may_go(enum sysctl key, const struct sysctl_value *from, const struct sysctl_value *to);
struct sysctl_value sysctl_number(int64_t number);
struct sysctl_value sysctl_range(int64_t lo, int64_t hi);
/* "32768 60999". Returns buf. */
char *sysctl_format(const struct sysctl_value *value, char *buf, size_t size);
/* The reverse, with any blanks between; nothing is modified on failure. */
bool sysctl_parse(const char *text, struct sysctl_value *value);

#endif
