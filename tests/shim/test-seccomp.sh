#!/bin/bash
# SPDX-License-Identifier: MIT
# Seccomp filters that end a process for what a shim might do.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for action in kill trap errno; do
	# What was closed before is steered, nothing afterwards.
	same "a filter by prctl(), $action" 1 "$cases/seccomp" prctl late $action
	same "a filter by seccomp(), $action" 1 "$cases/seccomp" syscall late $action
	for group in early socket map file; do
		same "a filter before exec, $group, $action" inert "$cases/seccomp" exec $group $action
	done
done
same "the strict mode" 1 "$cases/seccomp" strict
same "a question" 2 "$cases/seccomp" question
same "one thread's filter" 1 "$cases/seccomp" thread
same "a fork child's filter" 2 "$cases/seccomp" fork
# It runs in its parent's memory, but the filter is its own.
same "a vfork child's filter" 3 "$cases/seccomp" vfork

# A filter that lets us work is known to only if the environment says so, with their number.
same "a harmless filter before exec" inert "$cases/seccomp" exec reboot kill
# with OPTION, then as same: that option in all modes
with() {
	local option=$1 mode
	shift
	local -A before=()
	for mode in watch peer none; do
		before[$mode]=${case_options[$mode]}
		case_options[$mode]+=${case_options[$mode]:+,}$option
	done
	same "$@"
	for mode in watch peer none; do
		case_options[$mode]=${before[$mode]}
	done
}
with filters=1 "filters=1 and one" 5 "$cases/seccomp" exec reboot kill
with filters=any "filters=any" 5 "$cases/seccomp" exec reboot kill
with filters=2 "filters=2, and there is one" inert "$cases/seccomp" exec early kill

# `closeside run` tries it, and tells the shim.
# shellcheck disable=SC2317 # wait_for calls it
no_sessions() {
	[ "$(case_counts | cut -f 3)" = 0 ]
}

# run_under GROUP: the output and the number of hand-overs
run_under() {
	local before after
	read -ra before < <(case_counts)
	in_ns a "$cases/seccomp" exec "$1" kill "$closeside" run -s "$dir/cases.socket" \
		-o "${case_options[peer]}" -- "$cases/seccomp" rounds >"$dir/run.out" 2>"$dir/run.err"
	wait_for 10 no_sessions
	read -ra after < <(case_counts)
	handed=$((after[3] - before[3]))
}
run_under reboot
is 10 "$(wc -l <"$dir/run.out")" "closeside run under a harmless filter: the program works"
is 5 "$handed" "closeside run under a harmless filter: the shim too"
# (one that also refuses what closeside itself does would end that)
run_under map
is 10 "$(wc -l <"$dir/run.out")" "closeside run under a strict filter: the program works"
is 0 "$handed" "closeside run under a strict filter: the shim is inert"
check "closeside run under a strict filter: says so" grep -q seccomp "$dir/run.err"
finish
