/* SPDX-License-Identifier: MIT */
/* The balance sheet, row by row: what is near its limit, when it will be over, and which levers
 * restore balance. */
#include "tests/unit/balance_kernel.h"

#include "tests/unit/unit.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PORTS "ports/10.77.0.2-10.77.0.1:80"

static struct balance_kernel kernel;

static int setup(void **state)
{
	(void)state;
	kernel_init(&kernel);
	return 0;
}

static bool has_line(const struct balance_advice *advice, const char *text)
{
	for (unsigned int i = 0; i < advice->line_count; i++)
		if (strstr(advice->line[i], text))
			return true;
	return false;
}

/* --- ports ------------------------------------------------------------------------------------ */

static void ports_run_out_when_it_says(void **state)
{
	const struct balance_entry *entry;

	(void)state;
	kernel_connect(&kernel, 5000, 1000);
	kernel_assess(&kernel);
	entry = kernel_entry(&kernel, PORTS);
	assert_int_equal(entry->capacity, 28232);
	assert_int_equal(entry->need, 60000);
	assert_in_range(entry->slow_ms, 9000, 9200);
	assert_in_range(entry->exhausted_ms, 23000, 23400);
	assert_int_equal(entry->level, BALANCE_NEAR);
	assert_ptr_equal(balance_worst(&kernel.sheet), entry);
}

static void what_is_given_back_counts(void **state)
{
	const struct balance_entry *entry;

	(void)state;
	/* 200 a second for a minute: 12,000, under half, and as many come back as are taken */
	kernel_connect(&kernel, 12000, 200);
	kernel_assess(&kernel);
	entry = kernel_entry(&kernel, PORTS);
	assert_int_equal(entry->slow_ms, -1);
	assert_int_equal(entry->exhausted_ms, -1);
	assert_int_equal(entry->level, BALANCE_FINE);
	assert_int_equal(kernel.sheet.advice_count, 0);
	/* 400: past half, never out */
	kernel_connect(&kernel, 12000, 400);
	kernel_assess(&kernel);
	entry = kernel_entry(&kernel, PORTS);
	assert_in_range(entry->slow_ms, 5000, 5500);
	assert_int_equal(entry->exhausted_ms, -1);
	assert_int_equal(entry->level, BALANCE_NEAR);
}

/* Predicted at some moment of a load, against the same load second by second. */
static void prediction_and_load_agree(void **state)
{
	static const int rates[] = {300, 480, 600, 1000, 3000};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		int rate = rates[i], slow_s = -1, full_s = -1;
		const struct balance_entry *entry;

		for (int s = 1; s <= 120; s++) {
			int taken = rate * (s < 60 ? s : 60);

			if (slow_s < 0 && taken >= 14116)
				slow_s = s;
			if (full_s < 0 && taken >= 28232)
				full_s = s;
		}
		kernel_connect(&kernel, (uint32_t)(3 * rate), rate);
		kernel_assess(&kernel);
		entry = kernel_entry(&kernel, PORTS);
		if (slow_s > 0)
			assert_true(fabs((double)entry->slow_ms / 1000 + 3 - slow_s) <=
				    0.2 * slow_s + 1);
		else
			assert_int_equal(entry->slow_ms, -1);
		if (full_s > 0)
			assert_true(fabs((double)entry->exhausted_ms / 1000 + 3 - full_s) <=
				    0.2 * full_s + 1);
		else
			assert_int_equal(entry->exhausted_ms, -1);
	}
}

