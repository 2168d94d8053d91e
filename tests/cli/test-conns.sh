#!/bin/bash
# SPDX-License-Identifier: MIT
# conns: its columns, its filter, what it says on a terminal, and when its output fails.
. "${top_srcdir:?}/tests/cli/lib.sh"
serve

cat >"$answers/conns.jsonl" <<'ROWS'
{"type":"conn","cookie":"1","pid":4321,"program":"nginx","unit":null,"uid":33,"netns":null,"shim":true,"role":"server","local":"10.0.0.1:80","remote":"10.0.0.9:41000","state":"CLOSE_WAIT","state_ms":65000,"age_ms":90000,"policy":"web","side":"peer","custody":null,"outcome":null,"accepted":true,"unread":null,"unacked":0,"retrans":3,"rtt_us":1234}
{"type":"conn","cookie":"2","pid":null,"program":null,"unit":null,"uid":null,"netns":null,"shim":false,"role":"any","local":"[2001:db8::1]:443","remote":"[2001:db8::9]:52000","state":"TIME_WAIT","state_ms":900,"age_ms":1000,"policy":null,"side":"us","custody":null,"outcome":null,"accepted":false,"unread":null,"unacked":null,"retrans":0,"rtt_us":800}
ROWS

run conns
is "exit status" 0 "$status"
is_empty "nothing on standard error" "$work/err"
is "the columns, for people" \
	"STATE        TIME  LOCAL              REMOTE                PID  PROGRAM  POLICY  FIRST  HELD    RTT  RETRANS     AGE  ROLE
CLOSE_WAIT    65s  10.0.0.1:80        10.0.0.9:41000       4321  nginx    web     peer   -     1.2ms        3     90s  server
TIME_WAIT   900ms  [2001:db8::1]:443  [2001:db8::9]:52000     ?  ?        -       us     -     800us        0  1000ms  any" \
	"$out"
run conns -f jsonl
is "-f jsonl is the rows as they are" "$(<"$answers/conns.jsonl")" "$out"
run conns -f json
is "-f json has a schema version" 1 "$(jq .schema <<<"$out")"
is "-f json is one document of all rows" 2 "$(jq '.conns | length' <<<"$out")"
is "a null stays a null in JSON" null "$(jq -c '.conns[1].pid' <<<"$out")"

# --- the filter ---

rm -f "$answers/requests"
run conns state TIME-WAIT '( sport = :80 or dst 10.0.0.0/8 )' user root
is "the daemon is asked in the canonical form, users by number" \
	'{"v":1,"cmd":"conns","filter":"state time-wait and (sport = :80 or dst 10.0.0.0/8) and user 0"}' \
	"$(<"$answers/requests")"
rm -f "$answers/requests"
run conns 'state close-wait pid 42'
is "one word may hold all of it" '"state close-wait and pid 42"' "$(jq -c .filter "$answers/requests")"
rm -f "$answers/requests"
run conns program 'a b' pid 42
is "a blank within a word stays there" '"program \"a b\" and pid 42"' \
	"$(jq -c .filter "$answers/requests")"

# refused WHAT FIRST-LINE SECOND-LINE ARGUMENT...: exit 2, and nothing is asked
refused()
{
	local what=$1 first=$2 second=$3

	shift 3
	rm -f "$answers/requests"
	run conns "$@"
	is "$what: exit status" 2 "$status"
	is "$what" "$first
$second" "$err"
	[ ! -e "$answers/requests" ] || not_ok "$what: the daemon is not asked" "it was"
}

refused "a state that is none" \
	"closeside: conns: pid 4 and state frob or sport = :80" \
	"                                  ^ expected a state, as ss(8) or the kernel names it, or one of all, connected, synchronized, bucket, big" \
	pid 4 and state frob or sport = :80
refused "a value that is not there" \
	"closeside: conns: pid" \
	"                     ^ after pid: expected a process's number" pid
refused "a misspelt word" \
	"closeside: conns: (sport = :80) stae time-wait" \
	"                                ^ unknown word 'stae': did you mean 'state'?" \
	'(sport' = ':80)' stae time-wait
refused "a parenthesis too many" \
	"closeside: conns: sport = :80)" \
	"                             ^ this ')' closes nothing" 'sport = :80)'
refused "a parenthesis that is not closed" \
	"closeside: conns: not (pid 4" \
	"                            ^ expected ')' for the '(' at character 5" not '(pid' 4
refused "an option after the filter" \
	"closeside: conns: pid 4 -f json" \
	"                        ^ options come before the filter" pid 4 -f json
refused "a user that is not there" \
	"closeside: conns: user nobody-of-this-name" \
	"                       ^ there is no such user; expected a user's name or number" \
	user nobody-of-this-name
refused "the caret is under the character, not the byte" \
	"closeside: conns: program ä pid ü" \
	"                                ^ expected a process's number" program ä pid ü
