/* SPDX-License-Identifier: MIT */
#include "daemon/flow.h"

#include <uthash.h>

#include <stdlib.h>
#include <string.h>

/* The same segment on another interface, or on its way in after its way out. */
enum { SAME_NS = 500 * 1000 * 1000, LOOK_BACK = 16 };

struct pair {
	struct endpoint ends[2];
	struct flow *first, *last;
	UT_hash_handle hh;
};

struct flows {
	struct pair *pairs;
	unsigned int count, max, left_out;
	unsigned int nth; /* of all segments */
	unsigned int segments, segments_max;
};

const char *flow_first_word(enum flow_first first)
{
	static const char *const words[] = {
#define X(name, word) [name] = word,
		FLOW_FIRSTS(X)
#undef X
	};

	return (size_t)first < FLOW_FIRST_COUNT ? words[first] : "unknown";
}

struct flows *flows_new(unsigned int max, unsigned int segments)
{
	struct flows *flows = calloc(1, sizeof(*flows));

	if (flows) {
		flows->max = max;
		flows->segments_max = segments;
	}
	return flows;
}

static void free_pair(struct pair *pair)
{
	while (pair->first) {
		struct flow *flow = pair->first;

		pair->first = flow->next;
		free(flow->segments);
		free(flow);
	}
	free(pair);
}

void flows_free(struct flows *flows)
{
	struct pair *pair, *next;

	if (!flows)
		return;
	HASH_ITER(hh, flows->pairs, pair, next)
	{
		HASH_DEL(flows->pairs, pair);
		free_pair(pair);
	}
	free(flows);
}

unsigned int flows_count(const struct flows *flows)
{
	return flows->count;
}

unsigned int flows_left_out(const struct flows *flows)
{
	return flows->left_out;
}

/* --- which connection ------------------------------------------------------------------------- */

static void order(struct endpoint out[2], const struct endpoint *one, const struct endpoint *other)
{
	bool swap = memcmp(one, other, sizeof(*one)) > 0;

	out[0] = swap ? *other : *one;
	out[1] = swap ? *one : *other;
}

static struct pair *find_pair(const struct flows *flows, const struct endpoint *one,
			      const struct endpoint *other)
{
	struct endpoint key[2];
	struct pair *pair;

	order(key, one, other);
	HASH_FIND(hh, flows->pairs, key, ENDPOINT_PAIR_SIZE, pair);
	return pair;
}

struct flow *flows_find(const struct flows *flows, const struct endpoint *one,
			const struct endpoint *other)
{
	const struct pair *pair = find_pair(flows, one, other);

	return pair ? pair->first : NULL;
}

int flow_end(const struct flow *flow, const struct endpoint *end)
{
	return endpoint_equal(&flow->ends[0], end) ? 0 : 1;
}

static struct pair *add_pair(struct flows *flows, const struct segment *segment)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	if (!pair)
		return NULL;
	order(pair->ends, &segment->from, &segment->to);
	HASH_ADD(hh, flows->pairs, ends, ENDPOINT_PAIR_SIZE, pair);
	return pair;
}

static struct flow *add_flow(struct flows *flows, struct pair *pair, const struct segment *segment)
{
	struct flow *flow = pair && flows->count < flows->max ? calloc(1, sizeof(*flow)) : NULL;

	if (!flow) {
		flows->left_out++;
		return NULL;
	}
	memcpy(flow->ends, pair->ends, sizeof(flow->ends));
	flow->begun_ns = segment->time_ns;
	if (pair->last)
		pair->last->next = flow;
	else
		pair->first = flow;
	pair->last = flow;
	flows->count++;
	return flow;
}

/* A SYN with a number of its own, on ends that are known, begins another connection; but not the
 * second of a simultaneous open. */
static bool begins_another(const struct flow *flow, int from, const struct segment *segment)
{
	const struct flow_way *way = &flow->way[from], *other = &flow->way[!from];

	if ((segment->flags & (SEGMENT_SYN | SEGMENT_ACK | SEGMENT_RST)) != SEGMENT_SYN)
		return false;
	if (way->syn)
		return way->isn != segment->seq;
	return !other->syn || other->fin || other->rst || flow->way[from].synack;
}

static struct flow *flow_of(struct flows *flows, const struct segment *segment)
{
	struct pair *pair = find_pair(flows, &segment->from, &segment->to);
	struct flow *flow;