static void levers_for_ports(void **state)
{
	const struct balance_advice *advice, *with;

	(void)state;
	kernel_connect(&kernel, 5000, 1000);
	kernel_assess(&kernel);
	advice = kernel_advice(&kernel, PORTS "/time-wait");
	assert_non_null(advice);
	assert_true(isinf(advice->sustains_s));
	assert_true(has_line(advice, "time-wait = none"));
	assert_true(has_line(advice, "closeside policy reload"));
	advice = kernel_advice(&kernel, PORTS "/close-first");
	assert_true(fabs(advice->sustains_s - 28232) < 1); /* each for the grace at most */
	assert_true(has_line(advice, "close-first = peer  time-wait = none"));
	advice = kernel_advice(&kernel, PORTS "/tw-reuse");
	assert_true(fabs(advice->sustains_s - 14116) < 1);
	assert_true(has_line(advice, "sysctl -w net.ipv4.tcp_tw_reuse=1"));
	assert_non_null(kernel_advice(&kernel, PORTS "/source"));
	assert_true(kernel_advice(&kernel, PORTS "/source")->sustains_s >= 1000);
	/* half of all ports is too little; all of them suffice with the option */
	advice = kernel_advice(&kernel, PORTS "/port-range");
	assert_true(fabs(advice->sustains_s - 64512 * 0.95 / 60) < 1);
	assert_true(has_line(advice, "net.ipv4.ip_local_port_range='1024 65535'"));
	with = &kernel.sheet.advice[advice->with];
	assert_string_equal(with->id, PORTS "/local-ports");
	assert_true(has_line(with, "local-ports = 1024-65535"));
	assert_ptr_equal(&kernel.sheet.advice[with->with], advice);
}

/* A range of ports under a load, second by second: what a lever makes of it. */
struct range {
	double ports, hold_s;
	bool singly;
};

static void pull(struct range *range, const struct balance_advice *advice)
{
	unsigned int lo, hi;

	switch (advice->lever) {
	case LEVER_TIME_WAIT:
		range->hold_s = 0;
		break;
	case LEVER_CLOSE_FIRST:
		range->hold_s = 0.5;
		break;
	case LEVER_TW_REUSE:
		range->hold_s = 1;
		break;
	case LEVER_PORT_RANGE:
		range->ports = (double)(advice->best.number[1] - advice->best.number[0] + 1);
		break;
	case LEVER_LOCAL_PORTS:
		range->singly = true;
		assert_int_equal(sscanf(strstr(advice->line[0], "local-ports = "),
					"local-ports = %u-%u", &lo, &hi),
				 2);
		assert_true(hi - lo + 1 <= range->ports || advice->with >= 0);
		break;
	case LEVER_SOURCE:
		assert_int_equal(sscanf(advice->title, "connect from %u", &lo), 1);
		range->ports *= lo;
		break;
	default:
		fail_msg("%s is no lever for ports", advice->id);
	}
}

/* Two minutes at this rate: nothing fails, and connect() does not get slow. */
static bool sustains(const struct range *range, int rate)
{
	double taken = 0, most = range->singly ? range->ports : range->ports / 2;

	for (int tenth = 0; tenth < 1200; tenth++) {
		taken += rate / 10.0;
		if (tenth >= range->hold_s * 10)
			taken -= rate / 10.0;
		if (taken > most)
			return false;
	}
	return true;
}

static void what_is_proposed_sustains_the_rate(void **state)
{
	static const int rates[] = {240, 300, 440, 460, 530, 600, 1000, 1020, 1060, 3000, 13000};
	unsigned int tried = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		assert_false(sustains(&(struct range){28232, 60, false}, rates[i]));
		kernel_connect(&kernel, (uint32_t)(15000 + rates[i]), rates[i]);
		kernel_assess(&kernel);
		assert_true(kernel.sheet.advice_count >= 3);
		for (unsigned int j = 0; j < kernel.sheet.advice_count; j++) {
			const struct balance_advice *advice = &kernel.sheet.advice[j];
			struct range range = {28232, 60, false};

			assert_true(advice->enough);
			pull(&range, advice);
			if (advice->with >= 0) {
				assert_false(sustains(&range, rates[i]));
				pull(&range, &kernel.sheet.advice[advice->with]);
			}
			assert_true(sustains(&range, rates[i]));
			tried++;
		}
	}
	assert_true(tried >= 40);
}

