/* SPDX-License-Identifier: MIT */
#include "daemon/probe.h"

#include "daemon/sysctl.h"

#include "common/parse.h"
#include "common/tcp_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TEXT_MAX = 16384,
	FILES = 4,
	DUMP_WAIT_MS = 500,
};

struct probe {
	int file[FILES]; /* kept open: opening them costs as much as reading */
	int folders[SYSCTL_FOLDERS];
	struct mnl_socket *diag;
	uint32_t seq;
	char text[TEXT_MAX];
};

static const struct {
	const char *path;
	enum opened_fd opened;
	void (*parse)(const char *text, uint64_t counters[PROBE_COUNTER_COUNT]);
} files[FILES] = {
	{"/proc/net/netstat", OPENED_NETSTAT, probe_parse_netstat},
	{"/proc/net/snmp", OPENED_SNMP, probe_parse_netstat},
	{"/proc/net/sockstat", OPENED_SOCKSTAT, probe_parse_sockstat},
	{"/proc/net/sockstat6", OPENED_SOCKSTAT6, probe_parse_sockstat},
};
enum { FILE_SOCKSTAT = 2 };

static const struct {
	const char *line, *word;
} counter_names[PROBE_COUNTER_COUNT] = {
#define X(name, line, word) {line, word},
	PROBE_COUNTERS(X)
#undef X
};

/* --- texts ------------------------------------------------------------------------------------ */

/* A piece of a text, up to a blank or the end of its line. */
struct token {
	const char *at;
	size_t len;
};

static struct token next_token(const char **cursor)
{
	struct token token = {*cursor + strspn(*cursor, " "), 0};

	token.len = strcspn(token.at, " \n");
	*cursor = token.at + token.len;
	return token;
}

static bool token_is(struct token token, const char *text)
{
	return strlen(text) == token.len && !strncmp(text, token.at, token.len);
}

static const char *after_line(const char *text)
{
	text += strcspn(text, "\n");
	return *text ? text + 1 : text;
}

static void store(uint64_t counters[PROBE_COUNTER_COUNT], struct token line, struct token word,
		  struct token value)
{
	for (int i = 0; i < PROBE_COUNTER_COUNT; i++)
		if (token_is(word, counter_names[i].word) &&
		    strlen(counter_names[i].line) == line.len - 1 &&
		    !strncmp(line.at, counter_names[i].line, line.len - 1))
			counters[i] = strtoull(value.at, NULL, 10);
}

static bool is_line_name(struct token token)
{
	return token.len > 1 && token.at[token.len - 1] == ':';
}

void probe_parse_netstat(const char *text, uint64_t counters[PROBE_COUNTER_COUNT])
{
	while (*text) {
		const char *words = text, *values = after_line(text);
		struct token line = next_token(&words), again = next_token(&values), word, value;

		text = after_line(after_line(text));
		if (!is_line_name(line) || again.len != line.len ||
		    strncmp(line.at, again.at, line.len))
			continue;
		while ((word = next_token(&words)).len && (value = next_token(&values)).len)
			store(counters, line, word, value);
	}
}

void probe_parse_sockstat(const char *text, uint64_t counters[PROBE_COUNTER_COUNT])
{
	for (; *text; text = after_line(text)) {
		const char *cursor = text;
		struct token line = next_token(&cursor), word, value;

		if (!is_line_name(line))
			continue;
		while ((word = next_token(&cursor)).len && (value = next_token(&cursor)).len)
			store(counters, line, word, value);
	}
}

uint32_t probe_parse_reserved(const char *text, uint16_t lo, uint16_t hi)
{
	struct port_range range;
	uint32_t count = 0;

	while (parse_port_range(&text, &range)) {
		uint16_t from = range.lo > lo ? range.lo : lo, to = range.hi < hi ? range.hi : hi;

		if (from <= to)
			count += (uint32_t)to - from + 1;
		parse_literal(&text, ",");
	}
	return count;
}

void probe_mark_reserved(const char *text, uint8_t ports[PROBE_PORT_BYTES])
{
	struct port_range range;

	while (parse_port_range(&text, &range)) {
		for (uint32_t port = range.lo; port <= range.hi; port++)
			ports[port / 8] |= (uint8_t)(1u << port % 8);
		parse_literal(&text, ",");
	}
}