	if (!pair)
		pair = add_pair(flows, segment);
	flow = pair ? pair->last : NULL;
	if (!flow || begins_another(flow, flow_end(flow, &segment->from), segment))
		flow = add_flow(flows, pair, segment);
	return flow;
}

/* --- what they say ---------------------------------------------------------------------------- */

static bool is_same(const struct segment *a, const struct segment *b)
{
	return a->seq == b->seq && a->ack == b->ack && a->length == b->length &&
	       a->flags == b->flags && a->via != b->via && endpoint_equal(&a->from, &b->from) &&
	       b->time_ns - a->time_ns < SAME_NS;
}

static void keep(struct flows *flows, struct flow *flow, const struct segment *segment)
{
	unsigned int back = flow->count < LOOK_BACK ? flow->count : LOOK_BACK;
	struct segment *more;

	for (unsigned int i = flow->count - back; i < flow->count; i++)
		if (is_same(&flow->segments[i], segment))
			return;
	if (flow->count == FLOW_SEGMENTS || flows->segments >= flows->segments_max) {
		flow->left_out++;
		return;
	}
	if ((flow->count & (flow->count - 1)) == 0) { /* a power of two: full */
		more = realloc(flow->segments,
			       (flow->count ? flow->count * 2 : 1) * sizeof(*segment));
		if (!more) {
			flow->left_out++;
			return;
		}
		flow->segments = more;
	}
	flow->segments[flow->count++] = *segment;
	flows->segments++;
}

static void learn(struct flow_way *way, const struct segment *segment, unsigned int nth)
{
	if (segment->flags & SEGMENT_SYN) {
		if (!way->syn)
			way->syn_ns = segment->time_ns;
		way->syn = true;
		way->synack |= (segment->flags & SEGMENT_ACK) != 0;
		way->isn = segment->seq;
	}
	if (segment->flags & SEGMENT_RST && !way->rst) {
		way->rst = true;
		way->rst_ns = segment->time_ns;
		way->rst_nth = nth;
	}
	if (segment->flags & SEGMENT_FIN && !way->fin) {
		way->fin = true;
		way->fin_ns = segment->time_ns;
		way->fin_nth = nth;
		way->fin_end = segment_end(segment);
		way->fin_ack = segment->ack;
	}
}

void flows_take(struct flows *flows, const struct segment *segment)
{
	struct flow *flow = flow_of(flows, segment);

	if (!flow)
		return;
	learn(&flow->way[flow_end(flow, &segment->from)], segment, ++flows->nth);
	keep(flows, flow, segment);
}

bool flow_is_established(const struct flow *flow)
{
	bool seen_from_its_begin = flow->way[0].syn || flow->way[1].syn;

	return !seen_from_its_begin || (flow->way[0].syn && flow->way[1].syn);
}

/* Has the FIN of `other` been acknowledged by that of `way`? */
static bool answers(const struct flow_way *way, const struct flow_way *other)
{
	return !segment_before(way->fin_ack, other->fin_end);
}

static enum flow_first first_of_two(const struct flow_way *us, const struct flow_way *peer)
{
	if (answers(us, peer))
		return FLOW_PEER;
	return answers(peer, us) ? FLOW_US : FLOW_BOTH;
}

/* Its RST came before any FIN. */
static bool resets(const struct flow_way *way, const struct flow_way *other)
{
	return way->rst && !(way->fin && way->fin_nth < way->rst_nth) &&
	       !(other->fin && other->fin_nth < way->rst_nth);
}

enum flow_first flow_first(const struct flow *flow, int us)
{
	const struct flow_way *ours = &flow->way[us], *theirs = &flow->way[!us];

	if (!flow_is_established(flow))
		return FLOW_REFUSED;
	if (resets(ours, theirs) || resets(theirs, ours))
		return FLOW_RESET;
	if (ours->fin && theirs->fin)
		return first_of_two(ours, theirs);
	if (ours->fin || theirs->fin)
		return ours->fin ? FLOW_US : FLOW_PEER;
	return FLOW_OPEN;
}

bool flow_is_over(const struct flow *flow)
{
	const struct flow_way *way = flow->way;

	return (way[0].fin && way[1].fin) || way[0].rst || way[1].rst;
}

uint64_t flow_ended_ns(const struct flow *flow, int end)
{
	const struct flow_way *way = &flow->way[end];

	if (way->fin && way->rst)
		return way->fin_ns < way->rst_ns ? way->fin_ns : way->rst_ns;
	return way->fin ? way->fin_ns : way->rst_ns;
}
