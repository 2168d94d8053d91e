#!/bin/bash
# SPDX-License-Identifier: MIT
# The bench's pairs (tests/bench/pairs.sh) in miniature: real nginx, wrk, ab and churn, each pair has its
# row, whole, and what is ours was active.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/wire/lib.sh"

for program in nginx wrk ab jq; do
	have $program || skip_all "$program is not installed"
done
mkdir -p "${dir:=$(mktemp -d)}"
BENCH_SIZE=mini BENCH_OUT=$dir/out bash "$top_srcdir/tests/bench/pairs.sh" >"$dir/pairs.log" 2>&1
is 0 $? "it says that all is well"
note "$(cat "$dir/pairs.log")"
rows=$dir/out/rows.jsonl

# whole WHAT TOOL CONTENDER
whole() {
	is 1 "$(jq -s --arg what "$1" --arg tool "$2" --arg contender "$3" '[.[] | select(.bench == "pair" and
		.what == $what and .tool == $tool and .contender == $contender and .plain > 0 and .with > 0 and
		.ratio > 0 and .cpu_program_us.plain > 0 and .cpu_program_us.with > 0 and .cpu_daemon_us > 0 and
		.time_waits.plain and .time_waits.with)] | length' "$rows")" "$3, $1 by $2: its row is whole"
}

for contender in watch-only "close-first = peer" "time-wait = none"; do
	whole rate wrk "$contender"
	whole rate ab "$contender"
done
whole latency_p99 churn watch-only

# Where the TIME_WAITs of wrk's connections are: it closes when it has the answer.
left() {
	jq -s --arg contender "$1" "[.[] | select(.tool == \"wrk\" and .contender == \$contender)][0].time_waits.$2" "$rows"
}
at_least 100 "$(left "close-first = peer" plain.server)" "plain: TIME_WAITs at the server"
at_most 20 "$(left "time-wait = none" with.server)" "time-wait = none: none of them"
at_least 100 "$(left "close-first = peer" with.client)" "close-first = peer: they are the client's"
finish
