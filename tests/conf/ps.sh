#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside ps`: what is printed of the rows that a daemon answers.
. "${top_srcdir:?}/tests/conf/fake-lib.sh"

# expect WHAT STATUS PATTERN ARGUMENT...: exits so, and a line of both outputs matches (an ERE)
expect()
{
	local what=$1 status=$2 pattern=$3 got

	shift 3
	"$closeside" -s "$socket" "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	if [ "$got" -eq "$status" ] && cat "$work/out" "$work/err" | grep -qE -- "$pattern"; then
		ok "$what"
	else
		not_ok "$what" < <(echo "exit $got, expected $status and: $pattern" &&
			cat "$work/out" "$work/err")
	fi
}

# holds WHAT COMMAND...
holds()
{
	local what=$1 said

	shift
	if said=$("$@" 2>&1); then ok "$what"; else not_ok "$what" <<<"$* $said"; fi
}

widest()
{
	grep -v "^attributed" "$work/out" | awk '{ if (length($0) > w) w = length($0) } END { print w + 0 }'
}

no_wider_than_table() # CELLS
{
	[ "$(widest)" -le "$1" ] || {
		echo "$(widest) cells:"
		cat "$work/out"
		return 1
	}
}

lacks() # PATTERN: in the output
{
	! grep -qE -- "$1" "$work/out"
}

answers <<'END'
{"ps": [
 {"type":"process","pid":4711,"start":5,"program":"nginx","unit":"nginx.service","uid":0,"shim":true,
  "states":{"ESTABLISHED":7,"SYN_SENT":1,"SYN_RECV":2,"FIN_WAIT1":3,"FIN_WAIT2":4,"CLOSE_WAIT":5,
            "LAST_ACK":6,"CLOSING":8,"LISTEN":9,"TIME_WAIT":10,"NEW_SYN_RECV":1},
  "time_wait":10,"conns":56,"opens_s":12.34,"closes_s":1234.5,"peer_share":0.834,"alive":true},
 {"type":"process","pid":42,"start":1,"program":"old","unit":null,"uid":4294967290,"shim":false,
  "states":{"TIME_WAIT":1000},"time_wait":1000,"conns":1000,"opens_s":0,"closes_s":0,
  "peer_share":null,"alive":false},
 {"type":"process","pid":77,"start":1,"program":"a\u001b[31m\u009b2Jb\u202e\u0301c\n\t\u007fd","unit":"ü.service","uid":0,
  "shim":false,"states":{"ESTABLISHED":1},"conns":1,"alive":true},
 {"type":"process","pid":null,"program":null,"unit":null,"uid":null,"shim":false,
  "states":{"TIME_WAIT":13},"time_wait":13,"conns":13,"opens_s":0,"closes_s":0.5,"peer_share":null},
 {"type":"total","schema":1,"states":{"ESTABLISHED":8,"TIME_WAIT":1023},"conns":1070,"attributed":1057,
  "attributed_share":0.98785,"as_of_ms":2500,"opens_s":12.34,"closes_s":1235,"lost":3,
  "missing":["CAP_SYS_PTRACE: other users' programs are known by their command name only"]}]}
END

# Before a daemon is there.
expect "no daemon" 3 'no daemon answers at ' ps
expect "no daemon: how to start one" 3 'systemctl start closeside' ps

fake_start
expect "the columns" 0 '^ +PID PROGRAM +UNIT +USER +SHIM +CONNS ESTAB SYN FIN-W CLOSE-W LAST-A LISTEN TIME-W OPEN/S CLOSE/S PEER%$' ps
expect "a process" 0 '^ *4711 nginx +nginx.service +root +yes +56 +7 +4 +7 +5 +14 +9 +10 +12.3 +1234 +83$' ps
expect "one that has ended, and a user without a name" 0 '^ *\(42\) old +- +4294967290 - +1000 ' ps
expect "what is attributed to nobody" 0 '^ +- unknown +- +- +- +13 .* 13 +0.0 +0.5 +-$' ps
expect "the totals" 0 '^ +- total +- +- +- +1070 +8 ' ps
expect "the share, what was lost, and how old it is" 0 \
	'^attributed: 1057 of 1070, 98.8 %; 3 records were lost; the kernel.s data are 2.5 s old$' ps
