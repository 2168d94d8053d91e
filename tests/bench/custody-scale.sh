#!/bin/bash
# SPDX-License-Identifier: MIT
# What following a connection costs with so many others: in a real daemon, that has so many TIME_WAITs
# while 1,000 connections a second come to a server under the shim; and the part of it that is the
# model's, by records through the real code (bench/scale.c), up to a million. And how often an idle
# daemon wakes up. Part of custody.sh.
# shellcheck source=tests/bench/custody-lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/bench/custody-lib.sh"
seconds=$(by_size 3 30) fill=$(by_size 10000 110000) rate=1000
crowd=$top_builddir/tests/wire/crowd

custody_init
daemon_start a <<<'limits { namespaces = 1 }
policy watched { close-first = app }' || exit
hold_is_a

# wakeups PID: of all its threads, up to now
wakeups() {
	cat "/proc/$1/task/"*/status | awk '/^voluntary/ { n += $2 } END { print n }'
}

# idle NAME PID BEFORE
idle() {
	row "idle_wakeups_s_$1" "$(jq -n "($(wakeups "$2") - $3) / $seconds * 10 | round / 10")" \
		"a second" "" null
}

sleep 2 # what it does at the start
guardian=$(wakeups "${hold_pids[0]}") loop=$(wakeups "$hold_loop")
sleep "$seconds"
idle guardian "${hold_pids[0]}" "$guardian"
idle loop "$hold_loop" "$loop"

start_listening a web 8200 "${STEER[@]}" "$crowd" serve 8200 8201 8202 || exit

# follow NAME: us of a processor for each of so many connections, and how many others there were
follow() {
	local before began=${EPOCHREALTIME/./} many=$((rate * seconds)) there heard
	there=$(ctl a status tracked) heard=$(ctl a status costs.destroyed) before=$(hold_cpu_us)
	in_ns b "$crowd" connect "$A4" 8200 $many -r $rate -p 1024 >"$dir/crowd.log"
	wait_for 20 ctl_least a status costs.destroyed $((heard + many))
	follow_us=$(jq -n "($(hold_cpu_us) - $before) / $many * 100 | round / 100")
	note "$1: $there others at the start, $(tail -n1 "$dir/crowd.log"), $follow_us us each; load" \
		"$(cut -d' ' -f1 /proc/loadavg), $((($(printf %s "${EPOCHREALTIME/./}") - began) / 1000)) ms"
	scale_row "$there" "$follow_us" "the daemon's processor time, at $rate a second" null
}

follow "few"
few=$follow_us
in_ns b "$crowd" connect "$A4" 8201 $((fill / 2)) -p 1024 >/dev/null
in_ns b "$crowd" connect "$A4" 8202 $((fill / 2)) -p 1024 >/dev/null
# what these cost is not to be in the next
wait_for 30 ctl_least a status costs.destroyed $((rate * seconds + fill))
sleep 2
follow "many"
is 0 "$(ctl a status lost)" "no record was lost"
at_least $((2 * rate * seconds)) "$(ctl a status records.open)" "each was heard of"

"$top_builddir/tests/bench/scale" 1000 10000 100000 1000000 >"$dir/scale.jsonl"
check "a million are followed" [ "$(wc -l <"$dir/scale.jsonl")" = 4 ]
while read -r line; do
	scale_row "$(jq .tracked <<<"$line")" "$(jq .us_per_connection <<<"$line")" \
		"the model's part, by records" "$(jq .bytes_each <<<"$line")"
done <"$dir/scale.jsonl"
grows=$(jq -s '.[3].us_per_connection - .[0].us_per_connection' "$dir/scale.jsonl")
row cost_beside_many "$(jq -n "$follow_us / $few")" "times the cost of a connection beside few, by the daemon's processor time" \
	"flat: at most 1.2" "$follow_us <= $few * 1.2"
row cost_of_a_million_more "$grows" "us for the model's part of a connection, beside $few in all" \
	"flat: at most a fifth of all" "$grows <= $few / 5"
finish
