# Everything at once: in make check for a minute, with make soak for a million connections.
WIRE_TESTS += tests/soak/test-soak.sh
WIRE_SANITIZED += tests/soak/test-soak.sh

check_PROGRAMS += tests/soak/soak
tests_soak_soak_SOURCES = \
	tests/soak/main.c \
	tests/soak/board.c tests/soak/board.h \
	tests/soak/client.c tests/soak/client.h \
	tests/soak/ending.c \
	tests/soak/flood.c \
	tests/soak/io.c tests/soak/io.h \
	tests/soak/plan.c tests/soak/plan.h \
	tests/soak/serve.c tests/soak/serve.h \
	tests/soak/serve_epoll.c \
	tests/soak/serve_processes.c
tests_soak_soak_LDADD = -lpthread

EXTRA_DIST += tests/soak/soak.sh

soak: all $(check_PROGRAMS)
	top_srcdir=$$(cd $(top_srcdir) && pwd) top_builddir=$$(pwd) \
		SOAK_CONNECTIONS=$${SOAK_CONNECTIONS:-1000000} \
		bash $(top_srcdir)/tests/soak/test-soak.sh

.PHONY: soak
