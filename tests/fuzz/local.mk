# A fuzz target is tests/fuzz/fuzz_NAME.c, its line in this list, and tests/fuzz/seeds/NAME with at
# least one file. `make fuzz` builds them once more, with clang and libFuzzer; otherwise replay.c
# feeds them their seeds, which is a test.
FUZZ_TESTS += \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_control \
	tests/fuzz/fuzz_filter \
	tests/fuzz/fuzz_history \
	tests/fuzz/fuzz_journal \
	tests/fuzz/fuzz_options \
	tests/fuzz/fuzz_page \
	tests/fuzz/fuzz_parse \
	tests/fuzz/fuzz_proc \
	tests/fuzz/fuzz_segment \
	tests/fuzz/fuzz_session

check_PROGRAMS += $(FUZZ_TESTS)

if FUZZING
FUZZ_MAIN =
LIBFUZZER = -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/replay.c
LIBFUZZER =
endif
FUZZ_DAEMON = tests/fuzz/daemon.c tests/fuzz/daemon.h
FUZZ_COMMON = tests/fuzz/fuzz.h $(FUZZ_MAIN)

tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(FUZZ_COMMON)
tests_fuzz_fuzz_config_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_config_LDADD = libconfig.la libcommon.la

tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c $(FUZZ_DAEMON) $(FUZZ_COMMON)
tests_fuzz_fuzz_control_CPPFLAGS = $(AM_CPPFLAGS) $(libdaemon_la_CPPFLAGS)
tests_fuzz_fuzz_control_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_control_LDADD = libdaemon.la

tests_fuzz_fuzz_filter_SOURCES = tests/fuzz/fuzz_filter.c $(FUZZ_COMMON)
tests_fuzz_fuzz_filter_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_filter_LDADD = libdaemon.la

tests_fuzz_fuzz_history_SOURCES = tests/fuzz/fuzz_history.c $(FUZZ_COMMON)
tests_fuzz_fuzz_history_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_history_LDADD = libdaemon.la

tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c $(FUZZ_COMMON)
tests_fuzz_fuzz_journal_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_journal_LDADD = libdaemon.la

tests_fuzz_fuzz_options_SOURCES = tests/fuzz/fuzz_options.c shim/rules.c shim/clock.c $(FUZZ_COMMON)
tests_fuzz_fuzz_options_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_options_LDADD = libcommon.la

tests_fuzz_fuzz_page_SOURCES = tests/fuzz/fuzz_page.c shim/rules.c shim/clock.c $(FUZZ_COMMON)
tests_fuzz_fuzz_page_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_page_LDADD = libdaemon.la

tests_fuzz_fuzz_parse_SOURCES = tests/fuzz/fuzz_parse.c $(FUZZ_COMMON)
tests_fuzz_fuzz_parse_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_parse_LDADD = libcommon.la

tests_fuzz_fuzz_proc_SOURCES = tests/fuzz/fuzz_proc.c $(FUZZ_COMMON)
tests_fuzz_fuzz_proc_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_proc_LDADD = libdaemon.la

tests_fuzz_fuzz_segment_SOURCES = tests/fuzz/fuzz_segment.c $(FUZZ_COMMON)
tests_fuzz_fuzz_segment_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_segment_LDADD = libdaemon.la

tests_fuzz_fuzz_session_SOURCES = tests/fuzz/fuzz_session.c $(FUZZ_DAEMON) $(FUZZ_COMMON)
tests_fuzz_fuzz_session_CPPFLAGS = $(AM_CPPFLAGS) $(libdaemon_la_CPPFLAGS)
tests_fuzz_fuzz_session_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_session_LDADD = libdaemon.la

EXTRA_DIST += tests/fuzz/replay.c tests/fuzz/run.sh tests/fuzz/seeds \
	tests/fuzz/config.dict tests/fuzz/control.dict tests/fuzz/filter.dict \
	tests/fuzz/journal.dict \
	tests/fuzz/options.dict

# FUZZ_SECONDS for each target; FUZZ_TARGETS="config filter" for these only.
fuzz:
	top_srcdir=$$(cd $(top_srcdir) && pwd) top_builddir=$$(pwd) FUZZ_CC='$(FUZZ_CC)' \
		bash $(top_srcdir)/tests/fuzz/run.sh $(FUZZ_TESTS)

fuzz-replay:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS="$(FUZZ_TESTS)"

.PHONY: fuzz fuzz-replay
