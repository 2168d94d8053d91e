#!/bin/bash
# SPDX-License-Identifier: MIT
# `share`: so many of a policy's connections are steered, and the rest are as without closeside; what
# `policy show` says of both is what the wire shows. Nothing but what the policy says tells them apart:
# segment by segment the control looks as the same load does without the shim. 4,000 connections; with
# LONG=1 20,000.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

share=25 rate=1000
connections=$([ -n "${LONG:-}" ] && echo 20000 || echo 4000)
churn=$top_builddir/tests/bench/churn

wire_init
[ -z "$wire_plain" ] || skip_all "there is no control without the shim"
[ -x "$churn" ] || skip_all "$churn is not built"
capture_start a 'tcp port 8001 or tcp port 8002 or tcp port 8004 or tcp port 9'
# The client goes on when no FIN has come for half a second, long before a grace is over.
daemon_start a <<-END
	policy web { local-port = 8001  share = $share%  close-first = peer  grace = 30s  grace-learn = no }
	policy quiet { local-port = 8004  share = 50%  time-wait = none }
	policy strangers { local-port = 8003  share = 50%  time-wait = 1s }
END

# load PORT COUNT NAME
load() {
	in_ns b timeout -k 5 200 "$churn" -c "$A4:$1" -r $rate -d $(($2 / rate)) --close us --pause 500 \
		--timeout 60 >"$dir/$3.jsonl"
	tail -n1 "$dir/$3.jsonl" >"$dir/$3.sum"
}

sum() { # NAME MEMBER
	jq -r ".$2" "$dir/$1.sum"
}

steer a
start_listening a web 8001 "${STEER[@]}" "$churn" -l "$A4:8001" --close us
start_listening a quiet 8004 "${STEER[@]}" "$churn" -l "$A4:8004" --close us
plain
start_listening a plain 8002 "$churn" -l "$A4:8002" --close us
start a watch "$closeside" watch -s "$dir/a.socket" -f jsonl sport = :8001 or sport = :8004
check "watch has begun" wait_for 20 ctl_least a status sessions 0

load 8002 "$connections" plain
is 0 "$(sum plain failed)" "without the shim: every connection is served"
load 8001 "$connections" web
load 8004 $rate quiet
is 0 "$(sum quiet failed)" "with another policy's share: every connection is served"
is 0 "$(sum web failed)" "with a share: every connection is served"
is "$connections" "$(sum web ended)" "... and there were so many"

arm() { # treated|control MEMBER [POLICY]
	"$closeside" policy show "${3:-web}" -s "$dir/a.socket" -f json | jq -r ".policies[0].$1.$2"
}
closes_of() { # treated|control [POLICY]
	arm "$1" 'closes | add' "${2:-web}"
}
all_closed() {
	[ $(($(closes_of treated) + $(closes_of control))) -ge "$connections" ] &&
		[ $(($(closes_of treated quiet) + $(closes_of control quiet))) -ge "$rate" ]
}
check "the daemon has heard of each close" wait_for 30 all_closed
treated=$(closes_of treated) control=$(closes_of control)
note "$treated are steered, $control are control"
is "$connections" $((treated + control)) "each is steered or control"
# five standard deviations of chance
expected=$((connections * share / 100))
off=$((treated - expected))
at_most $((25 * expected * (100 - share) / 100)) $((off * off)) "$share % of them are steered"

# --- what it says is what was on the wire ---
capture_mark a
python_shapes() {
	"$python" "$wire_dir/shapes.py" "$dir/a.cap" "$@"
}
watched() { # a transition of each has come
	sed '$ { /}$/!d }' "$dir/watch.log" >"$dir/watch.rows"
	[ "$(jq -r .cookie "$dir/watch.rows" | sort -u | wc -l)" -ge $((connections + rate)) ]
}
check "watch tells of each" wait_for 30 watched
grep ':8001"' "$dir/watch.rows" >"$dir/web.rows"
grep ':8004"' "$dir/watch.rows" >"$dir/quiet.rows"
python_shapes 8002 >"$dir/plain.shapes"
python_shapes 8001 "$dir/web.rows" >"$dir/web.shapes"
python_shapes 8004 "$dir/quiet.rows" >"$dir/quiet.shapes"
note "without the shim:" "$(head -n3 "$dir/plain.shapes")"
note "with a share:" "$(head -n6 "$dir/web.shapes")"

