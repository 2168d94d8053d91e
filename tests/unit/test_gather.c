/* SPDX-License-Identifier: MIT */
/* From connections of the model to the doctor's facts. */
#include "daemon/gather.h"

#include "daemon/descriptors.h"
#include "daemon/kernel.h"

#include "common/close_decide.h"
#include "common/tcp_state.h"

#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NOW = 10000000,
	PATIENCE = 30000,
	OLD = NOW - 40000,
	NEW = NOW - 100,
	LO = 40000,
	HI = 49999
};

struct fixture {
	struct conns *conns;
	struct book *book;
	struct gather *gather;
	struct doctor_facts facts;
	uint64_t cookie;
};

static int setup(void **state)
{
	static struct fixture fixture;
	struct gather_parts parts = {
		.now_ms = NOW,
		.patience_ms = PATIENCE,
		.ports = {{LO, HI, 0}},
	};

	memset(&fixture, 0, sizeof(fixture));
	fixture.conns = conns_new(1 << 20, 1 << 20, NULL);
	fixture.book = book_new();
	parts.conns = fixture.conns;
	parts.book = fixture.book;
	fixture.gather = gather_new(&parts);
	*state = &fixture;
	return fixture.conns && fixture.book && fixture.gather ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	gather_free(fixture->gather);
	conns_free(fixture->conns);
	book_free(fixture->book);
	return 0;
}

static struct endpoint v4(uint32_t host, uint16_t port)
{
	struct endpoint ep = {.family = AF_INET, .port = port};

	host = htonl(0x0a000000 | host);
	ep.addr[10] = ep.addr[11] = 0xff;
	memcpy(ep.addr + 12, &host, 4);
	return ep;
}

static struct process process(pid_t pid, const char *comm)
{
	struct process who = {.pid = pid, .start = 7};

	snprintf(who.comm, sizeof(who.comm), "%s", comm);
	return who;
}

/* One that a process without the shim has, in its state since then. */
static struct conn *add(struct fixture *fixture, uint8_t role, unsigned int state,
			uint64_t since_ms, pid_t pid)
{
	struct kernel_socket socket = {
		.cookie = ++fixture->cookie,
		.inode = 1,
		.state = (uint8_t)state,
		.local = v4(1, role == ROLE_SERVER ? 80 : (uint16_t)(LO + fixture->cookie)),
		.remote = v4(2, role == ROLE_SERVER ? (uint16_t)(LO + fixture->cookie) : 443),
	};
	struct conn *conn = conn_discover(fixture->conns, &socket, CONN_NETNS_OWN, role, since_ms);
	struct process who = process(pid, pid == 5 ? "five" : "other");

	assert_non_null(conn);
	if (pid)
		conn_attribute(fixture->conns, conn, &who);
	return conn;
}

static void gather(struct fixture *fixture)
{
	struct conn_walk walk;
	const struct conn *conn;

	conn_walk_begin(fixture->conns, &walk);
	while ((conn = conn_walk_next(fixture->conns, &walk)))
		gather_conn(fixture->gather, conn);
	conn_walk_end(fixture->conns, &walk);
	while (gather_look(fixture->gather, 1))
		;
	assert_true(gather_facts(fixture->gather, &fixture->facts));
}

static const struct doctor_process *of(const struct fixture *fixture, pid_t pid)
{
	for (size_t i = 0; i < fixture->facts.process_count; i++)
		if (fixture->facts.processes[i].who.pid == pid)
			return &fixture->facts.processes[i];
	return NULL;
}

/* --- plights ---------------------------------------------------------------------------------- */