static uint64_t limit_of(struct token token)
{
	return token_is(token, "unlimited") ? UINT64_MAX : strtoull(token.at, NULL, 10);
}

bool probe_parse_limits(const char *text, struct probe_descriptors *descriptors)
{
	static const char name[] = "Max open files ";
	const char *at = strstr(text, name);

	if (!at)
		return false;
	at += sizeof(name) - 1;
	descriptors->limit = limit_of(next_token(&at));
	descriptors->hard = limit_of(next_token(&at));
	return true;
}

/* --- files ------------------------------------------------------------------------------------ */

/* From its beginning to its end; what is longer than the room for it is cut. */
static bool read_text(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len + 1 < size && (n = pread(fd, text + len, size - 1 - len, (off_t)len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len > 0;
}

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = read_text(fd, text, size);
	close(fd);
	return done;
}

void probe_counters(struct probe *probe, uint64_t counters[PROBE_COUNTER_COUNT])
{
	memset(counters, 0, PROBE_COUNTER_COUNT * sizeof(counters[0]));
	for (int i = 0; i < FILES; i++)
		if (probe->file[i] >= 0 && read_text(probe->file[i], probe->text, TEXT_MAX))
			files[i].parse(probe->text, counters);
}

long probe_time_waits(struct probe *probe)
{
	uint64_t counters[PROBE_COUNTER_COUNT] = {0};
	int fd = probe->file[FILE_SOCKSTAT];

	if (fd < 0 || !read_text(fd, probe->text, TEXT_MAX))
		return -1;
	probe_parse_sockstat(probe->text, counters);
	return (long)counters[PROBE_TIME_WAITS];
}

/* A setting that is no row of numbers. */
static bool read_setting(const struct probe *probe, const char *name, char *text, size_t size)
{
	int fd = openat(probe->folders[SYSCTL_IPV4], name, O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && read_text(fd, text, size);

	if (fd >= 0)
		close(fd);
	return done;
}

struct probe_ports probe_local_ports(const struct probe *probe)
{
	struct probe_ports ports = {.lo = 0};
	struct sysctl_value range;
	char text[TEXT_MAX];

	if (!sysctl_read(probe->folders, SYSCTL_PORT_RANGE, &range) || range.number[0] < 0 ||
	    range.number[0] > range.number[1] || range.number[1] > UINT16_MAX)
		return ports;
	ports.lo = (uint16_t)range.number[0];
	ports.hi = (uint16_t)range.number[1];
	if (read_setting(probe, "ip_local_reserved_ports", text, sizeof(text)))
		ports.reserved = probe_parse_reserved(text, ports.lo, ports.hi);
	return ports;
}

void probe_reserved_ports(const struct probe *probe, uint8_t ports[PROBE_PORT_BYTES])
{
	char text[TEXT_MAX];

	if (read_setting(probe, "ip_local_reserved_ports", text, sizeof(text)))
		probe_mark_reserved(text, ports);
}

/* --- listeners -------------------------------------------------------------------------------- */

static bool is_message(const struct nlmsghdr *header, int left)
{
	return left > 0 && mnl_nlmsg_ok(header, left) && header->nlmsg_len <= (uint32_t)left;
}

static struct endpoint local_of(const struct inet_diag_msg *diag)
{
	struct endpoint ep = {.family = diag->idiag_family, .port = ntohs(diag->id.idiag_sport)};

	if (diag->idiag_family == AF_INET) {
		ep.addr[10] = ep.addr[11] = 0xff;
		memcpy(ep.addr + 12, diag->id.idiag_src, 4);
	} else {
		memcpy(ep.addr, diag->id.idiag_src, 16);
	}
	return ep;
}

static uint32_t drops_of(const struct nlmsghdr *header)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct inet_diag_msg))
	{
		uint32_t meminfo[SK_MEMINFO_VARS];

		if (mnl_attr_get_type(attr) != INET_DIAG_SKMEMINFO ||
		    mnl_attr_get_payload_len(attr) < sizeof(meminfo))
			continue;
		memcpy(meminfo, mnl_attr_get_payload(attr), sizeof(meminfo));
		return meminfo[SK_MEMINFO_DROPS];
	}
	return 0;
}

