/* SPDX-License-Identifier: MIT */
/* The judgements: from what is normal on a busy system, one fact at a time over the line. */
#include "daemon/doctor.h"

#include "daemon/explain.h"

#include "tests/unit/unit.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 30000 };

/* What is judged: one of each, healthy and busy, for a row to change. */
struct scene {
	struct doctor_facts facts;
	struct doctor_process process[3];
	struct doctor_maker maker[2];
	struct doctor_listener listener[2];
	struct doctor_destination destination[1];
	struct doctor_thresholds thresholds;
};

static struct verdicts verdicts;

static struct endpoint v4(uint8_t last, uint16_t port)
{
	struct endpoint ep = {.family = AF_INET, .port = port};

	memcpy(ep.addr, (uint8_t[]){[10] = 0xff, 0xff, 10, 77, 0, last}, 16);
	return ep;
}

static void pile_up(struct doctor_pile *pile, bool server, struct endpoint at, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		doctor_pile_add(pile, server, &at, 40000, 10);
}

/* Twenty thousand connections, some of them in every plight, 60,000 TIME_WAITs, a dropped SYN a
 * while ago, one rude client. */
static void make_healthy(struct scene *scene)
{
	struct doctor_process *web = &scene->process[0], *pool = &scene->process[1];

	memset(scene, 0, sizeof(*scene));
	scene->thresholds = doctor_usual;
	scene->thresholds.patience_ms = PATIENCE_MS;
	web->who = (struct doctor_who){.pid = 100, .program = "nginx", .alive = true, .shim = true};
	web->conns = 20000;
	strcpy(web->who.unit, "nginx.service");
	web->descriptors = (struct doctor_descriptors){20050, 65536, 65536, -1};
	pile_up(&web->pile[PLIGHT_CLOSE_WAIT], true, v4(1, 80), 4);
	pile_up(&web->pile[PLIGHT_VANISHED], true, v4(9, 0), 199);
	pile_up(&web->pile[PLIGHT_ORPHAN], true, v4(1, 80), 99);
	web->cuts = (struct doctor_cuts){.count = 2, .first_ms = 9000, .last_ms = 1000};
	pool->who = (struct doctor_who){.pid = 200, .program = "app", .alive = true};
	pool->conns = 300;
	pile_up(&pool->pile[PLIGHT_FIN_WAIT2], false, v4(2, 5432), 4);
	scene->maker[0] = (struct doctor_maker){.who = web->who};
	scene->maker[1] = (struct doctor_maker){.who = pool->who, .several = true};
	scene->maker[1].who.pid = 0;
	pile_up(&scene->maker[1].time_waits, false, v4(2, 5432), 900);
	scene->listener[0] = (struct doctor_listener){
		.who = web->who,
		.at = v4(1, 80),
		.queue = 500,
		.backlog = 511,
		.drops = 7,
		.first_drop_ms = 60000,
		.last_drop_ms = PATIENCE_MS + 1,
		.handshakes = 31,
	};
	scene->destination[0] = (struct doctor_destination){
		.who = pool->who,
		.local = v4(1, 0),
		.remote = v4(2, 5432),
		.used = 14000,
		.time_wait = 13000,
		.reusable = 12000,
		.opened = 2000,
		.released = 2000,
		.since_ms = 60000,
	};
	scene->facts = (struct doctor_facts){
		.processes = scene->process,
		.process_count = 3,
		.makers = scene->maker,
		.maker_count = 2,
		.listeners = scene->listener,
		.listener_count = 2,
		.destinations = scene->destination,
		.destination_count = 1,
		.time_wait = 900,
		.time_wait_max = 131072,
		.time_wait_near_ms = -1,
		.orphans = 99,
		.orphans_max = 65536,
		.unread_closes = 4,
		.port_lo = 32768,
		.port_hi = 60999,
		.timestamps = true,
		.syncookies = true,
		.tw_reuse = 2,
		.somaxconn = 4096,
		.synack_retries = 5,
		.destroys_orphans = true,
		.config_path = "/etc/closeside/closeside.conf",
		.socket_path = "",
	};
}

static void judge(const struct scene *scene)
{
	doctor_judge(&scene->facts, &scene->thresholds, &verdicts);
}

