#!/bin/bash
# SPDX-License-Identifier: MIT
# What each kind of policy costs. Short connections from a client that knows where an answer ends
# to an unmodified nginx (one worker, no keepalive), in rounds: plain, under the shim with no policy,
# with close-first = peer, and with time-wait = none. How many TIME_WAITs the server is left with,
# and the throughput against plain of the same round: the median of all rounds, and its spread.
# BENCH_CONNECTIONS, BENCH_ROUNDS: other numbers.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/wire/lib.sh"
# shellcheck source=tests/bench/nginx.sh
. "$(dirname "$0")/nginx.sh"

count=${BENCH_CONNECTIONS:-20000}
rounds=${BENCH_ROUNDS:-7}
kinds=(plain watch peer none)
declare -A base=([plain]=8100 [watch]=8200 [peer]=8300 [none]=8400)
declare -A title=([plain]='plain' [watch]='watched only' [peer]='close-first = peer'
	[none]='time-wait = none')

wire_init
bench_init

# server KIND
server() {
	bench_nginx "$1" 1 "${base[$1]}" $((rounds + 1))
}

# run KIND ROUND: appends to $dir/KIND.rate and $dir/KIND.left
run() {
	local port=$((base[$1] + $2)) answered seconds
	read -r answered seconds < <(in_ns b "$client" "$A4" $port "$count" 2)
	awk "BEGIN { printf \"%d\n\", $answered / $seconds }" >>"$dir/$1.rate"
	# What simultaneous closes left is retired a moment later.
	[ "$1" != none ] || wait_for 3 time_wait_is a 0 "sport = :$port"
	time_wait a "sport = :$port" >>"$dir/$1.left"
	failed=$((failed + count - answered))
}

# ratio KIND: of the last round
ratio() {
	awk "BEGIN { printf \"%.3f\", $(tail -n1 "$dir/$1.rate") / $(tail -n1 "$dir/plain.rate") }"
}

# median FILE, least, most
median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

least() {
	sort -n "$1" | head -n1
}

most() {
	sort -n "$1" | tail -n1
}

daemon_start a <<-END
	policy peer { role = server  program = {nginx}  local-port = {8300-8399}  close-first = peer }
	policy none { role = server  program = {nginx}  local-port = {8400-8499}  time-wait = none }
END
plain
server plain
steer a
server watch
server peer
server none

failed=0
for kind in "${kinds[@]}"; do
	run "$kind" 0 # to warm up
done
rm "$dir"/*.rate "$dir"/*.left
for ((round = 1; round <= rounds; round++)); do
	for ((i = 0; i < ${#kinds[@]}; i++)); do # each is first in its turn
		run "${kinds[(round + i) % ${#kinds[@]}]}" "$round"
	done
	line="round $round: plain $(tail -n1 "$dir/plain.rate")/s"
	for kind in "${kinds[@]:1}"; do
		ratio "$kind" >>"$dir/$kind.ratio"
		echo >>"$dir/$kind.ratio"
		line+=", ${title[$kind]} $(tail -n1 "$dir/$kind.rate")/s = $(tail -n1 "$dir/$kind.ratio")"
	done
	note "$line"
done

note "$rounds rounds of $count connections each; load of the machine $(cut -d' ' -f1-3 /proc/loadavg)"
note "daemon: $(ctl a status custody)"
note ""
note "| nginx | connections/s, median | of plain, median (least to most) | TIME_WAITs at the server, median (most) |"
note "| --- | --- | --- | --- |"
for kind in "${kinds[@]}"; do
	of_plain=1
	[ "$kind" = plain ] ||
		of_plain="$(median "$dir/$kind.ratio") ($(least "$dir/$kind.ratio") to $(most "$dir/$kind.ratio"))"
	note "| ${title[$kind]} | $(median "$dir/$kind.rate") | $of_plain |" \
		"$(median "$dir/$kind.left") ($(most "$dir/$kind.left")) |"
done
note ""
is 0 $failed "every request is answered"
plain_left=$(median "$dir/plain.left")
for kind in peer none; do
	at_most $((plain_left / 100)) "$(most "$dir/$kind.left")" \
		"${title[$kind]}: TIME_WAITs at the server at most 1 % of plain"
done
finish
