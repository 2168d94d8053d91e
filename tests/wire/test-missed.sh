#!/bin/bash
# SPDX-License-Identifier: MIT
# Why closes were not handed over, though close-first = peer and our FIN was the first, is counted
# by its reason, for each policy; what was handed over, or closed by the peer first, is not.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=5

wire_init
daemon_start a <<-END
	defaults { close-first = peer  grace = 300ms  grace-learn = no }
	policy idle       { local-port = 8001 }
	policy linger     { local-port = 8002 }
	policy shut       { local-port = 8003 }
	policy shut-idle  { local-port = 8004  half-close = defer }
	policy handed     { local-port = 8005  time-wait = none }
	policy peer       { local-port = 8006 }
END
steer a

# counts POLICY: "hand-overs; REASON N, ..." of those above zero
counts() {
	ctl a policies | jq -r "select(.name == \"$1\") | \"\(.hand_overs); \" +
		([.not_handed_over | to_entries[] | select(.value > 0) | \"\(.key) \(.value)\"] | join(\", \"))"
}

counts_are() {
	[ "$(counts "$1")" = "$2" ]
}

# counted POLICY PORT EXPECTED CLIENT-STEPS SERVER-STEP...
# what the daemon counts of $count connections
counted() {
	local policy=$1 port=$2 expected=$3 client=$4

	shift 4
	actor_serve "$policy" "$port" "$@"
	# shellcheck disable=SC2086 # words
	actor_connect "$A4" "$port" $count --together $client >"$dir/$policy.out"
	is $count "$(wc -l <"$dir/$policy.out")" "$policy: $count connections"
	if wait_for 20 counts_are "$policy" "$expected"; then
		ok "$policy: counted as $expected"
	else
		not_ok "$policy: counted as $expected" "counted as $(counts "$policy")"
	fi
}

counted idle 8001 "0; idle $count" "text:hello eof close" line text:bye sleep:400 close
counted linger 8002 "0; app-linger $count" "text:hello eof close" line text:bye linger:5 close
counted shut 8003 "0; shut-down $count" "text:hello eof close" line text:bye shut_wr close
counted shut-idle 8004 "0; idle $count" "text:hello eof close" line text:bye sleep:400 shut_wr close
counted handed 8005 "$count; " "text:hello eof close" line text:bye close
counted peer 8006 "0; " "text:hello shut_wr eof close" line eof text:bye close

if [ -z "$wire_plain" ]; then
	"$closeside" -s "$dir/a.socket" policy show shut >"$dir/show"
	check "policy show says so" grep -q "our FIN was the first: shut-down $count\$" "$dir/show"
	"$closeside" -s "$dir/a.socket" status >"$dir/status"
	check "status sums it up" \
		grep -q "not handed over: app-linger $count, idle $((2 * count)), shut-down $count\$" "$dir/status"
fi
finish