/* --- rows ------------------------------------------------------------------------------------- */

#define CHANGE(name) static void name(struct scene *scene)

CHANGE(nothing)
{
	(void)scene;
}
CHANGE(empty)
{
	scene->facts = (struct doctor_facts){.config_path = "", .socket_path = ""};
}
CHANGE(close_wait)
{
	pile_up(&scene->process[0].pile[PLIGHT_CLOSE_WAIT], true, v4(1, 80), 1);
}
CHANGE(fin_wait2)
{
	pile_up(&scene->process[1].pile[PLIGHT_FIN_WAIT2], false, v4(2, 5432), 1);
}
CHANGE(orphans)
{
	pile_up(&scene->process[0].pile[PLIGHT_ORPHAN], true, v4(1, 80), 1);
}
CHANGE(orphans_near_limit)
{
	scene->facts.orphans = 45876;
}
CHANGE(orphans_below_limit)
{
	scene->facts.orphans = 45875;
}
CHANGE(vanished)
{
	pile_up(&scene->process[0].pile[PLIGHT_VANISHED], true, v4(9, 0), 1);
}
CHANGE(vanished_of_few)
{
	pile_up(&scene->process[1].pile[PLIGHT_VANISHED], false, v4(2, 5432), 3);
}
CHANGE(vanished_two_of_few)
{
	pile_up(&scene->process[1].pile[PLIGHT_VANISHED], false, v4(2, 5432), 2);
}
CHANGE(cut)
{
	scene->process[0].cuts.count = 3;
}
CHANGE(cut_long_ago)
{
	scene->process[0].cuts.count = 300;
	scene->process[0].cuts.last_ms = PATIENCE_MS + 1;
	scene->facts.unread_closes = 0;
}
CHANGE(cut_unnamed)
{
	scene->facts.unread_closes = 5;
}
CHANGE(waiting)
{
	scene->listener[1].waiting = 1;
}
CHANGE(overflow)
{
	scene->listener[0].last_drop_ms = PATIENCE_MS;
	scene->facts.listen_overflows = 1;
}
CHANGE(drops_of_handshakes)
{
	scene->listener[0].last_drop_ms = 0; /* but no accept queue was full */
}
CHANGE(handshakes)
{
	scene->listener[0].handshakes = 255;
}
CHANGE(handshakes_few)
{
	scene->listener[0].handshakes = 254;
}
CHANGE(handshakes_full)
{
	scene->listener[0].handshakes = 32;
	scene->facts.queue_full_drops = 1;
}
CHANGE(handshakes_behind_a_full_queue)
{
	scene->listener[0].handshakes = 511;
	scene->listener[0].queue = 511;
}
CHANGE(time_wait_near)
{
	scene->facts.time_wait = 91751;
	scene->facts.time_wait_near_ms = 5000;
}
CHANGE(time_wait_not_near)
{
	scene->facts.time_wait = 91750;
}
CHANGE(time_wait_many)
{
	scene->facts.time_wait = 28000;
}
CHANGE(ports_of_most)
{
	scene->destination[0].used = 19763;
}
CHANGE(ports_soon)
{
	scene->destination[0].used = 14200;
	scene->destination[0].opened = 4500;
}
CHANGE(ports_not_so_soon)
{
	scene->destination[0].used = 14200;
	scene->destination[0].opened = 4300;
}
CHANGE(ports_soon_but_under_half)
{
	scene->destination[0].used = 14000;
	scene->destination[0].opened = 9000;
}
CHANGE(ports_reserved)
{
	scene->facts.ports_reserved = 8300;
}
CHANGE(ports_reused)
{
	ports_of_most(scene);
	scene->facts.tw_reuse = 1;
}
CHANGE(ports_reused_without_timestamps)
{
	ports_reused(scene);
	scene->facts.timestamps = false;
}
CHANGE(ports_of_loopback)
{
	ports_of_most(scene);
	scene->destination[0].loopback = true;
}
CHANGE(ports_unknown)
{
	ports_of_most(scene);
	scene->facts.port_hi = 0;
}
CHANGE(ports_and_many_time_waits)
{
	ports_of_most(scene);
	scene->facts.time_wait = 28000;
}
CHANGE(descriptors)
{
	scene->process[0].descriptors.used = 52429;
}
CHANGE(descriptors_few)
{
	scene->process[0].descriptors.used = 52428;
}
CHANGE(descriptors_unlimited)
{
	scene->process[0].descriptors =
		(struct doctor_descriptors){1 << 30, UINT64_MAX, UINT64_MAX, -1};
}
CHANGE(all_at_once)
{
	close_wait(scene);
	fin_wait2(scene);
	orphans(scene);
	vanished(scene);
	cut(scene);
	waiting(scene);
	overflow(scene);
	scene->listener[1].handshakes = 64;
	scene->listener[1].backlog = 128;
	time_wait_near(scene);
	ports_of_most(scene);
	descriptors(scene);
}

