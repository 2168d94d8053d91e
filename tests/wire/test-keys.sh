#!/bin/bash
# SPDX-License-Identifier: MIT
# The keys that act at close, in real processes: close-first, grace, grace-learn, time-wait, linger;
# and `closeside off`, which leaves all of them to the program.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=20
body=20000
sha=$("$python" "$wire_dir/actor.py" hash $body)

wire_init
capture_start a
daemon_start a <<-END
	defaults { grace-learn = no }
	policy app     { local-port = 8001  close-first = app }
	policy peer    { local-port = 8002  close-first = peer  grace = 5s }
	policy self    { local-port = 8003  close-first = self }
	policy held    { role = server  local-port = 8004  close-first = peer  grace = 60s }
	policy early   { role = client  remote-port = 8004  close-first = self }
	policy bound   { local-port = 8005  close-first = peer  grace = 200ms }
	policy short   { local-port = 8006  close-first = peer  grace = 20ms }
	policy brief   { local-port = 8007  time-wait = 3s }
	policy drain   { local-port = 8008  close-first = peer  grace = 50ms  drain-max = 300ms }
	policy obeyed  { local-port = 8011  close-first = peer  grace = 60s }
	policy without { local-port = 8012  linger = off }
	policy abort   { local-port = 8013  linger = abort  allow-data-loss = yes }
	policy linger  { local-port = 8014  linger = 60s }
	policy hasty   { local-port = 8015  linger = off }
END
steer a

# ask PORT NAME FIRST: clients that know where the answer ends. Where the server is to close first
# they wait for it, so that a machine with much to do changes nothing.
ask() {
	local last=close
	[ "$3" = b ] || last=eof
	actor_connect "$A4" "$1" $count text:hello "recv:$body" "$last" >"$dir/$2.out"
	capture_section a "$2" $count
}

# closers NAME PORT FIRST: a server and its clients; FIRST closes first
closers() {
	actor_serve "$1" "$2" line "send:$body" close
	ask "$2" "$1" "$3"
	is $count "$(lines_count "$dir/$1.out" ".error == null and .sha == \"$sha\"")" \
		"$1: every client reads every byte"
	first_is "$1" "$3"
}

# first_is NAME a|b
first_is() {
	is $count "$(conns_count "$dir/$1.conns" "first == \"$2\" && kind == \"FIN\"")" \
		"$1: $([ "$2" = a ] && echo "the server's" || echo "the client's") FIN comes first"
}

# outcome POLICY KEY: of its counters
outcome() {
	ctl a policies | jq "select(.name == \"$1\").$2"
}

# --- close-first ---
closers app 8001 a
closers peer 8002 b
is 0 "$(time_wait_among a "$dir/peer.conns")" "peer: no TIME_WAIT at the server"
is $count "$(time_wait_among b "$dir/peer.conns")" "peer: the clients have them"
closers self 8003 a

# Both ends ours, in one namespace: the server's close waits, the client reads until EOF and would
# never close first. The daemon closes for it. The wait is shorter than the grace by far.
actor_serve held 8004 line "send:$body" close
start a early "${STEER[@]}" "$python" "$wire_dir/actor.py" connect 127.0.0.1 8004 $count \
	text:hello eof close
if wait_for 30 pid_gone "${pid_of[early]}"; then
	ok "both ends ours: who waits for EOF gets it before the grace of a minute is over"
else
	not_ok "both ends ours: who waits for EOF gets it before the grace of a minute is over" \
		"$(ctl a conns | head -n3)"
fi
is $count "$(lines_count "$dir/early.log" ".eof and .error == null and .sha == \"$sha\"")" \
	"both ends ours: every byte, then EOF"
is "$count 0" "$(outcome held peer) $(outcome held grace)" "both ends ours: the client closed first"
is "$count 0" "$(time_wait a 'dport = :8004') $(time_wait a 'sport = :8004')" \
	"both ends ours: the client has the TIME_WAITs"

# The client's first record may come after the server's hand-over: another session brings it.
if [ -n "$wire_plain" ]; then
	not_ok "both ends ours, the hand-over first: it is closed when the other end is known"
else
	is true "$(in_ns a "$python" "$wire_dir/hostile.py" "$dir/a.socket" other_end_later | jq '.held and .eof')" \
		"both ends ours, the hand-over first: it is closed when the other end is known"
fi

# --- grace, grace-learn = no ---
actor_serve bound 8005 line "send:$body" close
actor_connect "$A4" 8005 5 text:hello eof close >"$dir/bound.out"
is "5 0" "$(outcome bound grace) $(outcome bound not_waited)" \
	"grace: it ends the wait for a peer that reads until EOF"
is 5 "$(lines_count "$dir/bound.out" '.ms.eof >= 150 and .ms.eof < 10000 and .eof')" \
	"grace: the peer's EOF comes after it"
actor_serve short 8006 line "send:$body" close
actor_connect "$A4" 8006 150 text:hello eof close >"$dir/short.out"
is "150 0" "$(outcome short grace) $(outcome short not_waited)" \
	"grace-learn = no: it waits as long the 150th time"
