# closesided and the closeside CLI. All but the two main()s is in libdaemon.la, which the unit
# tests link as well.
noinst_LTLIBRARIES += libconfig.la libcli.la libdaemon.la
libdaemon_la_SOURCES = \
	daemon/adopt.c daemon/adopt.h \
	daemon/balance.c daemon/balance.h \
	daemon/balance_buckets.c \
	daemon/balance_limits.c \
	daemon/balance_moves.c \
	daemon/balance_ports.c \
	daemon/balance_queues.c \
	daemon/balance_sheet.h \
	daemon/balance_words.c \
	daemon/caps.c daemon/caps.h \
	daemon/closer.c daemon/closer.h \
	daemon/conn.c daemon/conn.h \
	daemon/conn_owner.c daemon/conns.h \
	daemon/conn_self.c \
	daemon/conn_table.c daemon/conn_table.h \
	daemon/client.h \
	daemon/command.c \
	daemon/control.c daemon/control.h \
	daemon/custody.c daemon/custody.h \
	daemon/custody_judge.c daemon/custody_judge.h \
	daemon/cuts.c daemon/cuts.h \
	daemon/deadman.c daemon/deadman.h \
	daemon/descriptors.c daemon/descriptors.h \
	daemon/doctor.c daemon/doctor.h \
	daemon/doctor_facts.c \
	daemon/doctor_limits.c \
	daemon/doctor_queues.c \
	daemon/doctor_run.c daemon/doctor_run.h \
	daemon/doctor_units.c \
	daemon/doctor_words.c daemon/doctor_words.h \
	daemon/ending.c daemon/ending.h \
	daemon/faults.c daemon/faults.h \
	daemon/follow.c daemon/follow.h \
	daemon/filter_conn.c daemon/filter_conn.h \
	daemon/freed.c daemon/freed.h \
	daemon/gather.c daemon/gather.h \
	daemon/gather_rows.c daemon/gather_rows.h \
	daemon/group.c daemon/group.h \
	daemon/guardian.c daemon/guardian.h \
	daemon/held.c daemon/held.h \
	daemon/history.c daemon/history.h \
	daemon/history_file.c daemon/history_file.h \
	daemon/history_loop.c daemon/history_loop.h \
	daemon/history_merge.c daemon/history_merge.h \
	daemon/history_reply.c daemon/history_reply.h \
	daemon/history_sample.c daemon/history_sample.h \
	daemon/ignored.c daemon/ignored.h \
	daemon/inbox.c daemon/inbox.h \
	daemon/journal.c daemon/journal.h \
	daemon/journal_text.c \
	daemon/kernel.c daemon/kernel.h \
	daemon/limits.h \
	daemon/listen.c daemon/listen.h \
	daemon/log.c daemon/log.h \
	daemon/loop.c daemon/loop.h \
	daemon/metrics.c daemon/metrics.h daemon/metrics_state.h \
	daemon/metrics_command.c \
	daemon/metrics_http.c daemon/metrics_http.h \
	daemon/metrics_text.c daemon/metrics_text.h \
	daemon/netns.c daemon/netns.h \
	daemon/note.c daemon/note.h \
	daemon/notify.c daemon/notify.h \
	daemon/opener.c daemon/opener.h \
	daemon/page.c daemon/page.h \
	daemon/patience.c daemon/patience.h \
	daemon/probe.c daemon/probe.h \
	daemon/proc.c daemon/proc.h \
	daemon/process.c daemon/process.h \
	daemon/pulse.h \
	daemon/ranking.c daemon/ranking.h \
	daemon/record.c daemon/record.h \
	daemon/relisten.c daemon/relisten.h \
	daemon/reply.c daemon/reply.h \
	daemon/retire.c daemon/retire.h \
	daemon/self.c daemon/self.h \
	daemon/session.c daemon/session.h daemon/session_private.h \
	daemon/session_read.c \
	daemon/setter.c daemon/setter.h \
	daemon/setter_channel.c \
	daemon/setter_journal.c \
	daemon/setter_seam.h \
	daemon/setter_state.h \
	daemon/setter_write.c \
	daemon/sock.c daemon/sock.h \
	daemon/spaces.c daemon/spaces.h \
	daemon/survey.c daemon/survey.h \
	daemon/sweep.c daemon/sweep.h \
	daemon/sysctld.c daemon/sysctld.h \
	daemon/tally.c daemon/tally.h \
	daemon/tune.c daemon/tune.h \
	daemon/tune_changes.c daemon/tune_changes.h \
	daemon/tune_command.c daemon/tune_command.h \
	daemon/tune_listeners.c daemon/tune_listeners.h \
	daemon/tune_reply.c daemon/tune_reply.h \
	daemon/tune_samples.c daemon/tune_samples.h \
	daemon/user.c daemon/user.h \
	daemon/visit.c daemon/visit.h \
	daemon/vitals.c daemon/vitals.h \
	daemon/welcome.c daemon/welcome.h
