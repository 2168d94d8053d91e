/* SPDX-License-Identifier: MIT */
/* What the parts of `closeside history` share. */
#ifndef DAEMON_CLI_HISTORY_H
#define DAEMON_CLI_HISTORY_H

#include "daemon/history_sample.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* --- cli_history_time.c -----------------------------------------------------------------------
 */

/* "90m" (ago), "14:30" (the last one), "2026-11-22 14:30", "@1795357800", "now": local time, with
 * seconds or a Z if there are some. Nothing is modified on failure. */
bool history_parse_time(const char *text, time_t now, time_t *out);
/* What local time is ahead of UTC then. */
int64_t history_offset_ms(time_t at);
/* In local time: of the day, with the date, with seconds. */
const char *history_time_text(uint64_t ms, bool date, bool seconds, char *buf, size_t size);

/* --- cli_history_values.c ---------------------------------------------------------------------
 */

enum { HISTORY_COUNTS = HISTORY_VALUES - HISTORY_STATES };

/* A row of the daemon's, or several made one. */
struct history_values {
	uint64_t time_ms, covered_ms;
	double state[HISTORY_STATES], most[HISTORY_STATES];
	double count[HISTORY_COUNTS], lost;
	bool off;
};

/* What is shown: a state's average, what was counted per second, or what was lost. */
struct history_quantity {
	const char *title;
	unsigned int value; /* of history_sample.h; HISTORY_VALUES: lost */
	unsigned int rank;  /* the highest have the least room; 0: always shown */
};

extern const struct history_quantity history_quantities[];
extern const size_t history_quantity_count;

void history_values_take(struct history_values *values, const json_t *row);
/* Into one that began as zeros. */
void history_values_add(struct history_values *sum, const struct history_values *more);
double history_value(const struct history_values *values, const struct history_quantity *quantity);
/* The highest there was: of a state in any sample, of all else in any row. */
double history_value_max(const struct history_values *values,
			 const struct history_quantity *quantity);
const char *history_number(double number, char *buf, size_t size);

/* --- cli_history_table.c, cli_history_spark.c -------------------------------------------------
 */

/* rows: an array of the daemon's, the last one of type "history" left out. */
void history_print_table(const json_t *rows, uint64_t step_ms);
void history_print_programs(const json_t *rows);
void history_print_spark(const json_t *rows, uint64_t step_ms);
/* How many cells the line itself has, on a terminal of this width. */
unsigned int history_spark_cells(unsigned int width);

#endif