static void take_listener(const struct nlmsghdr *header,
			  void (*take)(const struct probe_listener *listener, void *arg), void *arg)
{
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(header);
	struct probe_listener listener;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*diag))
		return;
	listener = (struct probe_listener){
		.cookie = diag->id.idiag_cookie[0] | (uint64_t)diag->id.idiag_cookie[1] << 32,
		.inode = diag->idiag_inode,
		.local = local_of(diag),
		.queue = diag->idiag_rqueue,
		.backlog = diag->idiag_wqueue,
		.drops = drops_of(header),
		.uid = diag->idiag_uid,
	};
	take(&listener, arg);
}

static bool ask_for_listeners(struct probe *probe, uint8_t family)
{
	char buf[NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct inet_diag_req_v2))]
		__attribute__((aligned(8))) = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *request;

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = ++probe->seq;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1);
	request->idiag_states = 1u << STATE_LISTEN; /* spares the walk over all others */
	return mnl_socket_sendto(probe->diag, buf, header->nlmsg_len) >= 0;
}

/* 1: there is more to come; 0: that was all; -1: it broke off. */
static int take_listeners(struct probe *probe,
			  void (*take)(const struct probe_listener *listener, void *arg), void *arg)
{
	static char buf[32768];
	const struct nlmsghdr *header = (const struct nlmsghdr *)buf;
	ssize_t n = recv(mnl_socket_get_fd(probe->diag), buf, sizeof(buf), 0);
	int left = (int)n;

	if (n < 0)
		return errno == EINTR ? 1 : -1;
	for (; is_message(header, left); header = mnl_nlmsg_next(header, &left)) {
		if (header->nlmsg_seq != probe->seq)
			continue;
		if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			return header->nlmsg_type == NLMSG_DONE ? 0 : -1;
		take_listener(header, take, arg);
	}
	return 1;
}

bool probe_listeners(struct probe *probe,
		     void (*take)(const struct probe_listener *listener, void *arg), void *arg)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < 2; i++) {
		int more = ask_for_listeners(probe, families[i]) ? 1 : -1;

		while (more == 1)
			more = take_listeners(probe, take, arg);
		if (more < 0)
			return false;
	}
	return true;
}

/* --- descriptors ------------------------------------------------------------------------------ */

/* Before Linux 6.2 the directory does not know its size. */
static uint32_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	uint32_t count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

bool probe_descriptors(pid_t pid, struct probe_descriptors *descriptors)
{
	char path[32], text[2048];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if (stat(path, &st) < 0)
		return false;
	descriptors->used = st.st_size > 0 ? (uint32_t)st.st_size : count_entries(path);
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	return read_file(path, text, sizeof(text)) && probe_parse_limits(text, descriptors);
}

/* --- life ------------------------------------------------------------------------------------- */

static void take_opened(struct probe *probe, const int fds[OPENED_FDS])
{
	for (int i = 0; i < FILES; i++)
		probe->file[i] = fds[files[i].opened];
	for (int i = 0; i < SYSCTL_FOLDERS; i++)
		probe->folders[i] = fds[OPENED_IPV4 + i];
	probe->diag = mnl_socket_fdopen(fds[OPENED_LISTENERS]);
}

static void open_own(struct probe *probe)
{
	for (int i = 0; i < FILES; i++)
		probe->file[i] = open(files[i].path, O_RDONLY | O_CLOEXEC);
	sysctl_open_folders(probe->folders);
	probe->diag = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
}

struct probe *probe_new(const int fds[OPENED_FDS])
{
	struct timeval patience = {.tv_usec = DUMP_WAIT_MS * 1000};
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe) {
		for (int i = OPENED_LISTENERS; fds && i < OPENED_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		return NULL;
	}
	if (fds)
		take_opened(probe, fds);
	else
		open_own(probe);
	if (!probe->diag || mnl_socket_bind(probe->diag, 0, MNL_SOCKET_AUTOPID) < 0) {
		probe_free(probe);
		return NULL;
	}
	setsockopt(mnl_socket_get_fd(probe->diag), SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	return probe;
}

const int *probe_folders(const struct probe *probe)
{
	return probe->folders;
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	for (int i = 0; i < FILES; i++)
		if (probe->file[i] >= 0)
			close(probe->file[i]);
	sysctl_close_folders(probe->folders);
	if (probe->diag)
		mnl_socket_close(probe->diag);
	free(probe);
}
