#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside conns FILTER` shows what `ss FILTER` shows, and `closeside watch FILTER` every transition
# of what it lets through, in order. closeside(1) names every member of their rows.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
daemon_start a <<-END
	policy leaky { role = server  local-port = 8001 }
END
cli=("$closeside" -s "$dir/a.socket")

# --- connections in many states, with the shim and without ---

steer a
actor_serve leaks 8001 line hold
actor_serve busy 8002 line send:100 close
plain
actor_serve alone 8004 --dual line hold
"${cli[@]}" watch -f jsonl sport = :8002 >"$dir/watch.out" 2>"$dir/watch.err" &
pid_of[watch]=$!
wait_for 20 pgrep -P $$ -x closeside
start b holds "$python" "$wire_dir/actor.py" connect "$A4" 8004 12 --together text:hello hold
start b holds6 "$python" "$wire_dir/actor.py" connect "$A6" 8004 3 --together text:hello hold
actor_connect "$A4" 8001 15 text:hello close >/dev/null
actor_connect "$A4" 8002 30 text:hello eof close >/dev/null

# --- the same as ss ---

# by_ss FILTER..., by_closeside FILTER...: the ends of each connection
by_ss() {
	in_ns a ss -Htan "$@" | awk '{ print $(NF - 1), $NF }' | sed -E 's/\[::ffff:([0-9.]+)\]/\1/g' | sort
}

by_closeside() {
	"${cli[@]}" conns -f jsonl "$@" | jq -r '.local + " " + .remote' | sort
}

same_as_ss() {
	by_ss "$@" >"$dir/ss.conns"
	by_closeside "$@" >"$dir/closeside.conns"
	cmp -s "$dir/ss.conns" "$dir/closeside.conns"
}

# same LEAST FILTER...: at least so many, the same ones
same() {
	local least=$1
	shift
	if wait_for 20 same_as_ss "$@" && [ "$(wc -l <"$dir/ss.conns")" -ge "$least" ]; then
		ok "as ss has it: $*"
	else
		not_ok "as ss has it: $*" "$(wc -l <"$dir/ss.conns") of ss, $(wc -l <"$dir/closeside.conns") here
$(diff "$dir/ss.conns" "$dir/closeside.conns" | head -n 10)"
	fi
}

wait_for 20 eval '[ "$(in_ns a ss -Htan state established sport = :8004 | wc -l)" = 15 ]'
peer=$(in_ns a ss -Htan state established 'sport = :8004' | awk 'NR == 1 { print $NF }' | sed 's/.*://')
same 60 state connected
same 15 state close-wait
same 30 state time-wait
same 15 state established
same 45 state close-wait state time-wait
same 45 state connected exclude established
same 30 state bucket
same 30 state synchronized exclude bucket
same 15 state big exclude listening exclude closed
same 15 state connected sport = :8001
same 30 state connected sport eq 8002
same 60 state connected 'sport != :8002 and ( sport <= :8004 )' or sport = :8002
same 45 state connected sport = :8001 or sport = :8002
same 30 state time-wait state close-wait exclude close-wait sport = :8001 or sport = :8002
same 30 state connected 'sport gt :8001' and 'sport lt :8003'
same 45 state connected '( sport = :8001 or sport = :8002 )'
same 45 state connected '!' '(' sport = :8001 '||' sport = :8003 ')'
same 45 state connected dst "$B4"
same 3 state connected dst "[$B6]"
same 3 state connected src fd77::/64
same 1 state connected dport = ":$peer"
same 40 state connected src 10.77.0.0/24 and not sport = :8001
same 15 state connected src "$A4:8001"
is "" "$("${cli[@]}" conns -f jsonl state time-wait sport = :1)" "nothing on another port"

# --- ours ---

# conns_are COUNT FILTER...
conns_are() {
	[ "$("${cli[@]}" conns -f jsonl "${@:2}" | wc -l)" = "$1" ]
}

