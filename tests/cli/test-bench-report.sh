#!/bin/bash
# SPDX-License-Identifier: MIT
# The bench's report (tests/bench/report.sh) from rows that the test makes: medians, spreads and
# verdicts, what is missing or an error, and that the pictures are drawn.
. "${top_srcdir:?}/tests/cli/lib.sh"
for program in jq gnuplot; do
	command -v $program >/dev/null || {
		echo "1..0 # SKIP $program is not installed"
		exit 0
	}
done

out=$work/out
export BENCH_OUT=$out BENCH_SIZE=full
export BENCH_EXPECTED='[{"first":"client","contender":"default"},{"first":"client","contender":"time-wait = none"},{"first":"server","contender":"close-first = peer"}]'
export BENCH_MACHINE='{"kernel":"Linux 9.9","cpu":"abacus","cores":2,"memory_mb":64,"load_before":"0.10","load_after":"0.20"}'

# rate CONTENDER FIRST OURS OFFERED SUSTAINED FAILED P99
rate() {
	jq -cn --arg c "$1" --arg f "$2" --argjson o "$3" --argjson offered "$4" --argjson s "$5" --argjson failed "$6" \
		--argjson p99 "$7" '{bench: "rate", contender: $c, first: $f, ours: $o, offered_s: $offered, seconds: 130,
		sustained_s: $s, failed: $failed, slow: 3, connect_us: {p50: 40, p99: $p99, p999: 9000, max: 9000},
		request_us: {p50: 90, p99: 1234}, time_waits_client: {mean: 1, max: 28000}, time_waits_server: {mean: 0, max: 0},
		time_wait_bytes: 7168000, bytes_lost: 0, cpu_program_us: 51.5, cpu_daemon_us: 4.25, idle_wakeups_s: 7}'
}

# pairs WHAT TOOL CONTENDER RATIO...
pairs() {
	local what=$1 tool=$2 contender=$3
	shift 3
	jq -cn --arg what "$what" --arg tool "$tool" --arg c "$contender" '$ARGS.positional[] | tonumber | {bench: "pair",
		what: $what, program: "nginx", tool: $tool, contender: $c, ours: ($c != "plain again"), plain: 1000,
		with: (. * 1000), ratio: ., cpu_program_us: {plain: 20, with: 21}, cpu_daemon_us: 5,
		time_waits: {plain: {server: 9, client: 0}, with: {server: 0, client: 9}}}' --args "$@"
}

rows() {
	rate default client false 7000 500 1000 90000000
	rate default client false 1000 333 0 87000000
	rate "time-wait = none" client true 7000 7000 0 9000
	rate "time-wait = none" client true 1000 1000 0 870
	rate "close-first = peer" server true 1000 1000 0 500
	pairs rate wrk "plain again" 1.00 0.99 1.01 1.00 1.02 0.98 1.00
	pairs rate wrk watch-only 0.97 0.99 0.98 0.99 1.00 0.985 0.99
	pairs rate wrk "time-wait = none" 0.90 0.975 0.99 0.97 0.98 0.96 1.00
	pairs rate wrk "close-first = peer" 0.90 0.91 0.90 0.91 0.90 0.90 0.91
	pairs latency_p99 churn "plain again" 0.9 1.1 1.0
	pairs latency_p99 churn watch-only 1.05 1.00 1.06
	pairs latency_p99 churn "time-wait = none" 1.3 1.2 1.25
	pairs latency_p99 churn "close-first = peer" 0.7 0.8 0.75
	for used in 100 200 300 400 500 600 700 800 900 1000; do
		jq -cn --argjson used $used '{bench: "ports", contender: "default", ours: false, used: $used, of: 1000, call_p50_us: ($used * 2), call_p99_us: 9999},
			{bench: "ports", contender: "local-ports = 1-1000", ours: true, used: $used, of: 1000, call_p50_us: (20 + $used / 100), call_p99_us: 60}'
	done
	for second in 0 1 2 3; do
		jq -cn --argjson s $second '{bench: "series", contender: ("default", "time-wait = none"), first: "client", offered_s: 1000, second: $s, rate: (1000 - $s), time_waits_client: ($s * 1000), time_waits_server: 1, cpu_program: 0.2, cpu_daemon: 0.01}'
	done
	jq -cn '{bench: "loss", contender: ("default", "SO_LINGER 0"), ours: false, connections: 50, bytes_sent: 50000000, bytes_lost: 0, cut: 0},
		{bench: "loss", contender: "linger = abort", ours: true, connections: 50, bytes_sent: 50000000, bytes_lost: 777, cut: 50},
		{bench: "loss", contender: "time-wait = none", ours: true, connections: 50, bytes_sent: 50000000, bytes_lost: 0, cut: 0}'
	jq -cn '{bench: "pairs", failed: 0, policies: {peer: {hand_overs: 9}, none: {opens: 9}}}'
	jq -cn '{bench: "custody", what: "bytes_each", value: 674, unit: "bytes", target: "< 2048", met: true},
		{bench: "scale", tracked: 1000, us_per_connection: 0.15, how: "records", bytes_each: 230}'
}

# report: of $out/rows.jsonl
report() {
	bash "$top_srcdir/tests/bench/report.sh" >"$work/said" 2>&1
	status=$?
}

# verdict NAME: of the one target that begins so
verdict() {
	jq -r --arg name "$1" '.targets[] | select(.name | startswith($name)) | .verdict' "$out/bench.json"
}