libdaemon_la_CFLAGS = $(AM_CFLAGS) -pthread
libdaemon_la_CPPFLAGS = $(AM_CPPFLAGS) \
	$(EVENT_CFLAGS) $(CONFUSE_CFLAGS) $(MNL_CFLAGS) $(JANSSON_CFLAGS)
libdaemon_la_LIBADD = libcli.la libconfig.la libcommon.la \
	$(EVENT_LIBS) $(CONFUSE_LIBS) $(MNL_LIBS) $(JANSSON_LIBS) -lm

# The config file: the daemon's and the CLI's.
libconfig_la_SOURCES = \
	daemon/config.c daemon/config.h \
	daemon/config_error.c daemon/config_load.h \
	daemon/config_metrics.c \
	daemon/config_say.c \
	daemon/config_scan.c daemon/config_scan.h \
	daemon/config_tune.c \
	daemon/sysctl.c daemon/sysctl.h
libconfig_la_CPPFLAGS = $(AM_CPPFLAGS) $(CONFUSE_CFLAGS)
libconfig_la_LIBADD = $(CONFUSE_LIBS)

# The CLI.
libcli_la_SOURCES = \
	daemon/cli.h \
	daemon/cli_args.c daemon/cli_args.h \
	daemon/cli_bar.c daemon/cli_bar.h \
	daemon/cli_color.c daemon/cli_color.h \
	daemon/cli_command.c daemon/cli_run.h \
	daemon/cli_completion.c daemon/cli_completion.h \
	daemon/cli_completion_shell.c \
	daemon/cli_conns.c daemon/cli_conns.h \
	daemon/cli_control.c daemon/cli_control.h \
	daemon/cli_doctor.c \
	daemon/cli_dropin.c daemon/cli_dropin.h \
	daemon/cli_enable.c \
	daemon/cli_enable_plan.c daemon/cli_enable_plan.h \
	daemon/cli_enabled.c daemon/cli_enabled.h \
	daemon/cli_explain.c \
	daemon/cli_filter.c daemon/cli_filter.h \
	daemon/cli_grid.c daemon/cli_grid.h \
	daemon/cli_history.c daemon/cli_history.h \
	daemon/cli_history_spark.c \
	daemon/cli_history_table.c \
	daemon/cli_history_time.c \
	daemon/cli_history_values.c \
	daemon/cli_options.c \
	daemon/cli_output.c daemon/cli_output.h \
	daemon/cli_page.c daemon/cli_page.h \
	daemon/cli_policy.c daemon/cli_policy.h \
	daemon/cli_private.c \
	daemon/cli_ps.c \
	daemon/cli_ps_row.c daemon/cli_ps_row.h \
	daemon/cli_report.c \
	daemon/cli_run.c \
	daemon/cli_sandbox.c \
	daemon/cli_share.c daemon/cli_share.h \
	daemon/cli_status.c \
	daemon/cli_table.c daemon/cli_table.h \
	daemon/cli_test.c \
	daemon/cli_text.c daemon/cli_text.h \
	daemon/cli_tune.c daemon/cli_tune.h \
	daemon/cli_tune_sheet.c \
	daemon/cli_tune_words.c \
	daemon/cli_verify.c daemon/cli_verify.h \
	daemon/agree.c daemon/agree.h \
	daemon/capture.c daemon/capture.h \
	daemon/claims.c daemon/claims.h \
	daemon/flow.c daemon/flow.h \
	daemon/ladder.c daemon/ladder.h \
	daemon/segment.c daemon/segment.h \
	daemon/cli_unit.c daemon/cli_unit.h \
	daemon/cli_unit_check.c daemon/cli_unit_check.h \
	daemon/cli_unit_name.c \
	daemon/cli_unit_sandbox.c \
	daemon/cli_unit_words.c \
	daemon/cli_watch.c \
	daemon/enabled.c daemon/enabled.h \
	daemon/explain.c daemon/explain.h \
	daemon/explain_table.c \
	daemon/filter.c daemon/filter.h \
	daemon/filter_keys.h \
	daemon/filter_parse.c \
	daemon/filter_value.c \
	daemon/policy_explain.c daemon/policy_explain.h \
	daemon/proportion.c daemon/proportion.h \
	daemon/top.c daemon/top.h \
	daemon/top_conn.c daemon/top_conn.h \
	daemon/top_feed.c daemon/top_feed.h \
	daemon/top_list.c daemon/top_list.h \
	daemon/top_view.c \
	daemon/verdict.c daemon/verdict.h
libcli_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libcli_la_LIBADD = -lm

bin_PROGRAMS += closeside
# What needs ncurses stays out of libcli.la: nothing else is linked with it.
closeside_SOURCES = daemon/closeside.c daemon/cli_top.c daemon/top_term.c daemon/top_term.h
closeside_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(NCURSES_CFLAGS)
closeside_LDADD = libcli.la libconfig.la libcommon.la $(CONFUSE_LIBS) $(JANSSON_LIBS) $(NCURSES_LIBS)

sbin_PROGRAMS += closesided
closesided_SOURCES = daemon/main.c
closesided_CFLAGS = $(AM_CFLAGS) -pthread
closesided_LDADD = libdaemon.la
