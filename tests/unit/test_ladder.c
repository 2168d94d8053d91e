/* SPDX-License-Identifier: MIT */
/* Segments from bytes, and what rows of them imply: the states of one end, who closed first, and
 * how a claim stands beside that. */
#include "daemon/agree.h"
#include "daemon/ladder.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>

enum { F = SEGMENT_FIN, S = SEGMENT_SYN, R = SEGMENT_RST, A = SEGMENT_ACK };

/* --- bytes ------------------------------------------------------------------------------------ */

static const uint8_t v4[] = {
	0x45, 0,    0,	  47,	0,    1,    0x40, 0,	64,  6,	  0,   0,   10,	 0,   0,   1,
	10,   0,    0,	  2,	0x1f, 0x40, 0xc3, 0x50, 0,   0,	  1,   0,   0,	 0,   2,   0,
	0x50, 0x11, 0xff, 0xff, 0,    0,    0,	  0,	'a', 'b', 'c', 'd', 'e', 'f', 'g',
};

static void a_segment_of_v4(void **state)
{
	struct segment segment;
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	assert_true(segment_parse(v4, sizeof(v4), sizeof(v4), &segment));
	assert_string_equal(endpoint_format(&segment.from, text, sizeof(text)), "10.0.0.1:8000");
	assert_string_equal(endpoint_format(&segment.to, text, sizeof(text)), "10.0.0.2:50000");
	assert_int_equal(segment.seq, 256);
	assert_int_equal(segment.ack, 512);
	assert_int_equal(segment.length, 7);
	assert_int_equal(segment.flags, F | A);
	assert_int_equal(segment_end(&segment), 264);
	/* only its headers were captured */
	assert_true(segment_parse(v4, 40, sizeof(v4), &segment));
	assert_int_equal(segment.length, 7);
}

static void what_is_no_segment(void **state)
{
	uint8_t bytes[sizeof(v4)];
	struct segment segment;

	(void)state;
	for (size_t len = 0; len < 40; len++)
		assert_false(segment_parse(v4, len, sizeof(v4), &segment));
	memcpy(bytes, v4, sizeof(bytes));
	bytes[7] = 1; /* a later fragment */
	assert_false(segment_parse(bytes, sizeof(bytes), sizeof(bytes), &segment));
	bytes[7] = 0;
	bytes[9] = 17; /* UDP */
	assert_false(segment_parse(bytes, sizeof(bytes), sizeof(bytes), &segment));
	bytes[9] = 6;
	bytes[32] = 0x40; /* a TCP header of 16 bytes */
	assert_false(segment_parse(bytes, sizeof(bytes), sizeof(bytes), &segment));
	bytes[32] = 0xf0; /* longer than the packet */
	assert_false(segment_parse(bytes, sizeof(bytes), sizeof(bytes), &segment));
	bytes[32] = 0x50;
	bytes[0] = 0x41; /* an IP header of 4 bytes */
	assert_false(segment_parse(bytes, sizeof(bytes), sizeof(bytes), &segment));
	bytes[0] = 0x45;
	bytes[3] = 200; /* says to be longer than it was */
	assert_false(segment_parse(bytes, sizeof(bytes), sizeof(bytes), &segment));
}

static size_t make_v6(uint8_t *out, const uint8_t *extension, size_t len, uint8_t next)
{
	memset(out, 0, 40);
	out[0] = 0x60;
	out[5] = (uint8_t)(len + 20);
	out[6] = next;
	out[23] = 1;
	out[39] = 2;
	if (len)
		memcpy(out + 40, extension, len);
	memcpy(out + 40 + len, v4 + 20, 20);
	return 40 + len + 20;
}

static void a_segment_of_v6(void **state)
{
	static const uint8_t options[16] = {43, 0, [8] = 6, [9] = 0};
	static const uint8_t whole[8] = {6}, fragment[8] = {6, 0, 0, 9};
	struct segment segment;
	uint8_t bytes[128];
	size_t len;

	(void)state;
	len = make_v6(bytes, NULL, 0, 6);
	assert_true(segment_parse(bytes, len, len, &segment));
	assert_int_equal(segment.from.family, AF_INET6);
	assert_int_equal(segment.length, 0);
	len = make_v6(bytes, options, sizeof(options), 0);
	assert_true(segment_parse(bytes, len, len, &segment));
	assert_int_equal(segment.seq, 256);
	for (size_t i = 0; i < len; i++)
		assert_false(segment_parse(bytes, i, len, &segment));
	len = make_v6(bytes, whole, sizeof(whole), 44);
	assert_true(segment_parse(bytes, len, len, &segment));
	len = make_v6(bytes, fragment, sizeof(fragment), 44);
	assert_false(segment_parse(bytes, len, len, &segment));
	len = make_v6(bytes, NULL, 0, 58);
	assert_false(segment_parse(bytes, len, len, &segment));
}

