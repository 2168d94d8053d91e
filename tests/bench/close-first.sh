#!/bin/bash
# SPDX-License-Identifier: MIT
# 20,000 short connections from a client that knows where an answer ends to an unmodified nginx,
# plain and with close-first = peer, in pairs: how many TIME_WAITs the server is left with, and what
# steering costs: with one client at a time, and with as many as keep every processor busy.
# WIRE_COUNT, WIRE_PAIRS: other numbers.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/wire/lib.sh"
# shellcheck source=tests/bench/nginx.sh
. "$(dirname "$0")/nginx.sh"

count=${WIRE_COUNT:-20000}
pairs=${WIRE_PAIRS:-7}

wire_init
bench_init

# run plain|steered PORT: sets answered, seconds, left
run() {
	read -r answered seconds < <(in_ns b "$client" "$A4" "$2" "$count" "$threads")
	left=$(time_wait a "sport = :$2")
	echo "$seconds" >>"$dir/$1.seconds"
	echo "$left" >>"$dir/$1.left"
	[ "$answered" = "$count" ] || failed=$((failed + count - answered))
}

median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# Each run has a port of the server's: 8100 and on plainly, 9100 and on steered.
daemon_start a <<-END
	policy web { role = server  program = {nginx}  close-first = peer }
END
plain
bench_nginx plain 2 8100 $((4 * (pairs + 1)))
steer a
bench_nginx steered 2 9100 $((4 * (pairs + 1)))

failed=0 port=0
# pairs_of THREADS
pairs_of() {
	local pair which order p s ratio plain_left steered_left
	threads=$1
	run plain $((8100 + port)) # to warm up
	run steered $((9100 + port))
	rm -f "$dir"/*.seconds "$dir"/*.left "$dir/ratio"
	for ((pair = 1; pair <= pairs; pair++)); do
		port=$((port + 1))
		order='plain steered'
		[ $((pair % 2)) = 0 ] || order='steered plain'
		for which in $order; do
			if [ "$which" = plain ]; then run plain $((8100 + port)); else run steered $((9100 + port)); fi
		done
		p=$(tail -n1 "$dir/plain.seconds") s=$(tail -n1 "$dir/steered.seconds")
		ratio=$(awk "BEGIN { printf \"%.4f\", $p / $s }")
		echo "$ratio" >>"$dir/ratio"
		note "$threads at a time, pair $pair: plain $(awk "BEGIN { printf \"%d\", $count / $p }")/s," \
			"steered $(awk "BEGIN { printf \"%d\", $count / $s }")/s, ratio $ratio;" \
			"TIME_WAITs at the server $(tail -n1 "$dir/plain.left") and $(tail -n1 "$dir/steered.left")"
	done
	port=$((port + 1))
	plain_left=$(median "$dir/plain.left") steered_left=$(sort -n "$dir/steered.left" | tail -n1)
	note "$threads at a time: throughput of steered to plain, $pairs pairs of $count:" \
		"median $(median "$dir/ratio"), from $(sort -n "$dir/ratio" | head -n1)" \
		"to $(sort -n "$dir/ratio" | tail -n1) (expected 0.97)"
	note "$threads at a time: TIME_WAITs at the server: plain $plain_left (median)," \
		"steered $steered_left (most)"
	allowed=$((plain_left / 100)) most=$steered_left
}

pairs_of "$(nproc)"
pairs_of 1
at_most "$allowed" "$most" "1 at a time: server-side TIME_WAITs at most 1 % of plain"
note "the daemon: $(ctl a status custody)"
is 0 $failed "every request is answered"
finish