/* Enabled a minute ago, with three processes that are older; a template, of which one instance was
 * restarted; one that has the shim; one that is not running; and one that is a moment old. */
static struct enabled_unit enabled[] = {
	{.unit = "nginx.service",
	 .enabled_ms = 60000,
	 .processes = 3,
	 .before = 3,
	 .oldest_ms = 90000,
	 .example = 77},
	{.unit = "app@.service",
	 .enabled_ms = 60000,
	 .processes = 2,
	 .before = 1,
	 .loaded = 1,
	 .oldest_ms = 90000},
	{.unit = "fine.service",
	 .enabled_ms = 60000,
	 .processes = 3,
	 .loaded = 2,
	 .oldest_ms = 90000},
	{.unit = "stopped.service", .enabled_ms = 60000},
	{.unit = "fresh.service", .enabled_ms = 60000, .processes = 1, .oldest_ms = 10},
};

static void units_not_restarted(struct scene *scene)
{
	scene->facts.units = enabled;
	scene->facts.unit_count = ARRAY_SIZE(enabled);
}

static void units_fine(struct scene *scene)
{
	scene->facts.units = enabled + 2;
	scene->facts.unit_count = ARRAY_SIZE(enabled) - 2;
}

static const struct row {
	const char *name;
	void (*change)(struct scene *scene);
	const char *ids; /* that are found, in order */
} rows[] = {
	{"healthy and busy: nothing", nothing, ""},
	{"no facts at all: nothing", empty, ""},
	{"one in CLOSE_WAIT too many", close_wait, "close-wait-leak"},
	{"one in FIN_WAIT2 too many", fin_wait2, "fin-wait-2-stuck"},
	{"one orphan too many", orphans, "orphans"},
	{"orphans near tcp_max_orphans", orphans_near_limit, "orphans"},
	{"orphans below it", orphans_below_limit, ""},
	{"units not restarted since they were enabled", units_not_restarted,
	 "shim-not-loaded shim-not-loaded"},
	{"units with the shim, or none of whose processes has lasted", units_fine, ""},
	{"more than one in a hundred has vanished", vanished, "peer-vanished"},
	{"three of few have vanished", vanished_of_few, "peer-vanished"},
	{"two of few have vanished", vanished_two_of_few, ""},
	{"three answers cut short", cut, "answer-cut-short"},
	{"many, but long ago", cut_long_ago, ""},
	{"three closes with data unread, of nobody known", cut_unnamed, "answer-cut-short"},
	{"one is never accepted", waiting, "never-accepted"},
	{"an accept queue overflows", overflow, "accept-queue-overflow"},
	{"SYNs dropped, but not by an accept queue", drops_of_handshakes, ""},
	{"half the backlog in SYN_RECV", handshakes, "syn-recv-pile-up"},
	{"less than half of it", handshakes_few, ""},
	{"few in SYN_RECV, but SYNs are dropped", handshakes_full, "syn-recv-pile-up"},
	{"SYN_RECV behind a full accept queue", handshakes_behind_a_full_queue, ""},
	{"TIME_WAITs near the limit", time_wait_near, "time-wait-near-limit"},
	{"TIME_WAITs just below it: harmless", time_wait_not_near, "time-wait-harmless"},
	{"28,000 TIME_WAITs: harmless", time_wait_many, "time-wait-harmless"},
	{"most ports are taken", ports_of_most, "ports-running-out"},
	{"half the ports, and soon all", ports_soon, "ports-running-out"},
	{"half the ports, all in over a minute", ports_not_so_soon, ""},
	{"under half, however fast", ports_soon_but_under_half, ""},
	{"most ports but the reserved", ports_reserved, "ports-running-out"},
	{"most ports, but TIME_WAITs are reused", ports_reused, ""},
	{"not so without timestamps", ports_reused_without_timestamps, "ports-running-out"},
	{"most ports, reused on loopback", ports_of_loopback, ""},
	{"the range is not known", ports_unknown, ""},
	{"TIME_WAITs that take ports are not harmless", ports_and_many_time_waits,
	 "ports-running-out"},
	{"most descriptors are open", descriptors, "descriptors-running-out"},
	{"just below", descriptors_few, ""},
	{"descriptors without a limit", descriptors_unlimited, ""},
	{"all at once", all_at_once,
	 "close-wait-leak fin-wait-2-stuck orphans peer-vanished answer-cut-short "
	 "accept-queue-overflow never-accepted syn-recv-pile-up time-wait-near-limit "
	 "ports-running-out descriptors-running-out"},
};

