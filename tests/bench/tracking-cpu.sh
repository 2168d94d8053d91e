#!/bin/bash
# SPDX-License-Identifier: MIT
# What following connections costs, in hundredths of a processor, of both processes of the daemon:
# idle; and with 100,000 TIME_WAITs and 1,000 connections a second to a server under the shim that is
# only watched, and then to one that is not under it. By the kernel's account of each thread
# (/proc/PID/task/TID/schedstat), and by the daemon's own (`status`, costs).
# BENCH_SECONDS, BENCH_RATE, BENCH_TIME_WAITS: other numbers.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/wire/lib.sh"

seconds=${BENCH_SECONDS:-60} rate=${BENCH_RATE:-1000} time_waits=${BENCH_TIME_WAITS:-100000}
crowd=$top_builddir/tests/wire/crowd

wire_init
for ns in a b; do
	in_ns $ns sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_max_tw_buckets=1000000 \
		net.core.somaxconn=4096
done

# ns_of PID...: nanoseconds on a processor
ns_of() {
	local pid
	for pid; do
		cat "/proc/$pid/task/"*/schedstat
	done | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# measure NAME SECONDS: what both took meanwhile, in % of a processor
measure() {
	local pids cpu before after own_before own_after began=${EPOCHREALTIME/./} took count=0 sum=0 n
	local most=0 least=999999999 until
	mapfile -t pids < <(echo "${pid_of[closesided-a]}"; ctl a status pid)
	own_before=$(ctl a status costs) before=$(ns_of "${pids[@]}")
	until=$((began + $2 * 1000000))
	while [ "${EPOCHREALTIME/./}" -lt "$until" ]; do
		# shellcheck disable=SC2016 # awk's
		n=$(in_ns a awk '/^TCP:/ { print $7 }' /proc/net/sockstat)
		sum=$((sum + n)) count=$((count + 1))
		[ "$n" -le "$most" ] || most=$n
		[ "$n" -ge "$least" ] || least=$n
		sleep 1
	done
	after=$(ns_of "${pids[@]}") took=$((${EPOCHREALTIME/./} - began)) own_after=$(ctl a status costs)
	cpu=$(awk "BEGIN { printf \"%.3f\", ($after - $before) / $took / 10 }")
	note "$1: $cpu % of a processor in $((took / 1000000)) s; by its own account" \
		"$(jq -rn --argjson a "$own_before" --argjson b "$own_after" --argjson t "$took" '
			def share(f): (($b | f) - ($a | f)) / $t * 10000 | round / 100;
			"loop \(share(.loop_us)), surveys \(share(.survey_us)), in all \(share(.cpu_us)) %; " +
			"\($b.surveys - $a.surveys) surveys, \($b.destroyed - $a.destroyed) ends," +
			" \($b.lookups - $a.lookups) looked up, \($b.overruns - $a.overruns) overruns"')"
	note "$1: TIME_WAITs $least to $most, $((sum / count)) on average; load $(cut -d' ' -f1-3 /proc/loadavg)"
	cpu_of[$1]=$cpu
}
declare -A cpu_of=()

# below PERCENT NAME
below() {
	if awk "BEGIN { exit !(0 < ${cpu_of[$2]} && ${cpu_of[$2]} < $1) }"; then
		ok "$2: less than $1 % of a processor"
	else
		not_ok "$2: less than $1 % of a processor" "${cpu_of[$2]}"
	fi
}

# loaded NAME PORT: first the TIME_WAITs, then the rate
loaded() {
	local left
	in_ns b "$crowd" connect "$A4" $(($2 + 1)) $((time_waits / 2)) -p 1024 >/dev/null
	in_ns b "$crowd" connect "$A4" $(($2 + 2)) $((time_waits / 2)) -p 1024 >/dev/null
	start b "rate-$2" "$crowd" connect "$A4" "$2" $((rate * (seconds + 2))) -r "$rate" -p 1024
	sleep 1 # until it goes steadily
	measure "$1" "$seconds"
	wait_for 20 pid_gone "${pid_of[rate-$2]}"
	note "$1: $(tail -n1 "$dir/rate-$2.log") at $rate a second"
	left=$(ctl a ps | jq -c 'select(.type == "total") | [.states.TIME_WAIT, .attributed_share, .lost]')
	note "$1: the model has [TIME_WAITs, share attributed, records lost] $left," \
		"the kernel $(time_wait a)"
	stop "rate-$2"
}

daemon_start a <<<'policy all { close-first = app }' || exit
measure idle "$seconds"
below 0.1 idle
steer a
start_listening a watched 8100 "${STEER[@]}" "$crowd" serve 8100 8101 8102
loaded "under the shim" 8100
below 1 "under the shim"
plain
start_listening a stranger 8200 "$crowd" serve 8200 8201 8202
loaded "not under the shim" 8200
below 1 "not under the shim"
finish
