/* SPDX-License-Identifier: MIT */
/* The text of metrics, which format is wanted, who has series of its own, and the counts of groups.
 */
#include "daemon/group.h"
#include "daemon/metrics_text.h"
#include "daemon/proc.h"
#include "daemon/ranking.h"

#include <event2/buffer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static const char *text_of(struct evbuffer *out)
{
	evbuffer_add(out, "", 1);
	return (const char *)evbuffer_pullup(out, -1);
}

static void test_table(void **state)
{
	(void)state;
	for (int i = 0; i < METRIC_COUNT; i++) {
		const struct metric_row *row = &metric_rows[i];
		size_t len = strlen(row->name);
		const char *end = row->type == METRIC_COUNTER ? "_total"
				  : row->type == METRIC_INFO  ? "_info"
							      : "";
		char unit[64];

		snprintf(unit, sizeof(unit), "%s%s%s", *row->unit ? "_" : "", row->unit, end);
		assert_true(len > strlen(unit));
		assert_string_equal(row->name + len - strlen(unit), unit);
		assert_true(row->type == METRIC_COUNTER || !strstr(row->name, "_total"));
		assert_true(*row->help && !strpbrk(row->help, "\\\n"));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(row->name, metric_rows[j].name);
	}
}

static void test_formats(void **state)
{
	struct evbuffer *out = evbuffer_new();
	struct metrics_text text;

	(void)state;
	metrics_text_begin(&text, out, METRICS_OPENMETRICS);
	metrics_family(&text, METRIC_SCRAPE_SECONDS);
	metrics_number(&text, 0.25, METRICS_END);
	metrics_family(&text, METRIC_BUILD_INFO);
	metrics_count(&text, 1, "version", "1", METRICS_END);
	metrics_text_end(&text);
	assert_string_equal(text_of(out),
			    "# HELP closeside_scrape_seconds What making them has taken.\n"
			    "# TYPE closeside_scrape_seconds counter\n"
			    "# UNIT closeside_scrape_seconds seconds\n"
			    "closeside_scrape_seconds_total 0.25\n"
			    "# HELP closeside_build The version of the daemon.\n"
			    "# TYPE closeside_build info\n"
			    "closeside_build_info{version=\"1\"} 1\n"
			    "# EOF\n");
	evbuffer_drain(out, evbuffer_get_length(out));
	metrics_text_begin(&text, out, METRICS_PROMETHEUS);
	metrics_family(&text, METRIC_SCRAPE_SECONDS);
	metrics_number(&text, 0.25, METRICS_END);
	metrics_text_end(&text);
	assert_string_equal(text_of(out),
			    "# HELP closeside_scrape_seconds_total What making them has taken.\n"
			    "# TYPE closeside_scrape_seconds_total counter\n"
			    "closeside_scrape_seconds_total 0.25\n");
	evbuffer_free(out);
}

static void assert_label(const char *value, const char *expected)
{
	struct evbuffer *out = evbuffer_new();
	struct metrics_text text;
	char line[256];

	metrics_text_begin(&text, out, METRICS_PROMETHEUS);
	metrics_family(&text, METRIC_UNIT_CONNECTIONS);
	evbuffer_drain(out, evbuffer_get_length(out));
	metrics_count(&text, UINT64_MAX, "unit", value, "state", NULL, METRICS_END);
	snprintf(line, sizeof(line),
		 "closeside_unit_tcp_connections{unit=\"%s\"} 18446744073709551615\n", expected);
	assert_string_equal(text_of(out), line);
	evbuffer_free(out);
}

static void test_labels(void **state)
{
	(void)state;
	assert_label("nginx.service", "nginx.service");
	assert_label("a\"b\\c\nd", "a\\\"b\\\\c\\nd");
	assert_label("system-a\\x2db.slice", "system-a\\\\x2db.slice");
	assert_label("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7",
		     "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7");
	assert_label("\xff-\xc3", "?-?");
	assert_label("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", "?????????");
	assert_label("", "");
}