static void check_lines(const struct verdict *verdict)
{
	assert_true(*verdict->title);
	if (strchr(verdict->title, '{'))
		fail_msg("a word is missing: %s", verdict->title);
	for (unsigned int i = 0; i < verdict->remedy_count; i++)
		if (strchr(verdict->remedy[i], '{') && !strstr(verdict->remedy[i], "echo 'policy "))
			fail_msg("a word is missing: %s", verdict->remedy[i]);
}

static void row_holds(void **state)
{
	const struct row *row = *state;
	struct scene scene;
	char ids[1024] = "";

	make_healthy(&scene);
	row->change(&scene);
	judge(&scene);
	for (unsigned int i = 0; i < verdicts.count; i++) {
		if (i)
			strcat(ids, " ");
		strcat(ids, verdicts.verdict[i].kind->id);
		check_lines(&verdicts.verdict[i]);
	}
	assert_string_equal(ids, row->ids);
}

/* --- what is said ----------------------------------------------------------------------------- */

static const struct verdict *only(const struct scene *scene)
{
	judge(scene);
	assert_int_equal(verdicts.count, 1);
	return &verdicts.verdict[0];
}

static bool has_line(const struct verdict *verdict, const char *line)
{
	for (unsigned int i = 0; i < verdict->remedy_count; i++)
		if (!strcmp(verdict->remedy[i], line))
			return true;
	return false;
}

static void assert_remedy(const struct verdict *verdict, const char *line)
{
	if (has_line(verdict, line))
		return;
	for (unsigned int i = 0; i < verdict->remedy_count; i++)
		print_message("# %s\n", verdict->remedy[i]);
	fail_msg("no such line: %s", line);
}

static bool says(const struct verdict *verdict, const char *part)
{
	for (unsigned int i = 0; i < verdict->evidence_count; i++)
		if (strstr(verdict->evidence[i], part))
			return true;
	return strstr(verdict->title, part);
}

static void leak_is_named(void **state)
{
	const struct verdict *verdict;
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	close_wait(&scene);
	verdict = only(&scene);
	assert_int_equal(verdict->kind->level, VERDICT_FAULT);
	assert_int_equal(verdict->pid, 100);
	assert_string_equal(verdict->program, "nginx");
	assert_string_equal(verdict->unit, "nginx.service");
	assert_int_equal(verdict->count, 5);
	assert_int_equal(verdict->since_ms, 40000);
	assert_true(says(verdict, "nginx[100] leaks 5 connections"));
	assert_true(says(verdict, "port 80 (5)"));
	assert_true(says(verdict, "5 of its 20,000 connections"));
	assert_remedy(verdict, "systemctl restart nginx.service");
	assert_remedy(verdict, "ss -K -t state close-wait '( sport = :80 )'");
	assert_false(has_line(verdict, "kill 100 # and start it again"));
}

static void other_namespaces_are_entered(void **state)
{
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	close_wait(&scene);
	scene.process[0].who.foreign = true;
	assert_remedy(only(&scene),
		      "nsenter -t 100 -n ss -K -t state close-wait '( sport = :80 )'");
}

