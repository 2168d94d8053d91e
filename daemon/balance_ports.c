/* SPDX-License-Identifier: MIT */
/* Ports from one address to one address and port.
 *
 * connect() looks for a free port by steps of two: all of one parity, then all of the other
 * (__inet_hash_connect(), Linux 4.2 on). It begins where it ended the last time, so it finds one at
 * once until the first half is taken; from then on each call walks past that half. Hence the target
 * of a half. With IP_LOCAL_PORT_RANGE it steps by one, and is quick to the end. */
#include "daemon/balance_sheet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define TIME_WAIT_S 60.0   /* TCP_TIMEWAIT_LEN */
#define SINGLY_TARGET 0.95 /* of the range, where the search steps by one */
#define SLOT_S (BALANCE_SLOT_MS / 1000.0)
#define GRACE_S 0.5 /* the usual one: how long close-first = peer may hold a port */
enum {
	DELAY_MS = 1000, /* tcp_tw_reuse_delay before Linux 6.14 */
	RATE_LEAST = 1,
	SOURCES_MOST = 16, /* that a policy can name */
};

struct port_facts {
	const struct balance_ports *ports;
	const struct balance_space *space;
	double capacity, used, hold_s, reuse_s; /* reuse_s: what tcp_tw_reuse would make of it */
	bool reuses, is_time_wait;
};

static double delay_s(const struct balance_space *space)
{
	const struct sysctl_value *delay = &space->key[SYSCTL_TIME_WAIT_REUSE_DELAY_MS].now;

	return (delay->count ? (double)delay->number[0] : DELAY_MS) / 1000;
}

static bool reuses(const struct balance_space *space, const struct balance_ports *ports)
{
	uint64_t reuse = space_number(space, SYSCTL_TIME_WAIT_REUSE);

	return space_number(space, SYSCTL_TIMESTAMPS) &&
	       (reuse == 1 || (reuse == 2 && ports->loopback));
}

/* A port is taken for as long as its TIME_WAIT; or, if few are in one, for as long as they last
 * (Little). */
static double hold_s(const struct port_facts *facts)
{
	const struct balance_ports *ports = facts->ports;

	if (!facts->is_time_wait)
		return ports->rate_s > 0 ? facts->used / ports->rate_s : 0;
	if (facts->reuses)
		return facts->reuse_s;
	return ports->time_wait_ms >= 0 ? ports->time_wait_ms / 1000.0 : TIME_WAIT_S;
}

/* Until so many are taken, at this rate and with what is given back meanwhile; -1: never. */
static int64_t ms_until(const struct port_facts *facts, double many)
{
	double taken = facts->used, rate = facts->ports->rate_s;
	bool given_back = facts->is_time_wait && !facts->reuses && facts->ports->time_wait_ms < 0;

	if (taken >= many)
		return 0;
	if (rate < RATE_LEAST || (facts->hold_s > 0 && rate * facts->hold_s < many && !given_back))
		return -1;
	for (int i = 0; i < BALANCE_SLOTS; i++) {
		double growth = rate * SLOT_S - (given_back ? facts->ports->released[i] : 0);

		if (taken + growth >= many)
			return (int64_t)(1000 * (i + (many - taken) / growth) * SLOT_S);
		taken += growth;
	}
	return -1;
}

/* --- the entry -------------------------------------------------------------------------------- */

static void say(struct balance_entry *entry, const struct port_facts *facts)
{
	const struct balance_ports *ports = facts->ports;
	char remote[ENDPOINT_TEXT_MAX], local[ENDPOINT_TEXT_MAX];

	entry_title(entry, "ports from %s to %s: %s of %s are taken, most by %s",
		    endpoint_format_addr(&ports->local, local, sizeof(local)),
		    endpoint_format(&ports->remote, remote, sizeof(remote)),
		    number_text(entry->used), number_text(entry->capacity), who_text(&ports->who));
	entry_evidence(entry, "%s a second are taken, each for %.3g s: that needs %s",
		       number_text((uint64_t)(ports->rate_s + 0.5)), facts->hold_s,
		       number_text(entry->need));
	entry_evidence(entry,
		       "%s are in TIME_WAIT, which nothing but a policy or tcp_tw_reuse makes "
		       "shorter",
		       number_text(ports->time_wait));
	if (entry->slow_ms == 0)
		entry_evidence(entry, "connect() is slow already: past half of the ports it walks "
				      "over all that are taken");
}

static struct balance_entry *add_entry(struct assessing *a, const struct port_facts *facts)
{
	const struct balance_ports *ports = facts->ports;
	char where[2 * ENDPOINT_TEXT_MAX + 4], local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
	struct balance_entry *entry;

