#!/bin/bash
# SPDX-License-Identifier: MIT
# history: what is asked of the daemon, the table, the sparklines, JSON, and what is no time.
. "${top_srcdir:?}/tests/cli/lib.sh"
serve

# sample TIME ESTABLISHED OPENS US [MORE]: of a minute, from that time of 2026-11-22 UTC on
sample()
{
	local ms
	ms=$(date -u -d "2026-11-22 $1" +%s)000
	jq -cn --argjson ms "$ms" --arg time "2026-11-22T$1:00Z" --argjson established "$2" \
		--argjson opens "$3" --argjson us "$4" --argjson more "${5:-{\}}" '
		["SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
			"LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"] as $others
		| ($others | map({(.): 0}) | add) as $none
		| {type: "sample", time: $time, time_ms: $ms, length_ms: 60000, covered_ms: 60000,
			samples: 6, on: true, opens: $opens,
			closes: {unknown: 0, us: $us, peer: 0, both: 0, reset: 0},
			custody: {peer: 0, grace: 0, reset: 0, early: 0, not_waited: 0},
			states: ($none + {ESTABLISHED: $established}),
			states_max: ($none + {ESTABLISHED: ($established * 2 | ceil)}), lost: 0} + $more'
}

event()
{
	jq -cn --argjson ms "$(date -u -d "2026-11-22 $1" +%s)000" --arg event "$2" --arg text "$3" \
		'{type: "event", time: "", time_ms: $ms, event: $event, text: $text}'
}

about()
{
	jq -cn --argjson kept "${1:-true}" '{type: "history", schema: 1, since_ms: 0, until_ms: 1,
		step_ms: 60000, interval_ms: 10000, first_ms: 1, kept: $kept, program: null}'
}

{
	about
	sample 14:30 10 600 60
	event 14:30:20 off "steering was switched off"
	sample 14:31 20 0 0
	echo '{"type":"gap","time":"","time_ms":1795357920000,"length_ms":600000}'
	event 14:42 start $'closesided 1, \e[31mred'
	sample 14:42 2.5 1234567 30
} >"$answers/history.jsonl"

# --- the table ---

run history
is "exit status" 0 "$status"
is_empty "nothing on standard error" "$work/err"
is "rows, what was done between them at its time, and what they come to" \
	"TIME    ESTAB TIME-WAIT OPENS/s US/s PEER/s
14:30      10         0      10    1      0
14:30:20  -- off: steering was switched off
14:31      20         0       0    0      0
14:32:00  -- no samples for 10m
14:42:00  -- start: closesided 1, ?[31mred
14:42    2.50         0   20576 0.50      0
average  10.8         0    6862 0.50      0
maximum    40         0   20576    1      0" "$out"
COLUMNS=30 run history
is "a narrow terminal" "TIME    ESTAB TIME-WAIT OPENS/s US/s PEER/s" "$(head -n1 "$work/out")"
TZ=CET-1CEST,M3.5.0,M10.5.0/3 run history
has "times are local" '^15:30  ' "$work/out"
rows=$(jq -c 'select(.type == "sample" and .opens == 600) | .custody.grace = 6000
	| .closes.unknown = 60 | .states.CLOSING = 1 | .states_max.CLOSING = 1 | .lost = 5' \
	"$answers/history.jsonl")
cp "$answers/history.jsonl" "$work/three"
{ about false && echo "$rows"; } >"$answers/history.jsonl"
run history
has "columns of what there was" \
	'^TIME +ESTAB +TIME-WAIT +CLOSING +OPENS/s +US/s +PEER/s +UNKNOWN/s +H-GRACE/s +LOST$' "$work/out"
has "its numbers" '^14:30 +10 +0 +1 +10 +1 +0 +1 +100 +5$' "$work/out"
is "a history that ends with the daemon is said to" \
	"closeside: warning: the history is in the daemon's memory only, and ends with it" "$err"
{ about && sample 14:30 1 0 0 && sample 14:31 1 0 0 '{"on":false}'; } >"$answers/history.jsonl"
run history
is "whether connections were steered, where they were not always" \
	"TIME    ESTAB TIME-WAIT OPENS/s US/s PEER/s STEERING
14:30       1         0       0    0      0       on
14:31       1         0       0    0      0      off
average     1         0       0    0      0
maximum     2         0       0    0      0" "$out"
{ about false && echo "$rows"; } >"$answers/history.jsonl"
COLUMNS=64 run history
has "what matters least goes first" \
	'^TIME +ESTAB +TIME-WAIT +OPENS/s +US/s +PEER/s +H-GRACE/s +LOST$' "$work/out"
cp "$work/three" "$answers/history.jsonl"

# --- sparklines ---

run history --spark
is "a line for each quantity, a blank for what is not known" \
	"2026-11-22 14:30 to 2026-11-22 14:43, 60 s each
                  LEAST       MOST       LAST
ESTAB              2.50         40       2.50 =#          .
TIME-WAIT             0          0          0 __          _
OPENS/s               0      20576      20576 ._          #
US/s                  0          1       0.50 #_          =
PEER/s                0          0          0 __          _" "$out"
if locale -a | grep -qix 'c.utf-\?8'; then
	LC_ALL=C.UTF-8 run history --spark
	has "blocks where there are some" '^ESTAB .* ▅█          ▂$' "$work/out"
else
	ok "blocks where there are some # SKIP no UTF-8 locale"
fi

# --- programs ---

{
	about
	sample 14:30 10 600 60 '{"programs":[
		{"program":"nginx","opens":600,"closes":{"us":60},"states":{"ESTABLISHED":8},"states_max":{"ESTABLISHED":9}},
		{"program":"(other)","opens":0,"closes":{},"states":{"ESTABLISHED":2},"states_max":{"ESTABLISHED":2}}]}'
	sample 14:31 10 600 60 '{"programs":[
		{"program":"nginx","opens":0,"closes":{},"states":{"ESTABLISHED":2},"states_max":{"ESTABLISHED":2}}]}'
} >"$answers/history.jsonl"
run history --programs
is "each program over all of the time" \
	"PROGRAM ESTAB TIME-WAIT OPENS/s US/s PEER/s
