/* SPDX-License-Identifier: MIT */
/* What /proc says, taken apart; and the last minutes of it. */
#include "daemon/probe.h"
#include "daemon/vitals.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t counters[PROBE_COUNTER_COUNT];

static void netstat_is_read(void **state)
{
	(void)state;
	memset(counters, 0, sizeof(counters));
	probe_parse_netstat("TcpExt: SyncookiesSent ListenOverflows TW TCPTimeWaitOverflow\n"
			    "TcpExt: 1 22 333 4444\n"
			    "IpExt: TW\nIpExt: 5\n"
			    "Tcp: ActiveOpens RetransSegs\nTcp: 7 18446744073709551615\n",
			    counters);
	assert_int_equal(counters[PROBE_LISTEN_OVERFLOWS], 22);
	assert_int_equal(counters[PROBE_TIME_WAITS_ENTERED], 333);
	assert_int_equal(counters[PROBE_TIME_WAIT_OVERFLOWS], 4444);
	assert_int_equal(counters[PROBE_ACTIVE_OPENS], 7);
	assert_true(counters[PROBE_SEGMENTS_RETRANSMITTED] == UINT64_MAX);
	assert_int_equal(counters[PROBE_LISTEN_DROPS], 0);
}

static void sockstat_is_read(void **state)
{
	(void)state;
	memset(counters, 0, sizeof(counters));
	probe_parse_sockstat("sockets: used 11\nTCP: inuse 1 orphan 2 tw 3 alloc 4 mem 5\n"
			     "UDP: inuse 6 mem 7\nTCP6: inuse 8\n",
			     counters);
	assert_int_equal(counters[PROBE_SOCKETS_IN_USE], 1);
	assert_int_equal(counters[PROBE_ORPHANS], 2);
	assert_int_equal(counters[PROBE_TIME_WAITS], 3);
	assert_int_equal(counters[PROBE_MEMORY_PAGES], 5);
	assert_int_equal(counters[PROBE_SOCKETS6_IN_USE], 8);
}

static void broken_text_is_survived(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n\n",
		"TcpExt:",
		"TcpExt:\n",
		"TcpExt: a b\nTcpExt: 1",
		"TCP: ",
		"TCP: inuse",
		": 1\n: 2\n",
		"TcpExt: TW\nTcp: 5\n",
		"TcpExt: TW\nTcpExt:",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		memset(counters, 0, sizeof(counters));
		probe_parse_netstat(texts[i], counters);
		probe_parse_sockstat(texts[i], counters);
		for (int c = 0; c < PROBE_COUNTER_COUNT; c++)
			assert_int_equal(counters[c], 0);
	}
}

static void reserved_ports_are_counted(void **state)
{
	(void)state;
	assert_int_equal(probe_parse_reserved("\n", 1000, 2000), 0);
	assert_int_equal(probe_parse_reserved("1500\n", 1000, 2000), 1);
	assert_int_equal(probe_parse_reserved("1-999,1000-1009,1990-2100,3000\n", 1000, 2000), 21);
	assert_int_equal(probe_parse_reserved("1-65535", 1, 65535), 65535);
}

static void limits_are_read(void **state)
{
	struct probe_descriptors descriptors;

	(void)state;
	assert_true(probe_parse_limits("Max processes  1 2 processes\n"
				       "Max open files            1024   unlimited    files \n",
				       &descriptors));
	assert_int_equal(descriptors.limit, 1024);
	assert_true(descriptors.hard == UINT64_MAX);
	assert_false(probe_parse_limits("Max processes  1 2 processes\n", &descriptors));
}

static void our_own_descriptors_are_counted(void **state)
{
	struct probe_descriptors before, after;
	struct rlimit limit;
	int fd;

	(void)state;
	assert_true(probe_descriptors(getpid(), &before));
	fd = dup(0);
	assert_true(probe_descriptors(getpid(), &after));
	close(fd);
	assert_int_equal(after.used, before.used + 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(after.limit == limit.rlim_cur);
	assert_false(probe_descriptors(0x3fffffff, &after));
}

static const struct probe_listener *wanted;
static struct probe_listener found;

static void find_listener(const struct probe_listener *listener, void *arg)
{
	(void)arg;
	if (listener->local.port == wanted->local.port)
		found = *listener;
}

static void a_listener_is_found(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	struct probe_listener here = {.backlog = 7};
	struct probe *probe = probe_new(NULL);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_non_null(probe);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(listener, 7), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, len), 0);
	here.local.port = ntohs(sa.sin_port);
	wanted = &here;
	assert_true(probe_listeners(probe, find_listener, NULL));
	assert_int_equal(found.local.port, here.local.port);
	assert_int_equal(found.local.family, AF_INET);
	assert_int_equal(found.backlog, 7);
	assert_int_equal(found.queue, 1);
	assert_int_not_equal(found.inode, 0);
	probe_counters(probe, counters);
	assert_int_not_equal(counters[PROBE_SOCKETS_IN_USE], 0);
	close(client);
	close(listener);
	probe_free(probe);
}

/* --- the last minutes ------------------------------------------------------------------------- */

static struct probe *own_probe(void)
{
	static struct probe *probe;

	if (!probe)
		probe = probe_new(NULL);
	return probe;
}

