# Small programs, one for each way in which interposers fail, compared with and without the shim.
SHIM_TESTS += \
	tests/shim/test-descriptors.sh \
	tests/shim/test-epoll.sh \
	tests/shim/test-sockets.sh

SHIM_CASES = \
	tests/shim/close_all \
	tests/shim/epoll_sets \
	tests/shim/epoll_threads \
	tests/shim/sock_calls \
	tests/shim/signals \
	tests/shim/sock_kinds \
	tests/shim/threads

# A case is its program, one source and what they share.
check_PROGRAMS += $(SHIM_CASES)
case_shared = tests/shim/pair.c tests/shim/pair.h
case_libs = -lpthread
tests_shim_close_all_SOURCES = tests/shim/close_all.c $(case_shared)
tests_shim_close_all_LDADD = $(case_libs)
tests_shim_epoll_sets_SOURCES = tests/shim/epoll_sets.c $(case_shared)
tests_shim_epoll_sets_LDADD = $(case_libs)
tests_shim_epoll_threads_SOURCES = tests/shim/epoll_threads.c $(case_shared)
tests_shim_epoll_threads_LDADD = $(case_libs)
tests_shim_sock_kinds_SOURCES = tests/shim/sock_kinds.c $(case_shared)
tests_shim_sock_kinds_LDADD = $(case_libs)
tests_shim_sock_calls_SOURCES = tests/shim/sock_calls.c $(case_shared)
tests_shim_sock_calls_LDADD = $(case_libs)
tests_shim_signals_SOURCES = tests/shim/signals.c $(case_shared)
tests_shim_signals_LDADD = $(case_libs)
tests_shim_threads_SOURCES = tests/shim/threads.c $(case_shared)
tests_shim_threads_LDADD = $(case_libs)

EXTRA_DIST += tests/shim/lib.sh
