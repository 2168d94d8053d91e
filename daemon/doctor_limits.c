/* SPDX-License-Identifier: MIT */
/* The judgements on what has a limit: TIME_WAITs, ports, descriptors. */
#include "daemon/doctor_words.h"

#include <stdio.h>

enum {
	TIME_WAIT_BYTES = 270, /* on a server; twice that on a client, with its ports */
	PORTS_FROM = 10240,    /* below it servers are many */
	PORTS_LEAST = 1024,
	PORTS_TO = 65535,
	MAKERS = 3,
};

bool doctor_time_wait_is_near(const struct doctor_thresholds *thresholds, uint64_t count,
			      uint64_t max)
{
	return max && count * 100 >= max * thresholds->time_wait_percent;
}

bool doctor_descriptors_are_few(const struct doctor_thresholds *thresholds, uint64_t used,
				uint64_t limit)
{
	return limit && limit != UINT64_MAX &&
	       used * 100 >= limit * thresholds->descriptors_percent;
}

/* --- TIME_WAITs ------------------------------------------------------------------------------- */

static void find_makers(const struct doctor_facts *facts, struct worst *makers)
{
	for (size_t i = 0; i < facts->maker_count; i++)
		if (facts->makers[i].time_waits.count)
			worst_add(makers, i, facts->makers[i].time_waits.count);
}

static const char *name_of(const struct doctor_who *who)
{
	if (!*who->program)
		return "unknown programs";
	return doctor_name_is_plain(who->program) ? who->program : "?";
}

static void say_maker(struct judging *judging, const struct doctor_maker *maker)
{
	char places[VERDICT_TEXT - 100], number[VERDICT_NUMBER_MAX], which[48] = "";
	const struct doctor_who *who = &maker->who;

	if (who->pid)
		snprintf(which, sizeof(which), "[%d]", (int)who->pid);
	else if (maker->several)
		snprintf(which, sizeof(which), ", several processes");
	verdict_evidence(judging->verdict, "%s made by %s%s: %s",
			 verdict_number(maker->time_waits.count, number, sizeof(number)),
			 name_of(who), which,
			 judging_places(&maker->time_waits, places, sizeof(places)));
}

static void say_makers(struct judging *judging, const struct worst *makers)
{
	for (unsigned int i = 0; i < makers->count && i < MAKERS; i++)
		say_maker(judging, &judging->facts->makers[makers->index[i]]);
}

static void say_megabytes(struct judging *judging, uint64_t count)
{
	uint64_t kilobytes = (count * TIME_WAIT_BYTES + 999) / 1000;

	if (kilobytes < 2000)
		verdict_word(&judging->words, WORD_COST, "%llu kB", (unsigned long long)kilobytes);
	else
		verdict_word(&judging->words, WORD_COST, "%llu MB",
			     (unsigned long long)kilobytes / 1000);
}

static const struct doctor_maker *maker_of_most(const struct doctor_facts *facts,
						const struct worst *makers)
{
	static const struct doctor_maker nobody;

	return makers->count ? &facts->makers[makers->index[0]] : &nobody;
}

void judge_time_wait(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;
	uint64_t twice = 2 * facts->time_wait_max;
	const struct doctor_place *place;
	const struct doctor_maker *maker;
	struct worst makers = {0};

	if (!doctor_time_wait_is_near(judging->thresholds, facts->time_wait, facts->time_wait_max))
		return;
	find_makers(facts, &makers);
	maker = maker_of_most(facts, &makers);
	if (!judging_begin(judging, VERDICT_TIME_WAIT_NEAR_LIMIT, &maker->who, facts->time_wait,
			   facts->time_wait_near_ms))
		return;
	judging_word_number(judging, WORD_LIMIT, facts->time_wait_max);
	verdict_word(&judging->words, WORD_TARGET, "%llu", (unsigned long long)twice);
	say_megabytes(judging, twice);
	if (facts->time_wait_overflows)
		verdict_evidence(judging->verdict, "%llu ended at once of late: the limit was full",
				 (unsigned long long)facts->time_wait_overflows);
	say_makers(judging, &makers);
	place = judging_place(&maker->time_waits);
	if (place->count) {
		judging_select(judging, &maker->who, place,
			       place->count * 2 > maker->time_waits.count);
		verdict_word(&judging->words, place->server ? WORD_GENTLE : WORD_QUIET, "%s", "");
	}
	judging_end(judging, 0);
}