static const struct row {
	const char *name;
	unsigned int state;
	uint64_t since_ms;
	bool no_inode, spoken;
	uint8_t custody, stuck;
	uint32_t unacked;
	int plight; /* -1: none */
} rows[] = {
	{"established", STATE_ESTABLISHED, OLD, .plight = -1},
	{"CLOSE_WAIT for long", STATE_CLOSE_WAIT, OLD, .plight = PLIGHT_CLOSE_WAIT},
	{"CLOSE_WAIT, just now", STATE_CLOSE_WAIT, NEW, .plight = -1},
	{"FIN_WAIT2 that is held", STATE_FIN_WAIT2, OLD, .plight = PLIGHT_FIN_WAIT2},
	{"FIN_WAIT2 that was closed", STATE_FIN_WAIT2, OLD, .no_inode = true, .plight = -1},
	{"FIN_WAIT2 whose close was spoken of", STATE_FIN_WAIT2, OLD, .spoken = true, .plight = -1},
	{"FIN_WAIT1 of nobody", STATE_FIN_WAIT1, OLD, .no_inode = true, .plight = PLIGHT_ORPHAN},
	{"FIN_WAIT1 that is held", STATE_FIN_WAIT1, OLD, .plight = -1},
	{"LAST_ACK of nobody", STATE_LAST_ACK, OLD, .no_inode = true, .plight = PLIGHT_ORPHAN},
	{"CLOSING of nobody", STATE_CLOSING, OLD, .no_inode = true, .plight = PLIGHT_ORPHAN},
	{"LAST_ACK, just now", STATE_LAST_ACK, NEW, .no_inode = true, .plight = -1},
	{"CLOSE_WAIT in custody", STATE_CLOSE_WAIT, OLD, .custody = CUSTODY_WAITING, .plight = -1},
	{"retransmits for long", STATE_ESTABLISHED, OLD, .stuck = 8, .unacked = 1,
	 .plight = PLIGHT_VANISHED},
	{"retransmits", STATE_ESTABLISHED, OLD, .stuck = 7, .unacked = 1, .plight = -1},
	{"keep-alive without an answer", STATE_ESTABLISHED, OLD, .stuck = 8, .plight = -1},
};

static void row_holds(void **state)
{
	const struct row *row = *state;
	struct fixture *fixture;
	void *made;
	struct conn *conn;

	assert_int_equal(setup(&made), 0);
	fixture = made;
	conn = add(fixture, ROLE_SERVER, row->state, row->since_ms, 5);
	conn->no_inode = row->no_inode;
	conn->spoken = row->spoken;
	conn->stuck = row->stuck;
	conn->unacked = row->unacked;
	conn_set_custody(fixture->conns, conn, row->custody);
	gather(fixture);
	assert_int_equal(fixture->facts.process_count, row->plight < 0 ? 0 : 1);
	for (int i = 0; row->plight >= 0 && i < PLIGHT_COUNT; i++)
		assert_int_equal(of(fixture, 5)->pile[i].count, i == row->plight);
	teardown(&made);
}

static void piles_are_of_a_process(void **state)
{
	struct fixture *fixture = *state;
	const struct doctor_pile *pile;

	for (int i = 0; i < 6; i++)
		add(fixture, i < 4 ? ROLE_SERVER : ROLE_CLIENT, STATE_CLOSE_WAIT, OLD - (uint64_t)i,
		    5);
	add(fixture, ROLE_SERVER, STATE_CLOSE_WAIT, OLD, 0);
	add(fixture, ROLE_SERVER, STATE_ESTABLISHED, OLD, 5);
	add(fixture, ROLE_SERVER, STATE_TIME_WAIT, OLD, 5);
	gather(fixture);
	assert_int_equal(fixture->facts.process_count, 2);
	pile = &of(fixture, 5)->pile[PLIGHT_CLOSE_WAIT];
	assert_int_equal(pile->count, 6);
	assert_int_equal(pile->oldest_ms, 40005);
	assert_int_equal(pile->place[0].count + pile->place[1].count, 6);
	assert_int_equal(of(fixture, 5)->conns, 7);
	assert_string_equal(of(fixture, 5)->who.program, "five");
	assert_false(of(fixture, 5)->who.alive); /* the one with that start */
	assert_int_equal(of(fixture, 0)->pile[PLIGHT_CLOSE_WAIT].count, 1);
	assert_string_equal(of(fixture, 0)->who.program, "");
}

static void a_vanished_peer_is_where_it_is(void **state)
{
	struct fixture *fixture = *state;
	const struct doctor_place *place;
	struct conn *conn = add(fixture, ROLE_SERVER, STATE_ESTABLISHED, OLD, 5);

	conn->stuck = 10;
	conn->unacked = 77;
	gather(fixture);
	place = &of(fixture, 5)->pile[PLIGHT_VANISHED].place[0];
	assert_false(place->server); /* its port has others that live */
	assert_int_equal(place->at.port, 0);
	assert_int_equal(of(fixture, 5)->pile[PLIGHT_VANISHED].bytes, 77);
}

