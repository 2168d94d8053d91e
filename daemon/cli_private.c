/* SPDX-License-Identifier: MIT */
/* A daemon for one run, when none answers at the socket. It lives in a directory of its own, which
 * a keeper removes after it: we exec the command and have no later. Neither holds a descriptor of
 * ours, so that `closeside run ... | cat` ends when the command does. */
#include "daemon/cli_run.h"

#include "daemon/cli_control.h"
#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MS = 10000, POLL_MS = 10 };

int daemon_probe(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;

	if (fd < 0)
		return errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	/* EAGAIN: its queue is full, so it is there. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EAGAIN)
		error = errno;
	close(fd);
	return error;
}

bool find_own_file(const char *name, const char *installed_dir, char *out, size_t size)
{
	static const char *const beside[] = {"", ".libs/", "../.libs/"};
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(beside) / sizeof(beside[0]); i++) {
		if (snprintf(out, size, "%.*s/%s%s", (int)(slash - self), self, beside[i], name) <
			    (int)size &&
		    !access(out, R_OK))
			return true;
	}
	return snprintf(out, size, "%s/%s", installed_dir, name) < (int)size && !access(out, R_OK);
}

/* --- its directory ---------------------------------------------------------------------------- */

/* Root's must let in the workers that a server starts as another user; names in /run are no secret
 * then, but the socket says whose daemon it is. */
static bool make_directory(char *out, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *temporary = getenv("TMPDIR");
	const char *const places[] = {geteuid() == 0 ? "/run" : runtime, temporary, "/tmp"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!places[i] || *places[i] != '/')
			continue;
		/* "/socket" and the longest suffix must fit behind it. */
		if (snprintf(out, size, "%s/closeside-XXXXXX", places[i]) >= (int)size ||
		    !mkdtemp(out))
			continue;
		if (geteuid() == 0 && chmod(out, 0711) < 0)
			continue;
		return true;
	}
	return false;
}