	snprintf(where, sizeof(where), "%s-%s",
		 endpoint_format_addr(&ports->local, local, sizeof(local)),
		 endpoint_format(&ports->remote, remote, sizeof(remote)));
	entry = entry_new(a, BALANCE_PORTS, ports->space, &ports->who, where);
	if (!entry)
		return NULL;
	entry->capacity = (uint64_t)facts->capacity;
	entry->used = entry->peak = (uint64_t)facts->used;
	entry->rate_s = ports->rate_s;
	entry->hold_s = facts->hold_s;
	entry->need =
		(uint64_t)ceil(facts->is_time_wait ? ports->rate_s * facts->hold_s : facts->used);
	entry->exhausted_ms = ms_until(facts, facts->capacity);
	if (ports->searches_singly)
		entry->target = SINGLY_TARGET;
	else
		entry->slow_ms = ms_until(facts, facts->capacity / 2);
	entry_judge(entry);
	say(entry, facts);
	return entry;
}

/* --- levers ----------------------------------------------------------------------------------- */

static void say_sustained(struct balance_advice *advice, const struct port_facts *facts)
{
	if (isinf(advice->sustains_s))
		return;
	advice_effect(advice, "sustains %s connections a second; %s are offered",
		      number_text((uint64_t)advice->sustains_s),
		      number_text((uint64_t)(facts->ports->rate_s + 0.5)));
}

static void advise_time_wait(struct assessing *a, const struct port_facts *facts)
{
	struct balance_advice *advice = advice_new(a, LEVER_TIME_WAIT);

	if (!advice)
		return;
	advice->sustains_s = INFINITY;
	advice_title(advice, "leave no TIME_WAIT: time-wait = none");
	advice_effect(advice,
		      "a port is free as soon as the peer has acknowledged the close: ports "
		      "set no limit to the rate");
	advice_cost(advice, "nothing guards a new connection against old segments of the last on "
			    "the same port; a peer that writes after our close gets a reset");
	advice_policy(a, advice, &facts->ports->who, false, &facts->ports->remote,
		      "time-wait = none");
}

/* What is left where the peer does not close within the grace must be nothing, or it would be a
 * TIME_WAIT after all. */
static void advise_close_first(struct assessing *a, const struct port_facts *facts)
{
	double sustains = facts->capacity * 0.5 / GRACE_S;
	struct balance_advice *advice;

	if (sustains < facts->ports->rate_s)
		return;
	advice = advice_new(a, LEVER_CLOSE_FIRST);
	if (!advice)
		return;
	advice->sustains_s = sustains;
	advice_title(advice, "let the peer close first, and leave nothing where it does not");
	say_sustained(advice, facts);
	advice_cost(advice, "a close waits for the peer's for at most `grace`; the TIME_WAITs are "
			    "the peer's; needs the program under the shim");
	advice_policy(a, advice, &facts->ports->who, false, &facts->ports->remote,
		      "close-first = peer  time-wait = none");
}

static void local_ports_lines(struct assessing *a, struct balance_advice *advice,
			      const struct port_facts *facts, unsigned int lo, unsigned int hi)
{
	char keys[40];

	snprintf(keys, sizeof(keys), "local-ports = %u-%u", lo, hi);
	advice_title(advice, "%s: connect() looks by single steps, and is quick to the last port",
		     keys);
	advice_cost(advice, "needs Linux 6.3 (6.1.31), and the program under the shim");
	advice_policy(a, advice, &facts->ports->who, false, &facts->ports->remote, keys);
}

static void advise_local_ports(struct assessing *a, const struct port_facts *facts)
{
	const struct sysctl_value *range = &facts->space->key[SYSCTL_PORT_RANGE].now;
	double sustains = facts->capacity * SINGLY_TARGET / facts->hold_s;
	struct balance_advice *advice;

	if (facts->ports->searches_singly || sustains < facts->ports->rate_s)
		return;
	advice = advice_new(a, LEVER_LOCAL_PORTS);
	if (!advice)
		return;
	advice->sustains_s = sustains;
	local_ports_lines(a, advice, facts, (unsigned int)range->number[0],
			  (unsigned int)range->number[1]);
	say_sustained(advice, facts);
}

/* Which addresses, is not known here: the line is for an editor, not for a shell. */
static void comment_out(struct balance_advice *advice, unsigned int from)
{
	for (unsigned int i = from; i < advice->line_count; i++) {
		char *line = advice->line[i];
		size_t len = strlen(line);

		if (strncmp(line, "echo ", 5) != 0 || len + 3 > BALANCE_TEXT)
			continue;
		memmove(line + 2, line, len + 1);
		memcpy(line, "# ", 2);
	}
}

