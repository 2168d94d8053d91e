# The CLI. What it is made of is in a library of its own, so that tests can have it.
noinst_LTLIBRARIES += libconfig.la libcli.la

libconfig_la_SOURCES = \
	daemon/config.c daemon/config.h \
	daemon/config_say.c \
	daemon/config_scan.c daemon/config_scan.h
libconfig_la_CFLAGS = $(AM_CFLAGS) $(CONFUSE_CFLAGS)
libconfig_la_LIBADD = libcommon.la $(CONFUSE_LIBS)

libcli_la_SOURCES = \
	daemon/cli.h \
	daemon/cli_command.c daemon/cli_run.h \
	daemon/cli_control.c daemon/cli_control.h \
	daemon/cli_options.c \
	daemon/cli_page.c daemon/cli_page.h \
	daemon/cli_policy.c daemon/cli_policy.h \
	daemon/cli_private.c \
	daemon/cli_report.c \
	daemon/cli_run.c \
	daemon/cli_status.c \
	daemon/cli_table.c daemon/cli_table.h \
	daemon/cli_test.c \
	daemon/policy_explain.c daemon/policy_explain.h
libcli_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
libcli_la_LIBADD = libconfig.la $(JANSSON_LIBS)

bin_PROGRAMS += closeside
closeside_SOURCES = daemon/closeside.c
closeside_LDADD = libcli.la
