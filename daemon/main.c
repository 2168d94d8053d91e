/* SPDX-License-Identifier: MIT */
/* closesided: options, then the guardian.
 *
 * The rooms, from the door inwards:
 *
 *   guardian    starts the loop, watches its heartbeat, starts another; binds the sockets
 *     pulse     the heartbeat in shared memory
 *     listen    the two listening sockets
 *     opener    opens other network namespaces for the loop
 *     setter    writes sysctls for the loop, and puts them back
 *       setter_write    one sysctl: looked at, journalled, written, read back
 *       journal         what they were, on the disk before they are written
 *       sysctld         which of them sysctl.d names: the admin's
 *       spaces          the network namespaces that it was sent to
 *     notify    what systemd is told
 *   loop        the process that does the work: a libevent base, and on it
 *     page      SOCKET.policy, what every shim reads
 *     session   SOCKET: a process under the shim
 *       process   who it is
 *       user      and whose: what each user has, and what it did
 *       welcome   what it is given
 *       inbox     its messages
 *       record    what they say, checked, and passed on to those below
 *     conn      the model: connections by cookie
 *       proc      whose they are, and counts
 *     follow    the kernel's word: what no shim speaks of, and what it is after the close
 *       survey    a thread that looks at all sockets, and at /proc
 *       freed     the multicast of sockets that end
 *       sweep     what has ended unseen
 *       netns     a network namespace
 *       adopt     policies for those without the shim
 *     custody   held sockets: who, and why
 *       held      one of them: what is seen, and what is to be done
 *       custody_judge   the decision, pure
 *       ending    what is done
 *       patience  how long waiting pays
 *       self      close-first = self, where both ends are ours
 *       closer    helper threads that close
 *     retire    TIME_WAITs to be ended
 *       kernel    sock_diag
 *     tally     the books
 *     doctor    what is wrong: judged, pure
 *       gather   the facts, of the model
 *       probe           and of what the kernel counts
 *       vitals          the latter over time
 *       cuts            closes that cut an answer short
 *       descriptors     how many a process has
 *     history   a sample each ten seconds, in all and per program
 *       history_sample  one of them
 *       history_file    the file that keeps them, SOCKET.history
 *       history_merge   several made one
 *       history_loop    when samples are taken, and what the loop says of itself
 *       history_reply   what is answered of it
 *       note      what was done then
 *     faults    what it finds, kept for who asks again and again
 *     metrics   for Prometheus and Zabbix, from what is counted anyway
 *       metrics_text  the table of families, and their text
 *       metrics_http  the listener
 *       group           counts by unit and by program
 *       ranking         which of them are told of by name
 *     control   SOCKET.control: the CLI's
 *       command   its requests
 *       reply     its rows
 *       filter    which of them
 *     deadman   kills a loop that is stopped together with its guardian
 *   config      the file as plain data, read whole or not at all
 *   caps        the three capabilities that are kept
 *   limits      how much the daemon takes upon itself
 *   sock        what can be asked of a TCP socket
 *   log         one line for what an operator should know */
#include <config.h> /* of configure, not daemon/config.h */

#include "daemon/config.h"
#include "daemon/guardian.h"
#include "daemon/log.h"

#include "common/wire.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	const char *config_path;
	const char *socket_path;
	pid_t private_pid;
	bool check, verbose;
};

static void usage(FILE *out)
{
	fputs("usage: closesided [-nvVh] [-c FILE] [-s SOCKET] [--private PID]\n"
	      "  -n             check the config, and exit: 0 it is sound, 1 it is not\n"
	      "  -c FILE        the config (" SYSCONFDIR "/closeside/closeside.conf)\n"
	      "  -s SOCKET      where shims find it (" WIRE_SOCKET_DEFAULT ")\n"
	      "  -f             stay in the foreground, as it always does\n"
	      "  --private PID  end with the last session once process PID is gone\n"
	      "  -v             say more; with -n print the config as it is understood\n"
	      "  -V             print the version, and exit\n"
	      "  -h             print this, and exit\n",
	      out);
}

static pid_t parse_pid(const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (!*text || *end || pid <= 0 || pid > 1 << 30) {
		fprintf(stderr, "closesided: --private: '%s' is no process id\n", text);
		exit(2);
	}
	return (pid_t)pid;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{"private", required_argument, NULL, 'p'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "nc:s:fvVh", longs, NULL)) != -1) {
		switch (option) {
		case 'n':
			options->check = true;
			break;
		case 'c':
			options->config_path = optarg;
			break;
		case 's':
			options->socket_path = optarg;
			break;
		case 'p':
			options->private_pid = parse_pid(optarg);
			break;
		case 'f':
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'V':
			puts("closesided " VERSION);
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(2);
	}
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

static void print_warning(void *arg, const char *text)
{
	const struct options *options = arg;

	fprintf(stderr, "%s: warning: %s\n", options->config_path, text);
}

static int check(struct options *options, const struct config *config)
{
	config_warnings(config, print_warning, options);
	if (options->verbose)
		config_dump(config, print_line, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = {
		.config_path = SYSCONFDIR "/closeside/closeside.conf",
		.socket_path = WIRE_SOCKET_DEFAULT,
	};
	char error[CONFIG_ERROR_MAX];
	struct guardian_options guardian;
	struct config *config;
	int status;

	parse_options(argc, argv, &options);
	log_open();
	if (options.verbose)
		log_set_level(LOG_DEBUG);
	if (strlen(options.socket_path) >= WIRE_PATH_MAX || strchr(options.socket_path, '?')) {
		fprintf(stderr, "closesided: %s: not a path for a socket\n", options.socket_path);
		return 2;
	}
	config = config_load(options.config_path, error, sizeof(error));
	if (!config) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	if (options.check) {
		status = check(&options, config);
	} else {
		guardian = (struct guardian_options){
			.socket_path = options.socket_path,
			.config_path = options.config_path,
			.config = config,
			.private_pid = options.private_pid,
		};
		status = guardian_run(&guardian);
	}
	config_free(config);
	return status;
}
