/* SPDX-License-Identifier: MIT */
/* What comes over the wire while `run --verify` looks: packets, each after two bytes that say how
 * long it is, in a row. What is understood lies within its packet, and any row of segments has a
 * ladder and a verdict that is the same seen from the other end. */
#include "daemon/ladder.h"

#include "tests/fuzz/fuzz.h"

#include <unistd.h>

enum { FLOWS = 16, SEGMENTS = 64 };

static enum flow_first mirrored(enum flow_first first)
{
	if (first == FLOW_US || first == FLOW_PEER)
		return first == FLOW_US ? FLOW_PEER : FLOW_US;
	return first;
}

static void check_flow(const struct flow *flow, FILE *out)
{
	fuzz_check(flow->count <= FLOW_SEGMENTS);
	fuzz_check(flow_first(flow, 0) == mirrored(flow_first(flow, 1)) ||
		   endpoint_equal(&flow->ends[0], &flow->ends[1]) ||
		   /* each acknowledges the other, which nobody sends */
		   (flow->way[0].fin && flow->way[1].fin));
	ladder_print(out, flow, 0, NULL, 0, true);
	ladder_print(out, flow, 1, NULL, 0, false);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	struct flows *flows = flows_new(FLOWS, SEGMENTS);
	static FILE *null;
	struct segment segment;
	const struct flow *flow;

	if (!null)
		null = fopen("/dev/null", "w");
	fuzz_check(flows && null);
	while (fuzz_left(&input) > 2) {
		size_t len = fuzz_byte(&input), more = fuzz_byte(&input);
		uint8_t *packet;

		if (len > fuzz_left(&input))
			len = fuzz_left(&input);
		packet = malloc(len ? len : 1); /* its end is where the sanitizer sees it */
		fuzz_check(packet != NULL);
		memcpy(packet, input.at, len);
		input.at += len;
		if (segment_parse(packet, len, len + more, &segment)) {
			fuzz_check(segment.length <= len + more);
			flows_take(flows, &segment);
			for (flow = flows_find(flows, &segment.from, &segment.to); flow;
			     flow = flow->next)
				check_flow(flow, null);
		}
		free(packet);
	}
	fuzz_check(flows_count(flows) <= FLOWS);
	flows_free(flows);
	return 0;
}
