# Figures: make bench.
check_PROGRAMS += tests/bench/short_conns
tests_bench_short_conns_SOURCES = tests/bench/short_conns.c
tests_bench_short_conns_LDADD = -lpthread
BENCHES += tests/bench/close-first.sh tests/bench/policies.sh tests/bench/system-calls.sh
EXTRA_DIST += tests/bench/nginx.sh
