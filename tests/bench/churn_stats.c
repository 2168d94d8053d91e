/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void churn_stats_error(struct churn_stats *stats, unsigned int error)
{
	stats->failed++;
	stats->errors[error < CHURN_ERRORS ? error : 0]++;
}

void churn_stats_move(struct churn_stats *to, struct churn_stats *from)
{
	to->begun += from->begun;
	to->connected += from->connected;
	to->answered += from->answered;
	to->ended += from->ended;
	to->reset += from->reset;
	to->failed += from->failed;
	to->missed += from->missed;
	to->slow += from->slow;
	to->slow_calls += from->slow_calls;
	to->cut += from->cut;
	to->bytes_lost += from->bytes_lost;
	for (unsigned int i = 0; i < CHURN_ERRORS; i++)
		to->errors[i] += from->errors[i];
	churn_hist_add(&to->connect, &from->connect);
	churn_hist_add(&to->answer, &from->answer);
	churn_hist_add(&to->call, &from->call);
	memset(from, 0, sizeof(*from));
}

static const char *error_name(unsigned int error)
{
	static const char *const others[] = {"EOF", "WRONG", "TIMEOUT"};
	const char *name;

	if (error >= CHURN_ERRNOS)
		return others[error - CHURN_ERRNOS];
	name = strerrorname_np((int)error);
	return name ? name : "UNKNOWN";
}

static void print_errors(const struct churn_stats *stats)
{
	const char *comma = "";

	printf(",\"errors\":{");
	for (unsigned int i = 0; i < CHURN_ERRORS; i++) {
		if (!stats->errors[i])
			continue;
		printf("%s\"%s\":%" PRIu32, comma, error_name(i), stats->errors[i]);
		comma = ",";
	}
	printf("}");
}

static void print_hist(const char *name, const struct churn_hist *hist)
{
	printf(",\"%s_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name,
	       (double)churn_hist_quantile(hist, 50) / 1e3,
	       (double)churn_hist_quantile(hist, 99) / 1e3,
	       (double)churn_hist_quantile(hist, 99.9) / 1e3, (double)hist->max / 1e3);
}

void churn_stats_print(const struct churn_stats *stats, long second, uint64_t ms, uint64_t offered,
		       uint64_t open)
{
	if (second < 0)
		printf("{\"summary\":true");
	else
		printf("{\"second\":%ld", second);
	printf(",\"ms\":%" PRIu64, ms);
	printf(",\"offered\":%" PRIu64 ",\"begun\":%" PRIu64 ",\"connected\":%" PRIu64
	       ",\"answered\":%" PRIu64 ",\"ended\":%" PRIu64 ",\"reset\":%" PRIu64
	       ",\"failed\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"slow\":%" PRIu64
	       ",\"slow_calls\":%" PRIu64 ",\"cut\":%" PRIu64 ",\"bytes_lost\":%" PRIu64,
	       offered, stats->begun, stats->connected, stats->answered, stats->ended, stats->reset,
	       stats->failed, stats->missed, stats->slow, stats->slow_calls, stats->cut,
	       stats->bytes_lost);
	print_errors(stats);
	print_hist("call", &stats->call);
	print_hist("connect", &stats->connect);
	print_hist("answer", &stats->answer);
	printf(",\"open\":%" PRIu64 "}\n", open);
	fflush(stdout);
}