static void test_negotiate(void **state)
{
	(void)state;
	assert_int_equal(metrics_negotiate(NULL), METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate(""), METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate("*/*"), METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate("text/html, */*;q=0.1"), METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate("application/openmetrics-text"), METRICS_OPENMETRICS);
	/* as Prometheus 2.42 and 2.53 ask */
	assert_int_equal(metrics_negotiate("application/openmetrics-text;version=1.0.0,"
					   "application/openmetrics-text;version=0.0.1;q=0.75,"
					   "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
			 METRICS_OPENMETRICS);
	assert_int_equal(metrics_negotiate("text/plain;version=0.0.4;q=0.9, "
					   "application/openmetrics-text; version=1.0.0; q=0.5"),
			 METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate("application/openmetrics-text;version=0.0.1"),
			 METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate("application/openmetrics-text;q=0"), METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate("application/openmetrics-textual"), METRICS_PROMETHEUS);
	assert_int_equal(metrics_negotiate(",,;;q=,application/openmetrics-text;q=nan;;"),
			 METRICS_PROMETHEUS);
}

/* --- who has series of its own ---------------------------------------------------------------- */

static void update(struct ranking *ranking, unsigned int most, uint64_t now_ms, const char *words)
{
	char name[32];
	unsigned int weight;
	int used;

	ranking_begin(ranking, most);
	for (; sscanf(words, " %31s %u%n", name, &weight, &used) == 2; words += used)
		ranking_offer(ranking, most, name, weight, now_ms);
	ranking_end(ranking, now_ms);
}

static void test_ranking(void **state)
{
	struct ranking *ranking = calloc(1, sizeof(*ranking));

	(void)state;
	update(ranking, 2, 1000, "a 1 b 50 c 2 d 100 e 0");
	assert_int_equal(ranking->count, 2);
	assert_true(ranking_has(ranking, "b") && ranking_has(ranking, "d"));
	/* a little more is not enough, whichever comes first, */
	update(ranking, 2, 2000, "c 80 b 50 d 100");
	assert_false(ranking_has(ranking, "c"));
	update(ranking, 2, 3000, "d 100 b 50 c 85");
	assert_false(ranking_has(ranking, "c"));
	/* half as many again and some are; */
	update(ranking, 2, 4000, "c 86 b 50 d 100");
	assert_true(ranking_has(ranking, "c") && !ranking_has(ranking, "b"));
	/* and it does not come back for a little */
	update(ranking, 2, 5000, "c 86 b 90 d 100");
	assert_true(ranking_has(ranking, "c") && !ranking_has(ranking, "b"));
	/* who has nothing stays for a while, if nobody else wants its place */
	update(ranking, 2, 6000, "d 100");
	assert_true(ranking_has(ranking, "c"));
	update(ranking, 2, 6000 + RANKING_STAYS_MS, "d 100 b 5");
	assert_true(ranking_has(ranking, "d") && !ranking_has(ranking, "c"));
	/* fewer are wanted: the weakest go; none */
	update(ranking, 1, 700000, "d 100 b 100");
	assert_int_equal(ranking->count, 1);
	update(ranking, 0, 700000, "d 100");
	assert_int_equal(ranking->count, 0);
	free(ranking);
}

static void test_groups(void **state)
{
	struct procs *procs = procs_new();
	struct process process = {.pid = 7, .start = 1, .unit = "web.service", .exe = "/bin/web"};
	const struct groups *units = procs_groups(procs, GROUP_UNIT),
			    *programs = procs_groups(procs, GROUP_PROGRAM);
	struct proc *one = proc_get(procs, &process), *two;

	(void)state;
	process.pid = 8;
	two = proc_get(procs, &process);
	proc_count(one, STATE_ESTABLISHED, 3);
	proc_count(two, STATE_TIME_WAIT, 2);
	proc_count(two, STATE_LISTEN, 1);
	assert_int_equal(group_conns(group_find(units, "web.service")), 5);
	assert_int_equal(group_find(programs, "web")->members, 2);
	/* it executes another program: what it has goes with it */
	strcpy(process.exe, "/bin/other");
	proc_put(procs, proc_get(procs, &process));
	assert_int_equal(group_conns(group_find(programs, "web")), 3);
	assert_int_equal(group_conns(group_find(programs, "other")), 2);
	assert_int_equal(group_conns(group_find(units, "web.service")), 5);
	proc_count(two, STATE_TIME_WAIT, -2);
	proc_put(procs, two);
	assert_null(group_find(programs, "other"));
	proc_put(procs, one);
	assert_null(group_find(units, "web.service"));
	procs_free(procs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	cmocka_unit_test(test_formats),
		cmocka_unit_test(test_labels),	cmocka_unit_test(test_negotiate),
		cmocka_unit_test(test_ranking), cmocka_unit_test(test_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
