#!/bin/bash
# SPDX-License-Identifier: MIT
# Shutdowns before the close, and resets while the daemon holds a socket, are recorded for what they
# are: recv() == 0 is not the peer's FIN. And a thousand such sockets do not make the daemon spin.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=20
grace=500

wire_init
capture_start a
daemon_start a <<-END
	defaults { close-first = peer  grace = ${grace}ms  grace-learn = no }
	policy rd         { local-port = 8001 }
	policy rdwr-pass  { local-port = 8002  half-close = pass }
	policy rdwr-defer { local-port = 8003  half-close = defer }
	policy wr-defer   { local-port = 8004  half-close = defer }
	policy rst-held   { local-port = 8005  grace = 20s }
	policy rst-defer  { local-port = 8006  half-close = defer  grace = 20s }
	policy many-rd    { local-port = 8007  grace = 30s }
	policy many-rdwr  { local-port = 8008  half-close = defer  grace = 30s }
	policy many-rst   { local-port = 8009  half-close = defer  grace = 30s }
	policy woken      { local-port = 8010  half-close = defer }
END
steer a

# outcome POLICY KEY: what the daemon counted
outcome() {
	ctl a policies | jq -r "select(.name == \"$1\").$2"
}

outcome_is() {
	[ "$(outcome "$1" "$2")" = "$3" ]
}

# counted POLICY KEY N NAME
counted() {
	if wait_for 10 outcome_is "$1" "$2" "$3"; then
		ok "$4"
	else
		not_ok "$4" "$(ctl a policies | jq -c "select(.name == \"$1\")")"
	fi
}

# --- SHUT_RD, then close: the peer stays, so the grace ends; it did not close first ---
actor_serve rd 8001 line text:bye shut_rd close
actor_connect "$A4" 8001 $count --together text:hello eof close >"$dir/rd.out"
capture_section a rd $count
is $count "$(lines_count "$dir/rd.out" '.eof and .error == null and .got == 4')" \
	"SHUT_RD, close: the peer reads all and EOF"
is $count "$(conns_count "$dir/rd.conns" 'first == "a"')" "SHUT_RD, close: the server's FIN is first"
counted rd grace $count "SHUT_RD, close: recorded as ended by the grace"
is 0 "$(outcome rd peer)" "SHUT_RD, close: none recorded as closed by the peer"

# --- SHUT_RDWR with pass: the program's FIN goes out ---
actor_serve rdwr-pass 8002 line text:bye shut_rdwr close
actor_connect "$A4" 8002 $count text:hello eof close >"$dir/rdwr-pass.out"
capture_section a rdwr-pass $count
is $count "$(conns_count "$dir/rdwr-pass.conns" 'first == "a"')" \
	"SHUT_RDWR with pass: the server's FIN is first"
is 0 "$(outcome rdwr-pass peer)" "SHUT_RDWR with pass: none recorded as closed by the peer"
is 0 "$(outcome rdwr-pass grace)" "SHUT_RDWR with pass: nothing was held"

# --- SHUT_RDWR with defer, then close ---
actor_serve rdwr-defer 8003 line text:bye shut_rdwr close
actor_connect "$A4" 8003 $count --together text:hello eof close >"$dir/rdwr-defer.out"
capture_section a rdwr-defer $count
is $count "$(lines_count "$dir/rdwr-defer.out" '.eof and .error == null and .got == 4')" \
	"SHUT_RDWR with defer: the peer reads all and EOF"
counted rdwr-defer grace $count "SHUT_RDWR with defer, a peer that stays: recorded as ended by the grace"
is 0 "$(outcome rdwr-defer peer)" "SHUT_RDWR with defer: none recorded as closed by the peer"
actor_connect "$A4" 8003 $count text:hello recv:4 sleep:20 close >"$dir/rdwr-peer.out"
capture_section a rdwr-peer $count
is $count "$(conns_count "$dir/rdwr-peer.conns" 'first == "b" && kind == "FIN"')" \
	"SHUT_RDWR with defer: a peer that closes is first"
counted rdwr-defer peer $count "SHUT_RDWR with defer, a peer that closes: recorded as the peer's"