static void a_lever_that_is_not_enough_is_not_proposed(void **state)
{
	(void)state;
	kernel_connect(&kernel, 9000, 3000);
	kernel_assess(&kernel);
	assert_null(kernel_advice(&kernel, PORTS "/port-range"));
	assert_null(kernel_advice(&kernel, PORTS "/local-ports"));
	assert_non_null(kernel_advice(&kernel, PORTS "/tw-reuse"));
	kernel_connect(&kernel, 12000, 420);
	kernel_assess(&kernel);
	/* the range of now, with the option: 447 a second */
	assert_int_equal(kernel_advice(&kernel, PORTS "/local-ports")->with, -1);
	/* half of the widest: 537 */
	assert_int_equal(kernel_advice(&kernel, PORTS "/port-range")->with, -1);
	/* no room to widen it */
	kernel.space.widest_lo = kernel.space.widest_hi = 0;
	kernel_assess(&kernel);
	assert_null(kernel_advice(&kernel, PORTS "/port-range"));
}

static void reuse_needs_timestamps_and_takes_a_second(void **state)
{
	(void)state;
	kernel_set(&kernel, SYSCTL_TIMESTAMPS, 0);
	kernel_connect(&kernel, 5000, 1000);
	kernel_assess(&kernel);
	assert_null(kernel_advice(&kernel, PORTS "/tw-reuse"));
	kernel_set(&kernel, SYSCTL_TIMESTAMPS, 1);
	kernel_set(&kernel, SYSCTL_TIME_WAIT_REUSE, 1);
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, PORTS)->need, 1000);
	assert_int_equal(kernel_entry(&kernel, PORTS)->level, BALANCE_FINE);
	/* on loopback it is so by default */
	kernel_set(&kernel, SYSCTL_TIME_WAIT_REUSE, 2);
	kernel.ports.loopback = true;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, PORTS)->level, BALANCE_FINE);
}

static void policies_are_known(void **state)
{
	(void)state;
	kernel_connect(&kernel, 2000, 1000);
	kernel.ports.time_wait_ms = 2000;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, PORTS)->need, 2000);
	assert_int_equal(kernel_entry(&kernel, PORTS)->level, BALANCE_FINE);
	kernel_connect(&kernel, 20000, 430);
	kernel.ports.searches_singly = true;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, PORTS)->slow_ms, -1);
	assert_int_equal(kernel_entry(&kernel, PORTS)->level, BALANCE_FINE);
	kernel.ports.searches_singly = false;
	strcpy(kernel.ports.who.policy, "upstream");
	kernel_assess(&kernel);
	assert_true(has_line(kernel_advice(&kernel, PORTS "/time-wait"),
			     "the policy upstream has them"));
}

static void a_pool_of_open_connections_is_no_leak_of_ports(void **state)
{
	(void)state;
	kernel_connect(&kernel, 0, 1);
	kernel.ports.used = 13000;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, PORTS)->need, 13000);
	assert_int_equal(kernel_entry(&kernel, PORTS)->level, BALANCE_FINE);
	kernel.ports.used = 20000;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, PORTS)->level, BALANCE_NEAR);
	/* nothing that is about TIME_WAIT would help; connect() is slow, and a quicker search would
	 */
	assert_null(kernel_advice(&kernel, PORTS "/time-wait"));
	assert_null(kernel_advice(&kernel, PORTS "/close-first"));
	assert_null(kernel_advice(&kernel, PORTS "/tw-reuse"));
	assert_true(has_line(kernel_advice(&kernel, PORTS "/local-ports"),
			     "local-ports = 32768-60999"));
}

/* --- TIME_WAIT buckets ------------------------------------------------------------------------ */

static void many_time_waits_are_harmless(void **state)
{
	const struct balance_entry *entry;

	(void)state;
	kernel.space.time_waits = kernel.space.time_waits_peak = 28000;
	kernel.space.time_waits_s = 28000 / 60.0;
	kernel_assess(&kernel);
	entry = kernel_entry(&kernel, "time-wait-buckets");
	assert_int_equal(entry->level, BALANCE_FINE);
	assert_non_null(strstr(entry->evidence[entry->evidence_count - 1], "harmless"));
	assert_int_equal(kernel.sheet.advice_count, 0);
	assert_null(balance_worst(&kernel.sheet));
}