static void makers_are_programs(void **state)
{
	struct fixture *fixture = *state;
	const struct doctor_maker *maker;

	for (int i = 0; i < 10; i++)
		add(fixture, ROLE_SERVER, STATE_TIME_WAIT, NEW, 5);
	for (pid_t pid = 10; pid < 15; pid++)
		add(fixture, ROLE_CLIENT, STATE_TIME_WAIT, NEW, pid);
	gather(fixture);
	assert_int_equal(fixture->facts.process_count, 0);
	assert_int_equal(fixture->facts.maker_count, 2);
	for (size_t i = 0; i < 2; i++) {
		maker = &fixture->facts.makers[i];
		if (strcmp(maker->who.program, "five") != 0) {
			assert_string_equal(maker->who.program, "other");
			assert_int_equal(maker->time_waits.count, 5);
			assert_true(maker->several);
			assert_int_equal(maker->who.pid, 0);
		} else {
			assert_int_equal(maker->time_waits.count, 10);
			assert_false(maker->several);
			assert_int_equal(maker->who.pid, 5);
		}
	}
}

/* --- listeners -------------------------------------------------------------------------------- */

static void what_waits_is_its_listeners(void **state)
{
	struct fixture *fixture = *state;
	struct conn *conn = add(fixture, ROLE_SERVER, STATE_LISTEN, OLD, 5);
	struct vitals_listener here = {
		.now = {.cookie = conn->cookie, .local = v4(0, 80), .queue = 3, .backlog = 128},
		.drops = 9,
		.first_drop_ms = NOW - 2000,
		.last_drop_ms = NOW - 1000,
	};
	struct vitals_listener other = {.now = {.cookie = 99, .local = v4(0, 81)}};

	for (int i = 0; i < 3; i++)
		add(fixture, ROLE_SERVER, i ? STATE_ESTABLISHED : STATE_CLOSE_WAIT, OLD - 1, 5)
			->no_inode = true;
	add(fixture, ROLE_SERVER, STATE_ESTABLISHED, NEW, 5)->no_inode = true;
	add(fixture, ROLE_SERVER, STATE_SYN_RECV, NOW - 1000, 5)->no_inode = true;
	add(fixture, ROLE_SERVER, STATE_SYN_RECV, NOW - 999, 5)->no_inode = true;
	gather_listener(fixture->gather, &other);
	gather_listener(fixture->gather, &here);
	gather(fixture);
	assert_int_equal(fixture->facts.process_count, 0);
	assert_int_equal(fixture->facts.listener_count, 1);
	assert_int_equal(fixture->facts.listeners[0].waiting, 3);
	assert_int_equal(fixture->facts.listeners[0].oldest_ms, 40001);
	assert_int_equal(fixture->facts.listeners[0].handshakes, 1);
	assert_int_equal(fixture->facts.listeners[0].drops, 9);
	assert_int_equal(fixture->facts.listeners[0].last_drop_ms, 1000);
	assert_int_equal(fixture->facts.listeners[0].who.pid, 5);
}

static void a_listeners_policy_is_the_first_that_matches(void **state)
{
	struct fixture *fixture = *state;
	struct conn *conn = add(fixture, ROLE_SERVER, STATE_LISTEN, OLD, 5);
	struct vitals_listener here = {
		.now = {.cookie = conn->cookie, .local = v4(0, 80)},
		.drops = 9,
	};
	struct config *config = config_new();
	struct gather_parts parts = *gather_parts(fixture->gather);

	assert_non_null(config);
	config->rule_count = 3;
	policy_init(&config->rules[0], "other-port");
	config->rules[0].local_port_count = 1;
	config->rules[0].local_port[0] = (struct port_range){81, 81};
	policy_init(&config->rules[1], "client");
	config->rules[1].role = ROLE_CLIENT;
	policy_init(&config->rules[2], "all");
	gather_free(fixture->gather);
	parts.config = &config;
	fixture->gather = gather_new(&parts);
	gather_listener(fixture->gather, &here);
	gather(fixture);
	assert_string_equal(fixture->facts.listeners[0].who.policy[true], "all");
	config_free(config);
}

static void the_fullest_has_what_waits(void **state)
{
	struct fixture *fixture = *state;
	struct vitals_listener full = {.now = {.local = v4(0, 80), .queue = 3}};
	struct vitals_listener empty = {.now = {.local = v4(0, 80), .queue = 0}};

	add(fixture, ROLE_SERVER, STATE_ESTABLISHED, OLD, 5)->no_inode = true;
	gather_listener(fixture->gather, &empty);
	gather_listener(fixture->gather, &full);
	gather_listener(fixture->gather, &empty);
	gather(fixture);
	assert_int_equal(fixture->facts.listener_count, 1);
	assert_int_equal(fixture->facts.listeners[0].queue, 3);
}

