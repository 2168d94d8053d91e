# Small programs, one for each way in which interposers fail, compared with and without the shim.
SHIM_TESTS += \
	tests/shim/test-descriptors.sh \
	tests/shim/test-shutdown.sh

SHIM_CASES = \
	tests/shim/close_all \
	tests/shim/shut_write

# A case is its program, one source and what they share.
check_PROGRAMS += $(SHIM_CASES)
case_shared = tests/shim/pair.c tests/shim/pair.h
case_libs = -lpthread
tests_shim_close_all_SOURCES = tests/shim/close_all.c $(case_shared)
tests_shim_close_all_LDADD = $(case_libs)
tests_shim_shut_write_SOURCES = tests/shim/shut_write.c $(case_shared)
tests_shim_shut_write_LDADD = $(case_libs)

EXTRA_DIST += tests/shim/lib.sh
