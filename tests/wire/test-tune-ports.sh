#!/bin/bash
# SPDX-License-Identifier: MIT
# Ports from one address to one port of a server: the sheet says when connect() gets slow and when
# there are none left, and each lever that it proposes sustains the rate.
#
# By default with 600 ports and 30 connections a second; with LONG=1 as systems come, at 1,000 a
# second, and two minutes for each lever. What is known of Linux 6.18: connect() takes the ports of one
# parity first, and is 100 times slower from where these are taken; with IP_LOCAL_PORT_RANGE it is not,
# and fails when all are.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/tune-lib.sh
. "$wire_dir/tune-lib.sh"

wire_init
range=$(by_length "40000 40599" "32768 60999")
rate=$(by_length 30 1000)
seconds=$(by_length 22 34)
trial_rate=$(by_length 200 1000) # of a lever
trial_seconds=$(by_length 4 120)
ports=$((${range#* } - ${range% *} + 1))
id=ports/$B4-$A4:8001

for ns in a b; do
	in_ns $ns sysctl -qw net.ipv4.tcp_max_tw_buckets=1000000
done
in_ns b sysctl -qw net.ipv4.ip_local_port_range="$range"
for i in 3 4 5 6 7 8; do
	ip -n "$ns_b" addr add "10.77.0.$i/24" dev veth0
done
tune_start b <<-END
	tune { mode = advise }
END
cp "$dir/b.conf" "$dir/b.conf.first"
churn_serve web 8001 # it waits for the client to close
steer b
CLIENT_STEER=("${STEER[@]}")
plain

# What the sheet says while the load goes on: a line of ms since its begin, slow_ms, exhausted_ms, used.
watch_sheet() {
	local began
	began=$(now_ms)
	: >"$dir/$1.said"
	until pid_gone "${pid_of[$1]}"; do
		sheet b
		resource "$id" "\"$(($(now_ms) - began)) \\(.slow_ms) \\(.exhausted_ms) \\(.used)\"" >>"$dir/$1.said"
		if resource "$id" .level | grep -qE 'near|over' && [ ! -s "$dir/advised.jsonl" ]; then
			cp "$dir/sheet.jsonl" "$dir/advised.jsonl"
		fi
		sleep 0.5
	done
	unset "pid_of[$1]"
	note "$1: ms since its begin, until connect() is slow, until none is left, used:" \
		"$(awk 'NR % 6 == 1' "$dir/$1.said")"
}

# said_of LOAD COLUMN SECONDS: when it was to be, in ms since the load's begin, as was said half way
said_of() {
	awk -v column="$2" -v half="$(($3 * 500))" '
		$column != "null" && $column > 0 { off = $1 - half; off = off < 0 ? -off : off
			if (!found || off < least) { least = off; at = $1 + $column; found = 1 } }
		END { if (found) print int(at) }' "$dir/$1.said"
}

time_waits_end() {
	in_ns b ss -K -Htan state time-wait >/dev/null
	time_wait_is b 0
}

# --- connect() gets slow ---
if [ -n "$long" ]; then
	churn_load slow 8001 "$rate" "$seconds" --timeout 60
	watch_sheet slow
	first=$(jq -s '[.[] | select(.second < 5) | .call_us.p50] | sort | .[2]' "$dir/slow.log")
	slow_s=$(jq -r "select(.second > 5 and .call_us.p50 > 5 * $first) | .second" "$dir/slow.log" | head -n1)
	note "connect() takes $first us at first; from second ${slow_s:-none} on five times as much"
	check "connect() gets slow" [ -n "$slow_s" ]
	predicted "$(said_of slow 2 "${slow_s:-14}")" "$((${slow_s:-0} * 1000))" "when connect() gets slow, ms"
	check "the TIME_WAITs can be ended" wait_for 20 time_waits_end
fi

# --- none is left ---
churn_load none 8001 "$rate" "$seconds" --range "${range/ /-}"
watch_sheet none
check "$id: is named" [ -s "$dir/advised.jsonl" ]
cp "$dir/advised.jsonl" "$dir/sheet.jsonl" 2>/dev/null
is "$id" "$(in_want | head -n1)" "$id: comes first"
note "$(told "$id")"
is "$ports" "$(resource "$id" .capacity)" "$id: so many ports there are"
at_least $((rate * 45)) "$(resource "$id" .need)" "$id: so many it needs, at least"
at_most $((rate * 75)) "$(resource "$id" .need)" "$id: and at most"
is churn "$(resource "$id" .program)" "$id: the program is named"
none_s=$(jq -r 'select(.second != null and .errors.EADDRNOTAVAIL > 0) | .second' "$dir/none.log" | head -n1)
check "without a lever connects fail at this rate" [ -n "$none_s" ]
predicted "$(said_of none 3 "${none_s:-28}")" "$((${none_s:-0} * 1000))" "when none is left, ms"

# --- each lever ---
cp "$dir/advised.jsonl" "$dir/advised.first"
proposed=$(levers "$id")
note "levers: $proposed"
for lever in time-wait source tw-reuse port-range; do
	check "$lever is proposed" grep -qw -- "$lever" <<<"$proposed"
done
is "" "$(jq -r 'select(.type == "advice" and (.lines | tostring | test("tcp_fin_timeout|rfc1337|syncookies"))) | .id' \
	"$dir/sheet.jsonl")" "nothing is proposed that has nothing to do with it"

back() {
	cp "$dir/b.conf.first" "$dir/b.conf"
	ctl b reload >/dev/null
	in_ns b sysctl -qw net.ipv4.ip_local_port_range="$range" net.ipv4.tcp_tw_reuse=2
	wait_for 20 time_waits_end
}

# What is proposed together with another is tried with it.
try_lever() {
	local lever=$1 other
	cp "$dir/advised.first" "$dir/sheet.jsonl"
	other=$(advice "$id/$lever" '.with // empty')
	note "$lever: $(advice "$id/$lever" '"sustains \(.sustains_s), enough \(.enough), with \(.with): \(.effect)"')"
	if [ "$(advice "$id/$lever" .enough)" != true ]; then
		note "$lever alone does not suffice, and is not said to"
		return
	fi
	[ -z "$other" ] || paste b "$other"
	# whose addresses these are nobody but the admin knows, so the line is a comment
	sed -i 's/# echo /echo /
		s/{10\.77\.0\.2, \.\.\.}/{10.77.0.2, 10.77.0.3, 10.77.0.4, 10.77.0.5, 10.77.0.6, 10.77.0.7, 10.77.0.8}/' \
		"$dir/sheet.jsonl"
	paste b "$id/$lever"
	churn_load "with-$lever" 8001 "$trial_rate" "$trial_seconds"
	churn_done "with-$lever" 200
	is 0 "$(churn_of "with-$lever" .failed)" "with $lever: no connect fails"
	is $((trial_rate * trial_seconds)) "$(churn_of "with-$lever" .ended)" "with $lever: all are served"
	note "with $lever: $(churn_of "with-$lever" '.call_us')"
	if [ -n "$long" ]; then
		at_most "$(awk "BEGIN { print int($first * 5) }")" "$(churn_of "with-$lever" '.call_us.p50 | floor')" \
			"with $lever: connect() does not get slow"
	fi
}

if [ -z "$long" ]; then # there it has been seen already, and takes minutes to end
	back
	churn_load without 8001 "$trial_rate" "$trial_seconds" --timeout 20 --range "${range/ /-}"
	churn_done without
	at_least 1 "$(churn_of without .failed)" "without a lever some fail"
fi
for lever in $proposed; do
	back
	try_lever "$lever"
done
at_least $((trial_rate * trial_seconds)) "$(ctl b status records.close)" "the shim was there"

# --- and by the tuner itself ---
back
churn_load again 8001 "$rate" 600
check "the sheet names it again" wait_for 60 sheet_has b "$id/tw-reuse" true
check "tune apply" apply b "$id/tw-reuse"
is 1 "$(setting b net.ipv4.tcp_tw_reuse)" "tune apply sets tcp_tw_reuse"
in_ns b sysctl -qw net.ipv4.tcp_tw_reuse=2 net.ipv4.tcp_timestamps=0
check "without timestamps it is not proposed" wait_for 60 sheet_has_not b "$id/tw-reuse" true
in_ns b sysctl -qw net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_timestamps=1
stop again INT
churn_load applied 8001 "$trial_rate" "$(by_length 4 20)"
churn_done applied 200
is 0 "$(churn_of applied .failed)" "then no connect fails"
in_ns b sysctl -qw net.ipv4.tcp_tw_reuse=1
revert b
is 2 "$(setting b net.ipv4.tcp_tw_reuse)" "tune revert puts it back"
finish
