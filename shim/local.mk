# The preloaded library: libc only.
lib_LTLIBRARIES += libcloseside.la
libcloseside_la_SOURCES = \
	shim/apply.c shim/apply.h \
	shim/calls.h \
	shim/channel.c shim/channel.h \
	shim/holders.c shim/holders.h \
	shim/libc.c shim/libc.h \
	shim/process.c shim/process.h \
	shim/publish.c shim/publish.h \
	shim/raw.h \
	shim/rules.c shim/rules.h \
	shim/slots.c shim/slots.h \
	shim/steer.c shim/steer.h \
	shim/wrap_close.c \
	shim/wrap_msg.c \
	shim/wrap_net.c \
	shim/wrap_process.c
libcloseside_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden
libcloseside_la_LDFLAGS = -avoid-version -module -shared
libcloseside_la_LIBADD = libcommon.la
