/* SPDX-License-Identifier: MIT */
#include "daemon/tune_samples.h"

#include "daemon/follow.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/netns.h"
#include "daemon/note.h"
#include "daemon/probe.h"
#include "daemon/sysctld.h"
#include "daemon/tune_listeners.h"
#include "daemon/vitals.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PORT_LEAST = 1024, PORT_MOST = 65535, NEAR_PERCENT = 50 };

void samples_init(struct tune_samples *samples, struct loop *loop)
{
	samples->loop = loop;
	samples->inputs.spaces = samples->space;
	samples->inputs.ports = samples->ports;
	samples->inputs.listeners = samples->listener;
	samples->inputs.processes = samples->process;
	samples->inputs.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	samples->inputs.ram_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * samples->inputs.page_bytes;
}

void samples_free(struct tune_samples *samples)
{
	listeners_forget(samples, true);
}

/* --- counters --------------------------------------------------------------------------------- */

static double positive(double rate)
{
	return rate > 0 ? rate : 0;
}

static uint64_t grown(const struct vitals *vitals, enum probe_counter counter, uint64_t now_ms)
{
	return vitals_grown(vitals, counter, BALANCE_WINDOW_MS, now_ms);
}

static uint64_t just_grown(const struct vitals *vitals, enum probe_counter counter, uint64_t now_ms)
{
	return vitals_grown(vitals, counter, BALANCE_NOW_MS, now_ms);
}

static double rate(const struct vitals *vitals, enum probe_counter counter, uint64_t now_ms)
{
	return vitals_rate(vitals, counter, BALANCE_WINDOW_MS, now_ms);
}

/* TW and TWKilled count when one begins, not when it ends (inet_twsk_schedule()); what is over the
 * limit never begins. */
static double time_waits_entered(const struct vitals *vitals, uint64_t now_ms)
{
	return positive(rate(vitals, PROBE_TIME_WAITS_ENTERED, now_ms) +
			rate(vitals, PROBE_TIME_WAITS_SHORT, now_ms) +
			rate(vitals, PROBE_TIME_WAIT_OVERFLOWS, now_ms));
}

static uint64_t more(uint64_t all, uint64_t part)
{
	return all > part ? all - part : 0;
}

/* SYNs that a queue had no room for are all of ListenDrops that is not ListenOverflows, which
 * counts in both; TCPReqQFullDrop has only those over the backlog, not those past three quarters of
 * tcp_max_syn_backlog (tcp_conn_request(), Linux 6.18). */
static void take_counters(struct balance_space *space, const struct vitals *vitals, uint64_t now_ms)
{
	space->time_waits = vitals_now(vitals, PROBE_TIME_WAITS);
	space->time_waits_peak = vitals_peak(vitals, PROBE_TIME_WAITS, BALANCE_WINDOW_MS, now_ms);
	space->time_waits_s = time_waits_entered(vitals, now_ms);
	space->time_waits_growth_s = rate(vitals, PROBE_TIME_WAITS, now_ms);
	space->time_wait_drops_now = just_grown(vitals, PROBE_TIME_WAIT_OVERFLOWS, now_ms);
	space->listen_drops_now = just_grown(vitals, PROBE_LISTEN_OVERFLOWS, now_ms);
	space->syn_drops_now = more(just_grown(vitals, PROBE_LISTEN_DROPS, now_ms),
				    just_grown(vitals, PROBE_LISTEN_OVERFLOWS, now_ms));
	space->time_wait_drops = grown(vitals, PROBE_TIME_WAIT_OVERFLOWS, now_ms);
	space->listen_drops = grown(vitals, PROBE_LISTEN_OVERFLOWS, now_ms);
	space->syn_drops = more(grown(vitals, PROBE_LISTEN_DROPS, now_ms),
				grown(vitals, PROBE_LISTEN_OVERFLOWS, now_ms));
	space->syn_cookies = grown(vitals, PROBE_REQUEST_QUEUE_COOKIES, now_ms);
}

