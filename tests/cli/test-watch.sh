#!/bin/bash
# SPDX-License-Identifier: MIT
# watch: its lines as they come, what is lost, and its ends.
. "${top_srcdir:?}/tests/cli/lib.sh"
serve
stream=$answers/watch.jsonl
: >"$stream"

# A watch that hears nothing for longer than a listing waits for its answer.
idle_since=$SECONDS
mkdir "$work/idle"
: >"$work/idle/watch.jsonl"
"$python" "$top_srcdir/tests/cli/control.py" "$work/idle.control" "$work/idle" &
servers+=($!)
wait_for test -S "$work/idle.control"
"$closeside" -s "$work/idle" watch -f jsonl >"$work/idle.out" 2>"$work/idle.err" &
idle=$!
servers+=("$idle")

transition()
{
	printf '{"type":"transition","time_ms":%d,"cookie":"%d","pid":%s,"program":%s,"unit":null,"local":"10.0.0.1:80","remote":"10.0.0.9:%d","from":%s,"to":%s,"side":"us","policy":null,"state_ms":%d}\n' \
		"$1" "$2" "$3" "$4" "$((41000 + $2))" "$5" "$6" "$7" >>"$stream"
}

# follow ARGUMENT...: a watch in the background: its pid in $watch, what it says in $work/out, $work/err
follow()
{
	rm -f "$work/out" "$work/err"
	set -m # else it would not get SIGINT
	timeout -k 5 120 "$closeside" -s "$socket" watch "$@" >"$work/out" 2>"$work/err" &
	watch=$!
	set +m
	servers+=("$watch")
}

# end_with SIGNAL: and its exit status
end_with()
{
	kill -"$1" "$watch"
	wait_for has_ended "$watch" || kill -KILL "$watch"
	wait "$watch"
}

lines()
{
	[ "$(wc -l <"$work/out")" -ge "$1" ]
}

# --- rows ---

follow
wait_for lines 1
is "the titles are there before the first row" \
	"TIME              PID  PROGRAM     LOCAL               REMOTE              FROM         TO           AFTER  FIRST    POLICY" \
	"$(<"$work/out")"
transition 1700000000123 1 4321 '"nginx"' '"ESTABLISHED"' '"FIN_WAIT1"' 1500
wait_for lines 2
is "a row comes as soon as it is there" \
	"22:13:20.123     4321  nginx       10.0.0.1:80         10.0.0.9:41001      ESTABLISHED  FIN_WAIT1    1500ms  us       -" \
	"$(sed -n 2p "$work/out")"
transition 1700000001000 2 null null '"TIME_WAIT"' null 60000
wait_for lines 3
is "nobody's, and gone" \
	"22:13:21.000        ?  ?           10.0.0.1:80         10.0.0.9:41002      TIME_WAIT    gone            60s  us       -" \
	"$(sed -n 3p "$work/out")"
transition 1700000001000 3 1 '"a-program-of-a-long-name"' null '"SYN_SENT"' 0
transition 1700000001000 4 1 '"b"' '"SYN_SENT"' '"ESTABLISHED"' 0
wait_for lines 5
is "a long name makes its column wider, for good" \
	"$(awk 'NR == 4 { print index($0, "10.0.0.1:80") }' "$work/out")" \
	"$(awk 'NR == 5 { print index($0, "10.0.0.1:80") }' "$work/out")"
end_with INT
is "SIGINT ends it: exit status" 0 $?
is_empty "without a word" "$work/err"

follow -f jsonl
wait_for lines 4
is "-f jsonl is the rows as they are" "$(<"$stream")" "$(<"$work/out")"
end_with TERM
is "SIGTERM ends it: exit status" 0 $?
is_empty "without a word" "$work/err"

rm -f "$answers/requests"
follow state close-wait 'or' user root
wait_for test -s "$answers/requests"
end_with TERM
is "the daemon is asked for what matches" \
	'{"v":1,"cmd":"watch","filter":"state close-wait or user 0"}' "$(<"$answers/requests")"
run watch state frob
is "a filter that is none: exit status" 2 "$status"
has "points at the place" '^ {24}\^ expected a state' "$work/err"
run watch -f json
is "-f json, which would have no end: exit status" 2 "$status"
has "says what to use" 'use -f jsonl' "$work/err"