static void buckets_that_overflow(void **state)
{
	const struct balance_advice *advice;
	const struct balance_entry *entry;

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 10000);
	kernel.space.time_waits = kernel.space.time_waits_peak = 10000;
	kernel.space.time_waits_s = 250;
	kernel.space.time_wait_drops = 900;
	kernel.space.maker[0] = (struct balance_maker){
		.who = {.pid = 9, .program = "nginx", .shim = true}, .server = true, .count = 9000};
	kernel.space.maker[0].place.port = 80;
	kernel_assess(&kernel);
	entry = kernel_entry(&kernel, "time-wait-buckets");
	assert_int_equal(entry->level, BALANCE_OVER);
	assert_int_equal(entry->need, 15000);
	advice = kernel_advice(&kernel, "time-wait-buckets/close-first");
	assert_true(has_line(advice, "role = server  local-port = 80  close-first = peer"));
	advice = kernel_advice(&kernel, "time-wait-buckets/tw-buckets");
	assert_int_equal(advice->best.number[0], 21429); /* 15,000 / 0.7 */
	assert_true(has_line(advice, "sysctl -w net.ipv4.tcp_max_tw_buckets=21429"));
	assert_null(kernel_advice(&kernel, "time-wait-buckets/tw-reuse"));
	/* a client's are not for tcp_tw_reuse here either, and its own policy is another */
	kernel.space.maker[0].server = false;
	kernel_assess(&kernel);
	assert_non_null(kernel_advice(&kernel, "time-wait-buckets/time-wait"));
	assert_null(kernel_advice(&kernel, "time-wait-buckets/close-first"));
}

static void buckets_that_will_overflow(void **state)
{
	const struct balance_entry *entry;

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 50000);
	kernel.space.time_waits = kernel.space.time_waits_peak = 10000;
	kernel.space.time_waits_s = kernel.space.time_waits_growth_s = 1000;
	kernel_assess(&kernel);
	entry = kernel_entry(&kernel, "time-wait-buckets");
	assert_int_equal(entry->need, 60000);
	assert_int_equal(entry->exhausted_ms, 40000);
	assert_int_equal(entry->level, BALANCE_NEAR);
	/* retired after two seconds they stay few, and nothing is said */
	kernel.space.time_waits = kernel.space.time_waits_peak = 2000;
	kernel.space.time_waits_growth_s = 3;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, "time-wait-buckets")->level, BALANCE_FINE);
}

/* --- queues ----------------------------------------------------------------------------------- */

static void an_accept_queue_that_overflows(void **state)
{
	const struct balance_advice *advice;

	(void)state;
	kernel_listen(&kernel, 100);
	kernel_assess(&kernel);
	assert_null(balance_worst(&kernel.sheet));
	kernel.listener.queue_peak = 101;
	kernel.listener.drops = kernel.listener.drops_now = 60;
	kernel.space.listen_drops = kernel.space.listen_drops_now = 60;
	kernel_assess(&kernel);
	assert_string_equal(balance_worst(&kernel.sheet)->id, "accept-queue/10.77.0.1:80");
	assert_int_equal(balance_worst(&kernel.sheet)->drops, 60);
	advice = kernel_advice(&kernel, "accept-queue/10.77.0.1:80/backlog");
	assert_true(has_line(advice, "backlog = 215"));
	advice = kernel_advice(&kernel, "accept-queue/10.77.0.1:80/relisten");
	assert_int_equal(advice->best.number[0], 215);
	assert_int_equal(advice->with, -1);
	assert_null(kernel_advice(&kernel, "accept-queue/10.77.0.1:80/somaxconn"));
	kernel_set(&kernel, SYSCTL_SOMAXCONN, 128);
	kernel_assess(&kernel);
	advice = kernel_advice(&kernel, "accept-queue/10.77.0.1:80/relisten");
	assert_string_equal(kernel.sheet.advice[advice->with].id,
			    "accept-queue/10.77.0.1:80/somaxconn");
}

