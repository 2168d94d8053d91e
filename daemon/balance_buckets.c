/* SPDX-License-Identifier: MIT */
/* TIME_WAIT buckets of a namespace, and orphans of the machine. */
#include "daemon/balance_sheet.h"

#include <math.h>
#include <stdio.h>

#define TIME_WAIT_S 60.0
enum {
	TIME_WAIT_SERVER = 256, /* bytes */
	TIME_WAIT_CLIENT = 520, /* with its bind buckets */
	ORPHAN_BYTES =
		4096, /* with nothing queued; tcp(7) says up to 64 kB of unswappable memory */
	FIN_TIMEOUT_MINI = 60, /* up to it FIN_WAIT2 without a program is a minisocket */
	MANY = 1000,
};

static uint64_t most_of(enum sysctl key, uint64_t value)
{
	return value < (uint64_t)sysctls[key].most ? value : (uint64_t)sysctls[key].most;
}

/* --- TIME_WAIT buckets ------------------------------------------------------------------------ */

/* While their number grows each stays for a minute; in balance, Little says for how long. */
static double time_wait_hold_s(const struct balance_space *space)
{
	double rate = space->time_waits_s;

	if (space->time_wait_drops || rate <= 0 || space->time_waits_growth_s > rate / 10)
		return TIME_WAIT_S;
	if ((double)space->time_waits >= rate * TIME_WAIT_S)
		return TIME_WAIT_S;
	return (double)space->time_waits / rate;
}

/* Of what would be needed the policy takes the maker's part. */
static struct balance_advice *advise_maker(struct assessing *a, const struct balance_space *space,
					   const struct balance_entry *entry)
{
	const struct balance_maker *maker = &space->maker[0];
	uint64_t all = maker->count > space->time_waits ? maker->count : space->time_waits;
	double rest = all ? 1 - (double)maker->count / (double)all : 0;
	struct balance_advice *advice;

	if (!maker->count)
		return NULL;
	advice = advice_new(a, maker->server ? LEVER_CLOSE_FIRST : LEVER_TIME_WAIT);
	if (!advice)
		return NULL;
	advice->sustains_s =
		rest > 0 ? (double)entry->capacity * entry->target / TIME_WAIT_S / rest : INFINITY;
	advice->enough = (double)entry->need * rest <= (double)entry->capacity * entry->target;
	advice_title(advice, maker->server
				     ? "let the clients close first: they have the TIME_WAITs then"
				     : "leave no TIME_WAIT: time-wait = none");
	advice_effect(advice, "%s of the TIME_WAITs are %s's", number_text(maker->count),
		      who_text(&maker->who));
	advice_cost(advice, maker->server ? "a close waits for at most `grace` for the client's"
					  : "nothing guards a new connection against old "
					    "segments of the last");
	advice_policy(a, advice, &maker->who, maker->server, &maker->place,
		      maker->server ? "close-first = peer" : "time-wait = none");
	return advice;
}

static void advise_time_waits(struct assessing *a, const struct balance_space *space,
			      const struct balance_entry *entry)
{
	struct balance_advice *policy = advise_maker(a, space, entry), *advice;
	const struct balance_maker *maker = &space->maker[0];
	uint64_t best = most_of(SYSCTL_TIME_WAITS_MAX, entry_best(entry));

	if (best <= entry->capacity)
		return;
	advice = advice_new(a, LEVER_TW_BUCKETS);
	if (!advice)
		return;
	advice->enough = entry_suffices(entry, best);
	if (policy && !policy->enough && advice->enough) {
		policy->with = advice_index(a, advice);
		policy->enough = true;
	}
	advice->sustains_s = (double)best * entry->target / TIME_WAIT_S;
	advice_title(advice, "room for %s TIME_WAITs", number_text(best));
	advice_effect(advice, "sustains %s closes a second that leave one; each stays for its 60 s",
		      number_text((uint64_t)advice->sustains_s));
	advice_cost(
		advice, "%s when it is full",
		bytes_text((best - entry->capacity) *
			   (maker->count && !maker->server ? TIME_WAIT_CLIENT : TIME_WAIT_SERVER)));
	advice_set(a, advice, SYSCTL_TIME_WAITS_MAX, sysctl_number((int64_t)best));
}