/* --- rows ------------------------------------------------------------------------------------- */

struct row {
	bool sent;
	uint8_t flags;
	uint32_t seq, ack, length;
	enum tcp_state state; /* ours, after it */
};

static const struct endpoint ends[2] = {
	{.addr = {[10] = 0xff, [11] = 0xff, [15] = 1}, .port = 1000, .family = AF_INET},
	{.addr = {[10] = 0xff, [11] = 0xff, [15] = 2}, .port = 80, .family = AF_INET},
};

static struct segment segment_of(const struct row *row, unsigned int nth)
{
	return (struct segment){
		.time_ns = 1000000000 + nth * UINT64_C(1000000),
		.from = ends[!row->sent],
		.to = ends[row->sent],
		.seq = row->seq,
		.ack = row->ack,
		.length = row->length,
		.flags = row->flags,
		.via = 3,
	};
}

#define OPENED                                                                                \
	{true, S, 100, 0, 0, STATE_SYN_SENT}, {false, S | A, 500, 101, 0, STATE_ESTABLISHED}, \
	{                                                                                     \
		true, A, 101, 501, 0, STATE_ESTABLISHED                                       \
	}
#define ACCEPTED                                                                        \
	{false, S, 500, 0, 0, STATE_CLOSE}, {true, S | A, 100, 501, 0, STATE_SYN_RECV}, \
	{                                                                               \
		false, A, 501, 101, 0, STATE_ESTABLISHED                                \
	}

static const struct sequence {
	const char *name;
	enum flow_first first;
	struct row rows[10];
} sequences[] = {
	{"we close",
	 FLOW_US,
	 {OPENED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, A, 501, 102, 0, STATE_FIN_WAIT2},
	  {false, F | A, 501, 102, 0, STATE_TIME_WAIT},
	  {true, A, 102, 502, 0, STATE_TIME_WAIT}}},
	{"we close, one answer",
	 FLOW_US,
	 {ACCEPTED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, F | A, 501, 102, 0, STATE_TIME_WAIT}}},
	{"the peer closes",
	 FLOW_PEER,
	 {ACCEPTED,
	  {false, F | A, 501, 101, 0, STATE_CLOSE_WAIT},
	  {true, A, 101, 502, 0, STATE_CLOSE_WAIT},
	  {true, F | A, 101, 502, 0, STATE_LAST_ACK},
	  {false, A, 502, 102, 0, STATE_CLOSE}}},
	{"both at once",
	 FLOW_BOTH,
	 {OPENED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, F | A, 501, 101, 0, STATE_CLOSING},
	  {true, A, 102, 502, 0, STATE_CLOSING},
	  {false, A, 502, 102, 0, STATE_TIME_WAIT}}},
	{"both at once, the peer's seen first",
	 FLOW_BOTH,
	 {OPENED,
	  {false, F | A, 501, 101, 0, STATE_CLOSE_WAIT},
	  {true, F | A, 101, 501, 0, STATE_LAST_ACK},
	  {false, A, 502, 102, 0, STATE_CLOSE}}},
	{"half closed, data after it",
	 FLOW_US,
	 {OPENED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, A, 501, 102, 0, STATE_FIN_WAIT2},
	  {false, A, 501, 102, 700, STATE_FIN_WAIT2},
	  {true, A, 102, 1201, 0, STATE_FIN_WAIT2},
	  {false, F | A, 1201, 102, 0, STATE_TIME_WAIT}}},
	{"a FIN before the data that it follows",
	 FLOW_US,
	 {OPENED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, A, 501, 102, 0, STATE_FIN_WAIT2},
	  {false, F | A, 601, 102, 0, STATE_FIN_WAIT2},
	  {false, F | A, 501, 102, 100, STATE_TIME_WAIT}}},
	{"our FIN twice",
	 FLOW_US,
	 {OPENED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, A, 501, 102, 0, STATE_FIN_WAIT2},
	  {false, F | A, 501, 102, 0, STATE_TIME_WAIT},
	  {false, F | A, 501, 102, 0, STATE_TIME_WAIT}}},
	{"a quiet close",
	 FLOW_US,
	 {OPENED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, A, 501, 102, 0, STATE_FIN_WAIT2},
	  {true, R, 102, 0, 0, STATE_CLOSE}}},
	{"RST by us", FLOW_RESET, {OPENED, {true, R | A, 101, 501, 0, STATE_CLOSE}}},
	{"RST by the peer", FLOW_RESET, {ACCEPTED, {false, R, 501, 0, 0, STATE_CLOSE}}},
	{"RST in CLOSE_WAIT",
	 FLOW_PEER,
	 {OPENED,
	  {false, F | A, 501, 101, 0, STATE_CLOSE_WAIT},
	  {true, R | A, 101, 502, 0, STATE_CLOSE}}},
	{"RST in FIN_WAIT2",
	 FLOW_US,
	 {OPENED,
	  {true, F | A, 101, 501, 0, STATE_FIN_WAIT1},
	  {false, A, 501, 102, 0, STATE_FIN_WAIT2},
	  {false, R, 501, 0, 0, STATE_CLOSE}}},
	{"refused",
	 FLOW_REFUSED,
	 {{true, S, 100, 0, 0, STATE_SYN_SENT}, {false, R | A, 0, 101, 0, STATE_CLOSE}}},
	{"a simultaneous open",
	 FLOW_OPEN,
	 {{true, S, 100, 0, 0, STATE_SYN_SENT},
	  {false, S, 500, 0, 0, STATE_SYN_RECV},
	  {true, S | A, 100, 501, 0, STATE_SYN_RECV},
	  {false, S | A, 500, 101, 0, STATE_ESTABLISHED}}},
	{"still open", FLOW_OPEN, {OPENED, {true, A, 101, 501, 30, STATE_ESTABLISHED}}},
	{"across the end of the numbers",
	 FLOW_PEER,
	 {{true, S, 0xfffffffe, 0, 0, STATE_SYN_SENT},
	  {false, S | A, 0xfffffffd, 0xffffffff, 0, STATE_ESTABLISHED},
	  {true, A, 0xffffffff, 0xfffffffe, 4, STATE_ESTABLISHED},
	  {false, F | A, 0xfffffffe, 3, 5, STATE_CLOSE_WAIT},
	  {true, F | A, 3, 4, 0, STATE_LAST_ACK},
	  {false, A, 4, 4, 0, STATE_CLOSE}}},
};
enum { SEQUENCES = sizeof(sequences) / sizeof(sequences[0]) };

