#!/bin/bash
# SPDX-License-Identifier: MIT
# From the rows of a bench, $BENCH_OUT/rows.jsonl: bench.json, bench.md, and plots, each as SVG and PNG.
# It fails if a contender is missing, a row says that something could not be measured, or a target is
# missed; what it writes says which.
set -u
here=$(cd "$(dirname "$0")" && pwd)
BENCH_OUT=${BENCH_OUT:-bench-out}
BENCH_SIZE=${BENCH_SIZE:-full}
top_builddir=${top_builddir:-.}
# shellcheck source=tests/bench/compare-lib.sh
. "$here/compare-lib.sh"
cd "$BENCH_OUT" || exit

# machine: what it ran on; the driver has left the load before
machine() {
	jq -cn --arg kernel "$(uname -sr)" \
		--arg cpu "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" \
		--argjson cores "$(nproc)" \
		--argjson memory "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" \
		--arg before "$(cat load-before 2>/dev/null)" --arg after "$(cut -d' ' -f1 /proc/loadavg)" '
		{$kernel, $cpu, $cores, memory_mb: $memory, load_before: $before, load_after: $after}'
}

expected() {
	local first
	for first in client server; do
		contenders $first | jq -R --arg first $first '{$first, contender: .}'
	done | jq -sc .
}

jq -s --argjson machine "${BENCH_MACHINE:-$(machine)}" --argjson expected "${BENCH_EXPECTED:-$(expected)}" \
	--arg size "$BENCH_SIZE" -f "$here/report.jq" rows.jsonl >bench.json || exit
jq -r -f "$here/report-md.jq" bench.json >bench.md || exit

# --- plots ---

# Columns for gnuplot: blocks named by their first line, two empty lines between them.
# blocks BENCH GROUP COLUMNS
blocks() {
	jq -rs --arg bench "$1" "[.[] | select(.bench == \$bench and (.error | not))] | group_by($2)[] |
		\"\\\"\(.[0] | $2)\\\"\", (.[] | [$3] | map(. // 0) | @tsv), \"\", \"\"" rows.jsonl
}

most=$(jq -s '[.[] | select(.bench == "rate") | .offered_s] | max // 0' rows.jsonl)
name='(.contender + ", " + .first + " first")'
blocks ports .contender '.used / .of * 100, .call_p50_us, .call_p99_us' >ports.dat
jq -c --argjson most "$most" 'select(.bench != "series" or .offered_s < $most)' rows.jsonl >usual.jsonl
# The few that a picture can hold.
shown='["default", "tcp_tw_reuse = 1", "wide ip_local_port_range", "time-wait = none", "time-wait = 2s", "close-first = peer"]'
jq -c --argjson shown "$shown" 'select(.bench == "series" and (.contender as $c | $shown | index($c)))' usual.jsonl >series.jsonl
series() {
	jq -rs "group_by($name)[] | sort_by(.second) | \"\\\"\(.[0] | $name)\\\"\",
		(.[] | [.second, .rate, .time_waits_client, .time_waits_server, (.cpu_program // 0) * 100, (.cpu_daemon // 0) * 100] | @tsv), \"\", \"\"" \
		series.jsonl
}
series >series.dat

# plot FILE TITLE X Y WHAT...: as both kinds of picture
plot() {
	local file=$1 title=$2 x=$3 y=$4 kind
	shift 4
	for kind in svg png; do
		# a range of one value it widens by itself, and says so
		gnuplot 2> >(grep -v '^$\|Warning: empty . range' >&2) <<-END || return
			set terminal $kind noenhanced size 1000,600 $([ $kind = png ] || echo "background 'white'")
			set linetype 9 linecolor rgb '#808080'
			set output '$file.$kind'
			set title "$title"
			set xlabel "$x"
			set ylabel "$y"
			set key outside right top
			set grid
			$*
		END
	done
}

# each BLOCKS-FILE COLUMNS: one line for each block, with its name
each() {
	echo "stats '$1' using 1 nooutput; plot for [i=0:STATS_blocks-2] '$1' index i using $2 with lines linewidth 2 title columnheader(1)"
}

status=0
if [ -s ports.dat ]; then
	plot connect "connect() against ports in use" "ports in use, %" "us, median" \
		"set logscale y; $(each ports.dat 1:2)" || status=1
fi
if [ -s series.dat ]; then
	plot rate "Connections a second" "s" "answered a second" "$(each series.dat 1:2)" || status=1
	plot time-waits-client "TIME_WAITs at the client" "s" "" "$(each series.dat 1:3)" || status=1
	plot time-waits-server "TIME_WAITs at the server" "s" "" "$(each series.dat 1:4)" || status=1
	plot cpu-program "Processor time of both programs" "s" "% of a processor" "$(each series.dat 1:5)" || status=1
	plot cpu-daemon "Processor time of the daemon" "s" "% of a processor" "$(each series.dat 1:6)" || status=1
fi
rm -f ports.dat series.dat usual.jsonl series.jsonl
[ $status = 0 ] || echo "report: a plot could not be drawn" >&2

# failures: what keeps the report from being whole, or from being as is wanted
failures() {
	jq -r '(.errors[] | "not measured: \(.bench) \(.contender // "")\(if .contender then ": " else "" end)\(.error)"),
		(.missing[] | "missing: \(.)"),
		(.targets[] | select(.verdict == "missed") | "missed: \(.name): \(.got), wanted \(.wanted)"),
		(.targets[] | select(.verdict == "not measured") | "not measured: \(.name)")' bench.json
}
[ -z "$(failures)" ] || status=1
failures | sed 's/^/report: /' >&2
exit $status
