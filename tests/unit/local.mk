# A test is tests/unit/NAME.c, a program with cmocka, and its line in this list.
if HAVE_CMOCKA
UNIT_TESTS += \
	tests/unit/test_balance \
	tests/unit/test_balance_moves \
	tests/unit/test_balance_paste \
	tests/unit/test_churn \
	tests/unit/test_cli \
	tests/unit/test_close_decide \
	tests/unit/test_closer \
	tests/unit/test_config \
	tests/unit/test_conn \
	tests/unit/test_custody_judge \
	tests/unit/test_doctor \
	tests/unit/test_gather \
	tests/unit/test_endpoint \
	tests/unit/test_explain \
	tests/unit/test_filter \
	tests/unit/test_forks \
	tests/unit/test_glob \
	tests/unit/test_grid \
	tests/unit/test_history \
	tests/unit/test_history_file \
	tests/unit/test_history_reply \
	tests/unit/test_history_time \
	tests/unit/test_holders \
	tests/unit/test_journal \
	tests/unit/test_parse \
	tests/unit/test_patience \
	tests/unit/test_policy \
	tests/unit/test_policy_keys \
	tests/unit/test_probe \
	tests/unit/test_process \
	tests/unit/test_proportion \
	tests/unit/test_races \
	tests/unit/test_record \
	tests/unit/test_ring \
	tests/unit/test_shim \
	tests/unit/test_slots \
	tests/unit/test_survey \
	tests/unit/test_setter \
	tests/unit/test_setter_faults \
	tests/unit/test_setter_kill \
	tests/unit/test_setter_spaces \
	tests/unit/test_sysctl \
	tests/unit/test_sysctld \
	tests/unit/test_tally \
	tests/unit/test_tcp_state \
	tests/unit/test_top \
	tests/unit/test_tune \
	tests/unit/test_unit \
	tests/unit/test_user \
	tests/unit/test_wire
endif

check_PROGRAMS += $(UNIT_TESTS)

HISTORY_WORLD = tests/unit/history_world.c tests/unit/history_world.h
tests_unit_test_history_SOURCES = tests/unit/test_history.c $(HISTORY_WORLD)
tests_unit_test_history_file_SOURCES = tests/unit/test_history_file.c $(HISTORY_WORLD)

SETTER_WORLD = tests/unit/setter_world.c tests/unit/setter_world.h

# The shim's tables are linked in: in a preloaded library no sanitizer sees the threads.
tests_unit_test_churn_SOURCES = tests/unit/test_churn.c tests/bench/churn_hist.c tests/bench/churn_plan.c
tests_unit_test_churn_LDADD = $(CMOCKA_LIBS) -lm
tests_unit_test_forks_SOURCES = tests/unit/test_forks.c shim/forks.c
tests_unit_test_holders_SOURCES = tests/unit/test_holders.c shim/holders.c
tests_unit_test_races_SOURCES = tests/unit/test_races.c $(libcloseside_la_SOURCES)
tests_unit_test_shim_SOURCES = tests/unit/test_shim.c $(libcloseside_la_SOURCES)
# By this symbol the shim knows that the program's calls reach it.
shim_linked_in = -Wl,--export-dynamic-symbol=libcloseside_first
tests_unit_test_races_LDFLAGS = $(shim_linked_in)
tests_unit_test_shim_LDFLAGS = $(shim_linked_in)
tests_unit_test_setter_SOURCES = tests/unit/test_setter.c $(SETTER_WORLD)
tests_unit_test_setter_faults_SOURCES = tests/unit/test_setter_faults.c $(SETTER_WORLD)
tests_unit_test_setter_spaces_SOURCES = tests/unit/test_setter_spaces.c $(SETTER_WORLD)
tests_unit_test_setter_kill_SOURCES = tests/unit/test_setter_kill.c $(SETTER_WORLD)
tests_unit_test_slots_SOURCES = tests/unit/test_slots.c shim/slots.c

EXTRA_DIST += tests/unit/unit.h tests/unit/unit_netns.h

# Programs without an LDADD of their own, that is the unit tests, are linked with:
LDADD = libdaemon.la libcommon.la $(CMOCKA_LIBS)

tests_unit_test_history_reply_SOURCES = tests/unit/test_history_reply.c $(HISTORY_WORLD)
tests_unit_test_history_reply_CPPFLAGS = $(libdaemon_la_CPPFLAGS)
tests_unit_test_history_reply_LDADD = $(LDADD) $(EVENT_LIBS) $(JANSSON_LIBS)

tests_unit_test_survey_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_test_survey_LDADD = $(LDADD) $(EVENT_LIBS) -lpthread

tests_unit_test_balance_SOURCES = \
	tests/unit/test_balance.c tests/unit/balance_kernel.c tests/unit/balance_kernel.h
tests_unit_test_balance_paste_SOURCES = \
	tests/unit/test_balance_paste.c tests/unit/balance_kernel.c tests/unit/balance_kernel.h
tests_unit_test_balance_moves_SOURCES = \
	tests/unit/test_balance_moves.c tests/unit/balance_kernel.c tests/unit/balance_kernel.h
