#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside off` under a load of 2,000 connections a second: after one second nothing is steered any
# more, what was held has been closed, what was to be retired stays, and no request fails; `on` steers
# again. All of it over one load that does not know of it.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

rate=2000
churn=$top_builddir/tests/bench/churn

wire_init
[ -z "$wire_plain" ] || skip_all "there is nothing to switch off without the shim"
[ -x "$churn" ] || skip_all "$churn is not built"
daemon_start a <<-END
	policy web { local-port = 8001  close-first = peer  grace = 30s  grace-learn = no }
	policy kept { local-port = 8002  time-wait = 20s }
	policy held { local-port = 8003  close-first = peer  grace = 60s  grace-learn = no }
	policy quiet { local-port = 8004  time-wait = none }
END
steer a
for port in 8001 8002 8003 8004; do
	start_listening a "web-$port" $port "${STEER[@]}" "$churn" -l "$A4:$port" --close us
done
plain

# load NAME PORT RATE SECONDS [OPTIONS]
load() {
	local name=$1 port=$2 rate=$3 seconds=$4
	shift 4
	start b "$name" "$churn" -c "$A4:$port" -r "$rate" -d "$seconds" --timeout 100 "$@"
}
load_is_over() {
	grep -q summary "$dir/$1.log"
}
sum() { # NAME MEMBER
	tail -n1 "$dir/$1.log" | jq -r ".$2"
}

policy_least() { # NAME MEMBER NUMBER, of what is steered
	[ "$(ctl a policies | jq "select(.name == \"$1\") | .treated.$2")" -ge "$3" ]
}
snapshot() {
	ctl a status | jq -c '[.records["hand-over"], .records.defer, .records["at-exit"], .retire.retired,
		.custody.held, .retire.pending]'
}

# 200 whose peers never close: held for a minute, were it not for `off`
load never 8003 200 1 --close never --stay 100
check "some are held" wait_for 30 ctl_least a status custody.held 200
# 500 TIME_WAITs that are to be ended after 20 s
load kept 8002 500 1 --close peer
check "some are to be retired" wait_for 30 ctl_least a status retire.pending 500

load web 8001 $rate 8 --close us --pause 100
load quiet 8004 $((rate / 4)) 8 --close peer
check "the load is steered" wait_for 30 ctl_least a status custody.peer 2000
check "... each kind of it" wait_for 30 policy_least quiet time_wait_avoided 500

# --- off ---
"$closeside" off -s "$dir/a.socket" >"$dir/off.out"
is 0 $? "off: succeeds"
sleep 1 # that is what it promises
after=$(snapshot)
opens=$(ctl a status records.open)
is '[0,0]' "$(jq -c '.[4:6]' <<<"$after")" "after one second nothing is held, and nothing waits to be retired"
check "the load goes on" wait_for 30 ctl_least a status records.open $((opens + rate / 2))
is "$after" "$(snapshot)" "and nothing has been steered since"
at_least $((rate / 2)) "$(time_wait a 'sport = :8001')" "TIME_WAITs are the server's again"
at_least 10 "$(time_wait a 'sport = :8004')" "... also where there were none"
at_least 450 "$(time_wait a 'sport = :8002')" "what was to be retired stays"

# --- on ---
"$closeside" on -s "$dir/a.socket" >"$dir/on.out"
is 0 $? "on: succeeds"
check "the load is over" wait_for 60 load_is_over web
check "... all of it" wait_for 60 load_is_over quiet
load again 8001 100 1 --close us --pause 500
check "on: steered again" wait_for 30 ctl_least a status records.hand-over $(($(jq '.[0]' <<<"$after") + 100))
check "... and over" wait_for 30 load_is_over again

for name in web quiet again kept; do
	is 0/0/0 "$(sum $name failed)/$(sum $name reset)/$(sum $name bytes_lost)" "$name: no request failed"
done
stop never
note "of $(sum web begun) connections, $(sum web missed) were begun late; p99 of an answer $(sum web answer_us.p99) us"
is 0 "$(ctl a status lost)" "no record was lost"
finish
