# Small programs, one for each way in which interposers fail, compared with and without the shim.
SHIM_TESTS += \
	tests/shim/test-descriptors.sh \
	tests/shim/test-epoll.sh \
	tests/shim/test-exits.sh \
	tests/shim/test-languages.sh \
	tests/shim/test-libraries.sh \
	tests/shim/test-processes.sh \
	tests/shim/test-sandboxes.sh \
	tests/shim/test-seccomp.sh \
	tests/shim/test-servers.sh \
	tests/shim/test-shutdown.sh \
	tests/shim/test-sockets.sh \
	tests/shim/test-spawn-cost.sh \
	tests/shim/test-stdio.sh \
	tests/shim/test-threads.sh \
	tests/shim/test-web-servers.sh

SHIM_CASES = \
	tests/shim/bad_pointers \
	tests/shim/cancel \
	tests/shim/channel_number \
	tests/shim/close_all \
	tests/shim/duplicates \
	tests/shim/epoll_sets \
	tests/shim/epoll_threads \
	tests/shim/exits \
	tests/shim/forks \
	tests/shim/limits \
	tests/shim/plugins \
	tests/shim/rights \
	tests/shim/rounds \
	tests/shim/sandbox \
	tests/shim/seccomp \
	tests/shim/shut_write \
	tests/shim/signals \
	tests/shim/sock_calls \
	tests/shim/sock_kinds \
	tests/shim/spawner \
	tests/shim/spawns \
	tests/shim/threads

# A case is its program, one source and what they share.
check_PROGRAMS += $(SHIM_CASES)
case_shared = tests/shim/pair.c tests/shim/pair.h
case_libs = -lpthread
tests_shim_channel_number_SOURCES = tests/shim/channel_number.c $(case_shared)
tests_shim_channel_number_LDADD = $(case_libs)
tests_shim_close_all_SOURCES = tests/shim/close_all.c $(case_shared)
tests_shim_close_all_LDADD = $(case_libs)
tests_shim_shut_write_SOURCES = tests/shim/shut_write.c $(case_shared)
tests_shim_shut_write_LDADD = $(case_libs)
tests_shim_duplicates_SOURCES = tests/shim/duplicates.c $(case_shared)
tests_shim_duplicates_LDADD = $(case_libs)
tests_shim_forks_SOURCES = tests/shim/forks.c $(case_shared)
tests_shim_forks_LDADD = $(case_libs)
tests_shim_spawns_SOURCES = tests/shim/spawns.c $(case_shared)
tests_shim_spawns_LDADD = $(case_libs)
tests_shim_bad_pointers_SOURCES = tests/shim/bad_pointers.c $(case_shared)
tests_shim_bad_pointers_LDADD = $(case_libs)
tests_shim_epoll_sets_SOURCES = tests/shim/epoll_sets.c $(case_shared)
tests_shim_epoll_sets_LDADD = $(case_libs)
tests_shim_epoll_threads_SOURCES = tests/shim/epoll_threads.c $(case_shared)
tests_shim_epoll_threads_LDADD = $(case_libs)
tests_shim_sock_kinds_SOURCES = tests/shim/sock_kinds.c $(case_shared)
tests_shim_sock_kinds_LDADD = $(case_libs)
tests_shim_sandbox_SOURCES = tests/shim/sandbox.c $(case_shared)
tests_shim_sandbox_LDADD = $(case_libs)
tests_shim_seccomp_SOURCES = tests/shim/seccomp.c tests/shim/filter.c tests/shim/filter.h $(case_shared)
tests_shim_seccomp_LDADD = $(case_libs)
tests_shim_plugins_SOURCES = tests/shim/plugins.c $(case_shared)
tests_shim_plugins_LDADD = $(case_libs)
tests_shim_rounds_SOURCES = tests/shim/rounds.c $(case_shared)
tests_shim_rounds_LDADD = $(case_libs)
tests_shim_rights_SOURCES = tests/shim/rights.c $(case_shared)
tests_shim_rights_LDADD = $(case_libs)
tests_shim_exits_SOURCES = tests/shim/exits.c $(case_shared)
tests_shim_exits_LDADD = $(case_libs)
tests_shim_signals_SOURCES = tests/shim/signals.c $(case_shared)
tests_shim_signals_LDADD = $(case_libs)
tests_shim_sock_calls_SOURCES = tests/shim/sock_calls.c $(case_shared)
tests_shim_sock_calls_LDADD = $(case_libs)
tests_shim_threads_SOURCES = tests/shim/threads.c $(case_shared)
tests_shim_threads_LDADD = $(case_libs)
tests_shim_cancel_SOURCES = tests/shim/cancel.c $(case_shared)
tests_shim_cancel_LDADD = $(case_libs)

# The same as a program and as a library to preload.
check_PROGRAMS += tests/shim/early_late
tests_shim_early_late_SOURCES = tests/shim/early_late.c $(case_shared)
tests_shim_early_late_CPPFLAGS = $(AM_CPPFLAGS) -DPROGRAM
tests_shim_early_late_LDADD = $(case_libs)
check_LTLIBRARIES = tests/shim/early_late.la
tests_shim_early_late_la_SOURCES = tests/shim/early_late.c $(case_shared)
tests_shim_early_late_la_CFLAGS = $(AM_CFLAGS) -fPIC
tests_shim_early_late_la_LDFLAGS = -avoid-version -module -shared -rpath /nowhere
tests_shim_limits_SOURCES = tests/shim/limits.c $(case_shared)
tests_shim_limits_LDADD = $(case_libs)
tests_shim_spawner_SOURCES = tests/shim/spawner.c $(case_shared)
tests_shim_spawner_LDADD = $(case_libs)

EXTRA_DIST += tests/shim/lib.sh tests/shim/served.sh tests/shim/plugin.c tests/shim/plugin.h \
	tests/shim/Speak.java tests/shim/speak.mjs tests/shim/speak.pl tests/shim/speak.py \
	tests/shim/speak.rb