static void dead_processes_are_not_ended(void **state)
{
	const struct verdict *verdict;
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	close_wait(&scene);
	scene.process[0].who.alive = false;
	verdict = only(&scene);
	for (unsigned int i = 0; i < verdict->remedy_count; i++) {
		assert_null(strstr(verdict->remedy[i], "systemctl"));
		assert_null(strstr(verdict->remedy[i], "kill"));
	}
}

static void unknown_is_not_guessed(void **state)
{
	const struct verdict *verdict;
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	pile_up(&scene.process[2].pile[PLIGHT_ORPHAN], true, v4(1, 80), 100);
	verdict = only(&scene);
	assert_int_equal(verdict->pid, 0);
	assert_true(says(verdict, "an unknown program"));
	assert_remedy(verdict, "sysctl -w net.ipv4.tcp_orphan_retries=2");
}

static void old_kernels_destroy_no_orphans(void **state)
{
	static const char destroy[] =
		"ss -K -t state fin-wait-1 state last-ack state closing '( sport = :80 )'";
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	orphans(&scene);
	assert_remedy(only(&scene), destroy);
	scene.facts.destroys_orphans = false;
	assert_false(has_line(only(&scene), destroy));
}

static void many_places_have_no_filter(void **state)
{
	struct scene scene;
	struct doctor_pile *pile = &scene.process[1].pile[PLIGHT_CLOSE_WAIT];
	const struct verdict *verdict;

	(void)state;
	make_healthy(&scene);
	for (uint8_t i = 0; i < 4; i++)
		pile_up(pile, false, v4(i, 443), 2);
	assert_remedy(only(&scene), "ss -K -t state close-wait '( dst 10.77.0.0:443 or dst "
				    "10.77.0.1:443 or dst 10.77.0.2:443 or dst 10.77.0.3:443 )'");
	pile_up(pile, false, v4(4, 443), 1);
	verdict = only(&scene);
	assert_true(says(verdict, "elsewhere (1)"));
	for (unsigned int i = 0; i < verdict->remedy_count; i++)
		assert_null(strstr(verdict->remedy[i], "ss -K"));
}

static void peers_are_filtered_by_address(void **state)
{
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	vanished(&scene);
	/* A pile that its server's peers are in, by their address: a client's place without port.
	 */
	scene.process[0].pile[PLIGHT_VANISHED] = (struct doctor_pile){.count = 0};
	pile_up(&scene.process[0].pile[PLIGHT_VANISHED], false, v4(9, 0), 200);
	assert_remedy(only(&scene), "ss -K -t '( dst 10.77.0.9 )'");
}

static void addresses_of_ipv6_are_in_brackets(void **state)
{
	struct endpoint peer = {.family = AF_INET6, .addr = {0xfd, 0x77, [15] = 2}};
	struct doctor_pile *pile;
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	pile = &scene.process[1].pile[PLIGHT_VANISHED];
	pile_up(pile, false, peer, 3);
	assert_remedy(only(&scene), "ss -K -t '( dst [fd77::2] )'");
	*pile = (struct doctor_pile){.count = 0};
	peer.port = 443;
	pile_up(pile, false, peer, 3);
	assert_remedy(only(&scene), "ss -K -t '( dst [fd77::2]:443 )'");
	assert_remedy(only(&scene), "echo 'policy peer-vanished-443 { role = client  remote = "
				    "\"fd77::2\"  remote-port = 443  user-timeout = 30s }' "
				    ">>/etc/closeside/closeside.conf");
}

static void units_of_users_are_not_the_systems(void **state)
{
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	close_wait(&scene);
	scene.process[0].who.by_user = true;
	assert_remedy(only(&scene), "kill 100 # and start it again");
}

