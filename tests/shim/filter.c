/* SPDX-License-Identifier: MIT */
#include "tests/shim/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ALWAYS = -1 };

/* Refused: this number, and if `arg` is not ALWAYS only with (args[arg] & mask) == value. */
struct refusal {
	int number, arg;
	uint32_t mask, value;
};

#define ALL(name)                        \
	{                                \
		SYS_##name, ALWAYS, 0, 0 \
	}
#define COMMON                                                                               \
	ALL(getsockopt), ALL(sendmsg), ALL(recvmsg), ALL(epoll_ctl), ALL(fcntl), ALL(ioctl), \
		ALL(getpeername), ALL(madvise), ALL(memfd_create), ALL(shutdown), ALL(dup3), \
		ALL(sched_yield), ALL(geteuid), {SYS_socket, 0, ~0U, AF_UNIX},               \
		{SYS_mmap, 3, MAP_SHARED, MAP_SHARED},                                       \
	{                                                                                    \
		SYS_openat, 2, O_NOFOLLOW, O_NOFOLLOW                                        \
	}

static const struct refusal late[] = {COMMON,	      ALL(openat),     ALL(getpid),
				      ALL(prlimit64), ALL(readlinkat), ALL(mmap)};
static const struct refusal early[] = {COMMON, ALL(readlinkat)};
static const struct refusal unix_socket[] = {{SYS_socket, 0, ~0U, AF_UNIX}};
static const struct refusal map[] = {{SYS_mmap, 3, MAP_SHARED, MAP_SHARED}};
static const struct refusal file[] = {{SYS_openat, 2, O_NOFOLLOW, O_NOFOLLOW}};

static const struct refusal nothing[] = {ALL(reboot)};

#define GROUP(name, list)                                    \
	{                                                    \
		name, list, sizeof(list) / sizeof((list)[0]) \
	}
static const struct {
	const char *name;
	const struct refusal *list;
	size_t count;
} groups[] = {GROUP("late", late), GROUP("early", early), GROUP("socket", unix_socket),
	      GROUP("map", map),   GROUP("file", file),	  GROUP("reboot", nothing)};

enum { PROGRAM_MAX = 200 };
static struct sock_filter program[PROGRAM_MAX];
static unsigned short used;

static void add(uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	program[used++] = (struct sock_filter){code, yes, no, k};
}

static void add_refusal(const struct refusal *r, uint32_t action)
{
	add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	if (r->arg == ALWAYS) {
		add(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->number, 0, 1);
	} else {
		add(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->number, 0, 4);
		/* the lower half: little-endian, as both machines that we are for */
		add(BPF_LD | BPF_W | BPF_ABS,
		    (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)r->arg), 0, 0);
		add(BPF_ALU | BPF_AND | BPF_K, r->mask, 0, 0);
		add(BPF_JMP | BPF_JEQ | BPF_K, r->value, 0, 1);
	}
	add(BPF_RET | BPF_K, action, 0, 0);
}

uint32_t filter_action(const char *word)
{
	if (!strcmp(word, "kill"))
		return SECCOMP_RET_KILL_PROCESS;
	if (!strcmp(word, "trap"))
		return SECCOMP_RET_TRAP;
	return !strcmp(word, "errno") ? SECCOMP_RET_ERRNO | EPERM : 0;
}

bool filter_install(const char *group, uint32_t action, enum filter_how how)
{
	struct sock_fprog fprog = {.filter = program};

	used = 0;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (size_t j = 0; !strcmp(groups[i].name, group) && j < groups[i].count; j++)
			add_refusal(&groups[i].list[j], action);
	if (used == 0)
		return false;
	add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	fprog.len = used;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	if (how == BY_PRCTL)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) == 0;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) == 0;
}