static unsigned int length_of(const struct sequence *sequence)
{
	unsigned int count = 0;

	while (count < 10 && sequence->rows[count].flags)
		count++;
	return count;
}

static void every_state_is_as_figure_5_has_it(void **state)
{
	(void)state;
	for (int i = 0; i < SEQUENCES; i++) {
		struct ladder ladder;

		ladder_begin(&ladder, true);
		for (unsigned int n = 0; n < length_of(&sequences[i]); n++) {
			const struct row *row = &sequences[i].rows[n];
			struct segment segment = segment_of(row, n);

			if (ladder_step(&ladder, &segment, row->sent) != row->state)
				fail_msg("%s, row %u: %s", sequences[i].name, n,
					 tcp_state_name(ladder.state));
		}
	}
}

/* Every segment comes twice, as on the loopback; only SYN, FIN and RST, as --verify has them. */
static void who_closed_first(void **state)
{
	static const enum flow_first mirrored[FLOW_FIRST_COUNT] = {
		[FLOW_OPEN] = FLOW_OPEN, [FLOW_REFUSED] = FLOW_REFUSED, [FLOW_US] = FLOW_PEER,
		[FLOW_PEER] = FLOW_US,	 [FLOW_BOTH] = FLOW_BOTH,	[FLOW_RESET] = FLOW_RESET,
	};

	(void)state;
	for (int i = 0; i < SEQUENCES; i++) {
		struct flows *flows = flows_new(2, 100);
		struct flow *flow;
		unsigned int kept = 0;

		for (unsigned int n = 0; n < length_of(&sequences[i]); n++) {
			struct segment segment = segment_of(&sequences[i].rows[n], n);

			if (!(segment.flags & (F | S | R)))
				continue;
			kept++;
			flows_take(flows, &segment);
			segment.via = 2;
			flows_take(flows, &segment);
		}
		flow = flows_find(flows, &ends[1], &ends[0]);
		assert_non_null(flow);
		assert_null(flow->next);
		assert_int_equal(flow->count, kept);
		assert_int_equal(flow_first(flow, flow_end(flow, &ends[0])), sequences[i].first);
		assert_int_equal(flow_first(flow, flow_end(flow, &ends[1])),
				 mirrored[sequences[i].first]);
		flows_free(flows);
	}
}

