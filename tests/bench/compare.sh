#!/bin/bash
# SPDX-License-Identifier: MIT
# closeside beside what people use instead: connections from one address to one port of a server, with
# either end closing first; what connect() costs as ports run out; and whose closes lose data. Rows of
# JSON are added to $BENCH_OUT/rows.jsonl, which it says it has made. BENCH_SIZE=quick|full.
#
# Each contender has namespaces of its own, a veth pair, a generator and a server (churn) and, if it is
# ours, a daemon. Some run at a time, else it would take an hour: of those that keep a processor
# busy, for connect() looks for a port all the time, one only. Seven times the rate, which is
# more than ten times what the default comes to, is for that and for our best only, alone.
set -u
top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-$top_srcdir}" && pwd)
BENCH_OUT=${BENCH_OUT:-$top_builddir/bench-out}
export top_srcdir top_builddir BENCH_OUT
# shellcheck source=tests/bench/compare-lib.sh
. "$top_srcdir/tests/bench/compare-lib.sh"

compare_size "${BENCH_SIZE:-full}" || exit
[ "$(id -u)" = 0 ] || {
	echo "compare: needs root, for network namespaces" >&2
	exit 1
}
mkdir -p "$BENCH_OUT" || exit
BENCH_OUT=$(cd "$BENCH_OUT" && pwd)
touch "$BENCH_OUT/rows.jsonl"
before=$(wc -l <"$BENCH_OUT/rows.jsonl") # rows, of other parts or runs

running=()
stop_all() {
	trap - EXIT
	trap '' INT TERM HUP
	[ ${#running[@]} = 0 ] || kill -TERM "${running[@]}" 2>/dev/null
	wait # each cleans up after itself
}
trap stop_all EXIT
trap 'exit 130' INT TERM HUP

status=0
began=$SECONDS

# background NAME COMMAND...: one of those that run at a time
background() {
	bash "$top_srcdir/tests/bench/$1" "${@:2}" </dev/null &
	running+=("$!")
}

joined() {
	local pid
	for pid in "${running[@]}"; do
		wait "$pid" || status=1
	done
	running=()
}

# ours: the rows of this run
ours() {
	tail -n "+$((before + 1))" "$BENCH_OUT/rows.jsonl"
}

# accounted FIRST NAME OFFERED: it has its row, or gets one that says that it has none
accounted() {
	local wanted=(--arg first "$1" --arg contender "$2" --argjson offered_s "$3")
	# shellcheck disable=SC2016 # jq expands them
	ours | jq -e "${wanted[@]}" -n '[inputs | select(.bench == "rate" and .first == $first and
		.contender == $contender and .offered_s == $offered_s)] | length == 1' >/dev/null && return
	echo "compare: $2, $1 first: ended without a row" >&2
	status=1
	jq -cn "${wanted[@]}" --arg size "$size" '{bench: "rate", $contender, $first, $offered_s, $size,
		error: "it ended without a row"}' >>"$BENCH_OUT/rows.jsonl"
}

# A line of rounds: what runs at a time, each as first closer:name. The first of a line is the one
# that keeps a processor busy, if there is one.
rounds=(
	"client:default|client:time-wait = none|server:default|server:ss -K"
	"client:watch-only|client:tcp_tw_reuse = 1|server:time-wait = none|server:SO_LINGER 0"
	"client:wide ip_local_port_range|client:time-wait = 2s|server:watch-only|client:SO_LINGER 0"
	"server:close-first = peer|client:local-ports|client:ss -K|server:small tcp_max_tw_buckets"
	"client:small tcp_max_tw_buckets|client:peer-time-wait = none|client:source|server:time-wait = 2s|server:peer-time-wait = none"
)

# how many of them is the same in the end: for make check all that matters is that it goes
[ "$size" != mini ] || rounds=("${rounds[0]}|${rounds[1]}|${rounds[2]}" "${rounds[3]}|${rounds[4]}")

# Every contender is in some round, once.
all_are_there() {
	diff <(for first in client server; do contenders $first | sed "s/^/$first:/"; done | sort) \
		<(printf '%s\n' "${rounds[@]}" | tr '|' '\n' | sort) >&2
}

# round NUMBER: each round begins with another one of its own
round() {
	local list i task
	IFS='|' read -ra list <<<"${rounds[$1]}"
	echo "compare: $seconds s of ${list[*]}" >&2
	for ((i = 0; i < ${#list[@]}; i++)); do
		task=${list[($1 + i) % ${#list[@]}]}
		background compare-one.sh "$size" "${task#*:}" "${task%%:*}" "$offered" "$seconds"
	done
	joined
	for task in "${list[@]}"; do
		accounted "${task%%:*}" "${task#*:}" "$offered"
	done
}

all_are_there || exit
parts=${BENCH_PARTS:-rate most ports loss}
for part in $parts; do
	case $part in
	rate)
		for ((n = 0; n < ${#rounds[@]}; n++)); do
			round $n
		done
		;;
	most)
		for name in "default" "time-wait = none"; do
			echo "compare: $most_seconds s of $name at $most_offered a second" >&2
			background compare-one.sh "$size" "$name" client "$most_offered" "$most_seconds"
			joined
			accounted client "$name" "$most_offered"
		done
		;;
	ports | loss)
		echo "compare: $part" >&2
		background "compare-$part.sh" "$size"
		joined
		;;
	esac
done
echo "compare: rows are in $BENCH_OUT/rows.jsonl; it took $((SECONDS - began)) s" >&2
ours | jq -r 'select(.error) | "compare: \(.bench) \(.contender): \(.error)"' >&2
exit $status
