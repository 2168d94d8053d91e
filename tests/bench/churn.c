/* SPDX-License-Identifier: MIT */
/* Short connections at a rate that is kept: the next one is due at its time, whether or not those
 * before have ended, and what one takes is counted from when it was due (no coordinated omission).
 *
 * churn -c ADDR:PORT -r RATE -d SECONDS [OPTIONS]   connects; a line of JSON each second, a summary
 *   -r 1000          so many a second; -r 100-2000/20 rises within 20 s, and starts again
 *   -t THREADS       the rate is shared among them
 *   -s SOURCE        a local address; several are taken in turn
 *   --range LO-HI    IP_LOCAL_PORT_RANGE (Linux 6.3)
 *   --close us|peer|never   who closes first; us by default. never: it stays open until the end
 *   --answer BYTES   how long the answer is to be (64), --until eof: it ends with the server's FIN
 *   --http           asks with GET, and knows of the answer's bytes only how many there are
 *   --pause MS       --close us: waits so long for the other end to close first
 *   --linger0        with SO_LINGER 0: what is unsent is thrown away, and an RST sent
 *   --read-after MS  a slow reader: so long after it was connected
 *   --drop-late      what was not begun when the time is over is "missed", not begun later
 *   --every N        a line for N connections that were begun, not for each second
 *   --burst N        N at a time, at the same rate
 *   --timeout SECONDS  a connection that takes longer has failed (10)
 *   --stay SECONDS   what is open at the end stays so
 * churn -l ADDR:PORT [OPTIONS]   answers, until SIGTERM; with the descriptors that it was given
 *   --backlog N      (4096)
 *   --close us|peer|never   peer by default; --linger0
 *   --accept-every MS  looks into its accept queue so often
 *
 * Every answer is checked byte by byte. */
#include "tests/bench/churn.h"

#include "common/parse.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

volatile bool churn_stop;

uint64_t churn_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* splitmix64's last step: each bit of the result depends on each of the argument */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t churn_request_sum(const struct churn_request *request)
{
	return mix(request->seed ^ mix(request->magic + ((uint64_t)request->length << 32)));
}

void churn_payload(uint64_t seed, uint32_t from, uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint32_t at = from + (uint32_t)i;

		buf[i] = (uint8_t)(mix(seed + at / 8) >> (at % 8 * 8));
	}
}

static void on_signal(int number)
{
	(void)number;
	churn_stop = true;
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: churn -c ADDR:PORT -r RATE -d SECONDS [-t THREADS] [-s SOURCE]...\n"
		"             [--range LO-HI] [--close us|peer|never] [--answer BYTES]\n"
		"             [--until length|eof] [--http] [--burst N] [--timeout S] [--stay S]\n"
		"             [--pause MS] [--linger0] [--read-after MS] [--drop-late] [--every "
		"N]\n"
		"       churn -l ADDR:PORT [--backlog N] [--close us|peer|never] [--linger0]\n"
		"             [--accept-every MS]\n");
	exit(2);
}

static struct churn_address to_address(const struct endpoint *ep)
{
	struct churn_address out = {.len = sizeof(struct sockaddr_in6)};
	struct sockaddr_in *in = (struct sockaddr_in *)&out.sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out.sa;

	if (ep->family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(ep->port);
		memcpy(&in->sin_addr, ep->addr + 12, 4);
		out.len = sizeof(*in);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(ep->port);
		memcpy(&in6->sin6_addr, ep->addr, 16);
	}
	return out;
}

static struct churn_address endpoint_of(const char *text)
{
	struct endpoint ep;

	if (!parse_endpoint(&text, &ep) || !parse_end(text))
		usage();
	return to_address(&ep);
}

static void add_source(struct churn_options *options, const char *text)
{
	struct endpoint ep = {0};

	if (!parse_address(&text, &ep) || !parse_end(text) ||
	    options->source_count == CHURN_SOURCES)
		usage();
	options->source[options->source_count++] = to_address(&ep);
}

static uint32_t number_of(const char *text, uint32_t least, uint32_t most)
{
	uint32_t number;

	if (!parse_u32(&text, &number) || !parse_end(text) || number < least || number > most)
		usage();
	return number;
}

static uint32_t range_of(const char *text)
{
	struct port_range range;

	if (!parse_port_range(&text, &range) || !parse_end(text))
		usage();
	return range.lo | (uint32_t)range.hi << 16;
}