static void assess_time_waits_of(struct assessing *a, unsigned int index)
{
	const struct balance_space *space = &a->inputs->spaces[index];
	uint64_t capacity = space_number(space, SYSCTL_TIME_WAITS_MAX);
	struct balance_entry *entry;

	if (!capacity)
		return;
	entry = entry_new(a, BALANCE_TIME_WAITS, index,
			  space->maker[0].count ? &space->maker[0].who : NULL, NULL);
	if (!entry)
		return;
	entry->capacity = capacity;
	entry->used = space->time_waits;
	entry->peak = space->time_waits_peak;
	entry->drops = space->time_wait_drops;
	entry->rate_s = space->time_waits_s;
	entry->hold_s = time_wait_hold_s(space);
	entry->need = (uint64_t)(entry->rate_s * entry->hold_s);
	if (entry->drops)
		entry->exhausted_ms = 0;
	else if (entry->need > capacity)
		entry->exhausted_ms =
			ms_until_full(capacity, entry->used, space->time_waits_growth_s);
	entry_judge(entry);
	entry_title(entry, "TIME_WAITs: %s of at most %s", number_text(entry->used),
		    number_text(capacity));
	entry_evidence(entry, "%s a second, each for %.3g s: that needs %s",
		       number_text((uint64_t)entry->rate_s), entry->hold_s,
		       number_text(entry->need));
	if (entry->drops)
		entry_evidence(
			entry,
			"%s were ended at once of late: the limit was full (TCPTimeWaitOverflow)",
			number_text(entry->drops));
	if (entry->level == BALANCE_FINE && entry->used >= MANY)
		entry_evidence(entry, "harmless: %s, far from any limit",
			       bytes_text(entry->used * TIME_WAIT_SERVER));
	if (entry->level != BALANCE_FINE)
		advise_time_waits(a, space, entry);
}

void assess_time_waits(struct assessing *a)
{
	for (unsigned int i = 0; i < a->inputs->space_count; i++)
		assess_time_waits_of(a, i);
}

/* --- orphans ---------------------------------------------------------------------------------- */

static void advise_fin_timeout(struct assessing *a, const struct balance_entry *entry)
{
	uint64_t now = space_number(&a->inputs->spaces[entry->space], SYSCTL_FIN_TIMEOUT_S);
	struct balance_advice *advice;

	if (now <= FIN_TIMEOUT_MINI || a->inputs->orphans_fin_wait2 * 2ULL < entry->used)
		return;
	advice = advice_new(a, LEVER_FIN_TIMEOUT);
	if (!advice)
		return;
	advice_title(advice, "orphans in FIN_WAIT2 end after 60 s, not %llu",
		     (unsigned long long)now);
	advice_effect(advice,
		      "%s orphans are in FIN_WAIT2; up to 60 s each is a minisocket of a tenth "
		      "of the size, counted as a bucket. TIME_WAIT is not shortened by it",
		      number_text(a->inputs->orphans_fin_wait2));
	advice_cost(advice, "a peer that answers later than that gets a reset");
	advice_set(a, advice, SYSCTL_FIN_TIMEOUT_S, sysctl_number(FIN_TIMEOUT_MINI));
}

static void advise_max_orphans(struct assessing *a, const struct balance_entry *entry)
{
	const struct balance_key *key = &a->inputs->spaces[0].key[SYSCTL_ORPHANS_MAX];
	uint64_t original, best = entry_best(entry);
	struct balance_advice *advice;

	if (!key->now.count)
		return;
	original = (uint64_t)(key->original.count ? key->original : key->now).number[0];
	if (best > original + a->inputs->memory_max / ORPHAN_BYTES)
		best = original + a->inputs->memory_max / ORPHAN_BYTES;
	best = most_of(SYSCTL_ORPHANS_MAX, best);
	if (best <= entry->capacity)
		return;
	advice = advice_new(a, LEVER_MAX_ORPHANS);
	if (!advice)
		return;
	advice->enough = entry_suffices(entry, best);
	advice_title(advice, "room for %s orphans", number_text(best));
	advice_effect(advice,
		      "an orphan over the limit is reset, and what it has not delivered lost");
	advice_cost(advice,
		    "%s if each has nothing queued (4 kB); tcp(7) speaks of up to 64 kB each",
		    bytes_text((best - entry->capacity) * ORPHAN_BYTES));
	advice_set(a, advice, SYSCTL_ORPHANS_MAX, sysctl_number((int64_t)best));
}

void assess_orphans(struct assessing *a)
{
	const struct balance_inputs *inputs = a->inputs;
	uint64_t capacity = space_number(&inputs->spaces[0], SYSCTL_ORPHANS_MAX);
	struct balance_entry *entry;
	bool is_known = capacity != 0;

	if (!is_known)
		capacity = inputs->orphan_drops ? inputs->orphans_peak : 0;
	if (!capacity)
		return;
	entry = entry_new(a, BALANCE_ORPHANS, 0, NULL, NULL);
	if (!entry)
		return;
	entry->capacity = capacity;
	entry->used = inputs->orphans;
	entry->peak = inputs->orphans_peak;
	entry->need = inputs->orphans_peak;
	entry->drops = inputs->orphan_drops;
	entry->rate_s = inputs->orphans_s;
	entry->exhausted_ms = inputs->orphans_s >= 1
				      ? ms_until_full(capacity, inputs->orphans, inputs->orphans_s)
				      : -1;
	entry_judge(entry);
	entry_title(entry, "orphans: %s of at most %s, of all network namespaces",
		    number_text(entry->used), number_text(capacity));
	if (!is_known)
		entry_evidence(entry, "tcp_max_orphans cannot be read from this network namespace");
	if (entry->drops)
		entry_evidence(entry,
			       "%s connections were ended of late for want of room or memory "
			       "(TCPAbortOnMemory)",
			       number_text(entry->drops));
	if (entry->level == BALANCE_FINE)
		return;
	advise_fin_timeout(a, entry);
	advise_max_orphans(a, entry);
}