static void advise_source(struct assessing *a, const struct port_facts *facts)
{
	double each = facts->capacity * 0.5 / facts->hold_s;
	double many = each > 0 ? ceil(facts->ports->rate_s / each) : 0;
	unsigned int addresses = many <= SOURCES_MOST ? (unsigned int)many : 0;
	char local[ENDPOINT_TEXT_MAX], keys[ENDPOINT_TEXT_MAX + 40];
	const char *quote = facts->ports->local.family == AF_INET ? "" : "\"";
	struct balance_advice *advice;

	if (addresses < 2)
		return;
	advice = advice_new(a, LEVER_SOURCE);
	if (!advice)
		return;
	advice->sustains_s = addresses * each;
	endpoint_format_addr(&facts->ports->local, local, sizeof(local));
	snprintf(keys, sizeof(keys), "source = {%s%s%s, ...}", quote, local, quote);
	advice_title(advice, "connect from %u addresses by turns, this one and %u more", addresses,
		     addresses - 1);
	advice_cost(advice, "each address has to be ours, and known to the peer's firewall");
	advice_line(advice,
		    "# ip address add ADDRESS dev DEVICE: %u more, and name all in the policy",
		    addresses - 1);
	advice_policy(a, advice, &facts->ports->who, false, &facts->ports->remote, keys);
	comment_out(advice, 0);
	say_sustained(advice, facts);
}

/* Of the connecting side only, and only with timestamps (tcp_twsk_unique()). */
static void advise_reuse(struct assessing *a, const struct port_facts *facts)
{
	double sustains = facts->capacity * 0.5 / (facts->reuse_s > 0.001 ? facts->reuse_s : 0.001);
	struct balance_advice *advice;

	if (facts->reuses || !space_number(facts->space, SYSCTL_TIMESTAMPS) ||
	    sustains < facts->ports->rate_s)
		return;
	advice = advice_new(a, LEVER_TW_REUSE);
	if (!advice)
		return;
	advice->sustains_s = sustains;
	advice_title(advice, "connect() may take a port after %.3g s of TIME_WAIT", facts->reuse_s);
	say_sustained(advice, facts);
	advice_cost(advice, "if the peer has timestamps; a NAT between that gives ports their own "
			    "clocks may refuse some");
	advice_set(a, advice, SYSCTL_TIME_WAIT_REUSE, sysctl_number(1));
}

/* A wide range is slow past its half as a narrow one is: if half of it does not suffice, all of it
 * does with the option. */
static void advise_range(struct assessing *a, const struct port_facts *facts)
{
	unsigned int lo = facts->space->widest_lo, hi = facts->space->widest_hi;
	double ports = (double)hi - lo + 1 - facts->space->reserved, target = 0.5,
	       rate = facts->ports->rate_s;
	struct balance_advice *advice, *companion = NULL;

	if (!hi)
		return;
	if (facts->ports->searches_singly || ports * target / facts->hold_s < rate)
		target = SINGLY_TARGET;
	if (ports * target / facts->hold_s < rate)
		return;
	/* The option alone does it, with the range that is. */
	if (target > 0.5 && facts->capacity * target / facts->hold_s >= rate)
		return;
	advice = advice_new(a, LEVER_PORT_RANGE);
	if (!advice)
		return;
	if (target > 0.5 && !facts->ports->searches_singly) {
		companion = advice_new(a, LEVER_LOCAL_PORTS);
		if (!companion) {
			a->sheet->advice_count--;
			return;
		}
	}
	advice->sustains_s = ports * target / facts->hold_s;
	advice_title(advice, "a wider range: ports %u to %u, where nobody listens", lo, hi);
	say_sustained(advice, facts);
	advice_cost(advice, "a service that starts later may find its port taken: keep it in "
			    "ip_local_reserved_ports");
	advice_set(a, advice, SYSCTL_PORT_RANGE, sysctl_range(lo, hi));
	if (!companion)
		return;
	companion->sustains_s = advice->sustains_s;
	local_ports_lines(a, companion, facts, lo, hi);
	say_sustained(companion, facts);
	advice_pair(a, advice, companion);
}

static void assess_one(struct assessing *a, const struct balance_ports *ports)
{
	const struct balance_space *space = &a->inputs->spaces[ports->space];
	const struct sysctl_value *range = &space->key[SYSCTL_PORT_RANGE].now;
	struct port_facts facts = {.ports = ports, .space = space, .used = ports->used};
	const struct balance_entry *entry;

	if (range->count != 2)
		return;
	facts.capacity = (double)(range->number[1] - range->number[0] + 1 - space->reserved);
	if (facts.capacity < 1)
		return;
	facts.reuses = reuses(space, ports);
	facts.reuse_s = delay_s(space);
	facts.is_time_wait = ports->time_wait * 2 > ports->used;
	if (facts.reuses)
		facts.used -= ports->reusable;
	facts.hold_s = hold_s(&facts);
	entry = add_entry(a, &facts);
	if (!entry || entry->level == BALANCE_FINE || facts.hold_s <= 0)
		return;
	if (facts.is_time_wait && ports->time_wait_ms != 0) {
		advise_time_wait(a, &facts);
		advise_close_first(a, &facts);
	}
	advise_local_ports(a, &facts);
	advise_source(a, &facts);
	if (facts.is_time_wait)
		advise_reuse(a, &facts);
	advise_range(a, &facts);
}

void assess_ports(struct assessing *a)
{
	for (size_t i = 0; i < a->inputs->ports_count; i++)
		assess_one(a, &a->inputs->ports[i]);
}
