# The preloaded library: libc only.
lib_LTLIBRARIES += libcloseside.la
libcloseside_la_SOURCES = \
	shim/apply.c shim/apply.h \
	shim/calls.h \
	shim/channel.c shim/channel.h \
	shim/clock.c shim/clock.h \
	shim/facts.c shim/facts.h \
	shim/forks.c shim/forks.h \
	shim/holders.c shim/holders.h \
	shim/libc.c shim/libc.h \
	shim/process.c shim/process.h \
	shim/publish.c shim/publish.h \
	shim/raw.h \
	shim/rules.c shim/rules.h \
	shim/session.c shim/session.h \
	shim/sets.c shim/sets.h \
	shim/share.c shim/share.h \
	shim/slots.c shim/slots.h \
	shim/sock.c shim/sock.h \
	shim/steer.c shim/steer.h \
	shim/turn.c shim/turn.h \
	shim/user.c shim/user.h \
	shim/wrap_close.c \
	shim/wrap_msg.c \
	shim/wrap_net.c \
	shim/wrap.h \
	shim/wrap_process.c \
	shim/wrap_syscall.c \
	shim/wrap_vfork.c \
	shim/wrap_write.c
# Without what _FORTIFY_SOURCE calls: musl has none of it, and its programs would not start.
libcloseside_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden -U_FORTIFY_SOURCE
libcloseside_la_LDFLAGS = -avoid-version -module -shared
libcloseside_la_LIBADD = libcommon.la