capture_mark a

# --- time-wait = a duration ---
actor_serve brief 8007 line "send:$body" close
actor_connect "$A4" 8007 $count --together text:hello eof close >"$dir/brief.out"
brief_left() {
	[ "$(in_ns a ss -Htan state time-wait 'sport = :8007' | wc -l)" = "$1" ]
}
check "time-wait = 3s: ordinary TIME_WAITs at first" wait_for 3 brief_left $count
check "time-wait = 3s: retired after it" wait_for 20 brief_left 0
capture_section a brief $count
is $count "$(conns_count "$dir/brief.conns" 'first == "a" && kind == "FIN" && !rst_a && !rst_b')" \
	"time-wait = 3s: an ordinary close"

# --- drain-max ---
actor_serve drain 8008 line "send:$body" close
actor_connect "$A4" 8008 3 --together text:hello trickle:20000 >"$dir/drain.out"
capture_section a drain 3
is 3 "$(conns_count "$dir/drain.conns" 'first == "a" && kind == "FIN" && rst_a')" \
	"drain-max: who goes on sending after our FIN is reset"
is 3 "$(lines_count "$dir/drain.out" '.error != null and .ms.trickle >= 300')" \
	"drain-max: not before it"

# --- linger ---
# The reader takes 2 kB, and no more until the file is there: close() with a linger time waits
# for it, one without returns.
cat >"$dir/lingerer.py" <<-'END'
	"""lingerer.py serve PORT [LINGER] | read HOST PORT FILE"""
	import os, socket, struct, sys, time
	s = socket.socket()
	if sys.argv[1] == "serve":
	    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	    s.bind(("0.0.0.0", int(sys.argv[2])))
	    s.listen(10)
	    c, _ = s.accept()
	    c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
	    if len(sys.argv) > 3:
	        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, int(sys.argv[3])))
	    c.recv(100)
	    c.sendall(b"x" * 100000)
	    print("closing", flush=True)
	    c.close()
	    print("closed", flush=True)
	    time.sleep(1000)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
	s.connect((sys.argv[2], int(sys.argv[3])))
	s.sendall(b"hello\n")
	while not os.path.exists(sys.argv[4]):
	    time.sleep(0.01)
	got, part = 0, b"."
	try:
	    while part:
	        part = s.recv(65536)
	        got += len(part)
	    print(got, "eof")
	except ConnectionResetError:
	    print(got, "reset")
END

# lingering NAME PORT [SECONDS]: until the server is at its close
lingering() {
	start_listening a "$1" "$2" "${STEER[@]}" "$python" "$dir/lingerer.py" serve "${@:2}"
	start b "$1-reader" "$python" "$dir/lingerer.py" read "$A4" "$2" "$dir/$1.go"
	wait_for 10 grep -q closing "$dir/$1.log"
}

# read_on NAME: what the reader says in the end
read_on() {
	touch "$dir/$1.go"
	wait_for 15 pid_gone "${pid_of[$1-reader]}"
	cat "$dir/$1-reader.log"
}

returned() {
	grep -q closed "$dir/$1.log"
}

fin_out() {
	[ -n "$(in_ns a ss -Htan state fin-wait-1 "sport = :$1")" ]
}

# blocks NAME PORT WHAT: its FIN is queued, and its close() has not returned
blocks() {
	wait_for 10 fin_out "$2"
	sleep 0.2
	if returned "$1"; then not_ok "$3"; else ok "$3"; fi
	is "100000 eof" "$(read_on "$1")" "$1: the peer reads every byte"
	check "$1: then close() returns" wait_for 10 returned "$1"
}

lingering obeyed 8011 60
blocks obeyed 8011 "linger = app: the program's own linger time is obeyed"
is 0 "$(outcome obeyed hand_overs)" "linger = app: and it is not handed over"

lingering without 8012 60
check "linger = off: close() returns at once all the same" wait_for 10 returned without
is "100000 eof" "$(read_on without)" "linger = off: the peer reads every byte"

lingering hasty 8015 0
check "linger = off: also where the program wants an abort" wait_for 10 returned hasty
is "100000 eof" "$(read_on hasty)" "linger = off: which loses nothing then"

capture_mark a
lingering abort 8013
wait_for 10 returned abort
is reset "$(read_on abort | cut -d' ' -f2)" "linger = abort: the peer is reset"
capture_section a abort 1
is 1 "$(conns_count "$dir/abort.conns" 'first == "a" && kind == "RST"')" "linger = abort: RST, no FIN"
is 0 "$(time_wait_among a "$dir/abort.conns")" "linger = abort: no TIME_WAIT"

lingering linger 8014
blocks linger 8014 "linger = 60s: close() waits for unsent data"
capture_mark a

# --- off and on ---
switch() {
	[ -z "$wire_plain" ] && "$closeside" "$1" -s "$dir/a.socket" >"$dir/switch.out" 2>&1
}
again() {
	ask 8002 "$1" "$2"
	first_is "$1" "$2"
}
check "closeside off" switch off
again off a
check "closeside on" switch on
again on b

finish