refused "what a terminal would obey is not sent to it" \
	"closeside: conns: program  [31m pid x" \
	"                                    ^ expected a process's number" \
	program $'\033[31m' pid x
run conns "program $(printf 'x%.0s' {1..2000})"
is "a filter that is too long: exit status" 2 "$status"
has "a filter that is too long" 'longer than 1023 characters' "$work/err"
run conns "$(printf 'pid 1 or %.0s' {1..40}) pid 1"
has "a filter with too much in it" '\^ too much: a filter has at most 64' "$work/err"
is "which shows a part of it" 1 "$(awk 'NR == 1 && length < 100 && /\.\.\./' "$work/err" | wc -l)"
run conns program $'\377'
is "what is not UTF-8: exit status" 2 "$status"

# --- a process that is not there ---

: >"$answers/conns.jsonl"
run conns pid 99999999
is "a process that is not there: exit status" 0 "$status"
is "an empty table" 1 "$(wc -l <<<"$out")"
is "and it is said" "closeside: conns: there is no process 99999999, and none is known to have been" "$err"
run conns pid $$
is "one that has no connection" "" "$err"
run conns not pid 99999999
is "one that is only excluded" "" "$err"
run conns -f json pid 99999999
is "an empty document" 0 "$(jq '.conns | length' <<<"$out")"

# --- output that fails ---

"$python" - >"$answers/conns.jsonl" <<'PYTHON'
for i in range(20000):
    print('{"type":"conn","state":"TIME_WAIT","local":"10.0.0.1:80","remote":"10.0.0.9:%d"}' % (i + 1))
PYTHON
for format in plain json jsonl; do
	for action in - ''; do
		# shellcheck disable=SC2064 # now
		trap "$action" PIPE
		timeout 60 "$closeside" -s "$socket" conns -f $format 2>"$work/err" | head -n 2 >"$work/out"
		status=${PIPESTATUS[0]}
		what="conns -f $format | head, SIGPIPE ${action:-ignored}"
		is "$what: exit status" 0 "$status"
		is_empty "$what: without a word" "$work/err"
		is "$what: head has its lines" 2 "$(wc -l <"$work/out")"
	done
done
trap - PIPE
if [ -w /dev/full ]; then
	"$closeside" -s "$socket" conns >/dev/full 2>"$work/err"
	is "a full disk: exit status" 4 $?
	has "a full disk: it is said" 'cannot write: No space left on device' "$work/err"
	echo '{"type":"conn","state":"TIME_WAIT"}' >"$answers/conns.jsonl"
	"$closeside" -s "$socket" conns >/dev/full 2>"$work/err"
	is "a full disk, one line: exit status" 4 $?
fi

# --- on a terminal ---

cat >"$answers/conns.jsonl" <<'ROWS'
{"type":"conn","pid":4321,"program":"nginx","role":"server","local":"10.0.0.1:80","remote":"10.0.0.9:41000","state":"CLOSE_WAIT","state_ms":65000}
{"type":"conn","pid":4321,"program":"nginx","role":"server","local":"10.0.0.1:80","remote":"10.0.0.9:41001","state":"ESTABLISHED","state_ms":65000}
ROWS
on_terminal 200 "$closeside" -s "$socket" conns >"$work/out"
has "a state that matters is in colour" $'^\033\\[1;31mCLOSE_WAIT\033\\[0m    65s  10' "$work/out"
has "one that does not is not" '^ESTABLISHED  ' "$work/out"
NO_COLOR=1 on_terminal 200 "$closeside" -s "$socket" conns >"$work/out"
is "not with NO_COLOR" 0 "$(grep -c $'\033' "$work/out")"
TERM=dumb on_terminal 200 "$closeside" -s "$socket" conns >"$work/out"
is "not on a dumb terminal" 0 "$(grep -c $'\033' "$work/out")"
env -u TERM "$python" "$top_srcdir/tests/cli/terminal.py" 200 "$closeside" -s "$socket" conns >"$work/out"
is "not on one that has no name" 0 "$(grep -c $'\033' "$work/out")"
run conns
is "not in a file" 0 "$(grep -c $'\033' "$work/out")"
NO_COLOR=1 on_terminal 60 "$closeside" -s "$socket" conns >"$work/out"
is "a narrow terminal has the first columns" "STATE        TIME  LOCAL        REMOTE           PID" \
	"$(head -n 1 "$work/out")"
is "and no line is too long for it" 0 "$(awk 'length > 60' "$work/out" | wc -l)"
NO_COLOR=1 on_terminal 5 "$closeside" -s "$socket" conns >"$work/out"
is "a very narrow one has at least two" "STATE        TIME" "$(head -n 1 "$work/out")"

echo '{"type":"status","on":false}' >"$answers/status.jsonl"
on_terminal 80 "$closeside" -s "$socket" status >"$work/out"
has "status: OFF is in colour" $'^\033\\[1;31mOFF\033\\[0m: ' "$work/out"
run status
has "not in a file" '^OFF: ' "$work/out"
finish