static void policies_select(void **state)
{
	const struct verdict *verdict;
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	orphans(&scene);
	verdict = only(&scene);
	assert_remedy(verdict, "echo 'policy orphans-80 { role = server  local-port = 80  "
			       "user-timeout = 30s }' >>/etc/closeside/closeside.conf");
	assert_remedy(verdict, "closeside policy reload");
	assert_false(has_line(verdict, "# (of a program that `closeside run` starts)"));
	/* What has a policy already would never come to a second one. */
	scene.process[0].who.policy[true] = "web";
	verdict = only(&scene);
	assert_remedy(verdict, "# the policy web has them: let it say user-timeout = 30s");
	assert_false(has_line(verdict, "closeside policy reload"));
	/* At several ports it is the program's. */
	scene.process[0].who.policy[true] = NULL;
	scene.process[0].who.shim = false;
	pile_up(&scene.process[0].pile[PLIGHT_ORPHAN], true, v4(1, 443), 9);
	verdict = only(&scene);
	assert_remedy(verdict, "echo 'policy orphans-0 { role = server  program = \"nginx\"  "
			       "user-timeout = 30s }' >>/etc/closeside/closeside.conf");
	assert_remedy(verdict, "# (of a program that `closeside run` starts)");
}

static void the_socket_is_named(void **state)
{
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	orphans(&scene);
	scene.facts.socket_path = "/tmp/a b/it's";
	scene.facts.config_path = "/tmp/c d";
	assert_remedy(only(&scene), "closeside -s '/tmp/a b/it'\\''s' policy reload");
	assert_remedy(only(&scene), "echo 'policy orphans-80 { role = server  local-port = 80  "
				    "user-timeout = 30s }' >>'/tmp/c d'");
}

static void hostile_names_are_not_pasted(void **state)
{
	static const char *const names[] = {
		"x'; reboot; '", "`reboot`", "$(reboot)", "a\nreboot",
		"-rf",		 "\"}",	     "\033[2J",	  "\xff",
	};
	struct scene scene;

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		make_healthy(&scene);
		all_at_once(&scene);
		/* Without one place, the program would select. */
		pile_up(&scene.process[0].pile[PLIGHT_ORPHAN], true, v4(1, 443), 9);
		strcpy(scene.process[0].who.program, names[n]);
		snprintf(scene.process[0].who.unit, 64, "%s.service", names[n]);
		scene.listener[0].who = scene.process[0].who;
		judge(&scene);
		assert_int_equal(verdicts.count, 11);
		for (unsigned int i = 0; i < verdicts.count; i++) {
			const struct verdict *verdict = &verdicts.verdict[i];

			for (const char *p = verdict->title; *p; p++)
				assert_true(isprint((unsigned char)*p));
			for (unsigned int j = 0; j < verdict->remedy_count; j++) {
				const char *line = verdict->remedy[j];

				for (const char *p = line; *p; p++)
					assert_true(isprint((unsigned char)*p));
				if (!strncmp(line, "systemctl restart ", 18))
					assert_true(line[18] == '\'' || !strpbrk(line + 18, "`$'"));
				else if (*line != '#')
					assert_null(strstr(line, "reboot"));
			}
		}
	}
}

static void harmless_says_how_much(void **state)
{
	struct scene scene;
	const struct verdict *verdict;

	(void)state;
	make_healthy(&scene);
	scene.facts.time_wait = 28000;
	pile_up(&scene.maker[0].time_waits, true, v4(1, 80), 27100);
	verdict = only(&scene);
	assert_int_equal(verdict->kind->level, VERDICT_INFO);
	assert_string_equal(verdict->title, "28,000 TIME_WAITs, most of them made by nginx[100]: "
					    "7 MB, far from any limit");
	assert_true(says(verdict, "21 % of tcp_max_tw_buckets"));
	assert_true(says(verdict, "27,100 made by nginx[100]: port 80 (27100)"));
	assert_true(says(verdict, "900 made by app, several processes: 10.77.0.2:5432 (900)"));
}

static void ports_have_a_time(void **state)
{
	const struct verdict *verdict;
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	scene.destination[0].used = 20000; /* of 28,232; 8,232 at 200 a second */
	scene.destination[0].opened = 4000;
	verdict = only(&scene);
	assert_string_equal(verdict->title, "app[200] runs out of ports to 10.77.0.2:5432: 20,000 "
					    "of 28,232 are taken, at this rate all in 41s");
	assert_remedy(verdict, "sysctl -w net.ipv4.tcp_tw_reuse=1");
	assert_remedy(verdict, "sysctl -w net.ipv4.ip_local_port_range='10240 65535'");
	assert_remedy(verdict, "echo 'policy ports-running-out-5432 { role = client  remote = "
			       "\"10.77.0.2\"  remote-port = 5432  time-wait = none }' "
			       ">>/etc/closeside/closeside.conf");
	scene.destination[0].opened = 2000;
	assert_true(says(only(&scene), "as many as before"));
	scene.destination[0].used = 28232;
	assert_true(says(only(&scene), "none is left"));
	/* Where they are all alive, no TIME_WAIT is to blame. */
	scene.destination[0].time_wait = 5;
	verdict = only(&scene);
	assert_false(has_line(verdict, "sysctl -w net.ipv4.tcp_tw_reuse=1"));
	assert_false(has_line(verdict, "closeside policy reload"));
}