static void a_syn_queue_that_overflows(void **state)
{
	(void)state;
	kernel_listen(&kernel, 128);
	kernel.listener.handshakes = kernel.listener.handshakes_peak = 128;
	kernel.listener.drops = 500;
	kernel.space.syn_cookies = 500;
	kernel_assess(&kernel);
	/* with cookies nothing is lost */
	assert_int_equal(kernel_entry(&kernel, "syn-queue/10.77.0.1:80")->level, BALANCE_NEAR);
	assert_null(kernel_advice(&kernel, "syn-queue/10.77.0.1:80/syncookies"));
	kernel.space.syn_cookies = 0;
	kernel.space.syn_drops = 500;
	kernel_set(&kernel, SYSCTL_SYN_COOKIES, 0);
	kernel_set(&kernel, SYSCTL_SYN_BACKLOG_MAX, 128);
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, "syn-queue/10.77.0.1:80")->level, BALANCE_OVER);
	assert_int_equal(kernel_entry(&kernel, "syn-queue/10.77.0.1:80")->capacity, 96);
	assert_true(has_line(kernel_advice(&kernel, "syn-queue/10.77.0.1:80/syncookies"),
			     "tcp_syncookies=1"));
	assert_non_null(kernel_advice(&kernel, "syn-queue/10.77.0.1:80/syn-backlog"));
	assert_non_null(kernel_advice(&kernel, "syn-queue/10.77.0.1:80/relisten"));
}

static void syns_that_come_again_are_no_drops(void **state)
{
	(void)state;
	kernel_listen(&kernel, 128);
	kernel_set(&kernel, SYSCTL_SYN_COOKIES, 0);
	kernel.listener.handshakes = kernel.listener.handshakes_peak = 72;
	kernel.listener.drops = kernel.listener.drops_now =
		500; /* of the listener, not of the queue */
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, "syn-queue/10.77.0.1:80")->drops, 0);
	assert_int_equal(kernel_entry(&kernel, "syn-queue/10.77.0.1:80")->level, BALANCE_FINE);
	assert_null(kernel_advice(&kernel, "syn-queue/10.77.0.1:80/relisten"));
	kernel.space.syn_drops = 20;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, "syn-queue/10.77.0.1:80")->drops, 20);
}

/* --- the others ------------------------------------------------------------------------------- */

static void orphans(void **state)
{
	const struct balance_advice *advice;

	(void)state;
	kernel.inputs.orphans = kernel.inputs.orphans_peak = 131072;
	kernel.inputs.orphan_drops = 10;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, "orphans")->level, BALANCE_OVER);
	assert_null(kernel_advice(&kernel, "orphans/fin-timeout"));
	advice = kernel_advice(&kernel, "orphans/max-orphans");
	/* no more than 64 MB more of them */
	assert_int_equal(advice->best.number[0], 131072 + (64 << 20) / 4096);
	/* those of a long tcp_fin_timeout are another matter */
	kernel_set(&kernel, SYSCTL_FIN_TIMEOUT_S, 300);
	kernel.inputs.orphans_fin_wait2 = 100000;
	kernel_assess(&kernel);
	advice = kernel_advice(&kernel, "orphans/fin-timeout");
	assert_int_equal(advice->best.number[0], 60);
	/* not to be seen from this namespace, but counted */
	kernel.space.key[SYSCTL_ORPHANS_MAX].now.count = 0;
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, "orphans")->level, BALANCE_OVER);
	assert_null(kernel_advice(&kernel, "orphans/max-orphans"));
}

static void descriptors_and_memory(void **state)
{
	static const struct sysctl_value pages = {.count = 3, .number = {100, 150, 200}};

	(void)state;
	kernel.process = (struct balance_process){
		.who = {.pid = 77, .program = "x;y"}, .used = 900, .limit = 1024, .hard = 4096};
	kernel.inputs.process_count = 1;
	kernel_assess(&kernel);
	assert_true(has_line(kernel_advice(&kernel, "descriptors/77/nofile"),
			     "prlimit --pid 77 --nofile=2048:4096"));
	assert_int_equal(kernel_entry(&kernel, "descriptors/77")->exhausted_ms, -1);
	kernel.process.used = 1024; /* none is left: now */
	kernel_assess(&kernel);
	assert_int_equal(kernel_entry(&kernel, "descriptors/77")->exhausted_ms, 0);
	kernel.space.key[SYSCTL_MEMORY_PAGES].now = pages;
	kernel.inputs.memory_pages = 160;
	kernel_assess(&kernel);
	assert_true(has_line(kernel_advice(&kernel, "tcp-memory/tcp-mem"),
			     "net.ipv4.tcp_mem='150 225 300'"));
}

