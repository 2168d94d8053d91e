# Small programs, one for each way in which interposers fail, compared with and without the shim.
SHIM_TESTS += \
	tests/shim/test-descriptors.sh \
	tests/shim/test-languages.sh \
	tests/shim/test-libraries.sh \
	tests/shim/test-sandboxes.sh \
	tests/shim/test-seccomp.sh \
	tests/shim/test-servers.sh

SHIM_CASES = \
	tests/shim/close_all \
	tests/shim/plugins \
	tests/shim/rounds \
	tests/shim/sandbox \
	tests/shim/seccomp

# A case is its program, one source and what they share.
check_PROGRAMS += $(SHIM_CASES)
case_shared = tests/shim/pair.c tests/shim/pair.h
case_libs = -lpthread
tests_shim_close_all_SOURCES = tests/shim/close_all.c $(case_shared)
tests_shim_close_all_LDADD = $(case_libs)
tests_shim_sandbox_SOURCES = tests/shim/sandbox.c $(case_shared)
tests_shim_sandbox_LDADD = $(case_libs)
tests_shim_seccomp_SOURCES = tests/shim/seccomp.c tests/shim/filter.c tests/shim/filter.h $(case_shared)
tests_shim_seccomp_LDADD = $(case_libs)
tests_shim_plugins_SOURCES = tests/shim/plugins.c $(case_shared)
tests_shim_plugins_LDADD = $(case_libs)
tests_shim_rounds_SOURCES = tests/shim/rounds.c $(case_shared)
tests_shim_rounds_LDADD = $(case_libs)

EXTRA_DIST += tests/shim/lib.sh tests/shim/plugin.c tests/shim/plugin.h \
	tests/shim/Speak.java tests/shim/speak.mjs tests/shim/speak.pl tests/shim/speak.py \
	tests/shim/speak.rb
