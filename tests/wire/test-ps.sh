#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside ps` and `top` with a real daemon: by process the states are those that ss counts by port,
# for programs with and without the shim; also of a process that has ended.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
have tmux || skip_all "tmux is not installed"
daemon_start a <<-END
	policy web { local-port = 8003  close-first = peer  grace-learn = no }
END
socket=$dir/a.socket

ps() {
	"$closeside" -s "$socket" ps "$@"
}

# ps_state PID STATE...: how many of them in all; 0 if it is not there
ps_state() {
	local pid=$1
	shift
	ps -f json "$pid" 2>/dev/null | jq --args '[.ps[].states | .[$ARGS.positional[]]] | add // 0' "$@"
}

# ss_state PORT STATE...: with it as the local port
ss_state() {
	local port=$1 state words=()
	shift
	for state; do words+=(state "$state"); done
	in_ns a ss -Htan "${words[@]}" "sport = :$port" | wc -l
}

# agrees PID PORT: in each state
agrees() {
	local state of
	for state in ESTABLISHED:established FIN_WAIT1:fin-wait-1 FIN_WAIT2:fin-wait-2 TIME_WAIT:time-wait \
		CLOSE_WAIT:close-wait LAST_ACK:last-ack CLOSING:closing; do
		of=$(ss_state "$2" "${state#*:}")
		[ "$(ps_state "$1" "${state%:*}")" = "$of" ] || return 1
	done
}

# has PID STATE COUNT
has() {
	[ "$(ps_state "$1" "$2")" = "$3" ]
}

# same WHAT PID PORT STATE COUNT: so many, and no other difference from ss
same() {
	if wait_for 20 has "$2" "$4" "$5" && wait_for 20 agrees "$2" "$3"; then
		ok "$1"
	else
		not_ok "$1" "$(ps "$2" 2>&1 && in_ns a ss -Htan "sport = :$3" | awk '{ n[$1]++ } END { for (s in n) print s, n[s] }')"
	fi
}

# --- three programs, of which one is without the shim ---

steer a
actor_serve leaks 8001 line hold
actor_serve busy 8002 line send:100 close
actor_serve web 8003 line send:100 close
actor_serve listens 8005 line
plain
actor_serve alone 8004 line hold
start_listening a changed 8006 "$python" -c '
import os, signal, socket
os.setgid(65534)
os.setuid(65534)
listener = socket.create_server(("", 8006))
signal.pause()'
start b holds "$python" "$wire_dir/actor.py" connect "$A4" 8004 12 --together text:hello hold
actor_connect "$A4" 8001 15 text:hello close >/dev/null
actor_connect "$A4" 8002 30 text:hello eof close >/dev/null
actor_connect "$A4" 8003 10 text:hello recv:100 close >/dev/null

same "a program that never closes: its CLOSE_WAITs" "${pid_of[leaks]}" 8001 CLOSE_WAIT 15
same "a program that closes first: its TIME_WAITs" "${pid_of[busy]}" 8002 TIME_WAIT 30
same "one whose peers close first: none" "${pid_of[web]}" 8003 TIME_WAIT 0
at_least 1 "$(ctl a status custody.peer)" "for it was steered"
same "a program without the shim" "${pid_of[alone]}" 8004 ESTABLISHED 12
is "true false" "$(ps -f jsonl | jq -r --argjson leaks "${pid_of[leaks]}" --argjson alone "${pid_of[alone]}" \
	'select(.pid == $leaks or .pid == $alone) | .shim' | sort -r | xargs)" "which is told from those with it"
wait_for 20 has "${pid_of[listens]}" LISTEN 1
is "true 0" "$(ps -f json "${pid_of[listens]}" | jq -r '.ps[0] | "\(.shim) \(.conns)"')" "also one that only listens"
wait_for 20 has "${pid_of[changed]}" LISTEN 1
is 65534 "$(ps -f json "${pid_of[changed]}" | jq '.ps[0].uid')" "one that has changed its user"
is "0 30" "$(ps -f json "${pid_of[busy]}" | jq -r '.ps[0] | "\(.closes.peer) \(.closes.us)"')" "who closed first"
is "10 0" "$(ps -f json "${pid_of[web]}" | jq -r '.ps[0] | "\(.closes.peer) \(.closes.us)"')" "and with the policy"

ps >"$dir/ps.out" 2>"$dir/ps.err"
note "$(cat "$dir/ps.out" "$dir/ps.err")"
# row PID: its cells
row() {
	awk -v pid="$1" '$1 == pid' "$dir/ps.out"
}
check "a line for each" test -n "$(row "${pid_of[leaks]}")" -a -n "$(row "${pid_of[busy]}")" -a \
	-n "$(row "${pid_of[alone]}")"
