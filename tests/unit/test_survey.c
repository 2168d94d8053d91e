/* SPDX-License-Identifier: MIT */
/* The thread that looks at the system: real dumps of our own sockets, their holder in /proc, and
 * its end while it is at work. Under ThreadSanitizer this is where loop and thread meet. */
#include "daemon/survey.h"

#include "daemon/sock.h"

#include "common/tcp_state.h"

#include <event2/event.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { LISTENER4, LISTENER6, CLIENT, SERVER, BOUND, SOCKETS };

struct found {
	struct event_base *base;
	struct survey *survey;
	struct kernel *kernel;
	int fd[SOCKETS];
	pid_t child;
	unsigned int met[SOCKETS], odd, held, pieces;
	uint64_t inode;
	pid_t holder;
	bool done;
	int error;
};

static void on_sockets(void *arg, const struct kernel_socket *sockets, unsigned int count)
{
	struct found *found = arg;

	found->pieces++;
	for (unsigned int i = 0; i < count; i++) {
		found->odd += sockets[i].state == 0 || sockets[i].state >= STATE_COUNT;
		for (int at = 0; at < SOCKETS; at++)
			found->met[at] += sock_cookie(found->fd[at]) == sockets[i].cookie;
	}
}

static void on_holder(void *arg, uint64_t inode, const struct process *process)
{
	struct found *found = arg;

	found->held++;
	found->inode = inode;
	found->holder = process->pid;
}

static void on_namespace(void *arg, uint64_t inode, pid_t pid)
{
	(void)arg;
	(void)inode;
	(void)pid;
}

static void on_done(void *arg, int error, uint64_t cpu_us)
{
	struct found *found = arg;

	(void)cpu_us;
	found->done = true;
	found->error = error;
}

static int listener(int family)
{
	struct sockaddr_in6 addr = {.sin6_family = (sa_family_t)family};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET6)
		addr.sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&addr,
		 family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(addr)) < 0 ||
	    listen(fd, 8) < 0)
		return -1;
	return fd;
}

static bool open_sockets(struct found *found)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);

	found->fd[LISTENER4] = listener(AF_INET);
	found->fd[LISTENER6] = listener(AF_INET6);
	found->fd[CLIENT] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	found->fd[BOUND] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(found->fd[BOUND], (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(found->fd[LISTENER4], (struct sockaddr *)&addr, &len) < 0 ||
	    connect(found->fd[CLIENT], (struct sockaddr *)&addr, len) < 0)
		return false;
	found->fd[SERVER] = accept4(found->fd[LISTENER4], NULL, NULL, SOCK_CLOEXEC);
	return found->fd[LISTENER6] >= 0 && found->fd[SERVER] >= 0;
}

/* The child has what we have: the thread does not look at its own process. */
static int setup(void **state)
{
	static const struct survey_calls calls = {on_sockets, on_holder, on_namespace, on_done};
	struct found *found = calloc(1, sizeof(*found));

	*state = found;
	if (!found || !open_sockets(found))
		return -1;
	found->child = fork();
	if (found->child == 0) {
		for (;;)
			pause();
	}
	found->base = event_base_new();
	found->kernel = kernel_open(-1);
	found->survey = survey_new(found->base, &calls, found);
	return found->survey && found->kernel && found->child > 0 ? 0 : -1;
}

static int teardown(void **state)
{
	struct found *found = *state;

	survey_free(found->survey);
	kernel_close(found->kernel);
	event_base_free(found->base);
	kill(found->child, SIGKILL);
	waitpid(found->child, NULL, 0);
	for (int i = 0; i < SOCKETS; i++)
		close(found->fd[i]);
	free(found);
	return 0;
}

static void finish(struct found *found)
{
	while (!found->done)
		event_base_loop(found->base, EVLOOP_ONCE);
	found->done = false;
	assert_false(survey_is_busy(found->survey));
}

static void a_dump_meets_our_sockets(void **state)
{
	struct found *found = *state;

	for (int round = 1; round <= 3; round++) {
		survey_dump(found->survey, found->kernel, KERNEL_LIVE | KERNEL_TIME_WAIT);
		assert_true(survey_is_busy(found->survey));
		finish(found);
		assert_int_equal(found->error, 0);
		assert_int_equal(found->met[LISTENER4], round);
		assert_int_equal(found->met[LISTENER6], round);
		assert_int_equal(found->met[CLIENT], round);
		assert_int_equal(found->met[SERVER], round);
	}
}

/* Linux 6.8 has a state for it that we have no name for: a count of none of ours. */
static void what_is_only_bound_is_in_no_state(void **state)
{
	struct found *found = *state;

	survey_dump(found->survey, found->kernel, KERNEL_LIVE);
	finish(found);
	assert_true(found->met[CLIENT]);
	assert_int_equal(found->met[BOUND], 0);
	assert_int_equal(found->odd, 0);
}

static void an_inode_has_its_holder(void **state)
{
	struct found *found = *state;
	uint64_t *inodes = malloc(sizeof(inodes[0]));
	struct stat st;

	assert_int_equal(fstat(found->fd[SERVER], &st), 0);
	inodes[0] = st.st_ino;
	survey_holders(found->survey, inodes, 1, NULL, 0);
	finish(found);
	assert_int_equal(found->held, 1);
	assert_int_equal(found->inode, st.st_ino);
	assert_int_equal(found->holder, found->child);
}

static void it_ends_while_it_is_at_work(void **state)
{
	static const struct survey_calls calls = {on_sockets, on_holder, on_namespace, on_done};
	struct found *found = *state;

	for (int round = 0; round < 60; round++) {
		struct survey *survey = survey_new(found->base, &calls, found);
		uint64_t *inodes = calloc(1, sizeof(inodes[0]));

		assert_non_null(survey);
		if (round % 2) {
			survey_holders(survey, inodes, 1, NULL, 0);
		} else {
			survey_dump(survey, found->kernel, KERNEL_LIVE);
			free(inodes);
		}
		if (round % 3 == 0)
			event_base_loop(found->base, EVLOOP_NONBLOCK);
		if (round % 5 == 0)
			usleep((useconds_t)round * 20);
		survey_free(survey);
		found->done = false;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_dump_meets_our_sockets),
		TEST(what_is_only_bound_is_in_no_state),
		TEST(an_inode_has_its_holder),
		TEST(it_ends_while_it_is_at_work),
	};

	return cmocka_run_group_tests_name("survey", tests, NULL, NULL);
}