nginx       5         0       5 0.50      0
(other)     1         0       0    0      0
total      10         0      10    1      0" "$out"
cp "$work/three" "$answers/history.jsonl"

# --- JSON ---

run history -f jsonl
is "-f jsonl is the rows as they are, the last says what was asked for" \
	"$(jq -cS 'select(.type != "history")' "$work/three" && about | jq -cS .)" "$(jq -cS . "$work/out")"
run history -f json
is "-f json is one document, with a schema version" "1 6 60000" \
	"$(jq -r '"\(.schema) \(.history | length) \(.about.step_ms)"' <<<"$out")"

# --- what is asked for ---

# asked PATH VALUE ARGUMENT...: the request has it
asked()
{
	local what=$1 value=$2

	shift 2
	rm -f "$answers/requests"
	run history "$@"
	is "history $*: $what" "$value" "$(jq -c "$what" "$answers/requests")"
}

asked .since_ms 1795357800000 --since '2026-11-22 14:30'
asked .until_ms 1795357800000 --since 2026-11-22 --until 2026-11-22T14:30:00Z
asked .until_ms null --since 2h
asked .step_ms 60000 --step 1m
asked .step_ms null --since 1h
asked .rows 24 --since 1h
asked .rows null -f json
asked '[.rows, .fine]' '[80,true]' --spark
asked .programs true --programs
asked .program '"nginx"' nginx
asked .offset_ms 0
TZ=IST-5:30 asked .offset_ms 19800000
rm -f "$answers/requests"
on_terminal 100 "$closeside" -s "$socket" history >/dev/null
is "on a terminal as many rows as it shows" 18 "$(jq .rows "$answers/requests")"

# --- what is no time ---

# refused WHAT MESSAGE ARGUMENT...: exit 2, and nothing is asked
refused()
{
	local what=$1 message=$2

	shift 2
	rm -f "$answers/requests"
	run history "$@"
	is "$what: exit status" 2 "$status"
	is "$what" "closeside: $message" "$err"
	[ ! -e "$answers/requests" ] || not_ok "$what: the daemon is not asked" "it was"
}

expected="expected how long ago (90m, 2h, 1d), a time of day (14:30), or a date and a time (2026-11-22 14:30)"
refused "no time" "history --since 'noon': $expected" --since noon
refused "no time to end" "history --until '25:00': $expected" --until 25:00
refused "a day that there is not" "history --since '2026-02-30': $expected" --since 2026-02-30
refused "nothing" "history --since '': $expected" --since ''
refused "an end before the beginning" "history: --since is not before --until" --since 1h --until 2h
refused "a beginning still to come" "history --since '2099-01-01': that is still to come" --since 2099-01-01
refused "a step that is too short" "history --step '5s': expected a duration from 10s to 24h" --step 5s
refused "a step that is too long" "history --step '25h': expected a duration from 10s to 24h" --step 25h
refused "no step" "history --step 'x': expected a duration from 10s to 24h" --step x
refused "two ways to show it" "history: --spark goes with neither -f nor --programs" --spark -f json
refused "a program, and all" "history: either one program, or --programs" --programs nginx

# --- nothing ---

about >"$answers/history.jsonl"
run history
is "no samples: exit status" 1 "$status"
is "no samples" "closeside: history: there are no samples of that time; one is taken each ten seconds" "$err"
{ about && sample 14:30 0 0 0; } >"$answers/history.jsonl"
run history nginx
is "a program that was not there: exit status" 1 "$status"
is "a program that was not there" \
	"closeside: history: nothing is known of a program 'nginx' in that time" "$err"
rm "$answers/history.jsonl"
run history
is "a daemon that has none: exit status" 4 "$status"
finish