static void remove_in(const char *directory, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

static void remove_directory(const char *directory)
{
	static const char *const names[] = {"socket", "socket" WIRE_CONTROL_SUFFIX,
					    "socket" WIRE_POLICY_SUFFIX, "closeside.conf", "log"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove_in(directory, names[i]);
	rmdir(directory);
}

/* --- its config ------------------------------------------------------------------------------- */

/* The installed config if it is sound; else one that says nothing. */
static bool choose_config(const char *wanted, const char *directory, char *out, size_t size)
{
	char error[CONFIG_ERROR_MAX];
	const char *file = wanted ? wanted : SYSCONFDIR "/closeside/closeside.conf";
	struct config *config =
		wanted || !access(file, F_OK) ? config_load(file, error, sizeof(error)) : NULL;
	FILE *empty;

	if (config) {
		config_free(config);
		return realpath(file, out) != NULL;
	}
	if (wanted) {
		cli_fail(CLI_RUN_FAILED, "%s", error);
		return false;
	}
	if (!access(file, F_OK))
		cli_warn("%s; going on without it", error);
	snprintf(out, size, "%s/closeside.conf", directory);
	empty = fopen(out, "we");
	if (!empty)
		return false;
	fputs("limits { }\n", empty);
	return fclose(empty) == 0;
}

/* --- keeper and daemon ------------------------------------------------------------------------ */

static void drop_stdio(const char *log)
{
	int null = open("/dev/null", O_RDWR), file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(file < 0 ? null : file, STDERR_FILENO);
}

static void exec_daemon(const char *program, const char *directory, const char *config,
			pid_t watched)
{
	char pid[16], socket_path[PATH_MAX];

	snprintf(pid, sizeof(pid), "%d", (int)watched);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
	execl(program, program, "--private", pid, "-s", socket_path, "-c", config, (char *)NULL);
	fprintf(stderr, "%s: %s\n", program, strerror(errno));
	_exit(CLI_RUN_NOT_FOUND);
}

/* `alive` is closed when the daemon has gone: that is what its reader waits for. */
static void keep(const char *program, const char *directory, const char *config, pid_t watched,
		 int alive)
{
	char log[PATH_MAX];
	sigset_t none;
	pid_t daemon;
	int status;

	snprintf(log, sizeof(log), "%s/log", directory);
	drop_stdio(log);
	if (alive != 3) {
		dup2(alive, 3);
		alive = 3;
	}
	close_range(4, ~0u, 0);
	fcntl(alive, F_SETFD, FD_CLOEXEC);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	if (chdir("/") < 0)
		_exit(CLI_RUN_FAILED);

	daemon = fork();
	if (daemon == 0)
		exec_daemon(program, directory, config, watched);
	while (daemon > 0 && waitpid(daemon, &status, 0) < 0 && errno == EINTR)
		;
	close(alive);
	/* Whoever waits for the daemon reads the log first. */
	usleep(200 * 1000);
	remove_directory(directory);
	_exit(0);
}

/* Forks twice, so that nobody need wait for the keeper. Returns the pipe that ends with it, or -1.
 */
static int start(const char *program, const char *directory, const char *config)
{
	pid_t self = getpid(), child;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		setsid();
		child = fork();
		if (child == 0)
			keep(program, directory, config, self, ends[1]);
		_exit(child < 0);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return -1;
	}
	waitpid(child, NULL, 0);
	return ends[0];
}

/* --- its first answer ------------------------------------------------------------------------- */

static bool answers(const char *socket_path)
{
	struct control *control;
	json_t *row = NULL;
	bool answered;

	if (control_open(&control, socket_path) != 0)
		return false;
	answered =
		control_request(control, "status", NULL) == 0 && control_next(control, &row) == 1;
	if (answered)
		json_decref(row);
	control_close(control);
	return answered && !daemon_probe(socket_path);
}

static bool wait_ready(const char *socket_path, int alive)
{
	struct pollfd gone = {.fd = alive, .events = POLLIN};

	for (int waited = 0; waited < READY_MS; waited += POLL_MS) {
		if (answers(socket_path))
			return true;
		if (poll(&gone, 1, POLL_MS) > 0)
			return false;
	}
	return false;
}

static void say_log(const char *directory)
{
	char path[PATH_MAX], line[512];
	FILE *log;

	snprintf(path, sizeof(path), "%s/log", directory);
	log = fopen(path, "re");
	while (log && fgets(line, sizeof(line), log))
		fprintf(stderr, "closeside: %s", line);
	if (log)
		fclose(log);
}

static const char *find_daemon(char *buf, size_t size)
{
	const char *named = getenv("CLOSESIDED");

	if (named && *named)
		return named;
	return find_own_file("closesided", SBINDIR, buf, size) ? buf : NULL;
}

int private_daemon(char socket_path[WIRE_PATH_MAX], const char *config)
{
	char program[PATH_MAX], directory[WIRE_PATH_MAX - sizeof("/socket")], file[PATH_MAX];
	const char *daemon = find_daemon(program, sizeof(program));
	int alive;
	bool ready;

	if (!daemon)
		return cli_fail(CLI_RUN_FAILED,
				"no daemon answers, and closesided is not found to start "
				"one: it is neither here nor in " SBINDIR);
	if (!make_directory(directory, sizeof(directory)))
		return cli_fail(CLI_RUN_FAILED, "no place for a private daemon's socket: %s",
				strerror(errno));
	snprintf(socket_path, WIRE_PATH_MAX, "%s/socket", directory);
	if (!choose_config(config, directory, file, sizeof(file))) {
		remove_directory(directory);
		return CLI_RUN_FAILED;
	}
	alive = start(daemon, directory, file);
	ready = alive >= 0 && wait_ready(socket_path, alive);
	if (!ready) {
		cli_fail(CLI_RUN_FAILED, "the private daemon %s did not start", daemon);
		say_log(directory);
	}
	if (alive >= 0)
		close(alive);
	return ready ? 0 : CLI_RUN_FAILED;
}
