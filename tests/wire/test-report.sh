#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside run --report`: what it says of a command's connections is what the capture and ss show.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

body=20000

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
capture_start a
daemon_start a <<-END
	policy unused { local-port = 1 }
	policy plain  { local-port = 8010 }
	policy named  { local-port = 8010  close-first = peer  grace = 5s  grace-learn = no }
END

actor=("$python" "$wire_dir/actor.py")

# after LOG WORDS: the number that the report has after them; before likewise
after() {
	sed -n "s/^closeside: .*$2 \([0-9]*\).*/\1/p" "$dir/$1" | head -n1
}
before() {
	sed -n "s/^closeside: \(.*[^0-9]\)\{0,1\}\([0-9][0-9]*\) $2.*/\2/p" "$dir/$1" | head -n1
}

# seen SECTION CONDITION: how many connections of its capture
seen() {
	conns_count "$dir/$1.conns" "$2"
}

# agrees SECTION US PEER: the report against the capture; the command ran in US, a or b
agrees() {
	local section=$1 log=$1.log us=$2 peer=$3
	is "$(wc -l <"$dir/$section.conns")" "$(before "$log" 'connections\{0,1\}')" "$section: every connection"
	is "$(seen "$section" "first == \"$us\" && kind == \"FIN\"")" "$(after "$log" 'first closer: us')" \
		"$section: us, as the capture has it"
	is "$(seen "$section" "first == \"$peer\" && kind == \"FIN\" && !crossed && !rst_$peer")" \
		"$(after "$log" ', peer')" "$section: peer"
	is "$(time_wait_among "$us" "$dir/$section.conns")" "$(before "$log" 'left here')" \
		"$section: TIME_WAITs left here, as ss has them"
}

# --- a server: who closes first, who reads until EOF, who resets ---
start_listening a server 8001 "$closeside" run -s "$dir/a.socket" --report \
	-o close-first=peer -o grace=300ms -o grace-learn=no -- \
	"${actor[@]}" serve 8001 line "send:$body" close
actor_connect "$A4" 8001 20 text:hello "recv:$body" sleep:20 close >"$dir/first.out"
actor_connect "$A4" 8001 10 --together text:hello eof close >"$dir/eof.out"
actor_connect "$A4" 8001 3 --together text:hello "recv:$body" sleep:100 reset >"$dir/reset.out"
capture_section a server 33
stop server
agrees server a b
is '20 10 3' "$(seen server 'first == "b" && kind == "FIN"') $(after server.log 'first closer: us') $(after \
	server.log ', reset')" "server: 20 closed first, 10 read until EOF, 3 reset"
# On a machine with much to do a client may be there before the server's close.
at_least 10 "$(after server.log 'it closed')" "server: waits that the peer's FIN ended"
is "$(after server.log 'it closed')" "$(before server.log avoided)" "server: TIME_WAITs avoided by them"
is '10 10' "$(after server.log 'grace ended') $(lines_count "$dir/eof.out" '.eof and .ms.eof >= 250')" \
	"server: waits that the grace ended"
at_least 100 "$(after server.log longest)" "server: the longest wait was a whole grace"
note "$(grep ^closeside: "$dir/server.log")"

# --- run -p: that policy alone, also where another comes first ---
start_listening a first 8010 "$closeside" run -s "$dir/a.socket" -- \
	"${actor[@]}" serve 8010 line "send:$body" close
actor_connect "$A4" 8010 10 text:hello "recv:$body" sleep:50 close >"$dir/first-policy.out"
capture_section a first-policy 10
stop first
is 10 "$(seen first-policy 'first == "a"')" "without -p: the first that matches, which steers nothing"
start_listening a named 8010 "$closeside" run -s "$dir/a.socket" -p named -- \
	"${actor[@]}" serve 8010 line "send:$body" close
actor_connect "$A4" 8010 10 text:hello "recv:$body" sleep:50 close >"$dir/named.out"
capture_section a named 10
stop named
is 10 "$(seen named 'first == "b"')" "-p: the named one steers"

# --- a client that leaves nothing ---
actor_serve patient 8002 line "send:$body" eof close
in_ns b "$closeside" run -s "$dir/a.socket" --report -o time-wait=none -- \
	"${actor[@]}" connect "$A4" 8002 25 text:hello "recv:$body" close \
	>"$dir/client.out" 2>"$dir/client.log"
is 0 $? "client: ends as the command did"
capture_section a client 25
agrees client b a
is '25 0 25' "$(after client.log 'first closer: us') $(before client.log 'left here') $(before \
	client.log avoided)" "client: closed first, and left nothing"

# The same without: it keeps them, and they are its own.
in_ns b "$closeside" run -s "$dir/a.socket" --report -- \
	"${actor[@]}" connect "$A4" 8002 25 text:hello "recv:$body" close \
	>"$dir/watched.out" 2>"$dir/watched.log"
capture_section a watched 25
agrees watched b a
is '25 25 0' "$(after watched.log 'first closer: us') $(before watched.log 'left here') $(before \
	watched.log avoided)" "watched: closed first, and left them all"

# --- what is thrown away at close: RST in place of FIN ---
actor_serve deaf 8003 line "send:$body" eof close
in_ns b "$closeside" run -s "$dir/a.socket" --report -- \
	"${actor[@]}" connect "$A4" 8003 5 text:hello recv:100 sleep:100 close \
	>"$dir/unread.out" 2>"$dir/unread.log"
capture_section a unread 5
is 5 "$(seen unread 'first == "b" && kind == "RST"')" "unread: the kernel sends RST"
is '0 5' "$(after unread.log 'first closer: us') $(after unread.log ', reset')" "unread: it is one, not us"
is $((5 * (body - 100))) "$(before unread.log 'bytes were unread')" "unread: the bytes thrown away"
is 0 "$(before unread.log 'left here')" "unread: no TIME_WAIT is left"

# --- without a daemon: a private one ---
start_listening a private 8004 "$closeside" run -s "$dir/none.socket" --report \
	-o close-first=peer -o grace-learn=no -- "${actor[@]}" serve 8004 line "send:$body" close
actor_connect "$A4" 8004 20 text:hello "recv:$body" close >"$dir/private.out"
capture_section a private 20
stop private
agrees private a b
is '0 20' "$(after private.log 'first closer: us') $(after private.log ', peer')" \
	"private daemon: it steers and counts as well"

# --- what came near its limit meanwhile: 25 of 40 ports ---
check "nothing came near a limit: nothing is said" eval '! grep -h "near its limit" "$dir"/*.log'
in_ns a sysctl -q -w net.ipv4.ip_local_port_range='40000 40039' net.ipv4.tcp_tw_reuse=0
actor_serve near 8006 line "send:$body" eof close
in_ns a "$closeside" run -s "$dir/a.socket" --report -- \
	"${actor[@]}" connect "$A4" 8006 25 text:hello "recv:$body" close \
	>"$dir/near.out" 2>"$dir/near.log"
check "ports that were nearly all taken are said" \
	grep -qE "near its limit, or over it: .*$A4:8006.* of 40 are taken" "$dir/near.log"
note "$(grep ^closeside: "$dir/near.log")"

# --- the command's own status, and none to report ---
in_ns a "$closeside" run -s "$dir/a.socket" --report -- sh -c 'exit 7' 2>"$dir/none.log"
is 7 $? "it exits as the command does"
check "a command without connections: it says so" grep -q 'no report' "$dir/none.log"

finish
