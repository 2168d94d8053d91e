#!/bin/bash
# SPDX-License-Identifier: MIT
# Hand-overs, 20,000 a second, to a daemon that has one processor for all its threads while the programs
# have the others: peers close first; and, for what waiting costs, with a grace that ends. How many
# a processor could do is what it took for each. Part of custody.sh.
# shellcheck source=tests/bench/custody-lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/bench/custody-lib.sh"
rounds=$(by_size 1 6) rate=20000

custody_init
most=$((($(ulimit -n) - 1000) / 2))
many=$((most < 12000 ? most : 12000))
hold_daemon $((many + 100)) 2s || exit
have_two=$([ "$(nproc)" -ge 2 ] && echo 1)
if [ -n "$have_two" ]; then
	for pid in "${hold_pids[@]}"; do taskset -apc $(($(nproc) - 1)) "$pid" >/dev/null; done
	programs=(taskset -c 0-$(($(nproc) - 2)))
	hold_wrapper=("${programs[@]}")
else
	programs=()
	note "one processor only: the programs share it with the daemon"
fi
hold_serve "${programs[@]}" || exit

# rate_round OPTION NAME: the rates and shares of one go to $dir/NAME
rate_round() {
	local before steered cpu said_s
	# shellcheck disable=SC2086 # -p or nothing
	hold_connect $many -r $rate $1 || return
	before=$(hold_cpu_us) steered=$(ctl a status records.hand-over)
	hold_say
	hold_wait
	wait_for 20 ctl_is a status custody.held 0
	cpu=$(($(hold_cpu_us) - before)) steered=$(($(ctl a status records.hand-over) - steered))
	said_s=$(hold_has said_s)
	stop holders
	note "$2: $steered of $many handed over in $said_s s, $(hold_has clean) clean ends; the daemon" \
		"took $cpu us; load $(cut -d' ' -f1 /proc/loadavg)"
	clean=$((clean + $(hold_has clean))) all=$((all + many))
	jq -cn --argjson steered "$steered" --argjson many $many --argjson cpu "$cpu" --argjson s "$said_s" \
		'{us: ($cpu / $steered), share: ($steered / $many), rate: ($steered / $s)}' >>"$dir/$2"
}

# median NAME MEMBER
median() {
	jq -s "map(.$2) | sort | .[(length - 1) / 2 | floor]" "$dir/$1"
}

clean=0 all=0
for ((round = 0; round < rounds; round++)); do
	rate_round -p peer || exit
	rate_round "" grace || exit
done
us=$(median peer us)
row hand_overs_s_core "$(jq -n "1000000 / $us | round")" "a second, by the daemon's processor time for each" \
	">= 20000" "1000000 / $us >= 20000"
row hand_over_us "$us" "us of a processor: peer closes first" "" null
row grace_end_us "$(median grace us)" "us of a processor: the grace ends" "" null
row handed_over_s "$(jq -n "$(median peer rate) | round")" "a second, $rate offered, the daemon on one processor" "" null
row handed_over_share "$(median peer share)" "of the closes, $rate a second; the others end as without the daemon" "" null
row lost $((all - clean)) connections 0 "$all == $clean"
at_least 1 "$(ctl a status custody.peer)" "peers have closed first"
at_least 1 "$(ctl a status custody.grace)" "graces have ended"
finish
