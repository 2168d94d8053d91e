/* SPDX-License-Identifier: MIT */
/* What a run takes, once a second and without a fork: TCP's counts of network namespaces, and the
 * processor time and wakeups of groups of processes.
 *
 * sample [-n NAME=/run/netns/X]... [-p NAME=PID[,PID]...]... until SIGTERM; a line at once, and
 * then each second:
 *   {"second":0,"ns":{"client":{"in_use":3,"time_waits":1000,"orphans":0}},
 *    "of":{"daemon":{"cpu_us":123.4,"wakeups":17}}}
 * cpu_us is the sum of all threads' first number in /proc/PID/task/TID/schedstat, and of what
 * children that have ended took (which the kernel says in ticks); wakeups are voluntary context
 * switches. A process that is gone keeps what it had. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SPACES = 8, GROUPS = 8, PIDS = 8, NAME = 32 };

struct space {
	char name[NAME];
	int fd; /* its /proc/net/sockstat, of the namespace in which it was opened */
};

struct process {
	int pid;
	uint64_t cpu_ns, wakeups;
};

struct group {
	char name[NAME];
	struct process process[PIDS];
	unsigned int count;
};

static struct space spaces[SPACES];
static struct group groups[GROUPS];
static unsigned int space_count, group_count;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: sample [-n NAME=NAMESPACE]... [-p NAME=PID[,PID]...]...\n");
	exit(2);
}

/* What is behind the '='; the name before it goes to `name`. */
static const char *split(const char *arg, char name[NAME])
{
	size_t len = strcspn(arg, "=");

	if (arg[len] != '=' || len == 0 || len >= NAME)
		usage();
	memcpy(name, arg, len);
	name[len] = '\0';
	return arg + len + 1;
}

static void add_space(const char *arg)
{
	struct space *space = &spaces[space_count++];
	const char *path;
	int fd;

	if (space_count > SPACES)
		usage();
	path = split(arg, space->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
		fprintf(stderr, "sample: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	close(fd);
	/* /proc/net is the namespace of the thread that opens it */
	space->fd = open("/proc/thread-self/net/sockstat", O_RDONLY | O_CLOEXEC);
	if (space->fd < 0) {
		perror("sample: sockstat");
		exit(1);
	}
}

static void add_group(const char *arg)
{
	struct group *group = &groups[group_count++];
	const char *at;
	char *end;

	if (group_count > GROUPS)
		usage();
	for (at = split(arg, group->name); *at && group->count < PIDS; at = *end ? end + 1 : end) {
		group->process[group->count++].pid = (int)strtol(at, &end, 10);
		if (end == at || (*end && *end != ','))
			usage();
	}
}

/* --- reading --------------------------------------------------------------------------------- */

/* The file as a string, from its begin. */
static bool read_again(int fd, char *buf, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size - 1, 0);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}

static bool read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done = read_again(fd, buf, size);

	if (fd >= 0)
		close(fd);
	return done;
}

static uint64_t number_after(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void add_thread(int pid, const char *tid, uint64_t *cpu_ns, uint64_t *wakeups)
{
	char path[300], buf[8192];

	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, tid);
	if (read_file(path, buf, sizeof(buf)))
		*cpu_ns += strtoull(buf, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, tid);
	if (read_file(path, buf, sizeof(buf)))
		*wakeups += number_after(buf, "\nvoluntary_ctxt_switches:");
}

/* cutime and cstime, the 16th and 17th word of /proc/PID/stat; its second one may hold blanks. */
static uint64_t children_ns(int pid)
{
	char path[64], buf[4096], *at;
	unsigned long user, kernel;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_file(path, buf, sizeof(buf)) || !(at = strrchr(buf, ')')))
		return 0;
	if (sscanf(at + 1, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user,
		   &kernel) != 2)
		return 0;
	return (user + kernel) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void look_at(struct process *process)
{
	uint64_t cpu_ns = children_ns(process->pid), wakeups = 0;
	struct dirent *entry;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", process->pid);
	tasks = opendir(path);
	if (!tasks)
		return;
	while ((entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			add_thread(process->pid, entry->d_name, &cpu_ns, &wakeups);
	closedir(tasks);
	/* a thread may have ended: what it took is not given back */
	if (cpu_ns > process->cpu_ns)
		process->cpu_ns = cpu_ns;
	if (wakeups > process->wakeups)
		process->wakeups = wakeups;
}

/* --- printing -------------------------------------------------------------------------------- */

static void print_space(const struct space *space)
{
	char buf[1024] = "";
	const char *tcp = NULL;

	if (read_again(space->fd, buf, sizeof(buf)))
		tcp = strstr(buf, "\nTCP:");
	printf("\"%s\":{\"in_use\":%" PRIu64 ",\"time_waits\":%" PRIu64 ",\"orphans\":%" PRIu64 "}",
	       space->name, number_after(tcp ? tcp : "", "inuse "),
	       number_after(tcp ? tcp : "", " tw "), number_after(tcp ? tcp : "", "orphan "));
}

static void print_group(struct group *group)
{
	uint64_t cpu_ns = 0, wakeups = 0;

	for (unsigned int i = 0; i < group->count; i++) {
		look_at(&group->process[i]);
		cpu_ns += group->process[i].cpu_ns;
		wakeups += group->process[i].wakeups;
	}
	printf("\"%s\":{\"cpu_us\":%.1f,\"wakeups\":%" PRIu64 "}", group->name,
	       (double)cpu_ns / 1e3, wakeups);
}

static void print_sample(unsigned long second)
{
	printf("{\"second\":%lu,\"ns\":{", second);
	for (unsigned int i = 0; i < space_count; i++) {
		printf("%s", i ? "," : "");
		print_space(&spaces[i]);
	}
	printf("},\"of\":{");
	for (unsigned int i = 0; i < group_count; i++) {
		printf("%s", i ? "," : "");
		print_group(&groups[i]);
	}
	printf("}}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct timespec next;
	int option;

	while ((option = getopt(argc, argv, "n:p:")) != -1) {
		if (option == 'n')
			add_space(optarg);
		else if (option == 'p')
			add_group(optarg);
		else
			usage();
	}
	if (optind != argc)
		usage();
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long second = 0; !stop; second++) {
		print_sample(second);
		next.tv_sec++;
		while (!stop &&
		       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
	}
	return 0;
}