static void backlog_is_within_somaxconn(void **state)
{
	struct scene scene;
	const struct verdict *verdict;

	(void)state;
	make_healthy(&scene);
	overflow(&scene);
	verdict = only(&scene);
	assert_remedy(verdict, "echo 'policy accept-queue-overflow-80 { role = server  local-port "
			       "= 80  backlog = 1024 }' >>/etc/closeside/closeside.conf");
	assert_false(has_line(verdict, "sysctl -w net.core.somaxconn=1024"));
	scene.facts.somaxconn = 511;
	assert_remedy(only(&scene), "sysctl -w net.core.somaxconn=1024");
	scene.listener[0].backlog = 4096;
	assert_remedy(only(&scene), "sysctl -w net.core.somaxconn=8192");
}

static void descriptors_keep_the_hard_limit(void **state)
{
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	scene.process[0].descriptors = (struct doctor_descriptors){1000, 1024, 4096, 5000};
	assert_remedy(only(&scene), "prlimit --pid 100 --nofile=2048:4096");
	scene.process[0].descriptors.hard = 1024;
	assert_remedy(only(&scene), "prlimit --pid 100 --nofile=2048:2048");
	scene.process[0].descriptors.hard = UINT64_MAX;
	assert_remedy(only(&scene), "prlimit --pid 100 --nofile=2048:unlimited");
	assert_int_equal(verdicts.verdict[0].since_ms, 5000);
}

static void of_many_the_worst_are_listed(void **state)
{
	struct doctor_process *many = calloc(40, sizeof(*many));
	struct scene scene;

	(void)state;
	assert_non_null(many);
	make_healthy(&scene);
	for (int i = 0; i < 40; i++) {
		many[i].who.pid = 1000 + i;
		pile_up(&many[i].pile[PLIGHT_CLOSE_WAIT], true, v4(1, 80),
			10 + (unsigned)i * 7 % 40);
	}
	scene.facts.processes = many;
	scene.facts.process_count = 40;
	scene.facts.unread_closes = 0;
	judge(&scene);
	assert_int_equal(verdicts.count, VERDICTS_OF_A_KIND);
	for (unsigned int i = 0; i < VERDICTS_OF_A_KIND; i++)
		assert_int_equal(verdicts.verdict[i].count, 49 - i);
	assert_true(says(&verdicts.verdict[VERDICTS_OF_A_KIND - 1], "32 more"));
	free(many);
}

/* --- the words -------------------------------------------------------------------------------- */

static void enabled_units_have_a_remedy(void **state)
{
	struct enabled_unit unit = enabled[0];
	const struct verdict *verdict;
	struct scene scene;

	(void)state;
	make_healthy(&scene);
	scene.facts = (struct doctor_facts){.socket_path = "", .config_path = ""};
	scene.facts.units = &unit;
	scene.facts.unit_count = 1;
	verdict = only(&scene);
	assert_string_equal(verdict->unit, "nginx.service");
	assert_string_equal(
		verdict->title,
		"nginx.service is enabled, but 3 of its processes run without the shim");
	assert_int_equal(verdict->since_ms, 60000);
	assert_int_equal(verdict->remedy_count, 1);
	assert_remedy(verdict, "systemctl restart nginx.service # it has not been since it was "
			       "enabled");
	unit.before = 0; /* started since, and without it */
	verdict = only(&scene);
	assert_remedy(verdict, "closeside enable nginx.service");
	assert_remedy(verdict, "# or leave it without: closeside disable nginx.service");
	unit = enabled[1];
	verdict = only(&scene);
	assert_remedy(verdict, "systemctl restart 'app@*' # it has not been since it was enabled");
}