static bool is_found(const struct judging *judging, enum verdict_id id)
{
	for (unsigned int i = 0; i < judging->verdicts->count; i++)
		if (judging->verdicts->verdict[i].kind == &verdict_kinds[id])
			return true;
	return false;
}

void judge_harmless(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;
	const struct doctor_maker *maker;
	struct worst makers = {0};

	if (facts->time_wait < judging->thresholds->harmless_least ||
	    is_found(judging, VERDICT_TIME_WAIT_NEAR_LIMIT) ||
	    is_found(judging, VERDICT_PORTS_RUNNING_OUT))
		return;
	find_makers(facts, &makers);
	maker = maker_of_most(facts, &makers);
	if (!judging_begin(judging, VERDICT_TIME_WAIT_HARMLESS, &maker->who, facts->time_wait, -1))
		return;
	say_megabytes(judging, facts->time_wait);
	if (facts->time_wait_max)
		verdict_evidence(
			judging->verdict, "%llu %% of tcp_max_tw_buckets, %llu",
			(unsigned long long)(facts->time_wait * 100 / facts->time_wait_max),
			(unsigned long long)facts->time_wait_max);
	say_makers(judging, &makers);
	judging_end(judging, 0);
}

/* --- ports ------------------------------------------------------------------------------------ */

struct ports {
	uint32_t all, used;
	int64_t growth;	 /* in DOCTOR_RATE_MS */
	int64_t left_ms; /* -1: they last */
};

static bool are_reused(const struct doctor_facts *facts, const struct doctor_destination *to)
{
	return facts->timestamps &&
	       (facts->tw_reuse == 1 || (facts->tw_reuse == 2 && to->loopback));
}

/* What is opened takes a port for good, or for as long as its TIME_WAIT; what leaves its TIME_WAIT
 * gives one back. */
static struct ports ports_of(const struct doctor_facts *facts, const struct doctor_destination *to)
{
	struct ports ports = {
		.all = facts->port_hi - facts->port_lo + 1 - facts->ports_reserved,
		.used = to->used,
		.growth = (int64_t)to->opened - to->released,
		.left_ms = -1,
	};

	if (are_reused(facts, to)) {
		ports.used -= to->reusable;
		ports.growth -= to->reusable;
	}
	if (ports.used >= ports.all)
		ports.left_ms = 0;
	else if (ports.growth > 0)
		ports.left_ms = (int64_t)(ports.all - ports.used) * DOCTOR_RATE_MS / ports.growth;
	return ports;
}

static bool are_few(const struct doctor_thresholds *thresholds, const struct ports *ports)
{
	uint64_t percent = (uint64_t)ports->used * 100 / ports->all;

	return percent >= thresholds->ports_percent ||
	       (percent >= thresholds->ports_slow_percent && ports->left_ms >= 0 &&
		ports->left_ms <= thresholds->ports_soon_ms);
}

static void say_left(struct judging *judging, const struct ports *ports)
{
	char age[VERDICT_NUMBER_MAX];

	if (ports->left_ms < 0)
		verdict_word(&judging->words, WORD_LEFT, "as many as before");
	else if (ports->left_ms == 0)
		verdict_word(&judging->words, WORD_LEFT, "none is left");
	else
		verdict_word(&judging->words, WORD_LEFT, "at this rate all in %s",
			     verdict_age((uint64_t)ports->left_ms, age, sizeof(age)));
}

static void say_range(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;
	uint32_t from = facts->port_lo > PORTS_FROM ? PORTS_FROM : PORTS_LEAST;

	if (facts->port_lo > from || facts->port_hi < PORTS_TO)
		verdict_word(&judging->words, WORD_RANGE, "%u %d",
			     facts->port_lo < from ? facts->port_lo : from, PORTS_TO);
}