check "of a process" wait_for 20 conns_are 15 state connected pid "${pid_of[leaks]}"
check "of another" wait_for 20 conns_are 30 state time-wait pid "${pid_of[busy]}"
check "of none" conns_are 0 pid 99999999
check "whose first closer was the peer" wait_for 20 conns_are 15 side peer sport = :8001 state connected
check "of us" wait_for 20 conns_are 30 side us sport = :8002
check "under the shim" wait_for 20 conns_are 45 shim yes state connected 'sport < 8003'
check "not under it" wait_for 20 conns_are 15 shim no state connected sport = 8004
check "by program and user" wait_for 20 conns_are 15 program 'python*' user root state connected sport = 8001
check "by policy" wait_for 20 conns_are 15 policy 'leak*' state connected
check "older than nothing" wait_for 20 conns_are 15 age '>' 0 state connected sport = 8001
check "not that old" conns_are 0 age '>' 24h
check "for a moment in its state" wait_for 20 conns_are 15 time 10ms state close-wait
is "filter, character 7: expected a state" \
	"$(ctl a conns "filter=state frob" 2>&1 | cut -d, -f1,2)" "the daemon itself says where it is wrong"

# --- watch ---

# A transition says what the one before has led to; the first is of a new connection.
in_order='[.[] | select(.type == "transition")] | group_by(.cookie) |
	all(.[0].from == null and .[0].to == "ESTABLISHED" and
		(. as $of | all(range(1; length); $of[.].from == $of[. - 1].to)))'
watched() {
	[ "$(lines_count "$dir/watch.out" '.to == "TIME_WAIT"')" = 30 ]
}

check "watch: 30 closed first" wait_for 20 watched
is 30 "$(jq -r .cookie "$dir/watch.out" | sort -u | wc -l)" "watch: of 30 connections"
is true "$(jq -s "$in_order" "$dir/watch.out")" "watch: each transition follows the one before"
is "" "$(jq -r .local "$dir/watch.out" | grep -v ':8002$')" "watch: of no other port"
is "${pid_of[busy]}" "$(jq .pid "$dir/watch.out" | sort -u | xargs)" "watch: each has its process"
kill -TERM "${pid_of[watch]}"
wait "${pid_of[watch]}"
is 0 $? "watch: SIGTERM ends it"
unset "pid_of[watch]"
is "" "$(cat "$dir/watch.err")" "watch: without a word"

(timeout 60 "${cli[@]}" watch 2>"$dir/head.err" && echo fine >"$dir/head.status") | head -n 4 >"$dir/head.out" &
pid_of[head]=$!
disown $!
wait_for 20 grep -q LOCAL "$dir/head.out"
actor_connect "$A4" 8002 5 text:hello eof close >/dev/null
check "watch | head ends" wait_for 20 pid_gone "${pid_of[head]}"
is "4 fine" "$(wc -l <"$dir/head.out") $(cat "$dir/head.status" 2>&1)" "head has its lines"
is "" "$(cat "$dir/head.err")" "watch | head: without a word"

# --- what closeside(1) says of the rows ---

# undocumented TYPE: members of rows of this type on stdin that its entry under JSON does not name
undocumented() {
	local member entry
	entry=$(mandoc -T ascii "$top_srcdir/man/closeside.1" | sed 's/.\x08//g' | awk -v type="$1" '
		/^[A-Z]/ { json = $1 == "JSON" }
		json && /^     [a-z]/ { in_it = $1 == type }
		json && in_it')
	jq -r "select(.type == \"$1\") | keys[]" | sort -u | while read -r member; do
		[ "$member" = type ] || grep -qw -- "$member" <<<"$entry" || echo "$member"
	done
}

if have mandoc; then
	"${cli[@]}" ps -f jsonl >"$dir/ps.rows"
	"${cli[@]}" conns -f jsonl >"$dir/conns.rows"
	"${cli[@]}" explain -f jsonl >"$dir/explain.rows"
	for row in process:ps.rows total:ps.rows conn:conns.rows transition:watch.out explanation:explain.rows; do
		at_least 5 "$(jq -r "select(.type == \"${row%:*}\") | keys[]" "$dir/${row#*:}" | sort -u | wc -l)" \
			"there are rows of type ${row%:*}"
		is "" "$(undocumented "${row%:*}" <"$dir/${row#*:}")" "closeside(1) has every member of ${row%:*}"
	done
else
	skip "closeside(1) has every member" "mandoc is not installed"
fi
finish
