/* SPDX-License-Identifier: MIT */
#include "shim/process.h"

#include "common/wire.h"
#include "shim/channel.h"
#include "shim/clock.h"
#include "shim/forks.h"
#include "shim/holders.h"
#include "shim/raw.h"
#include "shim/rules.h"
#include "shim/share.h"
#include "shim/slots.h"
#include "shim/turn.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { OFF, STARTING, ON, INERT };

enum { NOFILE_LEAST = 64 }; /* fewer descriptors than that: we take none of them */

static _Atomic int state;
static _Atomic int starter, starter_pid; /* the thread, while STARTING */

/* One page that a fork wipes and a vfork does not (MADV_WIPEONFORK, Linux 4.14). */
struct wiped {
	_Atomic int pid; /* 0: a new child; -1: it is starting anew */
};
static struct wiped *wiped;

/* Children in our memory now; one that was made by clone() without CLONE_VFORK counts for good. */
static _Atomic int vforks;
static _Atomic int vfork_pid; /* ours, from the first of them on, until the shim is on */
/* Set by a vfork child that has a filter: even to ask who we are could be its end. Its thread's
 * storage is its parent's, who waits. */
static __thread __attribute__((tls_model("initial-exec"))) bool sealed;

static bool settings_read;
static char socket_path[WIRE_PATH_MAX];
static char options[WIRE_OPTIONS_MAX];
enum { ANY_FILTERS = -1 };
static int filters_allowed; /* so many seccomp filters are known to let us work */

static struct {
	char exe[256], comm[32], unit[128], cgroup[256];
	struct policy_process facts;
} self;

/* filters=N, or filters=any, among the options. */
static void read_filters(void)
{
	const char *at = options;

	while (strncmp(at, "filters=", 8) != 0) {
		at = strchr(at, ',');
		if (!at++)
			return;
	}
	at += 8;
	if (!strncmp(at, "any", 3))
		filters_allowed = ANY_FILTERS;
	for (; *at >= '0' && *at <= '9' && filters_allowed < 1000; at++)
		filters_allowed = filters_allowed * 10 + *at - '0';
}

/* Is this the library that the program's calls reach first? It is not if it was opened as a plugin,
 * or if another copy comes before it: two would steer each close twice. */
__attribute__((visibility("default"))) const char libcloseside_first = 1;

static bool is_first(void)
{
	return dlsym(RTLD_DEFAULT, "libcloseside_first") == (const void *)&libcloseside_first;
}

/* Not glibc's programs have other structures; there we only pass calls on. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

void process_settings(void)
{
	const char *text, *query;

	if (settings_read)
		return;
	settings_read = true;
	text = getenv("CLOSESIDE_DISABLE");
	if ((text && !strcmp(text, "1")) || getauxval(AT_SECURE) || !gnu_get_libc_version ||
	    !is_first() || !wire_split_socket(getenv("CLOSESIDE_SOCKET"), socket_path, &query) ||
	    strlen(query) >= sizeof(options)) {
		atomic_store(&state, INERT);
		return;
	}
	strcpy(options, query);
	read_filters();
}

static size_t read_file(const char *path, char *buf, size_t size)
{
	long fd = raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC), len;

	buf[0] = '\0';
	if (fd < 0)
		return 0;
	len = raw(SYS_read, fd, buf, size - 1);
	raw(SYS_close, fd);
	if (len < 0)
		len = 0;
	buf[len] = '\0';
	return (size_t)len;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

/* "0::/system.slice/nginx.service" (cgroups(7), version 2): the path, and its last unit. */
static void read_unit(void)
{
	static const char *const kinds[] = {".service", ".scope", ".socket", ".slice"};
	static char text[512];
	char *path, *save;

	read_file("/proc/self/cgroup", text, sizeof(text));
	path = strstr(text, "0::");
	if (!path)
		return;
	path += 3;
	path[strcspn(path, "\n")] = '\0';
	if (strlen(path) >= sizeof(self.cgroup))
		return;
	strcpy(self.cgroup, path);
	for (char *part = strtok_r(path, "/", &save); part; part = strtok_r(NULL, "/", &save))
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (ends_with(part, kinds[i]) && strlen(part) < sizeof(self.unit) &&
			    (i < 3 || !self.unit[0]))
				strcpy(self.unit, part);
}