static void say_port_facts(struct judging *judging, const struct doctor_destination *to,
			   const struct ports *ports)
{
	const struct doctor_facts *facts = judging->facts;
	char address[ENDPOINT_TEXT_MAX];

	verdict_evidence(judging->verdict, "from %s, ports %u to %u, %u of them reserved",
			 endpoint_format_addr(&to->local, address, sizeof(address)), facts->port_lo,
			 facts->port_hi, facts->ports_reserved);
	verdict_evidence(judging->verdict, "%u of them in TIME_WAIT", to->time_wait);
	verdict_evidence(judging->verdict,
			 "%u taken in the last %d s, %u to be given back in the "
			 "next",
			 to->opened, DOCTOR_RATE_MS / 1000, to->released);
	if ((uint64_t)ports->used * 100 >= (uint64_t)ports->all * 50)
		verdict_evidence(judging->verdict,
				 "connect() is slow past half: it looks for a free one");
}

static void judge_destination(struct judging *judging, const struct doctor_destination *to,
			      unsigned int more)
{
	struct ports ports = ports_of(judging->facts, to);
	struct doctor_pile pile = {.count = 0};
	bool is_time_wait = to->time_wait * 2 > to->used;
	char remote[ENDPOINT_TEXT_MAX];

	if (!judging_begin(judging, VERDICT_PORTS_RUNNING_OUT, &to->who, ports.used, to->since_ms))
		return;
	judging_word_number(judging, WORD_LIMIT, ports.all);
	verdict_word(&judging->words, WORD_REMOTE, "%s",
		     endpoint_format(&to->remote, remote, sizeof(remote)));
	say_left(judging, &ports);
	say_range(judging);
	say_port_facts(judging, to, &ports);
	if (is_time_wait && judging->facts->timestamps && judging->facts->tw_reuse != 1 &&
	    !are_reused(judging->facts, to))
		verdict_word(&judging->words, WORD_REUSE, "%s", "");
	if (is_time_wait)
		verdict_word(&judging->words, WORD_QUIET, "%s", "");
	doctor_pile_add(&pile, false, &to->remote, 0, 0);
	judging_select(judging, &to->who, &pile.place[0], true);
	judging_end(judging, more);
}

void judge_ports(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;
	struct worst worst = {0};

	if (!facts->port_hi || facts->ports_reserved > facts->port_hi - facts->port_lo)
		return;
	for (size_t i = 0; i < facts->destination_count; i++) {
		struct ports ports = ports_of(facts, &facts->destinations[i]);

		if (are_few(judging->thresholds, &ports))
			worst_add(&worst, i, ports.used);
	}
	for (unsigned int i = 0; i < worst.count; i++)
		judge_destination(judging, &facts->destinations[worst.index[i]],
				  i + 1 == worst.count ? worst.more : 0);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static void judge_process(struct judging *judging, const struct doctor_process *process,
			  unsigned int more)
{
	const struct doctor_descriptors *descriptors = &process->descriptors;
	uint64_t target = descriptors->limit * 2;

	if (!judging_begin(judging, VERDICT_DESCRIPTORS_RUNNING_OUT, &process->who,
			   descriptors->used, descriptors->since_ms))
		return;
	judging_word_number(judging, WORD_LIMIT, descriptors->limit);
	verdict_word(&judging->words, WORD_TARGET, "%llu", (unsigned long long)target);
	if (descriptors->hard == UINT64_MAX)
		verdict_word(&judging->words, WORD_HARD, "unlimited");
	else
		verdict_word(&judging->words, WORD_HARD, "%llu",
			     (unsigned long long)(descriptors->hard > target ? descriptors->hard
									     : target));
	verdict_evidence(judging->verdict, "%u of them are connections", process->conns);
	verdict_evidence(judging->verdict,
			 "over the limit accept() and connect() fail with EMFILE");
	judging_end(judging, more);
}

void judge_descriptors(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;
	struct worst worst = {0};

	for (size_t i = 0; i < facts->process_count; i++) {
		const struct doctor_descriptors *descriptors = &facts->processes[i].descriptors;

		if (doctor_descriptors_are_few(judging->thresholds, descriptors->used,
					       descriptors->limit))
			worst_add(&worst, i, descriptors->used);
	}
	for (unsigned int i = 0; i < worst.count; i++)
		judge_process(judging, &facts->processes[worst.index[i]],
			      i + 1 == worst.count ? worst.more : 0);
}
