/* SPDX-License-Identifier: MIT */
/* policy show: what a policy steers beside its control. */
#include "daemon/cli_share.h"

#include "daemon/proportion.h"

#include "common/close_decide.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is said of one connection of each hundred is not to be judged from fewer closes. */
enum { ENOUGH = 100 };

struct arm {
	const json_t *row;
	uint64_t closes;
};

static uint64_t number_at(const json_t *row, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(row, name));
}

static struct arm arm_of(const json_t *row, const char *name)
{
	struct arm arm = {.row = json_object_get(row, name)};
	const json_t *closes = json_object_get(arm.row, "closes");

	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		arm.closes += number_at(closes, close_side_word((enum close_side)i));
	return arm;
}

/* --- the table -------------------------------------------------------------------------------- */

static void print_row(const char *title, uint64_t treated, uint64_t control)
{
	printf("#   %-16s %12" PRIu64 "         %12" PRIu64 "\n", title, treated, control);
}

static double percent(uint64_t part, uint64_t of)
{
	return of ? 100.0 * (double)part / (double)of : 0;
}

static void print_part(const char *title, const struct arm *treated, const struct arm *control,
		       uint64_t of_treated, uint64_t of_control)
{
	printf("#   %-16s %12" PRIu64 " %5.1f %% %12" PRIu64 " %5.1f %%\n", title, of_treated,
	       percent(of_treated, treated->closes), of_control,
	       percent(of_control, control->closes));
}

static void print_side(enum close_side side, const struct arm *treated, const struct arm *control)
{
	const char *word = close_side_word(side);
	uint64_t a = number_at(json_object_get(treated->row, "closes"), word);
	uint64_t b = number_at(json_object_get(control->row, "closes"), word);
	char title[32];

	if (!a && !b)
		return;
	snprintf(title, sizeof(title), "%s %s", side == SIDE_RESET ? "ended by" : "first closer",
		 word);
	print_part(title, treated, control, a, b);
}

static const char *delay_text(const struct arm *arm, char *buf, size_t size)
{
	const json_t *delay = json_object_get(arm->row, "delay_ms");

	snprintf(buf, size, "%" PRIu64 "/%" PRIu64 "/%" PRIu64, number_at(delay, "p50"),
		 number_at(delay, "p99"), number_at(delay, "max"));
	return buf;
}

static void print_table(const struct arm *treated, const struct arm *control)
{
	char a[64], b[64];

	printf("#   %-16s %12s         %12s\n", "", "steered", "control");
	print_row("connections", number_at(treated->row, "opens"),
		  number_at(control->row, "opens"));
	print_row("closes", treated->closes, control->closes);
	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		print_side((enum close_side)i, treated, control);
	print_part("TIME_WAITs left", treated, control, number_at(treated->row, "time_wait_left"),
		   number_at(control->row, "time_wait_left"));
	print_row("bytes discarded", number_at(treated->row, "unread_bytes"),
		  number_at(control->row, "unread_bytes"));
	printf("#   %-16s %12s         %12s\n", "close delay (ms)",
	       delay_text(treated, a, sizeof(a)), delay_text(control, b, sizeof(b)));
	puts("#   (the delay of a FIN after close(): median, 99th percentile, most)");
}

/* --- the judgement ---------------------------------------------------------------------------- */

static void judge(const char *what, const struct arm *treated, const struct arm *control,
		  uint64_t of_treated, uint64_t of_control)
{
	struct proportion a = {of_treated, treated->closes}, b = {of_control, control->closes};
	struct proportion_difference difference;

	if (a.hits > a.of || b.hits > b.of || !proportion_compare(a, b, &difference))
		return;
	printf("# %s of 100 closes: %.1f steered, %.1f control: ", what, percent(a.hits, a.of),
	       percent(b.hits, b.of));
	if (proportion_differs(&difference))
		printf("%.1f %s (95 %% sure of %.1f to %.1f)\n",
		       100 * (difference.value < 0 ? -difference.value : difference.value),
		       difference.value < 0 ? "fewer" : "more",
		       100 * (difference.value < 0 ? -difference.high : difference.low),
		       100 * (difference.value < 0 ? -difference.low : difference.high));
	else
		printf("no difference that is sure (95 %%: from %.1f fewer to %.1f more)\n",
		       -100 * difference.low, 100 * difference.high);
}

static uint64_t resets_of(const struct arm *arm)
{
	return number_at(json_object_get(arm->row, "closes"), close_side_word(SIDE_RESET));
}

void share_print(unsigned int share, const json_t *row)
{
	struct arm treated = arm_of(row, "treated"), control = arm_of(row, "control");

	if (share == 100 && !number_at(control.row, "opens") && !control.closes)
		return;
	printf("# %u %% of its connections are steered, by a hash of the socket's cookie; the rest "
	       "is "
	       "control\n",
	       share);
	print_table(&treated, &control);
	if (treated.closes < ENOUGH || control.closes < ENOUGH) {
		printf("# too few to judge: %d closes of either are wanted\n", ENOUGH);
		return;
	}
	judge("TIME_WAITs left", &treated, &control, number_at(treated.row, "time_wait_left"),
	      number_at(control.row, "time_wait_left"));
	judge("resets", &treated, &control, resets_of(&treated), resets_of(&control));
}