static void words_expand(void **state)
{
	static struct verdict_words words;
	char text[32];

	(void)state;
	verdict_word(&words, WORD_PORT, "%d", 80);
	assert_true(verdict_expand("a {port} b { c {nothing}", &words, text, sizeof(text)));
	assert_string_equal(text, "a 80 b { c {nothing}");
	assert_false(verdict_expand("{pid}", &words, text, sizeof(text)));
	assert_false(verdict_expand("it is too long for {port} of them", &words, text, 20));
}

static void numbers_and_ages_are_for_people(void **state)
{
	char text[VERDICT_NUMBER_MAX];

	(void)state;
	assert_string_equal(verdict_number(0, text, sizeof(text)), "0");
	assert_string_equal(verdict_number(999, text, sizeof(text)), "999");
	assert_string_equal(verdict_number(28000, text, sizeof(text)), "28,000");
	assert_string_equal(verdict_number(UINT64_MAX, text, sizeof(text)),
			    "18,446,744,073,709,551,615");
	assert_string_equal(verdict_age(999, text, sizeof(text)), "999ms");
	assert_string_equal(verdict_age(1500, text, sizeof(text)), "1s");
	assert_string_equal(verdict_age(119000, text, sizeof(text)), "119s");
	assert_string_equal(verdict_age(120000, text, sizeof(text)), "2m");
	assert_string_equal(verdict_age(86400000ull * 3, text, sizeof(text)), "3d");
}

/* Policies of two remedies must not have one name, and it must be a name. */
static void ids_are_names_of_policies(void **state)
{
	(void)state;
	for (int i = 0; i < VERDICT_COUNT; i++) {
		assert_true(strlen(verdict_kinds[i].id) + strlen("-65535") < 32);
		assert_non_null(verdict_kinds[i].title);
		assert_non_null(verdict_kinds[i].remedy[0]);
		assert_string_equal(verdict_find(verdict_kinds[i].id)->id, verdict_kinds[i].id);
	}
	assert_null(verdict_find("nothing"));
}

/* `explain` knows what `doctor` finds, and no more. */
static void verdicts_are_explained(void **state)
{
	(void)state;
	for (int i = 0; i < VERDICT_COUNT; i++) {
		const struct explanation *found = explain_find(verdict_kinds[i].id);

		if (!found || found->kind != EXPLAIN_VERDICT)
			fail_msg("not explained: %s", verdict_kinds[i].id);
	}
	for (size_t i = 0; i < explanation_count; i++)
		if (explanations[i].kind == EXPLAIN_VERDICT && !verdict_find(explanations[i].word))
			fail_msg("never found: %s", explanations[i].word);
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(leak_is_named),
		cmocka_unit_test(other_namespaces_are_entered),
		cmocka_unit_test(dead_processes_are_not_ended),
		cmocka_unit_test(unknown_is_not_guessed),
		cmocka_unit_test(old_kernels_destroy_no_orphans),
		cmocka_unit_test(many_places_have_no_filter),
		cmocka_unit_test(peers_are_filtered_by_address),
		cmocka_unit_test(addresses_of_ipv6_are_in_brackets),
		cmocka_unit_test(units_of_users_are_not_the_systems),
		cmocka_unit_test(policies_select),
		cmocka_unit_test(the_socket_is_named),
		cmocka_unit_test(hostile_names_are_not_pasted),
		cmocka_unit_test(harmless_says_how_much),
		cmocka_unit_test(ports_have_a_time),
		cmocka_unit_test(backlog_is_within_somaxconn),
		cmocka_unit_test(descriptors_keep_the_hard_limit),
		cmocka_unit_test(of_many_the_worst_are_listed),
		cmocka_unit_test(enabled_units_have_a_remedy),
		cmocka_unit_test(words_expand),
		cmocka_unit_test(numbers_and_ages_are_for_people),
		cmocka_unit_test(ids_are_names_of_policies),
		cmocka_unit_test(verdicts_are_explained),
	};
	struct CMUnitTest tests[ARRAY_SIZE(rows) + ARRAY_SIZE(fixed)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = unit_row(rows[i].name, row_holds, &rows[i]);
	memcpy(tests + ARRAY_SIZE(rows), fixed, sizeof(fixed));
	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