# --- what is lost ---

echo '{"type":"lost","count":17}' >>"$stream"
transition 1700000002000 5 1 '"b"' '"ESTABLISHED"' '"CLOSE_WAIT"' 0
follow
wait_for lines 6
end_with TERM
is "what is lost is said on standard error" \
	"closeside: watch: 17 transitions are missing here: they came faster than they were read" \
	"$(<"$work/err")"
is "and the rest is there" 5 "$(grep -c 10.0.0.1:80 "$work/out")"
follow -f jsonl
wait_for lines 6
end_with TERM
has "in JSON it is a row as well" '^\{"type":"lost","count":17\}$' "$work/out"

# --- head ---

for action in - ''; do
	what="watch | head, SIGPIPE ${action:-ignored}"
	# shellcheck disable=SC2064 # now
	trap "$action" PIPE
	timeout -k 5 120 "$closeside" -s "$socket" watch 2>"$work/err" | head -n 3 >"$work/out"
	status=${PIPESTATUS[0]}
	is "$what: exit status" 0 "$status"
	is "$what: head has its lines" 3 "$(wc -l <"$work/out")"
	is "$what: without an error" "" "$(grep -v '17 transitions are missing' "$work/err")"
done
trap - PIPE
: >"$stream"
timeout -k 5 120 "$closeside" -s "$socket" watch 2>"$work/err" | head -n 1 >"$work/out"
status=${PIPESTATUS[0]}
is "watch | head, and no row comes after: it ends: exit status" 0 "$status"
is_empty "without a word" "$work/err"
"$python" -c '
for i in range(200000):
    print("{\"type\":\"transition\",\"time_ms\":%d,\"pid\":1,\"program\":\"x\",\"from\":\"ESTABLISHED\",\"to\":\"TIME_WAIT\"}" % i)' \
	>"$stream"
timeout -k 5 120 "$closeside" -s "$socket" watch 2>"$work/err" | head -n 100000 >"$work/out"
is "100,000 rows: exit status" 0 "${PIPESTATUS[0]}"
is "and all come" 100000 "$(wc -l <"$work/out")"

# --- colour ---

: >"$stream"
transition 1700000000123 1 4321 '"nginx"' '"ESTABLISHED"' '"CLOSE_WAIT"' 1500
echo '{"type":"end","ok":true}' >>"$stream"
on_terminal 80 "$closeside" -s "$socket" watch >"$work/out"
has "states in colour" $'ESTABLISHED  \033\\[1;31mCLOSE_WAIT\033\\[0m ' "$work/out"
has "nothing is left out on a narrow terminal" 'POLICY$' "$work/out"
NO_COLOR=1 on_terminal 80 "$closeside" -s "$socket" watch >"$work/out"
is "not with NO_COLOR" 0 "$(grep -c $'\033' "$work/out")"

# --- a daemon that goes, or does not know it ---

echo close >"$stream"
run watch
is "the daemon goes: exit status" 3 "$status"
is "and it is said" "closeside: watch: the daemon has gone" "$err"
rm "$stream"
run watch
is "a daemon that does not know it: exit status" 4 "$status"
is "says so" "closeside: watch: unknown command" "$err"
status=0
"$closeside" -s "$work/nowhere" watch >"$work/out" 2>"$work/err" || status=$?
is "no daemon: exit status" 3 "$status"
has "and how to start one" 'systemctl start closeside' "$work/err"
is_empty "and no titles" "$work/out"

# --- the idle one ---

wait_for test $((SECONDS - idle_since)) -ge 0
while [ $((SECONDS - idle_since)) -lt 12 ]; do
	sleep 0.5
done
echo '{"type":"transition","late":true}' >>"$work/idle/watch.jsonl"
wait_for test -s "$work/idle.out"
is "after a long silence it is still there" '{"type":"transition","late":true}' "$(<"$work/idle.out")"
is_empty "and has said nothing" "$work/idle.err"
kill -TERM "$idle"
wait "$idle"
is "and ends when it is told to" 0 $?
finish