static void conntrack(void **state)
{
	(void)state;
	kernel_set(&kernel, SYSCTL_CONNTRACK_MAX, 262144);
	kernel_set(&kernel, SYSCTL_CONNTRACK_COUNT, 200000);
	kernel_set(&kernel, SYSCTL_CONNTRACK_TIME_WAIT_S, 120);
	kernel_assess(&kernel);
	assert_true(has_line(kernel_advice(&kernel, "conntrack/conntrack-max"),
			     "nf_conntrack_max=285715"));
	assert_true(has_line(kernel_advice(&kernel, "conntrack/conntrack-timeout"), "=60"));
	assert_null(kernel_advice(&kernel, "conntrack/notrack"));
	/* in another namespace than the first the limit cannot be set */
	kernel.space.key[SYSCTL_ORPHANS_MAX].now.count = 0;
	kernel_assess(&kernel);
	assert_null(kernel_advice(&kernel, "conntrack/conntrack-max"));
	assert_true(has_line(kernel_advice(&kernel, "conntrack/notrack"), "notrack"));
}

static void other_namespaces_have_names_of_their_own(void **state)
{
	const struct balance_advice *advice;

	(void)state;
	kernel.space.netns = 4026532001;
	kernel.space.pid = 99;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 100);
	kernel.space.time_waits = kernel.space.time_waits_peak = 100;
	kernel_assess(&kernel);
	advice = kernel_advice(&kernel, "time-wait-buckets@4026532001/tw-buckets");
	assert_true(has_line(advice, "nsenter -t 99 -n sysctl -w net.ipv4.tcp_max_tw_buckets="));
}

static void names_that_are_not_plain_are_in_no_line(void **state)
{
	(void)state;
	kernel_connect(&kernel, 5000, 1000);
	strcpy(kernel.ports.who.program, "$(reboot)\033[2J");
	kernel_assess(&kernel);
	for (unsigned int i = 0; i < kernel.sheet.advice_count; i++)
		assert_false(has_line(&kernel.sheet.advice[i], "reboot"));
	assert_null(strchr(kernel_entry(&kernel, PORTS)->title, '\033'));
}

static void what_is_somebody_elses_says_why_not(void **state)
{
	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 100);
	kernel.space.time_waits = kernel.space.time_waits_peak = 100;
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].yielded = true;
	kernel_assess(&kernel);
	assert_true(*kernel_advice(&kernel, "time-wait-buckets/tw-buckets")->why_not);
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].yielded = false;
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].min = 1;
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].max = 120;
	kernel_assess(&kernel);
	assert_non_null(strstr(kernel_advice(&kernel, "time-wait-buckets/tw-buckets")->why_not,
			       "over the max of 120"));
}

/* --- the sheet -------------------------------------------------------------------------------- */

static void an_id_is_of_one_entry(void **state)
{
	struct balance_listener listeners[3];

	(void)state;
	kernel_listen(&kernel, 100);
	kernel.listener.queue_peak = 100;
	for (int i = 0; i < 3; i++) {
		listeners[i] = kernel.listener; /* SO_REUSEPORT */
		listeners[i].cookie = 100 + (uint64_t)i;
	}
	kernel.inputs.listeners = listeners;
	kernel.inputs.listener_count = 3;
	kernel_assess(&kernel);
	assert_int_equal(kernel_advice(&kernel, "accept-queue/10.77.0.1:80/relisten")->cookie, 100);
	assert_int_equal(kernel_advice(&kernel, "accept-queue/10.77.0.1:80,2/relisten")->cookie,
			 101);
	assert_int_equal(kernel_advice(&kernel, "accept-queue/10.77.0.1:80,3/relisten")->cookie,
			 102);
}