/* Of all network namespaces together; aborts for want of memory are counted where they happen. */
static void take_machine(struct balance_inputs *inputs, const struct vitals *vitals,
			 uint64_t now_ms)
{
	inputs->orphans = vitals_now(vitals, PROBE_ORPHANS);
	inputs->orphans_peak = vitals_peak(vitals, PROBE_ORPHANS, BALANCE_WINDOW_MS, now_ms);
	inputs->orphans_s = positive(rate(vitals, PROBE_ORPHANS, now_ms));
	inputs->memory_pages = vitals_now(vitals, PROBE_MEMORY_PAGES);
	inputs->memory_pressures = grown(vitals, PROBE_MEMORY_PRESSURES, now_ms);
	inputs->orphan_drops = inputs->orphan_drops_now = 0;
}

void samples_look(struct tune_samples *samples, uint64_t now_ms, bool all)
{
	const struct follow *follow = samples->loop->follow;
	struct balance_inputs *inputs = &samples->inputs;

	samples->round++;
	inputs->now_ms = now_ms;
	take_machine(inputs, samples->loop->vitals, now_ms);
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++) {
		struct netns *ns = follow_netns(follow, i);

		if (!ns)
			continue;
		if (i && all)
			vitals_tick(ns->vitals, now_ms);
		take_counters(&samples->space[i], ns->vitals, now_ms);
		samples->space[i].pid = ns->pid;
		inputs->orphan_drops += grown(ns->vitals, PROBE_MEMORY_ABORTS, now_ms);
		inputs->orphan_drops_now += just_grown(ns->vitals, PROBE_MEMORY_ABORTS, now_ms);
		listeners_look(samples, i, ns, now_ms);
	}
	listeners_forget(samples, false);
}

/* --- settings --------------------------------------------------------------------------------- */

static void mark_listening(const struct vitals_listener *listener, uint8_t *ports)
{
	uint16_t port = listener->now.local.port;

	ports[port / 8] |= (uint8_t)(1u << port % 8);
}

static bool mark(const struct vitals_listener *listener, void *ports)
{
	mark_listening(listener, ports);
	return true;
}

static bool is_free(const uint8_t *ports, unsigned int port)
{
	return !(ports[port / 8] & 1u << port % 8);
}

/* As wide as it can be around the range that is, without a port that somebody listens at or has
 * reserved: one that starts later could not have it. */
static void widen(struct balance_space *space, const struct netns *ns, struct probe_ports range)
{
	static uint8_t ports[PROBE_PORT_BYTES];
	unsigned int lo = range.lo, hi = range.hi;

	memset(ports, 0, sizeof(ports));
	vitals_each_listener(ns->vitals, mark, ports);
	probe_reserved_ports(ns->probe, ports);
	while (lo > PORT_LEAST && is_free(ports, lo - 1))
		lo--;
	while (hi < PORT_MOST && is_free(ports, hi + 1))
		hi++;
	space->reserved = range.reserved;
	space->widest_lo = (uint16_t)lo;
	space->widest_hi = (uint16_t)hi;
	if (lo == range.lo && hi == range.hi)
		space->widest_lo = space->widest_hi = 0;
}

static void say_foreign(const struct balance_space *space, enum sysctl key,
			const struct sysctl_value *now)
{
	char text[SYSCTL_TEXT];

	log_notice("%s is %s now, which closeside has not written: it is left alone until "
		   "`closeside tune resume %s`%s",
		   sysctls[key].name, sysctl_format(now, text, sizeof(text)), sysctls[key].name,
		   space->netns ? " (in another network namespace)" : "");
	note(NOTE_SYSCTL, "%s is %s now: somebody else has set it%s", sysctls[key].name, text,
	     space->netns ? " (in another network namespace)" : "");
}

static void take_setting(struct tune_samples *samples, unsigned int index, enum sysctl key,
			 const int *folders)
{
	struct balance_space *space = &samples->space[index];
	struct samples_key *more = &samples->key[index][key];
	struct balance_key *out = &space->key[key];
	struct config *config = samples->loop->config;
	struct sysctl_value value;

	if (!sysctl_read(folders, key, &value))
		value.count = 0;
	out->now = value;
	out->min = config->tune.bound[key].said ? config->tune.bound[key].min : 0;
	out->max = config->tune.bound[key].said ? config->tune.bound[key].max : 0;
	if (more->wrote.count && !more->serial && !samples->reverting &&
	    !sysctl_same(&value, &more->wrote)) {
		if (value.count)
			say_foreign(space, key, &value);
		more->foreign = true;
		more->wrote.count = 0;
		out->original.count = 0;
	}
	out->yielded = more->named || more->foreign;
}

