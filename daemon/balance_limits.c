/* SPDX-License-Identifier: MIT */
/* What is advised on only: conntrack of a namespace, descriptors of a process, memory of the
 * machine. */
#include "daemon/balance_sheet.h"

#include <stdio.h>

enum { CONNTRACK_BYTES = 320, TIME_WAIT_S = 60 };

/* --- conntrack -------------------------------------------------------------------------------- */

static struct balance_advice *advise_conntrack_max(struct assessing *a,
						   const struct balance_entry *entry)
{
	struct balance_advice *advice = advice_new(a, LEVER_CONNTRACK_MAX);
	uint64_t best = entry_best(entry);

	if (!advice)
		return NULL;
	advice_title(advice, "room for %s entries", number_text(best));
	advice_effect(advice,
		      "over the limit new connections are dropped without a word to anybody");
	advice_cost(advice, "%s when it is full; nf_conntrack_buckets should be a quarter of it",
		    bytes_text((best - entry->capacity) * CONNTRACK_BYTES));
	advice_line(advice, "sysctl -w net.netfilter.nf_conntrack_max=%llu",
		    (unsigned long long)best);
	return advice;
}

/* It makes the entries of this namespace's TIME_WAITs fewer, in the proportion of the times, and no
 * others; companion: what does the rest. */
static void advise_conntrack_timeout(struct assessing *a, const struct balance_space *space,
				     const struct balance_entry *entry,
				     const struct balance_advice *companion)
{
	struct balance_advice *advice;
	uint64_t hold = space_number(space, SYSCTL_CONNTRACK_TIME_WAIT_S);
	double rest;

	if (hold <= TIME_WAIT_S)
		return;
	rest = (double)entry->need -
	       (double)space->time_waits * (double)(hold - TIME_WAIT_S) / TIME_WAIT_S;
	advice = advice_new(a, LEVER_CONNTRACK_TIMEOUT);
	if (!advice)
		return;
	advice_title(advice, "forget a TIME_WAIT when the kernel does, after 60 s");
	advice_effect(advice, "conntrack keeps what is in TIME_WAIT for %llu s",
		      (unsigned long long)hold);
	if (rest > (double)entry->capacity * entry->target) {
		advice->enough = companion != NULL;
		advice->with = companion ? advice_index(a, companion) : -1;
	}
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
		advise_conntrack_timeout(a, space, entry, advise_conntrack_max(a, entry));
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
	if (process->growth_s >= 1)
		entry->exhausted_ms =
			ms_until_full(process->limit, process->used, process->growth_s);
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
