/* SPDX-License-Identifier: MIT */
/* sandbox HOW: what daemons do to themselves between their start and their work.
 *
 * A connection that was open before is closed after, and three more are made after. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <net/if.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { NOBODY = 65534 };

static void one_round(void)
{
	struct pair p = pair_open(false);

	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("client", p.client);
}

/* --- users ------------------------------------------------------------------------------------ */

static void drop(void)
{
	saw("setgroups", setgroups(0, NULL));
	saw("setgid", setgid(NOBODY));
	saw("setuid", setuid(NOBODY));
	saw("back", setuid(0));
}

static void to_and_fro(void)
{
	saw("to", setresuid(NOBODY, NOBODY, 0));
	one_round();
	saw("fro", setresuid(0, 0, 0));
	one_round();
	saw("to again", seteuid(NOBODY));
}

static void no_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	saw("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	saw("capset", syscall(SYS_capset, &header, data));
	saw("not dumpable", prctl(PR_SET_DUMPABLE, 0));
}

/* --- files ------------------------------------------------------------------------------------ */

static void to_directory(void)
{
	char template[] = "/tmp/closeside-case.XXXXXX";

	if (!mkdtemp(template) || chroot(template) != 0 || chdir("/") != 0)
		die("chroot");
	saw("nothing here", open("/proc/self/status", O_RDONLY));
}

static void own_mounts(void)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		die("a mount namespace");
}

/* A new root with nothing in it. */
static void pivot(void)
{
	own_mounts();
	if (mount("none", "/mnt", "tmpfs", 0, NULL) != 0 || mkdir("/mnt/old", 0700) != 0 ||
	    syscall(SYS_pivot_root, "/mnt", "/mnt/old") != 0 || chdir("/") != 0)
		die("pivot_root");
	saw("the old root goes", umount2("/old", MNT_DETACH));
}

static void no_proc(void)
{
	own_mounts();
	if (mount("none", "/proc", "tmpfs", 0, NULL) != 0)
		die("/proc");
}

static void hide_proc(void)
{
	own_mounts();
	if (mount("proc", "/proc", "proc", 0, "hidepid=2") != 0)
		die("/proc");
	drop();
}

static void landlock(void)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE |
								  LANDLOCK_ACCESS_FS_WRITE_FILE};
	long ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (ruleset < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		die("landlock");
	close((int)ruleset);
	saw("reading", open("/proc/self/status", O_RDONLY));
}

/* --- namespaces ------------------------------------------------------------------------------- */

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		die("lo");
	close(fd);
}

static void network(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		die("a network namespace");
	loopback_up();
}

static void network_and_back(void)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	network();
	one_round();
	saw("setns", setns(here, CLONE_NEWNET));
	close(here);
}

static void user(void)
{
	if (unshare(CLONE_NEWUSER) != 0)
		die("a user namespace");
	printf("uid %d\n", (int)getuid()); /* unmapped */
}

/* The rest runs as pid 1 of a new namespace. */
static void processes(void)
{
	int status = 0;
	pid_t pid;

	if (unshare(CLONE_NEWPID) != 0)
		die("a pid namespace");
	pid = fork();
	if (pid != 0) {
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
	}
	printf("pid %d\n", (int)getpid());
}

/* --- limits ----------------------------------------------------------------------------------- */

static void limit(int which, rlim_t value)
{
	struct rlimit limits = {value, value};

	saw("setrlimit", setrlimit((__rlimit_resource_t)which, &limits));
}

static void memory(void)
{
	limit(RLIMIT_AS, 100 << 20);
	free(malloc(40 << 20)); /* a shim's tables must leave room for that */
	saw("half of it", malloc(50 << 20) ? 0 : -1);
}

static void data(void)
{
	limit(RLIMIT_DATA, 40 << 20);
	saw("half of it", malloc(20 << 20) ? 0 : -1);
}

static void lock_memory(void)
{
	struct rusage usage;

	saw("mlockall", mlockall(MCL_CURRENT | MCL_FUTURE));
	one_round();
	getrusage(RUSAGE_SELF, &usage);
	printf("under 24 MB: %d\n", usage.ru_maxrss < 24 << 10);
}

static void few_descriptors(void)
{
	limit(RLIMIT_NOFILE, 16);
}

static void no_descriptors(void)
{
	struct pair p = pair_open(false);

	limit(RLIMIT_NOFILE, 0);
	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("client", p.client);
	saw("socket", socket(AF_INET, SOCK_STREAM, 0));
	exit(0);
}

static void various(void)
{
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_NPROC, 1);
	limit(RLIMIT_STACK, 128 << 10);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_MSGQUEUE, 0);
	limit(RLIMIT_SIGPENDING, 0);
}

/* --- all of it -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*enter)(void);
} ways[] = {
	{"drop", drop},
	{"to-and-fro", to_and_fro},
	{"no-capabilities", no_capabilities},
	{"chroot", to_directory},
	{"pivot", pivot},
	{"mounts", own_mounts},
	{"no-proc", no_proc},
	{"hide-proc", hide_proc},
	{"landlock", landlock},
	{"network", network},
	{"network-and-back", network_and_back},
	{"user", user},
	{"processes", processes},
	{"memory", memory},
	{"data", data},
	{"lock-memory", lock_memory},
	{"few-descriptors", few_descriptors},
	{"no-descriptors", no_descriptors},
	{"limits", various},
};

/* sandbox first HOW: the sandbox comes before the first connection. */
int main(int argc, char **argv)
{
	bool first = argc == 3 && !strcmp(argv[1], "first");
	struct pair before = {-1, -1};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (argc < 2 || strcmp(ways[i].name, argv[argc - 1]) != 0)
			continue;
		if (!first) {
			before = pair_open(false);
			pair_say_bye(before.server);
		}
		ways[i].enter();
		if (!first) {
			saw("close of what was open", close(before.server));
			pair_hear_bye("client of before", before.client);
		}
		for (int j = 0; j < 3; j++)
			one_round();
		return 0;
	}
	return 2;
}
