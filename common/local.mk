# Shared by shim, daemon and CLI; no I/O, no malloc.
noinst_LTLIBRARIES += libcommon.la
libcommon_la_SOURCES = \
	common/close_decide.c common/close_decide.h \
	common/endpoint.c common/endpoint.h \
	common/near.c common/near.h \
	common/parse.c common/parse.h \
	common/policy.c common/policy.h \
	common/policy_keys.c \
	common/ring.c common/ring.h \
	common/tcp_state.c common/tcp_state.h \
	common/wire.c common/wire.h
libcommon_la_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -U_FORTIFY_SOURCE