/* However many there are, the one that is over its limit is on the sheet, with its advice. */
static void what_is_fine_gives_way(void **state)
{
	static struct balance_process processes[BALANCE_ENTRIES + 20];

	(void)state;
	for (int i = 0; i < BALANCE_ENTRIES + 20; i++)
		processes[i] = (struct balance_process){
			.who = {.pid = 1000 + i, .program = "app"}, .used = 600, .limit = 1024};
	processes[BALANCE_ENTRIES + 19].used = 1024;
	kernel.inputs.processes = processes;
	kernel.inputs.process_count = BALANCE_ENTRIES + 20;
	kernel_assess(&kernel);
	assert_int_equal(kernel.sheet.entry_count, BALANCE_ENTRIES);
	assert_string_equal(balance_worst(&kernel.sheet)->id, "descriptors/1083");
	assert_non_null(kernel_advice(&kernel, "descriptors/1083/nofile"));
}

static void a_backlog_is_what_listen_can_say(void **state)
{
	const struct balance_advice *advice;

	(void)state;
	kernel_listen(&kernel, 60000);
	kernel.listener.queue_peak = 60000;
	kernel_assess(&kernel);
	advice = kernel_advice(&kernel, "accept-queue/10.77.0.1:80/backlog");
	assert_true(has_line(advice, "backlog = 65535"));
	/* cut by somaxconn, it needs that too */
	assert_string_equal(kernel.sheet.advice[advice->with].id,
			    "accept-queue/10.77.0.1:80/somaxconn");
}

static void a_policy_for_a_part_is_not_enough_alone(void **state)
{
	const struct balance_advice *advice;

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 10000);
	kernel.space.time_waits = kernel.space.time_waits_peak = 10000;
	kernel.space.time_waits_s = 250;
	kernel.space.time_wait_drops = 900;
	kernel.space.maker[0] = (struct balance_maker){.who = {.program = "app"}, .count = 3000};
	kernel_assess(&kernel);
	advice = kernel_advice(&kernel, "time-wait-buckets/time-wait");
	assert_true(fabs(advice->sustains_s - 10000 * 0.7 / 60 / 0.7) < 1);
	assert_string_equal(kernel.sheet.advice[advice->with].id, "time-wait-buckets/tw-buckets");
	kernel.space.maker[0].count = 9000;
	kernel_assess(&kernel);
	advice = kernel_advice(&kernel, "time-wait-buckets/time-wait");
	assert_true(advice->enough);
	assert_int_equal(advice->with, -1);
}

static void a_range_that_the_option_makes_needless_is_not_proposed(void **state)
{
	unsigned int count = 0;

	(void)state;
	kernel.space.key[SYSCTL_PORT_RANGE].now = sysctl_range(32768, 65535);
	kernel.space.widest_lo = 30000;
	kernel_connect(&kernel, 20000, 500);
	kernel_assess(&kernel);
	for (unsigned int i = 0; i < kernel.sheet.advice_count; i++)
		count += kernel.sheet.advice[i].lever == LEVER_LOCAL_PORTS;
	assert_int_equal(count, 1);
	assert_int_equal(kernel_advice(&kernel, PORTS "/local-ports")->with, -1);
	assert_null(kernel_advice(&kernel, PORTS "/port-range"));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ports_run_out_when_it_says),
		TEST(what_is_given_back_counts),
		TEST(prediction_and_load_agree),
		TEST(levers_for_ports),
		TEST(what_is_proposed_sustains_the_rate),
		TEST(a_lever_that_is_not_enough_is_not_proposed),
		TEST(reuse_needs_timestamps_and_takes_a_second),
		TEST(policies_are_known),
		TEST(a_pool_of_open_connections_is_no_leak_of_ports),
		TEST(many_time_waits_are_harmless),
		TEST(buckets_that_overflow),
		TEST(buckets_that_will_overflow),
		TEST(an_accept_queue_that_overflows),
		TEST(a_syn_queue_that_overflows),
		TEST(syns_that_come_again_are_no_drops),
		TEST(orphans),
		TEST(descriptors_and_memory),
		TEST(conntrack),
		TEST(other_namespaces_have_names_of_their_own),
		TEST(names_that_are_not_plain_are_in_no_line),
		TEST(what_is_somebody_elses_says_why_not),
		TEST(an_id_is_of_one_entry),
		TEST(what_is_fine_gives_way),
		TEST(a_backlog_is_what_listen_can_say),
		TEST(a_policy_for_a_part_is_not_enough_alone),
		TEST(a_range_that_the_option_makes_needless_is_not_proposed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