static void namespaces_are_apart(void **state)
{
	struct fixture *fixture = *state;
	struct vitals_listener ours = {.now = {.local = v4(0, 80), .queue = 9}};
	struct conn *listener = add(fixture, ROLE_SERVER, STATE_LISTEN, OLD, 6);
	struct conn *waiting = add(fixture, ROLE_SERVER, STATE_ESTABLISHED, OLD, 6);
	struct conn *client = add(fixture, ROLE_CLIENT, STATE_ESTABLISHED, OLD, 6);

	listener->netns = waiting->netns = client->netns = 3;
	waiting->no_inode = true;
	listener->unread = 1; /* of a listener: its queue and its bound */
	listener->unacked = 5;
	gather_listener(fixture->gather, &ours);
	gather(fixture);
	assert_int_equal(fixture->facts.listener_count, 1);
	assert_int_equal(fixture->facts.listeners[0].who.pid, 6);
	assert_int_equal(fixture->facts.listeners[0].queue, 1);
	assert_int_equal(fixture->facts.listeners[0].backlog, 5);
	assert_int_equal(fixture->facts.destination_count, 0);
}

/* --- ports ------------------------------------------------------------------------------------ */

static void ports_are_counted_by_destination(void **state)
{
	struct fixture *fixture = *state;
	const struct doctor_destination *to;

	for (int i = 0; i < 3000; i++)
		add(fixture, ROLE_CLIENT, i < 2000 ? STATE_TIME_WAIT : STATE_ESTABLISHED,
		    i < 500    ? NOW - 55000
		    : i < 1500 ? NOW - 20000
		    : i < 1600 ? NOW - 500
			       : OLD,
		    i % 3 ? 5 : 6);
	/* Not of the range, and of a server. */
	add(fixture, ROLE_CLIENT, STATE_ESTABLISHED, OLD, 5)->local.port = LO - 1;
	add(fixture, ROLE_SERVER, STATE_ESTABLISHED, OLD, 5);
	/* Elsewhere, and so few that nobody wants to know. */
	add(fixture, ROLE_CLIENT, STATE_ESTABLISHED, OLD, 5)->remote.port = 444;
	gather(fixture);
	assert_int_equal(fixture->facts.destination_count, 1);
	to = &fixture->facts.destinations[0];
	assert_int_equal(to->used, 3000);
	assert_int_equal(to->time_wait, 2000);
	assert_int_equal(to->reusable, 1900);
	assert_int_equal(to->released, 500);
	assert_int_equal(to->opened, 100);
	assert_int_equal(to->since_ms, 55000);
	assert_int_equal(to->who.pid, 5);
	assert_int_equal(to->remote.port, 443);
	assert_int_equal(to->local.port, 0);
	assert_false(to->loopback);
}

static void many_destinations_hide_none(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t i = 0; i < 200000; i++) {
		struct conn *conn = add(fixture, ROLE_CLIENT, STATE_ESTABLISHED, OLD, 0);

		conn->local.port = (uint16_t)(LO + i % 10000);
		if (i % 50)
			conn->remote = v4(100 + i, 443);
	}
	gather(fixture);
	assert_int_equal(fixture->facts.destination_count, 1);
	assert_in_range(fixture->facts.destinations[0].used, 3950, 4000);
}

/* --- what is not a connection ----------------------------------------------------------------- */

static struct wire_record closing(uint8_t role, uint8_t state, uint8_t action, uint32_t unread)
{
	return (struct wire_record){
		.role = role,
		.state = state,
		.action = action,
		.unread = unread,
		.local = v4(1, 80),
	};
}

static void cuts_are_those_of_servers(void **state)
{
	static struct cuts cuts;
	const struct process who = process(5, "five"), other = process(6, "six");
	const struct wire_record cut = closing(ROLE_SERVER, STATE_ESTABLISHED, CLOSE_PASS, 100),
				 none[] = {
					 closing(ROLE_SERVER, STATE_ESTABLISHED, CLOSE_PASS, 0),
					 closing(ROLE_CLIENT, STATE_ESTABLISHED, CLOSE_PASS, 9),
					 closing(ROLE_SERVER, STATE_ESTABLISHED, CLOSE_ABORT, 9),
					 closing(ROLE_SERVER, STATE_CLOSE_WAIT, CLOSE_RESET, 9),
					 closing(ROLE_SERVER, STATE_ESTABLISHED, CLOSE_HAND_OVER,
						 9),
					 closing(ROLE_SERVER, STATE_FIN_WAIT2, CLOSE_PASS, 9),
				 };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		cuts_note(&cuts, &other, &none[i], "", NOW);
	cuts_note(&cuts, &who, &cut, "", NOW - 20000 - CUTS_RUN_GAP_MS - 1); /* another story */
	cuts_note(&cuts, &who, &cut, "", NOW - 20000);
	cuts_note(&cuts, &who, &cut, "web", NOW - 10000);
	gather_cuts(fixture->gather, &cuts);
	gather(fixture);
	assert_int_equal(fixture->facts.process_count, 1);
	assert_int_equal(of(fixture, 5)->cuts.count, 2);
	assert_int_equal(of(fixture, 5)->cuts.first_ms, 20000);
	assert_int_equal(of(fixture, 5)->cuts.last_ms, 10000);
	assert_int_equal(of(fixture, 5)->cuts.unread, 200);
	assert_int_equal(of(fixture, 5)->cuts.place.at.port, 80);
	assert_string_equal(of(fixture, 5)->who.policy[true], "web");
}

