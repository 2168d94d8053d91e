/* SPDX-License-Identifier: MIT */
#include "daemon/ladder.h"

#include <langinfo.h>
#include <string.h>

void ladder_begin(struct ladder *ladder, bool from_its_begin)
{
	*ladder = (struct ladder){.state = from_its_begin ? STATE_CLOSE : STATE_ESTABLISHED};
}

static void send_syn(struct ladder *ladder, const struct segment *segment)
{
	if (ladder->state != STATE_CLOSE && ladder->state != STATE_LISTEN &&
	    ladder->state != STATE_SYN_SENT && ladder->state != STATE_SYN_RECV)
		return;
	ladder->syn_end = segment->seq + 1;
	ladder->state = segment->flags & SEGMENT_ACK ? STATE_SYN_RECV : STATE_SYN_SENT;
}

static void send_fin(struct ladder *ladder, const struct segment *segment)
{
	if (ladder->fin_sent)
		return; /* sent again */
	ladder->fin_sent = true;
	ladder->fin_end = segment_end(segment);
	if (ladder->state == STATE_ESTABLISHED || ladder->state == STATE_SYN_RECV)
		ladder->state = STATE_FIN_WAIT1;
	else if (ladder->state == STATE_CLOSE_WAIT)
		ladder->state = STATE_LAST_ACK;
}

static void receive_ack(struct ladder *ladder, const struct segment *segment)
{
	if (!(segment->flags & SEGMENT_ACK))
		return;
	if (ladder->state == STATE_SYN_RECV && segment->ack == ladder->syn_end)
		ladder->state = STATE_ESTABLISHED;
	if (!ladder->fin_sent || segment_before(segment->ack, ladder->fin_end))
		return;
	if (ladder->state == STATE_FIN_WAIT1)
		ladder->state = STATE_FIN_WAIT2;
	else if (ladder->state == STATE_CLOSING)
		ladder->state = STATE_TIME_WAIT;
	else if (ladder->state == STATE_LAST_ACK)
		ladder->state = STATE_CLOSE;
}

static void receive_fin(struct ladder *ladder)
{
	if (ladder->state == STATE_ESTABLISHED || ladder->state == STATE_SYN_RECV)
		ladder->state = STATE_CLOSE_WAIT;
	else if (ladder->state == STATE_FIN_WAIT1)
		ladder->state = STATE_CLOSING;
	else if (ladder->state == STATE_FIN_WAIT2)
		ladder->state = STATE_TIME_WAIT;
}

/* A FIN counts once all before it is here. */
static bool is_in_order(struct ladder *ladder, const struct segment *segment)
{
	bool here = !ladder->next_known || !segment_before(ladder->next, segment->seq);

	if (here && (!ladder->next_known || segment_before(ladder->next, segment_end(segment)))) {
		ladder->next = segment_end(segment);
		ladder->next_known = true;
	}
	return here;
}

static void receive_syn(struct ladder *ladder, const struct segment *segment)
{
	if (ladder->state != STATE_SYN_SENT)
		return;
	if (!(segment->flags & SEGMENT_ACK))
		ladder->state = STATE_SYN_RECV; /* a simultaneous open */
	else if (segment->ack == ladder->syn_end)
		ladder->state = STATE_ESTABLISHED;
}

enum tcp_state ladder_step(struct ladder *ladder, const struct segment *segment, bool sent)
{
	if (segment->flags & SEGMENT_RST) {
		ladder->state = STATE_CLOSE;
		return ladder->state;
	}
	if (sent) {
		if (segment->flags & SEGMENT_SYN)
			send_syn(ladder, segment);
		if (segment->flags & SEGMENT_FIN)
			send_fin(ladder, segment);
		return ladder->state;
	}
	if (segment->flags & SEGMENT_SYN)
		receive_syn(ladder, segment);
	receive_ack(ladder, segment);
	if (is_in_order(ladder, segment) && segment->flags & SEGMENT_FIN)
		receive_fin(ladder);
	return ladder->state;
}

/* --- the picture ------------------------------------------------------------------------------ */

enum { TEXT = 36 }; /* cells between the ends of an arrow */

