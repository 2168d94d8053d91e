lib_LTLIBRARIES += libcloseside.la
libcloseside_la_SOURCES = \
	shim/calls.h shim/shim.c
libcloseside_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden
libcloseside_la_LDFLAGS = -avoid-version -module -shared
libcloseside_la_LIBADD = libcommon.la