mkdir "$out"
rows >"$out/rows.jsonl"
report
is "a target that is missed fails the report" 1 "$status"
is "... which says which" "report: missed: nginx, close-first = peer: of plain connections a second: 0.9, wanted at least 0.97
report: missed: p99 of a request at half load, time-wait = none: of plain: 1.25, wanted as two plain ones, and their spread" \
	"$(cat "$work/said")"
is "over the target" met "$(verdict "nginx, watch-only")"
is "short by less than the spread" "within the spread" "$(verdict "nginx, time-wait = none")"
is "short by more" missed "$(verdict "nginx, close-first = peer")"
is "median, least, most and spread of pairs" "0.975 0.9 1 0.02" "$(jq -r '.pairs[] |
	select(.contender == "time-wait = none" and .what == "rate") | "\(.ratio) \(.least) \(.most) \(.spread)"' "$out/bench.json")"
is "times the default's rate, at the highest" "14 met" \
	"$(jq -r '.targets[] | select(.name | startswith("one address")) | "\(.got) \(.verdict)"' "$out/bench.json")"
is "no failed connect" met "$(verdict "the same: failed")"
is "of the default's p99, at the usual rate" "0 met" \
	"$(jq -r '.targets[] | select(.name | startswith("p99 of connect")) | "\(.got) \(.verdict)"' "$out/bench.json")"
is "local-ports to the last port" "1.36 met" \
	"$(jq -r '.targets[] | select(.name | startswith("local-ports")) | "\(.got) \(.verdict)"' "$out/bench.json")"
is "latency as far apart as two plain ones" met "$(verdict "p99 of a request at half load, watch-only")"
is "lower is no miss" met "$(verdict "p99 of a request at half load, close-first")"
is "what says it may lose bytes is not meant" met "$(verdict "bytes lost")"
is "the daemon's own verdicts" met "$(verdict "daemon: bytes_each")"
is "the table names the machine" 1 \
	"$(grep -c '^Linux 9.9, abacus, 2 processors, 64 MB; load 0.10 before, 0.20 after; the full bench' "$out/bench.md")"
is "a row of the table" \
	"| **time-wait = none** | 1000 | 1000 | 0 | 3 | 40 us | 870 us | 9 ms | 1.2 ms | 28000 | 0 | 7000 kB | 0 | 51.5 | 4.25 | 7 |" \
	"$(grep -F '| **time-wait = none** | 1000 |' "$out/bench.md")"

for picture in connect rate time-waits-client time-waits-server cpu-program cpu-daemon; do
	is "$picture.png is a picture" "89504e47" "$(head -c 4 "$out/$picture.png" | od -An -tx1 | tr -d ' \n')"
	is "$picture.svg has a curve for each" 2 "$(grep -c 'gnuplot_plot_[0-9]*"' "$out/$picture.svg")"
done
is "a curve has its name" 1 "$(grep -c 'time-wait = none, client first' "$out/time-waits-client.svg")"

grep -v close-first "$out/rows.jsonl" >"$work/less"
cp "$work/less" "$out/rows.jsonl"
report
is "what is not there is told" "report: missing: close-first = peer, server closes first
report: missing: close-first = peer, pairs of rate
report: missing: close-first = peer, pairs of latency_p99" "$(grep "missing" "$work/said")"
is "... in the table too" "- close-first = peer, server closes first" "$(grep -A 2 '^## Missing' "$out/bench.md" | tail -n 1)"
is "what was not measured has no verdict" "not measured" "$(verdict "nginx, close-first = peer")"
for kind in series ports loss custody scale pair pairs; do
	rows | grep -v "\"bench\":\"$kind\"" >"$out/rows.jsonl"
	report
	is "no rows of $kind: told, and the rest is there" "1 yes" \
		"$status $(grep -q "missing: \(rows of $kind\|plain again, pairs of rate\)" "$work/said" && grep -q '^## The daemon' "$out/bench.md" && echo yes)"
done
rows | sed 's/"hand_overs":9/"hand_overs":0/' >"$out/rows.jsonl"
report
is "a policy that did not act is told" 1 "$(grep -c "a policy did not act" "$work/said")"
rows >"$out/rows.jsonl"
BENCH_SIZE=quick report
is "the quick bench tells of misses, but does not fail for them" "0 2" "$status $(grep -c 'missed (quick)' "$out/bench.md")"
is "... and says what it is" 1 "$(grep -c 'the \*\*quick\*\* bench' "$out/bench.md")"

{
	rows | grep -v '"close-first = peer"'
	jq -cn '{bench: "rate", contender: "close-first = peer", first: "server", offered_s: 1000, ours: true, error: "no daemon"}'
} >"$out/rows.jsonl"
report
is "an error is told" "1 1" "$status $(grep -cx "report: not measured: rate close-first = peer: no daemon" "$work/said")"
is "... in the table too" 3 "$(grep -c 'no daemon' "$out/bench.md")"

{
	rows | grep -v '"what":"rate".*"close-first = peer"\|latency_p99.*"time-wait = none"'
	pairs rate wrk "close-first = peer" 1.0 1.0 1.0
	pairs latency_p99 churn "time-wait = none" 1 1 1
} >"$out/rows.jsonl"
report
is "all is well: it says nothing" "0 " "$status $(cat "$work/said")"
finish