static void see(struct vitals *vitals, uint64_t now_ms, uint64_t drops, uint64_t time_waits)
{
	memset(counters, 0, sizeof(counters));
	counters[PROBE_LISTEN_OVERFLOWS] = drops;
	counters[PROBE_TIME_WAITS] = time_waits;
	vitals_take_counters(vitals, counters, now_ms, true);
}

/* The first look, of the real thing, is far enough behind. */
static struct vitals *fresh(uint64_t now_ms)
{
	struct vitals *vitals = vitals_new(own_probe(), 1);

	assert_non_null(vitals);
	for (int i = 0; i < VITALS_SECONDS; i++)
		see(vitals, now_ms - 1000 * (VITALS_SECONDS - (uint64_t)i), 100, 0);
	return vitals;
}

static void growth_is_known_for_a_window(void **state)
{
	struct vitals *vitals = fresh(1000000);

	(void)state;
	see(vitals, 1000000, 105, 0);
	see(vitals, 1001000, 105, 0);
	see(vitals, 1002000, 112, 0);
	assert_int_equal(vitals_now(vitals, PROBE_LISTEN_OVERFLOWS), 112);
	assert_int_equal(vitals_grown(vitals, PROBE_LISTEN_OVERFLOWS, 60000, 1002000), 12);
	assert_int_equal(vitals_grown(vitals, PROBE_LISTEN_OVERFLOWS, 1500, 1002500), 7);
	assert_int_equal(vitals_grown(vitals, PROBE_LISTEN_OVERFLOWS, 1000, 1004000), 0);
	assert_int_equal(vitals_grown(vitals, PROBE_LISTEN_OVERFLOWS, 1000000, 1002500), 12);
	vitals_free(vitals);
}

static void growth_is_known_at_once(void **state)
{
	struct vitals *vitals = vitals_new(own_probe(), 1000);

	(void)state;
	assert_non_null(vitals);
	memset(counters, 0, sizeof(counters));
	counters[PROBE_LISTEN_OVERFLOWS] = vitals_now(vitals, PROBE_LISTEN_OVERFLOWS) + 5;
	vitals_take_counters(vitals, counters, 1100, false);
	assert_int_equal(vitals_grown(vitals, PROBE_LISTEN_OVERFLOWS, 30000, 1100), 5);
	counters[PROBE_LISTEN_OVERFLOWS] += 2;
	vitals_take_counters(vitals, counters, 1200, false);
	assert_int_equal(vitals_grown(vitals, PROBE_LISTEN_OVERFLOWS, 30000, 1200), 7);
	vitals_free(vitals);
}

static void a_state_has_a_beginning(void **state)
{
	struct vitals *vitals = fresh(1000000);

	(void)state;
	see(vitals, 1000000, 0, 70);
	see(vitals, 1001000, 0, 69);
	see(vitals, 1002000, 0, 71);
	see(vitals, 1003000, 0, 90);
	assert_int_equal(vitals_at_least_since(vitals, PROBE_TIME_WAITS, 70, 1003500), 1500);
	assert_int_equal(vitals_at_least_since(vitals, PROBE_TIME_WAITS, 60, 1003500), 3500);
	assert_int_equal(vitals_at_least_since(vitals, PROBE_TIME_WAITS, 91, 1003500), -1);
	vitals_free(vitals);
}

static bool take(const struct vitals_listener *listener, void *arg)
{
	struct vitals_listener *out = arg;

	if (listener->now.cookie == 5)
		*out = *listener;
	return true;
}

static void drops_come_in_runs(void **state)
{
	struct probe_listener now = {.cookie = 5, .drops = 100};
	struct vitals *vitals = fresh(1000000);
	struct vitals_listener seen;

	(void)state;
	vitals_take_listener(vitals, &now, 1000000); /* what was before us is not of late */
	vitals_each_listener(vitals, take, &seen);
	assert_int_equal(seen.drops, 0);
	now.drops = 103;
	vitals_take_listener(vitals, &now, 1001000);
	vitals_take_listener(vitals, &now, 1002000);
	now.drops = 104;
	vitals_take_listener(vitals, &now, 1003000);
	vitals_each_listener(vitals, take, &seen);
	assert_int_equal(seen.drops, 4);
	assert_int_equal(seen.first_drop_ms, 1001000);
	assert_int_equal(seen.last_drop_ms, 1003000);
	now.drops = 106;
	vitals_take_listener(vitals, &now, 1003000 + VITALS_RUN_GAP_MS + 1);
	vitals_each_listener(vitals, take, &seen);
	assert_int_equal(seen.drops, 2);
	assert_int_equal(seen.first_drop_ms, 1003000 + VITALS_RUN_GAP_MS + 1);
	/* The next look does not see it: it has gone. */
	vitals_tick(vitals, 2000000);
	seen.drops = 99;
	vitals_each_listener(vitals, take, &seen);
	assert_int_equal(seen.drops, 99);
	vitals_free(vitals);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(netstat_is_read),
		cmocka_unit_test(sockstat_is_read),
		cmocka_unit_test(broken_text_is_survived),
		cmocka_unit_test(reserved_ports_are_counted),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(our_own_descriptors_are_counted),
		cmocka_unit_test(a_listener_is_found),
		cmocka_unit_test(growth_is_known_for_a_window),
		cmocka_unit_test(growth_is_known_at_once),
		cmocka_unit_test(a_state_has_a_beginning),
		cmocka_unit_test(drops_come_in_runs),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
