# Figures: make bench.
check_PROGRAMS += tests/bench/short_conns
tests_bench_short_conns_SOURCES = tests/bench/short_conns.c
tests_bench_short_conns_LDADD = -lpthread
check_PROGRAMS += tests/bench/hold
tests_bench_hold_SOURCES = tests/bench/hold.c
check_PROGRAMS += tests/bench/model
tests_bench_model_SOURCES = tests/bench/model.c
tests_bench_model_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
tests_bench_model_LDADD = libdaemon.la libcommon.la $(EVENT_LIBS) -lpthread
check_PROGRAMS += tests/bench/scale
tests_bench_scale_SOURCES = tests/bench/scale.c
tests_bench_scale_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
tests_bench_scale_LDADD = libdaemon.la libcommon.la $(EVENT_LIBS) -lpthread
check_PROGRAMS += tests/bench/sample
tests_bench_sample_SOURCES = tests/bench/sample.c
check_PROGRAMS += tests/bench/churn
tests_bench_churn_SOURCES = \
	tests/bench/churn.c tests/bench/churn.h \
	tests/bench/churn_client.c tests/bench/churn_client.h \
	tests/bench/churn_conns.c tests/bench/churn_conns.h \
	tests/bench/churn_exchange.c tests/bench/churn_exchange.h \
	tests/bench/churn_hist.c tests/bench/churn_hist.h \
	tests/bench/churn_plan.c tests/bench/churn_plan.h \
	tests/bench/churn_run.c \
	tests/bench/churn_server.c \
	tests/bench/churn_socket.c tests/bench/churn_socket.h \
	tests/bench/churn_stats.c tests/bench/churn_stats.h
tests_bench_churn_LDADD = libcommon.la -lpthread -lm
# What make bench runs, and make bench-tracking.
EXTRA_DIST += \
	tests/bench/run.sh tests/bench/report.sh tests/bench/report.jq tests/bench/report-md.jq \
	tests/bench/pairs.sh tests/bench/pairs-lib.sh
BENCHES += \
	tests/bench/figures.sh \
	tests/bench/model.sh \
	tests/bench/tracking-cpu.sh
# The daemon; tests/wire/test-many-held.sh is a small one.
EXTRA_DIST += \
	tests/bench/custody.sh tests/bench/custody-lib.sh tests/bench/custody-held.sh \
	tests/bench/custody-rate.sh tests/bench/custody-scale.sh
# The contenders side by side; tests/wire/test-compare.sh runs them in miniature.
EXTRA_DIST += \
	tests/bench/compare.sh tests/bench/compare-lib.sh tests/bench/compare-one.sh \
	tests/bench/compare-rate.jq tests/bench/compare-ports.sh tests/bench/compare-loss.sh \
	tests/bench/compare-others.sh tests/bench/read_late.py