static void the_same_ends_again(void **state)
{
	static const struct row rows[] = {
		{true, S, 100, 0, 0, 0},	 {false, S | A, 500, 101, 0, 0},
		{true, F, 101, 501, 0, 0},	 {false, F | A, 501, 102, 0, 0},
		{true, S, 9000, 0, 0, 0},	 {true, S, 9000, 0, 0, 0},
		{false, S | A, 800, 9001, 0, 0}, {false, F | A, 801, 9001, 0, 0},
	};
	struct flows *flows = flows_new(1, 100), *two = flows_new(2, 100);
	struct flow *flow;

	(void)state;
	for (unsigned int n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		struct segment segment = segment_of(&rows[n], n);

		flows_take(flows, &segment);
		flows_take(two, &segment);
	}
	assert_int_equal(flows_count(flows), 1);
	assert_true(flows_left_out(flows) > 0); /* no room for the second */
	flow = flows_find(two, &ends[0], &ends[1]);
	assert_int_equal(flows_count(two), 2);
	assert_int_equal(flow_first(flow, flow_end(flow, &ends[0])), FLOW_US);
	assert_non_null(flow->next);
	assert_int_equal(flow_first(flow->next, flow_end(flow, &ends[0])), FLOW_PEER);
	flows_free(flows);
	flows_free(two);
}

/* --- claims ----------------------------------------------------------------------------------- */

static enum agree_result judge(const char *name, enum close_side claim, uint32_t unacked,
			       uint64_t claimed_ms)
{
	struct flows *flows = flows_new(1, 100);
	struct agree_case about = {
		.claim = claim,
		.unacked = unacked,
		.claimed_ns = 1000000000 + claimed_ms * 1000000,
	};
	enum agree_result result;

	for (int i = 0; i < SEQUENCES; i++)
		for (unsigned int n = 0;
		     !strcmp(sequences[i].name, name) && n < length_of(&sequences[i]); n++) {
			struct segment segment = segment_of(&sequences[i].rows[n], n);

			flows_take(flows, &segment);
		}
	about.flow = flows_find(flows, &ends[0], &ends[1]);
	assert_non_null(about.flow);
	about.us = flow_end(about.flow, &ends[0]);
	result = agree_judge(&about);
	flows_free(flows);
	return result;
}

static void claims_beside_the_wire(void **state)
{
	struct agree_case nothing = {.claim = SIDE_US};

	(void)state;
	assert_int_equal(judge("we close", SIDE_US, 0, 5), AGREE_SAME);
	assert_int_equal(judge("we close", SIDE_PEER, 0, 5), AGREE_UNEXPLAINED);
	assert_int_equal(judge("we close", SIDE_RESET, 0, 5), AGREE_UNEXPLAINED);
	assert_int_equal(judge("we close", SIDE_UNKNOWN, 0, 5), AGREE_NO_CLAIM);
	assert_int_equal(judge("the peer closes", SIDE_PEER, 0, 5), AGREE_SAME);
	assert_int_equal(judge("the peer closes", SIDE_US, 0, 5), AGREE_RACED);
	assert_int_equal(judge("the peer closes", SIDE_US, 10, 5), AGREE_QUEUED);
	assert_int_equal(judge("both at once", SIDE_BOTH, 0, 5), AGREE_SAME);
	assert_int_equal(judge("both at once", SIDE_US, 0, 5), AGREE_CROSSED);
	assert_int_equal(judge("both at once", SIDE_RESET, 0, 5), AGREE_UNEXPLAINED);
	assert_int_equal(judge("RST by us", SIDE_RESET, 0, 5), AGREE_SAME);
	assert_int_equal(judge("RST by us", SIDE_US, 0, 5), AGREE_UNREAD);
	assert_int_equal(judge("RST by the peer", SIDE_US, 0, 5), AGREE_PEER_RESET);
	assert_int_equal(judge("RST by the peer", SIDE_US, 0, 5000), AGREE_UNEXPLAINED);
	assert_int_equal(judge("refused", SIDE_US, 0, 5), AGREE_NEVER);
	assert_int_equal(judge("still open", SIDE_UNKNOWN, 0, 0), AGREE_OPEN);
	assert_int_equal(agree_judge(&nothing), AGREE_UNSEEN);
	nothing.lost = true;
	assert_int_equal(agree_judge(&nothing), AGREE_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_of_v4),
		cmocka_unit_test(what_is_no_segment),
		cmocka_unit_test(a_segment_of_v6),
		cmocka_unit_test(every_state_is_as_figure_5_has_it),
		cmocka_unit_test(who_closed_first),
		cmocka_unit_test(the_same_ends_again),
		cmocka_unit_test(claims_beside_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
