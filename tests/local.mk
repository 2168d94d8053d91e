# See tests/README.md for what a test program must do. Add a test to the list of its folder.
UNIT_TESTS =
CONF_TESTS =
CLI_TESTS =
FUZZ_TESTS =
WIRE_TESTS =
WIRE_SANITIZED =
SHIM_TESTS =
SUITE_TESTS =
LONG_TESTS =
LINT_TESTS =
BENCHES =

include tests/unit/local.mk
include tests/conf/local.mk
include tests/cli/local.mk
include tests/fuzz/local.mk
include tests/soak/local.mk
include tests/wire/local.mk
include tests/shim/local.mk
include tests/suites/local.mk
include tests/lint/local.mk
include tests/bench/local.mk

# The first to go are the longest.
if RUN_WIRE_TESTS
TESTS += $(SUITE_TESTS) $(WIRE_TESTS) $(SHIM_TESTS)
endif
TESTS += $(CONF_TESTS) $(CLI_TESTS) $(UNIT_TESTS) $(FUZZ_TESTS)

EXTRA_DIST += tests/README.md tests/driver tests/check.sh tests/demo.sh \
	$(CONF_TESTS) $(CLI_TESTS) $(WIRE_TESTS) $(LONG_ONLY) $(SHIM_TESTS) $(SUITE_TESTS) $(LINT_TESTS) \
	$(BENCHES)

TEST_EXTENSIONS = .sh
LOG_DRIVER = $(top_srcdir)/tests/driver
SH_LOG_DRIVER = $(top_srcdir)/tests/driver
SH_LOG_COMPILER = bash
AM_TESTS_ENVIRONMENT = \
	top_srcdir=$$(cd $(top_srcdir) && pwd); export top_srcdir; \
	top_builddir=$$(pwd); export top_builddir; \
	sanitizers='$(sanitizers)'; export sanitizers; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT;

lint: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS="$(LINT_TESTS)"

# The table and the pictures, in bench-out/: half an hour, or three minutes.
bench bench-quick: all $(check_PROGRAMS)
	top_srcdir=$$(cd $(top_srcdir) && pwd) top_builddir=$$(pwd) \
		BENCH_SIZE=$$(case $@ in *quick) echo quick ;; *) echo full ;; esac) \
		bash $(top_srcdir)/tests/bench/run.sh

# What it costs to follow connections, at full size.
bench-tracking: all $(check_PROGRAMS)
	for bench in $(BENCHES); do \
		top_srcdir=$$(cd $(top_srcdir) && pwd) top_builddir=$$(pwd) \
			bash $(top_srcdir)/$$bench || exit; \
	done

# What takes minutes, with LONG=1, a few at a time; most are also in make check, in their short form.
check-long: all $(check_PROGRAMS)
	LONG=1 TEST_TIMEOUT=$${TEST_TIMEOUT:-2400} \
		$(MAKE) $(AM_MAKEFLAGS) -j 3 check TESTS="$${TESTS:-$(LONG_TESTS)}"

# A million connections whose closes race accepts, under ThreadSanitizer; RACE_ROUNDS says how many.
race:
	$(MKDIR_P) race-build
	cd race-build && { test -e Makefile || \
		$$(cd $(abs_top_srcdir) && pwd)/configure -q --enable-sanitizers=thread; }
	$(MAKE) -C race-build tests/unit/test_races
	RACE_ROUNDS=$${RACE_ROUNDS:-1000000} TSAN_OPTIONS=halt_on_error=1 CMOCKA_MESSAGE_OUTPUT=TAP \
		race-build/tests/unit/test_races

.PHONY: bench bench-quick bench-tracking check-long lint race

print-%:
	@echo '$($*)'
