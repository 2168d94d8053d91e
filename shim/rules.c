/* SPDX-License-Identifier: MIT */
#include "shim/rules.h"

#include "common/wire.h"
#include "shim/clock.h"
#include "shim/process.h"
#include "shim/raw.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { RETRY_MS = 1000 };

/* The options of the environment. */
static struct policy_rule own;
static bool own_given;		    /* it says something */
static char named[POLICY_NAME_MAX]; /* policy=NAME: this one of the page only */

/* The page in force, and those before it, which a thread that has not run for a while may still be
 * reading: one is unmapped when the daemon has been restarted so many times more, with a second
 * between two of them at the least. */
enum { PAGES_KEPT = 16 };
static _Atomic(struct policy_page *) page;
static struct policy_page *pages_before[PAGES_KEPT];
static unsigned int pages_replaced;
static _Atomic uint64_t last_try_ms;
static _Atomic bool opening;

/* Which rules admit this process at all: the page's instance and seq in the upper half, 32 rules'
 * bits in the lower half of each word. */
static _Atomic uint64_t admitted[WIRE_RULES_MAX / 32];

static bool take_word(const char **text, const char *key, char *out, size_t size)
{
	size_t len;

	if (!parse_literal(text, key))
		return false;
	len = strcspn(*text, ",");
	if (out && len < size) {
		memcpy(out, *text, len);
		out[len] = '\0';
	} else if (out) {
		strcpy(out, "?"); /* no policy is called that */
	}
	*text += len;
	*text += **text == ',';
	return true;
}

bool rules_init(const char *text)
{
	static char rest[WIRE_OPTIONS_MAX]; /* a thread's stack may be small */
	char *end = rest;
	const char *error;
	size_t error_len;

	rest[0] = '\0';
	policy_init(&own, "run");
	while (*text) {
		size_t len;

		if (take_word(&text, "policy=", named, sizeof(named)) ||
		    take_word(&text, "tag=", NULL, 0) || take_word(&text, "filters=", NULL, 0))
			continue;
		len = strcspn(text, ",");
		if (end != rest)
			*end++ = ',';
		memcpy(end, text, len);
		end += len;
		*end = '\0';
		text += len;
		text += *text == ',';
	}
	own_given = rest[0] != '\0';
	return policy_parse_options(&own, rest, &error, &error_len) && !policy_problem(&own);
}

static struct policy_page *map_page(void)
{
	char path[WIRE_PATH_MAX + sizeof(WIRE_POLICY_SUFFIX)];
	struct policy_page *p;
	struct stat st;
	long fd, map = -1;

	strcpy(path, process_socket());
	strcat(path, WIRE_POLICY_SUFFIX);
	fd = raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (raw(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == (off_t)sizeof(*p))
		map = raw(SYS_mmap, 0, sizeof(*p), PROT_READ, MAP_SHARED, fd, 0);
	raw(SYS_close, fd);
	if (map < 0 && map > -4096)
		return NULL;
	p = (struct policy_page *)map;
	if (p->magic == WIRE_MAGIC && p->version == WIRE_VERSION && p->size == sizeof(*p) &&
	    p->rule_size == sizeof(struct policy_rule))
		return p;
	raw(SYS_munmap, p, sizeof(*p));
	return NULL;
}

static uint64_t heartbeat_age(const struct policy_page *p)
{
	uint64_t now = clock_now_ms();
	uint64_t beat = atomic_load_explicit(&p->heartbeat_ms, memory_order_relaxed);

	return now > beat ? now - beat : 0;
}

static bool is_stale(const struct policy_page *p)
{
	return !p || atomic_load_explicit(&p->retired, memory_order_relaxed) ||
	       heartbeat_age(p) > WIRE_HEARTBEAT_STALE_MS;
}

static void replace_page(struct policy_page *fresh)
{
	struct policy_page **place = &pages_before[pages_replaced++ % PAGES_KEPT], *old = *place;

	*place = atomic_exchange(&page, fresh);
	for (size_t i = 0; i < sizeof(admitted) / sizeof(admitted[0]); i++)
		atomic_store(&admitted[i], 0);
	/* Last: the child of a fork in between must not have it to unmap again. */
	if (old)
		raw(SYS_munmap, old, sizeof(*old));
}

/* The page in force, looked for again at most once a second while there is none or the daemon that
 * wrote it is gone. A daemon that was killed leaves its last policy in force; one that was stopped
 * in order leaves none. */
static struct policy_page *current_page(void)
{
	struct policy_page *p = atomic_load_explicit(&page, memory_order_acquire), *fresh;
	uint64_t now, last;