static void read_named(struct tune_samples *samples)
{
	for (int key = 0; key < SYSCTL_COUNT; key++) {
		char by[sizeof(samples->key[0][0].by)] = "";
		bool named = sysctls[key].lever != SYSCTL_READ &&
			     sysctld_names((enum sysctl)key, by, sizeof(by));

		for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++) {
			struct samples_key *more = &samples->key[i][key];

			more->named = named;
			memcpy(more->by, by, sizeof(by));
		}
	}
}

static void take_conntrack(struct tune_samples *samples, unsigned int index, uint64_t now_ms)
{
	struct balance_space *space = &samples->space[index];
	const struct sysctl_value *count = &space->key[SYSCTL_CONNTRACK_COUNT].now;
	uint64_t elapsed = now_ms - samples->conntrack_ms[index];

	if (!count->count || elapsed < 1000)
		return;
	if (samples->conntrack_ms[index])
		space->conntrack_s =
			positive((double)(count->number[0] - samples->conntrack_count[index]) *
				 1000 / (double)elapsed);
	samples->conntrack_ms[index] = now_ms;
	samples->conntrack_count[index] = count->number[0];
}

/* Another has the place, or nobody. */
static void begin_space(struct tune_samples *samples, unsigned int index, uint64_t inode)
{
	memset(&samples->space[index], 0, sizeof(samples->space[index]));
	for (int key = 0; key < SYSCTL_COUNT; key++) {
		struct samples_key *more = &samples->key[index][key];

		more->wrote.count = 0;
		more->foreign = false;
		more->outcome = SETTER_DONE;
		more->serial = 0;
	}
	samples->conntrack_ms[index] = 0;
	samples->space[index].netns = inode;
}

bool samples_settings(struct tune_samples *samples, uint64_t now_ms)
{
	bool is_new = false;

	if (!samples->named_ms || now_ms - samples->named_ms >= SAMPLES_NAMED_MS) {
		read_named(samples);
		samples->named_ms = now_ms;
	}
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++) {
		struct netns *ns = follow_netns(samples->loop->follow, i);
		uint64_t inode = ns && i ? ns->inode : 0;

		if (inode != samples->space[i].netns) {
			begin_space(samples, i, inode);
			is_new = true;
		}
		if (!ns)
			continue;
		for (int key = 0; key < SYSCTL_COUNT; key++)
			take_setting(samples, i, (enum sysctl)key, probe_folders(ns->probe));
		take_conntrack(samples, i, now_ms);
		widen(&samples->space[i], ns, probe_local_ports(ns->probe));
		samples->inputs.space_count = i + 1;
	}
	return is_new;
}

void samples_forget_named(struct tune_samples *samples)
{
	samples->named_ms = 0;
}

/* --- processes -------------------------------------------------------------------------------- */

void samples_no_processes(struct tune_samples *samples)
{
	samples->inputs.process_count = 0;
}

/* The fullest ones are kept. */
static struct balance_process *place_for(struct tune_samples *samples, double share)
{
	struct balance_process *least = samples->process;

	if (samples->inputs.process_count < SAMPLES_PROCESSES)
		return &samples->process[samples->inputs.process_count++];
	for (int i = 1; i < SAMPLES_PROCESSES; i++)
		if (samples->process[i].used * least->limit <
		    least->used * samples->process[i].limit)
			least = &samples->process[i];
	return (double)least->used / (double)least->limit < share ? least : NULL;
}

void samples_process(struct tune_samples *samples, const struct proc *proc)
{
	struct probe_descriptors found;
	struct balance_process *process;

	if (!probe_descriptors(proc->process.pid, &found) || !found.limit ||
	    found.limit == UINT64_MAX || found.used * 100ULL < found.limit * NEAR_PERCENT ||
	    !process_is(proc->process.pid, proc->process.start))
		return;
	process = place_for(samples, (double)found.used / (double)found.limit);
	if (!process)
		return;
	*process = (struct balance_process){
		.used = found.used,
		.limit = found.limit,
		.hard = found.hard,
		.conns = census_conns(&proc->census) - proc->census.state[STATE_TIME_WAIT],
	};
	samples_who(&process->who, proc);
}