static bool read_self(void)
{
	long len = raw(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", self.exe, sizeof(self.exe) - 1);

	if (len <= 0)
		return false; /* no /proc */
	self.exe[len] = '\0';
	read_file("/proc/self/comm", self.comm, sizeof(self.comm));
	self.comm[strcspn(self.comm, "\n")] = '\0';
	read_unit();
	self.facts = (struct policy_process){self.exe, self.comm, self.unit, self.cgroup};
	return true;
}

/* --- seccomp --------------------------------------------------------------------------------- */

/* The number behind `name` in /proc/self/status, 0 if there is no such line; -1: it can't be read.
 * In pieces, for its list of groups may be long. The call that opens it is the one by which the
 * loader has just opened libraries, with the same flags: what filter let it run lets this pass. */
static int status_number(const char *name)
{
	char text[512];
	size_t kept = 0, overlap = strlen(name) + 16;
	long fd = raw(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC), len;
	int number = 0;

	if (fd < 0)
		return -1;
	while ((len = raw(SYS_read, fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
		char *at;

		len += (long)kept;
		text[len] = '\0';
		at = strstr(text, name);
		if (at && strchr(at, '\n')) {
			for (at += strlen(name); *at >= '0' && *at <= '9'; at++)
				number = number * 10 + *at - '0';
			break;
		}
		kept = (size_t)len < overlap ? (size_t)len : overlap;
		memmove(text, text + (size_t)len - kept, kept);
	}
	raw(SYS_close, fd);
	return number;
}

/* A filter from before the exec may end the process for a call that only we make. Nobody can ask
 * what it lets pass but by trying; so none is allowed, unless the environment says that somebody
 * has tried. */
static bool is_filtered(void)
{
	int mode;

	if (filters_allowed == ANY_FILTERS)
		return false;
	mode = status_number("\nSeccomp:\t");
	return mode != 0 && (mode < 0 || filters_allowed == 0 ||
			     status_number("\nSeccomp_filters:\t") != filters_allowed);
}

bool process_may_ask(void)
{
	static _Atomic bool asked;
	int now = atomic_load_explicit(&state, memory_order_acquire), saved = errno;

	if (now != OFF)
		return now != INERT;
	if (atomic_load_explicit(&asked, memory_order_relaxed))
		return true;
	process_settings();
	if (atomic_load(&state) == OFF && is_filtered())
		atomic_compare_exchange_strong(&state, &now, INERT);
	atomic_store_explicit(&asked, true, memory_order_relaxed);
	errno = saved;
	return atomic_load(&state) != INERT;
}

/* --- starting -------------------------------------------------------------------------------- */

static bool enough_descriptors(void)
{
	struct rlimit limit;

	return raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit) == 0 &&
	       limit.rlim_cur >= NOFILE_LEAST;
}

static bool wiped_init(void)
{
	long p = raw(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if ((p < 0 && p > -4096) || raw(SYS_madvise, p, 4096, MADV_WIPEONFORK) != 0)
		return false;
	wiped = (struct wiped *)p;
	atomic_store(&wiped->pid, (int)raw(SYS_getpid));
	return true;
}

/* This is a child that runs in its parent's memory. While the shim is off: for a new fork child
 * that does not know its own pid yet, see process_forked(). */
static bool in_vfork_child(void)
{
	int pid;

	if (atomic_load_explicit(&vforks, memory_order_relaxed) == 0)
		return false;
	if (sealed)
		return true;
	pid = atomic_load(&state) == ON ? atomic_load(&wiped->pid) : atomic_load(&vfork_pid);
	return pid > 0 && (int)raw(SYS_getpid) != pid;
}

static bool start(void)
{
	bool ready = enough_descriptors() && read_self() && wiped_init() && holders_init() &&
		     rules_init(options) && slots_init();

	clock_init();
	if (ready)
		rules_daemon_alive(); /* maps the page, before another thread looks for it */
	return ready;
}

bool process_start(void)
{
	int now = atomic_load_explicit(&state, memory_order_acquire), saved = errno, by;
	unsigned long signals;
	bool on;

	/* The child of a fork that came amidst it has nobody to wait for. */
	if (now == STARTING && (!(by = atomic_load(&starter_pid)) || by == raw(SYS_getpid))) {
		turn_await(&state, STARTING, atomic_load(&starter));
		now = atomic_load_explicit(&state, memory_order_acquire);
	}
	if (now != OFF)
		return now == ON && process_enter();
	if (in_vfork_child() || !process_may_ask())
		return false; /* a vfork child's parent may start it */
	now = OFF;
	signals = raw_block_signals();
	if (!atomic_compare_exchange_strong(&state, &now, STARTING)) {
		raw_restore_signals(signals);
		return process_start();
	}
	atomic_store(&starter, turn_self());
	atomic_store(&starter_pid, (int)raw(SYS_getpid));
	on = start();
	atomic_store(&state, on ? ON : INERT);
	turn_done(&state);
	raw_restore_signals(signals);
	errno = saved;
	return on;
}

/* Exactly one thread of the child gets here, since a fork copies one only. */
static void start_anew(void)
{
	if (fork_was_announced()) {
		share_inherited(); /* and its wrapper has reset, or will: see fork_in_child() */
	} else {
		share_uncounted();
		fork_reset();
	}
	channel_forget();
	rules_after_fork();
	atomic_store(&vforks, 0);
	atomic_store(&wiped->pid, (int)raw(SYS_getpid));
}

bool process_enter(void)
{
	int pid;

	if (atomic_load_explicit(&state, memory_order_acquire) != ON)
		return false;
	pid = atomic_load_explicit(&wiped->pid, memory_order_acquire);
	if (pid > 0)
		return atomic_load_explicit(&vforks, memory_order_relaxed) == 0 ||
		       (!sealed && raw(SYS_getpid) == pid);
	if (pid < 0 || !atomic_compare_exchange_strong(&wiped->pid, &pid, -1))
		return false;
	start_anew();
	return true;
}

bool process_is_on(void)
{
	return atomic_load_explicit(&state, memory_order_relaxed) == ON;
}

bool process_is_new(void)
{
	return process_is_on() && atomic_load(&wiped->pid) == 0;
}

void process_inert(void)
{
	if (in_vfork_child()) {
		sealed = true;
		return;
	}
	atomic_store(&state, INERT);
	share_pin_all();
	slots_disable();
}

bool process_is_inert(void)
{
	return atomic_load_explicit(&state, memory_order_relaxed) == INERT;
}

bool process_is_sealed(void)
{
	return process_is_inert() || sealed;
}

bool process_is_passive(void)
{
	return process_is_inert() || in_vfork_child();
}

void process_vfork_begin(void)
{
	if (atomic_load(&state) != ON && atomic_load(&vfork_pid) == 0)
		atomic_store(&vfork_pid, (int)raw(SYS_getpid));
	atomic_fetch_add(&vforks, 1);
}

void process_vfork_end(void)
{
	sealed = false;
	atomic_fetch_sub(&vforks, 1);
}

void process_forked(void)
{
	atomic_store(&vforks, 0);
	atomic_store(&vfork_pid, 0);
}

int process_pid(void)
{
	return atomic_load(&wiped->pid);
}

const char *process_socket(void)
{
	return socket_path;
}

const char *process_options(void)
{
	return options;
}

const struct policy_process *process_facts(void)
{
	return &self.facts;
}