static void print_time(FILE *out, uint64_t ns, uint64_t begun)
{
	int64_t us = ((int64_t)ns - (int64_t)begun) / 1000;

	fprintf(out, "%s%6lld.%03lld  ", us < 0 ? "-" : " ", (long long)(us < 0 ? -us : us) / 1000,
		(long long)(us < 0 ? -us : us) % 1000);
}

static void format_flags(uint8_t flags, char *out, size_t size)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = {
		{SEGMENT_SYN, "SYN"}, {SEGMENT_FIN, "FIN"}, {SEGMENT_RST, "RST"},
		{SEGMENT_PSH, "PSH"}, {SEGMENT_ACK, "ACK"},
	};

	*out = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t used = strlen(out);

		if (flags & words[i].bit)
			snprintf(out + used, size - used, "%s%s", used ? " " : "", words[i].word);
	}
}

/* Relative to the first number that was seen of an end. */
struct numbers {
	bool known[2];
	uint32_t base[2];
};

static uint32_t relative(struct numbers *numbers, int end, uint32_t number)
{
	if (!numbers->known[end]) {
		numbers->known[end] = true;
		numbers->base[end] = number;
	}
	return number - numbers->base[end];
}

static void format_segment(struct numbers *numbers, const struct segment *segment, int from,
			   char *out, size_t size)
{
	char flags[24];
	uint32_t seq = relative(numbers, from, segment->seq);
	size_t used;

	format_flags(segment->flags, flags, sizeof(flags));
	snprintf(out, size, "%s %u", flags, seq);
	used = strlen(out);
	if (segment->length)
		snprintf(out + used, size - used, ":%u", seq + segment->length);
	used = strlen(out);
	if (segment->flags & SEGMENT_ACK)
		snprintf(out + used, size - used, " ack %u",
			 relative(numbers, !from, segment->ack));
}

static void print_arrow(FILE *out, bool sent, const char *text)
{
	bool utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	const char *line = utf8 ? "\u2500" : "-";
	int fill = TEXT - (int)strlen(text) - 2;

	fputs(sent ? line : utf8 ? "\u25c0" : "<", out);
	fprintf(out, " %s ", text);
	for (int i = 0; i < fill; i++)
		fputs(line, out);
	fputs(sent ? (utf8 ? "\u25b6" : ">") : line, out);
}

void ladder_print(FILE *out, const struct flow *flow, int us, const struct ladder_note *notes,
		  unsigned int count, bool whole)
{
	char ours[ENDPOINT_TEXT_MAX], theirs[ENDPOINT_TEXT_MAX], text[80];
	struct numbers numbers = {0};
	struct ladder ladder;
	unsigned int n = 0;
	enum tcp_state before;

	endpoint_format(&flow->ends[us], ours, sizeof(ours));
	endpoint_format(&flow->ends[!us], theirs, sizeof(theirs));
	fprintf(out, "       ms  our state    us %s, peer %s\n", ours, theirs);
	ladder_begin(&ladder, flow->way[0].syn || flow->way[1].syn);
	for (unsigned int i = 0; i <= flow->count; i++) {
		const struct segment *segment = i < flow->count ? &flow->segments[i] : NULL;
		bool sent = segment && flow_end(flow, &segment->from) == us;

		for (; n < count && (!segment || notes[n].time_ns <= segment->time_ns); n++) {
			print_time(out, notes[n].time_ns, flow->begun_ns);
			fprintf(out, "%-12s %s\n", "", notes[n].text);
		}
		if (!segment)
			break;
		/* Where only SYN, FIN and RST were captured, the ACKs between are missing: data and
		 * ACKs before a FIN are taken to have come. */
		if (!whole) {
			ladder.next_known = false;
			if (ladder.state == STATE_SYN_RECV && !(segment->flags & SEGMENT_SYN))
				ladder.state = STATE_ESTABLISHED;
		}
		before = ladder.state;
		ladder_step(&ladder, segment, sent);
		format_segment(&numbers, segment, sent ? us : !us, text, sizeof(text));
		print_time(out, segment->time_ns, flow->begun_ns);
		fprintf(out, "%-12s ",
			i == 0 || ladder.state != before ? tcp_state_ss(ladder.state) : "");
		print_arrow(out, sent, text);
		fputc('\n', out);
	}
	if (flow->left_out)
		fprintf(out, "           %u more segments were left out\n", flow->left_out);
}
