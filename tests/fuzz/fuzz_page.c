/* SPDX-License-Identifier: MIT */
/* The policy page: a shim and a CLI read one that the input has changed anywhere, also while
 * another thread goes on changing it. What a shim finds is one of its rules, or none. */
#include "common/close_decide.h"
#include "common/wire.h"
#include "daemon/cli_page.h"
#include "daemon/config.h"
#include "shim/process.h"
#include "shim/rules.h"

#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOKUPS = 8 };

static char directory[] = "/tmp/closeside-page-XXXXXX";
static char socket_path[64], page_path[80];
static struct policy_page *page; /* the writer's mapping */
static struct policy_page sound; /* what each input begins with */
static uint64_t ahead_ms;

/* What shim/rules.c needs of shim/process.c. */
const char *process_socket(void)
{
	return socket_path;
}

const struct policy_process *process_facts(void)
{
	static const struct policy_process facts = {"/usr/sbin/nginx", "nginx", "nginx.service",
						    "/system.slice/nginx.service"};

	return &facts;
}

/* The shim looks for another page once a second. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int result = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC_COARSE)
		ts->tv_sec += (time_t)(ahead_ms / 1000);
	return result;
}

static void add_rule(const char *name, const char *options)
{
	struct policy_rule *rule = &sound.rules[sound.count++];
	const char *error;
	size_t len;

	policy_init(rule, name);
	fuzz_check(policy_parse_options(rule, options, &error, &len));
}

static void clean_up(void)
{
	unlink(page_path);
	rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd;

	(void)argc;
	(void)argv;
	fuzz_check(mkdtemp(directory) != NULL);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
	snprintf(page_path, sizeof(page_path), "%s.policy", socket_path);
	atexit(clean_up);
	fd = open(page_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fuzz_check(fd >= 0 && ftruncate(fd, sizeof(*page)) == 0);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fuzz_check(page != MAP_FAILED);
	close(fd);
	sound.magic = WIRE_MAGIC;
	sound.version = WIRE_VERSION;
	sound.size = sizeof(*page);
	sound.rule_size = sizeof(struct policy_rule);
	sound.on = 1;
	add_rule("other", "program=apache2,close-first=peer");
	add_rule("users", "user=0+33,remote=10.0.0.0/8+2001:db8::/32,close-first=self");
	add_rule("web", "program=n*x+/usr/*,unit=*.service,local-port=80+8000-8099,grace=300ms,"
			"close-first=peer,half-close=defer,time-wait=none");
	add_rule("rest", "source=127.0.0.1,keepalive=60s/10s/5,linger=5s,peer-time-wait=none");
	return 0;
}

/* Somewhere in the header, in the first rules, or in any. */
static size_t place(struct fuzz_input *input)
{
	size_t at = (size_t)(fuzz_byte(input) | fuzz_byte(input) << 8);

	switch (at % 4) {
	case 0:
		return (at / 4) % offsetof(struct policy_page, hints);
	case 1:
		return (at / 4 * 64) % sizeof(*page);
	default:
		return offsetof(struct policy_page, rules) + (at / 4) % sizeof(page->rules[0]) * 4;
	}
}

static void change(struct fuzz_input *input)
{
	size_t at = place(input), len = 1u + fuzz_byte(input) % 64, have = fuzz_left(input);

	len = len < have ? len : have;
	if (at + len > sizeof(*page))
		len = sizeof(*page) - at;
	if (len)
		memcpy((char *)page + at, input->at, len);
	input->at += len;
}

static struct policy_subject subject_of(struct fuzz_input *input)
{
	struct policy_subject subject = {
		.role = fuzz_byte(input) % 3,
		.local = {.family = 2, .addr = {[10] = 0xff, 0xff, 127, 0, 0, 1}},
		.remote = {.family = 2, .addr = {[10] = 0xff, 0xff, 10, 0, 0, 9}},
	};

	subject.local.port = (uint16_t)(fuzz_byte(input) % 2 ? 80 : 8000 + fuzz_byte(input));
	subject.remote.port = fuzz_byte(input);
	return subject;
}

/* What a shim does at a close with the terms it found. */
static void use_terms(struct fuzz_input *input, const struct policy_terms *terms)
{
	enum close_reason why;
	struct close_facts facts = {
		.state = fuzz_byte(input),
		.sole_owner = true,
		.daemon_ready = true,
		.unread = fuzz_byte(input),
		.idle_ms = fuzz_byte(input),
	};

	fuzz_check(close_decide(terms, &facts, &why) < CLOSE_ACTION_COUNT);
	fuzz_check(why < CLOSE_REASON_COUNT);
	fuzz_check(shutdown_decide(terms, &facts, &why) < CLOSE_ACTION_COUNT);
	fuzz_check(why < CLOSE_REASON_COUNT);
}

static bool is_a_rule(const struct policy_terms *terms, uint32_t id)
{
	for (unsigned int i = 0; i < page->count && i < WIRE_RULES_MAX; i++) {
		struct policy_terms copy = page->rules[i].terms;

		if (copy.source_count > POLICY_LIST_MAX)
			copy.source_count = 0;
		if (page->rules[i].id == id && !memcmp(&copy, terms, sizeof(copy)))
			return true;
	}
	return false;
}

static void read_as_shim(struct fuzz_input *input, bool still)
{
	for (int i = 0; i < LOOKUPS; i++) {
		struct policy_subject subject = subject_of(input);
		struct policy_terms terms;
		uint32_t id = 0;

		if (rules_find(&subject, &terms, &id)) {
			fuzz_check(!still || is_a_rule(&terms, id));
			fuzz_check(terms.source_count <= POLICY_LIST_MAX);
			use_terms(input, &terms);
		}
		rules_hint(id, subject.role, subject.local.port);
		rules_daemon_alive();
	}
}

static void ignore_line(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static void read_as_cli(void)
{
	struct page_copy *copy = malloc(sizeof(*copy));

	fuzz_check(copy != NULL);
	if (page_read(socket_path, copy) == 0)
		for (unsigned int i = 0; i < copy->count; i++) {
			config_dump_rule(&copy->rules[i], ignore_line, NULL);
			for (unsigned int n = 0; policy_warning(&copy->rules[i], n); n++)
				;
		}
	free(copy);
}

/* Goes on changing the page while it is read. */
static struct fuzz_input scribbled;
static _Atomic bool scribbling;

static void *scribble(void *arg)
{
	struct fuzz_input from;

	do {
		from = scribbled;
		atomic_fetch_add(&page->seq, 1);
		while (fuzz_left(&from) > 3)
			change(&from);
		atomic_fetch_add(&page->seq, 1);
	} while (atomic_load(&scribbling));
	return arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	uint8_t how = fuzz_byte(&input);
	pthread_t thread;

	memcpy(page, &sound, sizeof(*page));
	page->instance = how;
	page->heartbeat_ms = how & 2 ? wire_now_ms() : 0;
	scribbled = input;
	for (int i = how >> 4; i >= 0; i--)
		change(&input);
	if (how & 1) {
		atomic_store(&scribbling, true);
		fuzz_check(pthread_create(&thread, NULL, scribble, NULL) == 0);
	}
	if (how & 4)
		ahead_ms += 1000;
	read_as_shim(&input, !(how & 1));
	read_as_cli();
	if (how & 1) {
		atomic_store(&scribbling, false);
		pthread_join(thread, NULL);
	}
	return 0;
}
