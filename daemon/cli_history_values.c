/* SPDX-License-Identifier: MIT */
/* The numbers of the daemon's rows. */
#include "daemon/cli_history.h"

#include <stdio.h>
#include <string.h>

#define STATE(name) (STATE_##name - 1)

const struct history_quantity history_quantities[] = {
	{"ESTAB", STATE(ESTABLISHED), 0},
	{"TIME-WAIT", STATE(TIME_WAIT), 0},
	{"CLOSE-WAIT", STATE(CLOSE_WAIT), 3},
	{"FIN-WAIT-1", STATE(FIN_WAIT1), 7},
	{"FIN-WAIT-2", STATE(FIN_WAIT2), 6},
	{"LAST-ACK", STATE(LAST_ACK), 8},
	{"CLOSING", STATE(CLOSING), 13},
	{"SYN-SENT", STATE(SYN_SENT), 9},
	{"SYN-RECV", STATE(SYN_RECV), 10},
	{"NEW-SYN-RECV", STATE(NEW_SYN_RECV), 15},
	{"CLOSED", STATE(CLOSE), 14},
	{"LISTEN", STATE(LISTEN), 16},
	{"OPENS/s", HISTORY_OPENS, 0},
	{"US/s", HISTORY_CLOSES + SIDE_US, 0},
	{"PEER/s", HISTORY_CLOSES + SIDE_PEER, 0},
	{"BOTH/s", HISTORY_CLOSES + SIDE_BOTH, 11},
	{"RESET/s", HISTORY_CLOSES + SIDE_RESET, 2},
	{"UNKNOWN/s", HISTORY_CLOSES + SIDE_UNKNOWN, 12},
	{"H-PEER/s", HISTORY_OUTCOMES + OUTCOME_PEER, 1},
	{"H-GRACE/s", HISTORY_OUTCOMES + OUTCOME_GRACE, 1},
	{"H-RESET/s", HISTORY_OUTCOMES + OUTCOME_RESET, 5},
	{"H-EARLY/s", HISTORY_OUTCOMES + OUTCOME_EARLY, 5},
	{"NO-WAIT/s", HISTORY_OUTCOMES + OUTCOME_NOT_WAITED, 4},
	{"LOST", HISTORY_VALUES, 1},
};
const size_t history_quantity_count = sizeof(history_quantities) / sizeof(history_quantities[0]);
_Static_assert(sizeof(history_quantities) / sizeof(history_quantities[0]) == HISTORY_VALUES + 1,
	       "all that there is");

static double number_at(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

void history_values_take(struct history_values *values, const json_t *row)
{
	static const char *const outcomes[] = {
#define X(name, word) [name] = word,
		CUSTODY_OUTCOMES(X)
#undef X
	};
	const json_t *states = json_object_get(row, "states");
	const json_t *most = json_object_get(row, "states_max");
	const json_t *closes = json_object_get(row, "closes");
	const json_t *custody = json_object_get(row, "custody");
	double *count = values->count;

	memset(values, 0, sizeof(*values));
	values->time_ms = (uint64_t)number_at(row, "time_ms");
	values->covered_ms = (uint64_t)number_at(row, "covered_ms");
	values->off = json_is_false(json_object_get(row, "on"));
	values->lost = number_at(row, "lost");
	for (unsigned int i = 0; i < HISTORY_STATES; i++) {
		values->state[i] = number_at(states, tcp_state_name(i + 1));
		values->most[i] = number_at(most, tcp_state_name(i + 1));
	}
	*count++ = number_at(row, "opens");
	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		*count++ = number_at(closes, close_side_word((enum close_side)i));
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		*count++ = number_at(custody, outcomes[i]);
}

void history_values_add(struct history_values *sum, const struct history_values *more)
{
	double before = (double)sum->covered_ms, now = (double)more->covered_ms;

	for (unsigned int i = 0; i < HISTORY_STATES; i++) {
		if (before + now > 0)
			sum->state[i] =
				(sum->state[i] * before + more->state[i] * now) / (before + now);
		if (more->most[i] > sum->most[i])
			sum->most[i] = more->most[i];
	}
	for (unsigned int i = 0; i < HISTORY_COUNTS; i++)
		sum->count[i] += more->count[i];
	sum->lost += more->lost;
	sum->covered_ms += more->covered_ms;
	sum->off |= more->off;
}

double history_value(const struct history_values *values, const struct history_quantity *quantity)
{
	if (quantity->value < HISTORY_STATES)
		return values->state[quantity->value];
	if (quantity->value == HISTORY_VALUES)
		return values->lost;
	return values->covered_ms ? values->count[quantity->value - HISTORY_STATES] * 1000 /
					    (double)values->covered_ms
				  : 0;
}

double history_value_max(const struct history_values *values,
			 const struct history_quantity *quantity)
{
	return quantity->value < HISTORY_STATES ? values->most[quantity->value]
						: history_value(values, quantity);
}

/* Whole numbers as they are: most are counts. */
const char *history_number(double number, char *buf, size_t size)
{
	double whole = (double)(int64_t)(number + 0.5);
	bool is_whole = number - whole < 0.005 && whole - number < 0.005;

	snprintf(buf, size, "%.*f", is_whole || number >= 1000 ? 0 : number >= 10 ? 1 : 2, number);
	return buf;
}