count_shapes() { # FILE ARM REGEX
	awk -v arm="$2" -v shape="$3" '$2 == arm { n = $1; $1 = $2 = ""; if ($0 ~ shape) sum += n }
		END { print sum + 0 }' "$dir/$1.shapes"
}
is 0 "$(count_shapes web none .)" "every connection of the capture has an arm"
is "$treated" "$(count_shapes web steered 'c:F.* s:F')" "of what is steered the client closes first, each time"
is "$control" "$(count_shapes web control 's:F.* c:F')" "of the control the server does, each time"
is "$treated" "$(count_shapes web steered .)" "... and that is all that there is of the one"
is "$control" "$(count_shapes web control .)" "... and of the other"
is 0 "$(count_shapes web steered R)" "no RST among what is steered"
is 0 "$(count_shapes web control R)" "no RST among the control"

shapes_of() { # FILE ARM: the shapes alone
	awk -v arm="$2" '$2 == arm { $1 = $2 = ""; print }' "$dir/$1.shapes" | sort -u
}
new=$(comm -13 <(shapes_of plain all) <(shapes_of web control))
is "" "$new" "the control has no shape that the load without the shim has not"
new=$(comm -13 <(shapes_of plain all) <(shapes_of web steered | sed 's/c:F s:F/s:F c:F/'))
is "" "$new" "what is steered has none but with the two FINs in the other order"

# time-wait = none: the same, and then an RST answers the client's FIN; or its acknowledgement of ours, if
# that comes alone because the client has no processor yet.
note "time-wait = none:" "$(head -n3 "$dir/quiet.shapes")"
is 0 "$(count_shapes quiet none .)" "time-wait = none: every connection has an arm"
is "$(closes_of treated quiet)" "$(count_shapes quiet steered 's:F( c:F)? s:R$')" "what is steered ends with an RST"
new=$(comm -13 <(shapes_of plain all) <(shapes_of quiet control))
is "" "$new" "its control has no shape that the load without the shim has not"
new=$(comm -13 <(shapes_of plain all | sed 's/ c:F$//' | sort -u) \
	<(shapes_of quiet steered | sed 's/ s:R$//; s/ c:F$//' | sort -u))
is "" "$new" "what is steered has none but with the RST at its end"
is "0/$(closes_of control quiet)" \
	"$(arm treated time_wait_left quiet)/$(arm control time_wait_left quiet)" \
	"policy show: TIME_WAITs of the control alone"

is 0 "$(arm treated time_wait_left)" "policy show: what is steered leaves no TIME_WAIT"
is "$control" "$(arm control time_wait_left)" "policy show: the control leaves one each"
# A client that did not close first may use its port again, which ends the TIME_WAIT at the server.
at_most "$control" "$(time_wait a 'sport = :8001')" "ss: no more are at the server"
at_least $((control / 4)) "$(time_wait a 'sport = :8001')" "ss: but they are there"
is "$treated" "$(time_wait b 'dport = :8001')" "ss: and the others at the client"
is 0/0 "$(arm treated closes.reset)/$(arm control closes.reset)" "policy show: no resets"
is 0/0 "$(arm treated unread_bytes)/$(arm control unread_bytes)" "policy show: no bytes discarded"
is "$treated/0" "$(arm treated hand_overs)/$(arm control hand_overs)" "policy show: hand-overs are of the steered alone"
at_least 400 "$(arm treated delay_ms.p50)" "policy show: their FINs waited for the client's"
is 0 "$(arm control delay_ms.max)" "policy show: the control's did not wait"
"$closeside" policy show web -s "$dir/a.socket" >"$dir/show"
check "policy show: how sure that is" grep -q \
	'^# TIME_WAITs left of 100 closes: 0.0 steered, 100.0 control: 100.0 fewer (95 % sure' "$dir/show"
check "policy show: where there is nothing to tell" grep -q \
	'^# resets of 100 closes: 0.0 steered, 0.0 control: no difference that is sure' "$dir/show"
note "$(grep '^#' "$dir/show")"

# --- TIME_WAITs of a program without the shim ---
start_listening a strangers 8003 "$churn" -l "$A4:8003" --close us
load 8003 $rate strangers
is 0 "$(sum strangers failed)" "a program without the shim: every connection is served"
settled() { # half a minute before the kernel would end them, none is left that is to be retired
	[ "$(time_wait a 'sport = :8003')" -lt $((rate * 60 / 100)) ] &&
		[ "$(time_wait a 'sport = :8003')" = "$("$closeside" policy show strangers -s "$dir/a.socket" -f json |
			jq '.policies[0].control.time_wait_left')" ]
}
check "half of its TIME_WAITs are ended, the control's stay" wait_for 40 settled
at_least $((rate * 40 / 100)) "$(time_wait a 'sport = :8003')" "... and not more than half"
finish