static enum churn_close close_of(const char *text)
{
	static const char *const words[] = {"us", "peer", "never"};

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(text, words[i]))
			return (enum churn_close)i;
	usage();
}

enum {
	RANGE = 256,
	CLOSE,
	ANSWER,
	UNTIL,
	HTTP,
	BURST,
	TIMEOUT,
	STAY,
	BACKLOG,
	ACCEPT_EVERY,
	PAUSE,
	LINGER0,
	READ_AFTER,
	DROP_LATE,
	EVERY
};

static const struct option long_options[] = {
	{"range", required_argument, NULL, RANGE},
	{"close", required_argument, NULL, CLOSE},
	{"answer", required_argument, NULL, ANSWER},
	{"until", required_argument, NULL, UNTIL},
	{"http", no_argument, NULL, HTTP},
	{"burst", required_argument, NULL, BURST},
	{"timeout", required_argument, NULL, TIMEOUT},
	{"stay", required_argument, NULL, STAY},
	{"backlog", required_argument, NULL, BACKLOG},
	{"accept-every", required_argument, NULL, ACCEPT_EVERY},
	{"pause", required_argument, NULL, PAUSE},
	{"linger0", no_argument, NULL, LINGER0},
	{"read-after", required_argument, NULL, READ_AFTER},
	{"drop-late", no_argument, NULL, DROP_LATE},
	{"every", required_argument, NULL, EVERY},
	{NULL, 0, NULL, 0},
};

static void take_option(struct churn_options *options, int option, const char *value)
{
	switch (option) {
	case 'c':
	case 'l':
		options->serve = option == 'l';
		options->at = endpoint_of(value);
		break;
	case 'r':
		if (!churn_plan_parse_rate(value, &options->plan))
			usage();
		break;
	case 'd':
		options->plan.seconds = number_of(value, 1, 86400);
		break;
	case 't':
		options->threads = number_of(value, 1, CHURN_THREADS);
		break;
	case 's':
		add_source(options, value);
		break;
	case RANGE:
		options->port_range = range_of(value);
		break;
	case CLOSE:
		options->close = close_of(value);
		break;
	case ANSWER:
		options->answer = number_of(value, 1, CHURN_ANSWER_MAX);
		break;
	case HTTP:
		options->http = true;
		break;
	case UNTIL:
		options->until_eof = !strcmp(value, "eof");
		if (!options->until_eof && strcmp(value, "length") != 0)
			usage();
		break;
	case BURST:
		options->plan.burst = number_of(value, 1, 100000);
		break;
	case TIMEOUT:
		options->timeout_s = number_of(value, 1, 3600);
		break;
	case STAY:
		options->stay_s = number_of(value, 0, 86400);
		break;
	case BACKLOG:
		options->backlog = (int)number_of(value, 0, 1 << 20);
		break;
	case ACCEPT_EVERY:
		options->accept_every_ms = number_of(value, 1, 60000);
		break;
	case PAUSE:
		options->pause_ms = number_of(value, 1, 60000);
		break;
	case LINGER0:
		options->linger0 = true;
		break;
	case READ_AFTER:
		options->read_after_ms = number_of(value, 1, 60000);
		break;
	case DROP_LATE:
		options->drop_late = true;
		break;
	case EVERY:
		options->every = number_of(value, 1, 1000000);
		break;
	default:
		usage();
	}
}

static void parse_options(int argc, char **argv, struct churn_options *options)
{
	bool close_said = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:l:r:d:t:s:", long_options, NULL)) != -1) {
		take_option(options, option, optarg);
		close_said |= option == CLOSE;
	}
	if (optind != argc || !options->at.len)
		usage();
	if (options->serve) {
		if (!close_said)
			options->close = CHURN_PEER;
	} else if (options->plan.hi <= 0 || options->plan.seconds <= 0 ||
		   (options->until_eof && options->close == CHURN_US)) {
		usage();
	}
}

int main(int argc, char **argv)
{
	struct churn_options options = {
		.threads = 1, .answer = 64, .timeout_s = 10, .backlog = 4096, .plan.burst = 1};
	struct sigaction action = {.sa_handler = on_signal};
	struct rlimit files;

	parse_options(argc, argv, &options);
	/* a server has the limit that it was given: what happens there is for tests to see */
	if (!options.serve && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	return options.serve ? churn_serve(&options) : churn_connect(&options);
}