is "$(jq '.total.attributed' <(ps -f json))" "$(sed -n 's/^attributed: \([0-9]*\) of.*/\1/p' "$dir/ps.out")" \
	"how many are attributed"

# --- top ---

export TMUX_TMPDIR=$dir LC_ALL=C.UTF-8
tmux=(tmux -u -L cs -f /dev/null)
top_start() {
	"${tmux[@]}" new-session -d -x 120 -y 24 "exec env -u LINES -u COLUMNS TERM=screen $closeside -s $socket top -d 0.2"
	"${tmux[@]}" set-option -g remain-on-exit on >/dev/null
}
# The server of tmux leaves our process group.
trap '"${tmux[@]}" kill-server 2>/dev/null; wire_cleanup' EXIT
screen() {
	"${tmux[@]}" capture-pane -p
}
shows() {
	screen | grep -qE -- "$1"
}
# eventually NAME PATTERN
eventually() {
	if wait_for 20 shows "$2"; then ok "$1"; else not_ok "$1" "not: $2 in
$(screen)"; fi
}

top_start
eventually "top: the same, of those in CLOSE_WAIT" "^ *${pid_of[leaks]} .* yes +1[56] .* 15 "
eventually "top: and in TIME_WAIT" "^ *${pid_of[busy]} .* yes +3[01] .* 30 "
eventually "top: and without the shim" "^ *${pid_of[alone]} .* no +1[23] +12 "
"${tmux[@]}" send-keys / && "${tmux[@]}" send-keys -l "${pid_of[leaks]}" && "${tmux[@]}" send-keys Enter
eventually "top: a filter" "^only: ${pid_of[leaks]}"
"${tmux[@]}" send-keys Enter
eventually "top: the connections of a process" "^connections of .*, pid ${pid_of[leaks]}"
eventually "top: with their states and ages" "^close-wait .*$A4:8001 +$B4:[0-9]+ .* peer "
note "$(screen)"
"${tmux[@]}" send-keys Escape Escape
eventually "top: back" "^ *${pid_of[busy]} .* yes +3[01] "
note "$(screen)"

stop busy
# ended PID: in parentheses, and its TIME_WAITs are still its own
ended() {
	ps >"$dir/ps.out" 2>&1
	grep -qE "^ *\($1\) .* 30 " "$dir/ps.out"
}
busy=$(sed -n 's/^ *(\([0-9]*\)).*/\1/p' <(ps))
check "what a process left is its own when it has ended" wait_for 20 ended "${busy:-0}"
eventually "top: in parentheses" "^ *\($busy\) "

stop closesided-a
eventually "top: the daemon is gone" "a.socket: .*; trying again"
eventually "top: what it had is still there" "\($busy\)"
daemon_restart a
eventually "top: another daemon, the same screen" "^ *${pid_of[leaks]} .* yes +1[56] .* 15 "
"${tmux[@]}" send-keys q
quits() {
	[ "$("${tmux[@]}" display-message -p '#{pane_dead}/#{pane_dead_status}')" = 1/0 ]
}
check "top: q quits" wait_for 20 quits

# --- a daemon that may do nothing: what it does not see is said, the rest is shown ---

closesided_of_root=$closesided
printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s "$@"\n' "$closesided" \
	>"$dir/closesided"
chmod 755 "$dir/closesided"
chmod 777 "$dir"
closesided=$dir/closesided
daemon_start a none <<-END
	policy web { local-port = 8003 }
END
closesided=$closesided_of_root
socket=$dir/none.socket
steer none
actor_serve modest 8007 line hold
actor_connect "$A4" 8007 5 text:hello close >/dev/null
wait_for 20 has "${pid_of[modest]}" CLOSE_WAIT 5
ps >"$dir/ps.out" 2>"$dir/ps.err"
note "$(cat "$dir/ps.out" "$dir/ps.err")"
is "5 yes" "$(row "${pid_of[modest]}" | awk '{ print $(NF - 6), $5 }')" "a daemon without rights: a program with the shim"
is "3" "$(grep -cE '^closeside: the daemon lacks CAP_(NET_ADMIN|SYS_PTRACE|DAC_READ_SEARCH): ' "$dir/ps.err")" \
	"and what it lacks is said by name"
is "3" "$(ps -f json 2>/dev/null | jq '.total.missing | length')" "in JSON too"
finish
