/* SPDX-License-Identifier: MIT */
/* A run of the connecting side: its threads, and a line for each second. */
#include "tests/bench/churn.h"
#include "tests/bench/churn_client.h"
#include "tests/bench/churn_stats.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static const uint64_t second_ns = UINT64_C(1000000000);

struct run {
	const struct churn_options *options;
	struct churn_client *client[CHURN_THREADS];
	struct churn_stats second, total;
	uint64_t began_ns, offered, open;
};

static bool all_done(const struct run *run)
{
	for (unsigned int i = 0; i < run->options->threads; i++)
		if (!churn_client_is_done(run->client[i]))
			return false;
	return true;
}

static bool enough_begun(const struct run *run)
{
	uint64_t begun = 0;

	if (!run->options->every)
		return false;
	for (unsigned int i = 0; i < run->options->threads; i++)
		begun += churn_client_begun(run->client[i]);
	return begun >= run->total.begun + run->options->every;
}

static void nap_until(uint64_t ns)
{
	struct timespec until = {(time_t)(ns / second_ns), (long)(ns % second_ns)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void report(struct run *run, long second)
{
	uint64_t ns = churn_now_ns() - run->began_ns;
	uint64_t offered = churn_plan_count(&run->options->plan, ns);

	run->open = 0;
	for (unsigned int i = 0; i < run->options->threads; i++)
		run->open += churn_client_collect(run->client[i], &run->second);
	churn_stats_print(&run->second, second, ns / 1000000, offered - run->offered, run->open);
	run->offered = offered;
	churn_stats_move(&run->total, &run->second);
}

static bool line_is_due(const struct run *run, uint64_t until, bool stays)
{
	if (!stays && (all_done(run) || enough_begun(run)))
		return true;
	return churn_now_ns() >= until && (stays || !run->options->every);
}

/* A line each second, until all is done; then as long as what is open is to stay. */
static void watch(struct run *run)
{
	uint64_t stay_until = 0, nap_ns = run->options->every ? second_ns / 2000 : second_ns / 100;

	for (long second = 0; !churn_stop; second++) {
		uint64_t until = run->began_ns + (uint64_t)(second + 1) * second_ns;

		while (!churn_stop && !line_is_due(run, until, stay_until > 0))
			nap_until(churn_now_ns() + nap_ns);
		report(run, second);
		if (!stay_until && all_done(run))
			stay_until = churn_now_ns() + run->options->stay_s * second_ns;
		if (stay_until && churn_now_ns() >= stay_until)
			return;
	}
}

int churn_connect(const struct churn_options *options)
{
	static struct run run; /* its histograms are large */
	unsigned int started;

	run.options = options;
	run.began_ns = churn_now_ns() + second_ns / 100; /* no thread is late for the first */
	for (started = 0; started < options->threads; started++) {
		run.client[started] = churn_client_start(options, started, run.began_ns);
		if (!run.client[started])
			break;
	}
	if (started == options->threads) {
		watch(&run);
		churn_stats_print(&run.total, -1, (churn_now_ns() - run.began_ns) / 1000000,
				  run.offered, run.open);
	} else {
		perror("churn: a thread");
	}
	for (unsigned int i = 0; i < started; i++)
		churn_client_free(run.client[i]);
	return started < options->threads || run.total.failed > 0;
}
