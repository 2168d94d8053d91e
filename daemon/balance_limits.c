/* SPDX-License-Identifier: MIT */
/* What has a plain limit: TIME_WAIT buckets and conntrack of a namespace, orphans and memory of the
 * machine, descriptors of a process. */
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
	CONNTRACK_BYTES = 320,
	MANY = 1000,
};

static int64_t ms_until_full(uint64_t capacity, uint64_t used, double growth_s)
{
	if (used >= capacity)
		return 0;
	return growth_s > 0 ? (int64_t)(1000 * (double)(capacity - used) / growth_s) : -1;
}

/* What is needed, over its target; while drops go on nobody knows how much that is. */
static uint64_t best_of(const struct balance_entry *entry)
{
	uint64_t most = entry->need > entry->peak ? entry->need : entry->peak;

	if (entry->drops && most < entry->capacity)
		most = entry->capacity;
	return times(most, 1 / entry->target);
}

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

static void advise_time_waits(struct assessing *a, const struct balance_space *space,
			      const struct balance_entry *entry)
{
	const struct balance_maker *maker = &space->maker[0];
	struct balance_advice *advice;
	uint64_t best = most_of(SYSCTL_TIME_WAITS_MAX, best_of(entry));

	if (maker->count) {
		advice = advice_new(a, maker->server ? LEVER_CLOSE_FIRST : LEVER_TIME_WAIT);
		if (!advice)
			return;
		advice->sustains_s = INFINITY;
		advice_title(advice,
			     maker->server
				     ? "let the clients close first: they have the TIME_WAITs then"
				     : "leave no TIME_WAIT: time-wait = none");
		advice_effect(advice, "%s of the TIME_WAITs are %s's", number_text(maker->count),
			      who_text(&maker->who));
		advice_cost(advice, maker->server
					    ? "a close waits for at most `grace` for the client's"
					    : "nothing guards a new connection against old "
					      "segments of the last");
		advice_policy(a, advice, &maker->who, maker->server, &maker->place,
			      maker->server ? "close-first = peer" : "time-wait = none");
	}
	if (best <= entry->capacity)
		return;
	advice = advice_new(a, LEVER_TW_BUCKETS);
	if (!advice)
		return;
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
	uint64_t original, best = best_of(entry);
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

/* --- conntrack -------------------------------------------------------------------------------- */

static void advise_conntrack_max(struct assessing *a, const struct balance_entry *entry)
{
	struct balance_advice *advice = advice_new(a, LEVER_CONNTRACK_MAX);
	uint64_t best = best_of(entry);

	if (!advice)
		return;
	advice_title(advice, "room for %s entries", number_text(best));
	advice_effect(advice,
		      "over the limit new connections are dropped without a word to anybody");
	advice_cost(advice, "%s when it is full; nf_conntrack_buckets should be a quarter of it",
		    bytes_text((best - entry->capacity) * CONNTRACK_BYTES));
	advice_line(advice, "sysctl -w net.netfilter.nf_conntrack_max=%llu",
		    (unsigned long long)best);
}

static void advise_conntrack_timeout(struct assessing *a, const struct balance_space *space)
{
	struct balance_advice *advice;
	uint64_t hold = space_number(space, SYSCTL_CONNTRACK_TIME_WAIT_S);

	if (hold <= 60)
		return;
	advice = advice_new(a, LEVER_CONNTRACK_TIMEOUT);
	if (!advice)
		return;
	advice_title(advice, "forget a TIME_WAIT when the kernel does, after 60 s");
	advice_effect(advice, "conntrack keeps what is in TIME_WAIT for %llu s",
		      (unsigned long long)hold);
	advice_cost(advice, "a segment that is later than that is a stranger to the firewall");
	advice_line(advice, "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=60");
}

/* The limit is the machine's: elsewhere only less can be tracked. */
static void advise_notrack(struct assessing *a, unsigned int index)
{
	const struct balance_maker *maker = &a->inputs->spaces[index].maker[0];
	const char *first = "dport", *second = "sport";
	struct balance_advice *advice = advice_new(a, LEVER_NOTRACK);
	char prefix[40], port[24] = "";

	if (!advice)
		return;
	space_prefix(a, index, prefix, sizeof(prefix));
	if (maker->count && maker->place.port)
		snprintf(port, sizeof(port), " %u", (unsigned)maker->place.port);
	if (maker->count && !maker->server) {
		first = "sport";
		second = "dport";
	}
	advice_title(advice,
		     "track less: nf_conntrack_max is the machine's, and not to be set here");
	advice_effect(advice,
		      "entries that are there end in their time; no new ones are made for these");
	advice_cost(advice,
		    "rules that go by state or translate addresses do not see these connections");
	if (!*port) {
		advice_line(
			advice,
			"# as below, with a port of yours: whose the entries are, is not known");
		snprintf(port, sizeof(port), " 1-65535");
	}
	advice_line(advice, "%snft add table inet closeside", prefix);
	advice_line(
		advice,
		"%snft 'add chain inet closeside in { type filter hook prerouting priority raw; }'",
		prefix);
	advice_line(
		advice,
		"%snft 'add chain inet closeside out { type filter hook output priority raw; }'",
		prefix);
	advice_line(advice, "%snft add rule inet closeside in tcp %s%s notrack", prefix, first,
		    port);
	advice_line(advice, "%snft add rule inet closeside out tcp %s%s notrack", prefix, second,
		    port);
}

static void assess_conntrack_of(struct assessing *a, unsigned int index)
{
	const struct balance_space *space = &a->inputs->spaces[index];
	uint64_t capacity = space_number(space, SYSCTL_CONNTRACK_MAX),
		 used = space_number(space, SYSCTL_CONNTRACK_COUNT);
	struct balance_entry *entry;

	if (!capacity || !used)
		return;
	entry = entry_new(a, BALANCE_CONNTRACK, index, NULL, NULL);
	if (!entry)
		return;
	entry->capacity = capacity;
	entry->used = entry->peak = entry->need = used;
	entry->rate_s = space->conntrack_s;
	entry->hold_s = (double)space_number(space, SYSCTL_CONNTRACK_TIME_WAIT_S);
	if (entry->rate_s >= 1)
		entry->exhausted_ms = ms_until_full(capacity, used, entry->rate_s);
	entry_judge(entry);
	entry_title(entry, "conntrack: %s of at most %s entries", number_text(used),
		    number_text(capacity));
	entry_evidence(entry, "net.netfilter.nf_conntrack_count; %s a second are added",
		       number_text((uint64_t)entry->rate_s));
	if (entry->level == BALANCE_FINE)
		return;
	if (space_is_first(space)) {
		advise_conntrack_max(a, entry);
		advise_conntrack_timeout(a, space);
	} else {
		advise_notrack(a, index);
	}
}

void assess_conntrack(struct assessing *a)
{
	for (unsigned int i = 0; i < a->inputs->space_count; i++)
		assess_conntrack_of(a, i);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static void assess_process(struct assessing *a, const struct balance_process *process)
{
	uint64_t best = process->limit * 2, hard = process->hard > best ? process->hard : best;
	struct balance_advice *advice;
	struct balance_entry *entry;
	char where[64];

	snprintf(where, sizeof(where), "%d", (int)process->who.pid);
	entry = entry_new(a, BALANCE_DESCRIPTORS, 0, &process->who, where);
	if (!entry)
		return;
	entry->capacity = process->limit;
	entry->used = entry->peak = entry->need = process->used;
	entry->rate_s = process->growth_s;
	entry_judge(entry);
	entry_title(entry, "descriptors of %s: %s of %s are open", who_text(&process->who),
		    number_text(process->used), number_text(process->limit));
	entry_evidence(entry,
		       "%s of them are connections; over the limit accept() and connect() fail "
		       "with EMFILE",
		       number_text(process->conns));
	if (entry->level == BALANCE_FINE)
		return;
	advice = advice_new(a, LEVER_NOFILE);
	if (!advice)
		return;
	advice_title(advice, "twice as many descriptors");
	advice_effect(advice, "room for %s", number_text(best));
	advice_cost(advice, "a kilobyte or so of kernel memory for each that is open");
	if (process->hard == UINT64_MAX)
		advice_line(advice, "prlimit --pid %d --nofile=%llu:unlimited",
			    (int)process->who.pid, (unsigned long long)best);
	else
		advice_line(advice, "prlimit --pid %d --nofile=%llu:%llu", (int)process->who.pid,
			    (unsigned long long)best, (unsigned long long)hard);
	advice_line(advice,
		    "# for good: LimitNOFILE=%llu in [Service] of its unit (systemctl edit)",
		    (unsigned long long)best);
}

void assess_descriptors(struct assessing *a)
{
	for (size_t i = 0; i < a->inputs->process_count; i++)
		assess_process(a, &a->inputs->processes[i]);
}

/* --- memory ----------------------------------------------------------------------------------- */

void assess_memory(struct assessing *a)
{
	const struct balance_inputs *inputs = a->inputs;
	const struct sysctl_value *limits = &inputs->spaces[0].key[SYSCTL_MEMORY_PAGES].now;
	uint64_t half = inputs->page_bytes ? inputs->ram_bytes / 2 / inputs->page_bytes : 0, best;
	struct balance_advice *advice;
	struct balance_entry *entry;

	if (limits->count != 3 || limits->number[2] <= 0)
		return;
	entry = entry_new(a, BALANCE_MEMORY, 0, NULL, NULL);
	if (!entry)
		return;
	entry->capacity = (uint64_t)limits->number[2];
	entry->used = entry->peak = entry->need = inputs->memory_pages;
	entry->drops = inputs->memory_pressures;
	entry_judge(entry);
	entry_title(entry, "TCP's memory: %s of at most %s",
		    bytes_text(entry->used * inputs->page_bytes),
		    bytes_text(entry->capacity * inputs->page_bytes));
	if (entry->drops)
		entry_evidence(
			entry,
			"under pressure of late, %s times: windows are cut (TCPMemoryPressures)",
			number_text(entry->drops));
	if (entry->level == BALANCE_FINE)
		return;
	best = times(entry->capacity, 1.5);
	if (half && best > half)
		best = half;
	if (best <= entry->capacity)
		return;
	advice = advice_new(a, LEVER_TCP_MEM);
	if (!advice)
		return;
	advice_title(advice, "half as much again for TCP's buffers");
	advice_effect(advice, "pressure begins at %s",
		      bytes_text(best * 3 / 4 * inputs->page_bytes));
	advice_cost(advice, "%s of memory at most",
		    bytes_text((best - entry->capacity) * inputs->page_bytes));
	advice_line(advice, "sysctl -w net.ipv4.tcp_mem='%llu %llu %llu'",
		    (unsigned long long)best / 2, (unsigned long long)best * 3 / 4,
		    (unsigned long long)best);
}
