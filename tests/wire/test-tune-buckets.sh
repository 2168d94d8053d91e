#!/bin/bash
# SPDX-License-Identifier: MIT
# TIME_WAITs at one and a half times tcp_max_tw_buckets: named; mode apply raises it in steps of a
# quarter, a few seconds apart while TIME_WAITs are dropped; then none is. Without permission advice
# goes on, and `tune apply` says why it can do no more. Many that are far from the limit are harmless.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/tune-lib.sh
. "$wire_dir/tune-lib.sh"

wire_init
key=net.ipv4.tcp_max_tw_buckets
limit=$(by_length 500 20000)
rate=$((limit / 40)) # for 60 s each: one and a half times as many
time_waits() {
	in_ns a awk '/^TCP:/ { print $7 }' /proc/net/sockstat
}
time_waits_least() {
	[ "$(time_waits)" -ge "$1" ]
}

# --- far from the limit ---
in_ns a sysctl -qw net.core.somaxconn=4096
tune_start a </dev/null
steer a
churn_serve maker 8001 --close us
plain
# more than one address: their ports are to be enough
for i in 3 4 5 6; do
	ip -n "$ns_b" addr add "10.77.0.$i/24" dev veth0
done
sources=(-s "$B4" -s 10.77.0.3 -s 10.77.0.4 -s 10.77.0.5 -s 10.77.0.6)
churn_load many 8001 600 5 --close peer "${sources[@]}"
churn_done many
sheet a
at_least 2500 "$(time_waits)" "there are 3,000 TIME_WAITs"
is fine "$(resource time-wait-buckets .level)" "far from the limit they are harmless"
is "" "$(in_want)" "and nothing else is wanting"
is 0 "$(jq -c 'select(.type == "advice")' "$dir/sheet.jsonl" | wc -l)" "so nothing is proposed"
in_ns a ss -K -Htan state time-wait >/dev/null
stop closesided-a

# --- no permission: another user, without capabilities ---
in_ns a sysctl -qw $key="$limit"
mkdir "$dir/nobody"
chown nobody "$dir/nobody"
printf 'tune { mode = apply }\nlimits { namespaces = 1 }\n' >"$dir/nobody.conf"
nobody=(setpriv --reuid=nobody --clear-groups --bounding-set=-all --inh-caps=-all)
start a closesided-nobody "${nobody[@]}" "$closesided_itself" -c "$dir/nobody.conf" -s "$dir/nobody/socket" -f
churn_load fill 8001 "$limit" 2 --close peer "${sources[@]}"
churn_done fill
ask_nobody() {
	"$python" "$wire_dir/ctl.py" "$dir/nobody/socket.control" tune >"$dir/sheet.jsonl" &&
		[ "$(resource time-wait-buckets .level)" = over ]
}
check "without permission: it is over its limit" wait_for 30 ask_nobody
check "advice goes on" grep -qw tw-buckets <<<"$(levers time-wait-buckets)"
in_ns a "$closeside" -s "$dir/nobody/socket" tune apply time-wait-buckets/tw-buckets >"$dir/apply.out" 2>&1
is 1 $? "tune apply fails"
check "and says why" grep -qi 'no permission' "$dir/apply.out"
note "$(cat "$dir/apply.out")"
is "$limit" "$(setting a $key)" "nothing was changed"
stop closesided-nobody
in_ns a ss -K -Htan state time-wait >/dev/null

# --- with it, and permission ---
tune_start a <<<'tune { mode = apply }'
before=$(counter a TCPTimeWaitOverflow)
churn_load fill 8001 "$limit" 1 --close peer "${sources[@]}"
churn_load load 8001 "$rate" "$(by_length 60 420)" --close peer "${sources[@]}"
check "TIME_WAITs are dropped" wait_for 60 counter_least a TCPTimeWaitOverflow $((before + 1))
check "time-wait-buckets: who makes them is named" wait_for 30 sheet_has a time-wait-buckets '.program == "churn"'
cp "$dir/sheet.jsonl" "$dir/advised.jsonl"
is time-wait-buckets "$(in_want | head -n1)" "time-wait-buckets: comes first"
note "$(told time-wait-buckets)"
check "a policy comes before the limit" grep -qE '^close-first tw-buckets' \
	<<<"$(levers time-wait-buckets)"
check "nothing for who connects is proposed to who accepts" \
	grep -qvE 'tw-reuse|port-range|local-ports' <<<"$(levers time-wait-buckets)"
check "mode apply raises the limit" wait_for 60 setting_least a $key $((limit * 5 / 4))
need=$((rate * 60))
check "until what is needed is in balance" wait_for "$(by_length 60 240)" setting_least a $key $((need * 8 / 7))
settled=$(counter a TCPTimeWaitOverflow)
began=$(churn_second load)
check "the load goes on" wait_for 240 churn_second_least load $((began + $(by_length 10 90)))
is "$settled" "$(counter a TCPTimeWaitOverflow)" "none is dropped any more"
note "$((settled - before)) were dropped; the limit went from $limit to $(setting a $key);" \
	"$(time_waits) TIME_WAITs"
grep -E 'tcp_max_tw_buckets' "$dir/closesided-a.log" >"$dir/changes"
note "$(cat "$dir/changes")"
steps=$(wc -l <"$dir/changes")
at_least 3 "$steps" "in steps, each with its line in the log"
# shellcheck disable=SC2016 # awk's
is 0 "$(grep -oE '[0-9]{3,} (to|>|->) [0-9]{3,}' "$dir/changes" |
	awk '{ if ($3 > $1 * 1.25 + 1 || $3 <= $1) n++ } END { print n + 0 }')" "each of a quarter at most, and up"
check "tune revert" revert a
is "$limit" "$(setting a $key)" "tune revert puts it back"
stop load INT

# --- the gentler lever: whose clients close, has no TIME_WAITs ---
in_ns a ss -K -Htan state time-wait >/dev/null
cp "$dir/advised.jsonl" "$dir/sheet.jsonl"
paste a time-wait-buckets/close-first
handed=$(ctl a status records.hand-over)
churn_load polite 8001 200 "$(by_length 5 60)" "${sources[@]}"
churn_done polite 90
is 0 "$(churn_of polite .failed)" "with close-first = peer every connection is served"
at_most 100 "$(time_waits)" "and hardly a TIME_WAIT stays"
at_least $((handed + 1)) "$(ctl a status records.hand-over)" "closes were handed over"
note "$(time_waits) TIME_WAITs; $(($(ctl a status records.hand-over) - handed)) closes were handed over"
finish