holds "the biggest comes first" test "$(awk 'NR > 1 { print $6 }' "$work/out" | head -n 4 | xargs)" = "1000 56 13 1"
expect "what the daemon lacks, on standard error" 0 '^closeside: the daemon lacks CAP_SYS_PTRACE: other' ps
holds "and there only" lacks CAP_SYS
holds "no colours" lacks $'\e'

LC_ALL=C expect "no control characters" 0 '^ +77 a\?\[31m\?2Jb\?\?c\?\?\?d +\?.service ' ps
holds "none at all" lacks '[^ -~]'
LC_ALL=C.UTF-8 expect "nor in a locale of UTF-8, but its letters" 0 \
	'^ +77 a\?\[31m\?2Jb\?\?c\?\?\?d +ü.service ' ps

for width in 120 80 60 40; do
	COLUMNS=$width expect "at $width columns: pid, program, and where it hurts" 0 \
		'PID PROG.* CONNS .*CLOSE-W .*TIME-W' ps
	holds "no line of the table is wider than $width" no_wider_than_table "$width"
done
COLUMNS=120 expect "at 120: everything" 0 'PID PROGRAM +UNIT .*USER .*SHIM .*SYN .*LAST-A LISTEN .*PEER%$' ps
COLUMNS=80 expect "at 80: no unit" 0 'PID PROGRAM +SHIM CONNS ESTAB' ps
COLUMNS=rubbish expect "COLUMNS that are no number" 0 'UNIT' ps

expect "a pid" 0 '^ *4711 nginx' ps 4711
holds "and no other" lacks 'old|total|attributed'
expect "a program" 0 '^ *\(42\) old' ps old
expect "a pid that is not there" 1 'ps: there is no process 2147483647$' ps 2147483647
holds "prints no table" test ! -s "$work/out"
expect "one without connections" 1 "ps: process $$ has no connections$" ps $$
expect "a pid of too many digits" 1 'no process 99999999999999999999' ps 99999999999999999999
expect "a program that is not there" 1 "no process 'frob' has connections" ps frob
expect "two of them" 2 "too much: '43'" ps 42 43
expect "a format that is not there" 2 'expected plain, json or jsonl' ps -f xml

expect "as JSON: one document" 0 '"schema":1' ps -f json
holds "with rows and total, as they came" jq -e '.schema == 1 and (.ps | length) == 4 and
	.ps[0].states.CLOSING == 8 and .total.attributed == 1057 and .total.as_of_ms == 2500' "$work/out"
expect "as JSON lines" 0 '^\{"type":"total"' ps -f jsonl
holds "a row each" test "$(jq -c .type "$work/out" | xargs)" = "process process process process total"
expect "one of them as JSON" 0 '"pid":42' ps -f json 42
holds "and it alone" jq -e '(.ps | length) == 1 and .ps[0].pid == 42' "$work/out"
expect "none of them as JSON" 1 'there is no process' ps -f json 2147483647
holds "is an empty list" jq -e '.ps == []' "$work/out"

"$closeside" -s "$socket" ps 2>/dev/null | head -n 1 >/dev/null
status=${PIPESTATUS[0]}
holds "a pipe that head closes: no complaint but the signal's" test "$status" -eq 0 -o "$status" -eq 141

answers <<<'{"ps": [{"type":"process","pid":null,"conns":0},
	{"type":"total","conns":0,"attributed":0,"attributed_share":1,"as_of_ms":20,"missing":[]}]}'
expect "nothing there: only totals" 0 '^attributed: 0 of 0$' ps
holds "and no row of nobody's" lacks unknown
holds "nothing on standard error" test ! -s "$work/err"
answers <<<'{"ps": [{"type":"process"}, {"type":"process","pid":"x","program":7,"states":[],"conns":-1},
	{"type":"surprise","pid":1}, {"type":"total","missing":7}]}'
expect "rows that make no sense" 0 '^attributed: 0 of 0$' ps
answers <<<'{"ps": "the kernel said no"}'
expect "the daemon's error" 4 'ps: the kernel said no' ps
holds "prints no table" test ! -s "$work/out"
expect "nor half a document" 4 'ps: the kernel said no' ps -f json
holds "really" test ! -s "$work/out"
answers <<<'{}'
expect "a daemon that is too old" 4 'unknown command' ps
finish
