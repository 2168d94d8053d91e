# Real programs in network namespaces of their own; a few of them run at a time. C programs
# that they need go to check_PROGRAMS, files that they read to EXTRA_DIST. The longest come first.
WIRE_TESTS += \
	tests/wire/test-packages.sh \
	tests/wire/test-pool.sh \
	tests/wire/test-tune-ports.sh \
	tests/wire/test-tune-buckets.sh \
	tests/wire/test-tune-queues.sh \
	tests/wire/test-tune-sawtooth.sh \
	tests/wire/test-tune-limits.sh \
	tests/wire/test-attribution.sh \
	tests/wire/test-agreement.sh \
	tests/wire/test-doctor-closing.sh \
	tests/wire/test-daemon-dies.sh \
	tests/wire/test-matrix.sh \
	tests/wire/test-shutdown-kinds.sh \
	tests/wire/test-hostile.sh \
	tests/wire/test-hostile-numbers.sh \
	tests/wire/test-hostile-records.sh \
	tests/wire/test-hostile-sessions.sh \
	tests/wire/test-hostile-descriptors.sh \
	tests/wire/test-hostile-sockets.sh \
	tests/wire/test-hostile-control.sh \
	tests/wire/test-hostile-lock.sh \
	tests/wire/test-bad-input.sh \
	tests/wire/test-eof-readers.sh \
	tests/wire/test-many-held.sh \
	tests/wire/test-fork.sh \
	tests/wire/test-reload.sh \
	tests/wire/test-share.sh \
	tests/wire/test-off.sh \
	tests/wire/test-time-wait-none.sh \
	tests/wire/test-keys.sh \
	tests/wire/test-compare.sh \
	tests/wire/test-doctor-healthy.sh \
	tests/wire/test-doctor-leak.sh \
	tests/wire/test-doctor-peers.sh \
	tests/wire/test-doctor-ports.sh \
	tests/wire/test-doctor-queues.sh \
	tests/wire/test-half-close.sh \
	tests/wire/test-slow-reader.sh \
	tests/wire/test-413.sh \
	tests/wire/test-cork.sh \
	tests/wire/test-v6.sh \
	tests/wire/test-restart.sh \
	tests/wire/test-simultaneous.sh \
	tests/wire/test-peer-time-wait.sh \
	tests/wire/test-options.sh \
	tests/wire/test-selectors.sh \
	tests/wire/test-client-leaves.sh \
	tests/wire/test-system-calls.sh \
	tests/wire/test-watch-rate.sh \
	tests/wire/test-self.sh \
	tests/wire/test-ring.sh \
	tests/wire/test-guesses.sh \
	tests/wire/test-pairs.sh \
	tests/wire/test-metrics.sh \
	tests/wire/test-metrics-crowd.sh \
	tests/wire/test-zabbix.sh \
	tests/wire/test-history.sh \
	tests/wire/test-report.sh \
	tests/wire/test-verify.sh \
	tests/wire/test-missed.sh \
	tests/wire/test-ps.sh \
	tests/wire/test-filter.sh \
	tests/wire/test-unshimmed.sh \
	tests/wire/test-namespaces.sh \
	tests/wire/test-tune-namespaces.sh \
	tests/wire/test-tune-write.sh \
	tests/wire/test-service.sh \
	tests/wire/test-systemd.sh \
	tests/wire/test-enable.sh \
	tests/wire/test-demo.sh \
	tests/wire/test-close-cost.sh

# Also with LONG=1, in make check-long: the longest first.
LONG_TESTS += \
	tests/wire/test-tune-ports.sh \
	tests/wire/test-tune-sawtooth.sh \
	tests/wire/test-tune-queues.sh \
	tests/wire/test-tune-buckets.sh \
	tests/wire/test-tune-limits.sh \
	tests/wire/test-share.sh \
	tests/wire/test-metrics-crowd.sh \
	tests/wire/test-packages.sh \
	tests/wire/test-verify.sh \
	$(LONG_ONLY)
# A machine of its own takes a minute to start; test_balance_moves has its short form. Zabbix' frontend and
# its database are large.
LONG_ONLY = tests/wire/test-tune-orphans.sh tests/wire/test-zabbix-import.sh

check_PROGRAMS += tests/wire/closes tests/wire/crowd
tests_wire_closes_SOURCES = tests/wire/closes.c
tests_wire_crowd_SOURCES = tests/wire/crowd.c
tests_wire_crowd_LDADD =

# Also run against a daemon with sanitizers, the shim without: floods.
WIRE_SAMPLE = \
	tests/wire/test-hostile-numbers.sh \
	tests/wire/test-hostile-records.sh \
	tests/wire/test-hostile-sessions.sh \
	tests/wire/test-hostile-descriptors.sh \
	tests/wire/test-hostile-sockets.sh \
	tests/wire/test-hostile-control.sh

# Also run with sanitizers in the daemon, the CLI and the shim, which is preloaded after gcc's
# libasan. Not those with curl, which hangs with libasan alone, nor those that count time or floods.
WIRE_SANITIZED += \
	tests/wire/test-daemon-dies.sh \
	tests/wire/test-matrix.sh \
	tests/wire/test-shutdown-kinds.sh \
	tests/wire/test-v6.sh \
	tests/wire/test-fork.sh \
	tests/wire/test-time-wait-none.sh \
	tests/wire/test-half-close.sh \
	tests/wire/test-doctor-leak.sh \
	tests/wire/test-doctor-queues.sh \
	tests/wire/test-keys.sh \
	tests/wire/test-selectors.sh \
	tests/wire/test-reload.sh \
	tests/wire/test-off.sh \
	tests/wire/test-slow-reader.sh \
	tests/wire/test-413.sh \
	tests/wire/test-cork.sh \
	tests/wire/test-restart.sh \
	tests/wire/test-tune-write.sh \
	tests/wire/test-simultaneous.sh \
	tests/wire/test-options.sh \
	tests/wire/test-ring.sh \
	tests/wire/test-guesses.sh \
	tests/wire/test-pairs.sh \
	tests/wire/test-metrics.sh \
	tests/wire/test-history.sh \
	tests/wire/test-report.sh \
	tests/wire/test-filter.sh \
	tests/wire/test-ps.sh \
	tests/wire/test-eof-readers.sh

EXTRA_DIST += \
	tests/wire/lib.sh tests/wire/servers.sh tests/wire/clients.sh \
	tests/wire/conns.awk tests/wire/actor.py tests/wire/client.py tests/wire/ctl.py tests/wire/shapes.py \
	tests/wire/fetch.mjs tests/wire/load.py tests/wire/pool.py \
	tests/wire/doctor-lib.sh tests/wire/hold-lib.sh tests/wire/hostile.py tests/wire/hostile-lib.sh tests/wire/attack.py \
	tests/wire/rules.test.yml tests/wire/scrapers.py tests/wire/zabbix_check.py \
	tests/wire/syn_flood.py tests/wire/systemd-lib.sh tests/wire/tune-lib.sh tests/wire/uml-lib.sh \
	tests/wire/mix.py tests/wire/verdicts.py tests/wire/walk.py tests/wire/watch_rate.py