static void many_who_cut_make_room(void **state)
{
	static struct cuts cuts;
	const struct wire_record cut = closing(ROLE_SERVER, STATE_ESTABLISHED, CLOSE_PASS, 100);

	(void)state;
	for (pid_t pid = 1; pid <= CUTS_PROCESSES + 1; pid++) {
		struct process who = process(pid, "x");

		cuts_note(&cuts, &who, &cut, "", (uint64_t)NOW + (uint64_t)pid);
	}
	assert_int_equal(cuts.cut[0].process.pid, CUTS_PROCESSES + 1);
	assert_int_equal(cuts.cut[1].process.pid, 2);
	assert_int_equal(cuts.cut[1].count, 1);
}

static bool more_than_none(uint64_t used, uint64_t limit)
{
	return used < limit;
}

static bool never(uint64_t used, uint64_t limit)
{
	return used > limit;
}

static void descriptors_are_of_the_process_itself(void **state)
{
	struct fixture *fixture = *state;
	struct procs *procs = conns_procs(fixture->conns);
	struct descriptors *near = descriptors_new(procs, more_than_none),
			   *far = descriptors_new(procs, never);
	struct probe_descriptors found;
	struct process here, reused;
	struct proc *proc;
	int64_t since_ms;

	process_read(&here, getpid(), getuid());
	proc = proc_get(procs, &here);
	assert_true(descriptors_look(near, proc, 1000, &found, &since_ms));
	assert_int_equal(since_ms, 0);
	assert_true(descriptors_look(near, proc, 3500, &found, &since_ms));
	assert_int_equal(since_ms, 2500);
	assert_int_not_equal(found.used, 0);
	assert_false(descriptors_look(far, proc, 1000, &found, &since_ms));
	gather_descriptors(fixture->gather, proc, &found, 2500);
	proc_put(procs, proc);
	/* Its pid, but it started at another time: it has gone. */
	reused = here;
	reused.start++;
	proc = proc_get(procs, &reused);
	assert_false(descriptors_look(near, proc, 1000, &found, &since_ms));
	proc_put(procs, proc);
	descriptors_tick(near, 4000);
	descriptors_free(near);
	descriptors_free(far);
	gather(fixture);
	assert_int_equal(fixture->facts.process_count, 1);
	assert_true(of(fixture, getpid())->who.alive);
	assert_false(of(fixture, getpid())->who.stopped);
	assert_int_equal(of(fixture, getpid())->descriptors.since_ms, 2500);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		WITH_FIXTURE(piles_are_of_a_process),
		WITH_FIXTURE(a_vanished_peer_is_where_it_is),
		WITH_FIXTURE(makers_are_programs),
		WITH_FIXTURE(what_waits_is_its_listeners),
		WITH_FIXTURE(a_listeners_policy_is_the_first_that_matches),
		WITH_FIXTURE(the_fullest_has_what_waits),
		WITH_FIXTURE(namespaces_are_apart),
		WITH_FIXTURE(ports_are_counted_by_destination),
		WITH_FIXTURE(many_destinations_hide_none),
		WITH_FIXTURE(cuts_are_those_of_servers),
		WITH_FIXTURE(many_who_cut_make_room),
		WITH_FIXTURE(descriptors_are_of_the_process_itself),
	};
	struct CMUnitTest tests[ARRAY_SIZE(rows) + ARRAY_SIZE(fixed)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = unit_row(rows[i].name, row_holds, &rows[i]);
	memcpy(tests + ARRAY_SIZE(rows), fixed, sizeof(fixed));
	return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