# --- SHUT_RDWR with defer wakes a reader of the same program, and sends nothing ---
actor_serve woken 8010 line text:bye shut_rdwr eof close
actor_connect "$A4" 8010 $count --together text:hello eof close >"$dir/woken.out"
capture_section a woken $count
is $count "$(lines_count "$dir/woken.log" '.eof and .error == null')" \
	"SHUT_RDWR with defer: the program itself reads EOF"
at_most $((grace / 2)) "$(lines_median "$dir/woken.log" .ms.eof)" \
	"SHUT_RDWR with defer: at once, the reading half is shut"

# --- SHUT_WR with defer, and a client that closes ---
actor_serve wr-defer 8004 line text:bye shut_wr close
actor_connect "$A4" 8004 $count text:hello recv:4 sleep:20 close >"$dir/wr-defer.out"
capture_section a wr-defer $count
is $count "$(conns_count "$dir/wr-defer.conns" 'first == "b" && kind == "FIN"')" \
	"SHUT_WR with defer: a peer that closes is first"
counted wr-defer peer $count "SHUT_WR with defer: recorded as the peer's"
is 0 "$(time_wait_among a "$dir/wr-defer.conns")" "SHUT_WR with defer: no TIME_WAIT at the server"

# --- the peer's RST while the daemon holds it ---
actor_serve rst-held 8005 line text:bye close
actor_connect "$A4" 8005 $count text:hello recv:4 sleep:20 reset >"$dir/rst-held.out"
capture_section a rst-held $count
is $count "$(conns_count "$dir/rst-held.conns" 'first == "b" && kind == "RST" && !fin_a')" \
	"RST in custody: it is the first"
counted rst-held reset $count "RST in custody: recorded as reset"
is 0 "$(outcome rst-held peer)" "RST in custody: none recorded as closed by the peer"

actor_serve rst-defer 8006 line text:bye shut_wr close
actor_connect "$A4" 8006 $count text:hello recv:4 sleep:20 reset >"$dir/rst-defer.out"
capture_section a rst-defer $count
counted rst-defer reset $count "RST during a deferred shutdown: recorded as reset"
is 0 "$(outcome rst-defer peer)" "RST during a deferred shutdown: none recorded as the peer's"
is 0 "$(ctl a status custody.held)" "nothing is held any more"

# --- a thousand of them: the daemon sleeps ---
many=334
ulimit -n 20000 2>/dev/null
actor_serve many-rd 8007 line text:bye shut_rd close
actor_serve many-rdwr 8008 line text:bye shut_rdwr close
actor_serve many-rst 8009 line text:bye shut_wr sleep:15000 close
stayers=()
for port in 8007 8008; do
	actor_connect "$A4" $port $((many * 9 / 4)) --together text:hello recv:4 \
		"fate:$dir/enough" close >"$dir/$port.out" &
	stayers+=("$!")
done
# these are reset with the program still holding its own descriptor
actor_connect "$A4" 8009 $many --together text:hello recv:4 sleep:200 reset >"$dir/8009.out"
holds_enough() {
	[ "$(ctl a status custody.held)" -ge 900 ] # many of 1,500: a busy machine makes some idle before their close
}
check "it holds them" wait_for 15 holds_enough
note "held: $(ctl a status custody.held)"

# the processor time of a process and its children, in ticks
ticks() {
	local pid sum=0 line
	for pid in "$1" $(pgrep -P "$1"); do
		line=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || continue
		# shellcheck disable=SC2086 # words are wanted
		set -- $line
		sum=$((sum + ${12} + ${13}))
	done
	echo "$sum"
}
if [ -n "${pid_of[closesided-a]:-}" ]; then
	before=$(ticks "${pid_of[closesided-a]}")
	begin=$(now_ms)
	window=${WIRE_WINDOW:-5}
	sleep "$window"
	used=$(($(ticks "${pid_of[closesided-a]}") - before))
	took=$(($(now_ms) - begin))
	permille=$((used * 10 * 1000 / took))
	note "the daemon's processor time over $took ms: $((used * 10)) ms, $permille per mille of one"
	at_most 200 "$permille" "a daemon that holds them does not spin"
else
	not_ok "a daemon that holds them does not spin" "there is none"
fi
touch "$dir/enough"
wait "${stayers[@]}"

finish