	if (!is_stale(p))
		return p;
	now = clock_now_ms();
	last = atomic_load(&last_try_ms);
	if ((last == 0 || now - last >= RETRY_MS) && !atomic_exchange(&opening, true)) {
		atomic_store(&last_try_ms, now);
		fresh = map_page();
		if (fresh && p && fresh->instance == p->instance) {
			raw(SYS_munmap, fresh, sizeof(*fresh));
			fresh = NULL;
		}
		if (fresh)
			replace_page(fresh);
		atomic_store(&opening, false);
		p = atomic_load(&page);
	}
	return p && !atomic_load_explicit(&p->retired, memory_order_relaxed) ? p : NULL;
}

void rules_after_fork(void)
{
	atomic_store(&opening, false);
}

bool rules_daemon_alive(void)
{
	struct policy_page *p = current_page();

	return p && !is_stale(p);
}

uint64_t rules_instance(void)
{
	const struct policy_page *p = current_page();

	return p && !is_stale(p) ? p->instance : 0;
}

unsigned int rules_hint(uint32_t policy, uint8_t role, uint16_t port)
{
	struct policy_page *p = current_page();

	return p ? atomic_load_explicit(&p->hints[wire_hint_index(policy, role, port)],
					memory_order_relaxed)
		 : 0;
}

struct search {
	struct policy_subject *subject;
	struct policy_terms *terms;
	uint32_t *id;
	bool uid_known;
	bool found;
};

/* The bits of rules [32 * word ...] that admit this process, computed once for each state of the
 * page: seq was read before anything else of it was. */
static uint32_t admitted_bits(const struct policy_page *p, uint32_t seq, unsigned int word,
			      unsigned int count)
{
	uint64_t known = atomic_load_explicit(&admitted[word], memory_order_relaxed);
	uint32_t bits = 0;

	if (known >> 32 == seq)
		return (uint32_t)known;
	for (unsigned int i = 0; i < 32 && word * 32 + i < count; i++) {
		const struct policy_rule *rule = &p->rules[word * 32 + i];

		if ((!named[0] || !strncmp(rule->name, named, sizeof(named))) &&
		    policy_admits_process(rule, process_facts()))
			bits |= 1u << i;
	}
	atomic_store_explicit(&admitted[word], (uint64_t)seq << 32 | bits, memory_order_relaxed);
	return bits;
}

static bool rule_admits(const struct policy_rule *rule, struct search *search)
{
	if (rule->user_count && !search->uid_known) {
		search->subject->uid = (uint32_t)raw(SYS_geteuid);
		search->uid_known = true;
	}
	return policy_admits(rule, search->subject);
}

static void take_rule(const struct policy_rule *rule, struct search *search)
{
	memcpy(search->terms, &rule->terms, sizeof(*search->terms));
	/* The only count in it: whatever the page holds, nobody is to read past the list. */
	if (search->terms->source_count > POLICY_LIST_MAX)
		search->terms->source_count = 0;
	*search->id = rule->id;
	search->found = true;
}

static void look(const struct policy_page *p, void *arg)
{
	struct search *search = arg;
	uint32_t seq =
		(atomic_load_explicit(&p->seq, memory_order_acquire) ^ (uint32_t)p->instance) | 1;
	unsigned int count = p->count;

	search->found = false;
	if (!atomic_load_explicit(&p->on, memory_order_relaxed))
		return;
	if (own_given && policy_admits_process(&own, process_facts()) &&
	    rule_admits(&own, search)) {
		take_rule(&own, search);
		return;
	}
	if (count > WIRE_RULES_MAX)
		return;
	for (unsigned int i = 0; i < count; i++) {
		uint32_t bits = admitted_bits(p, seq, i / 32, count);

		if (bits >> (i % 32) & 1 && rule_admits(&p->rules[i], search)) {
			take_rule(&p->rules[i], search);
			return;
		}
	}
}

bool rules_find(struct policy_subject *subject, struct policy_terms *terms, uint32_t *id)
{
	struct search search = {.subject = subject, .terms = terms, .id = id};
	struct policy_page *p = current_page();

	if (p)
		return policy_page_read(p, look, &search) && search.found;
	/* Without a daemon the options of the environment still say what this process wants. */
	if (own_given && policy_admits_process(&own, process_facts()) && rule_admits(&own, &search))
		take_rule(&own, &search);
	return search.found;
}
