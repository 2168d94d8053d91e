#!/bin/bash
# SPDX-License-Identifier: MIT
# The daemon killed, stopped, and started again under load: no request fails, no wrapped call waits,
# no peer waits for its EOF longer than two seconds, and steering resumes by itself.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"
# shellcheck source=tests/wire/clients.sh
. "$(dirname "$0")/clients.sh"

wire_init
have nginx || skip_all "nginx is not installed"
# A grace far over two seconds: only the daemon's end can end a wait in time.
daemon_start a <<-END
	policy closers { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }
	policy readers { local-port = 8002  close-first = peer  grace = 300ms  grace-learn = no }
	policy held    { local-port = {8003, 8004, 8005}  close-first = peer  grace = 60s  grace-learn = no }
END
steer a
server_nginx 8001
server_nginx 8002
# connections that stay open all the time, to be known to every daemon
actor_serve stay 8005 line text:hello hold
actor_connect "$A4" 8005 5 --together text:hello recv:6 "fate:$dir/over" close >"$dir/stay.out" &
stayer=$!

# under_load: both kinds of client, from now on; rest NAME: end it and look at what failed
under_load() {
	rm -f "$dir/stop"
	local kind port
	for kind in closer reader; do
		port=8001
		[ $kind = closer ] || port=8002
		start b "load-$kind" "$python" "$wire_dir/load.py" $kind "$A4" $port 2 "$dir/stop" 5
	done
}

rest() {
	local kind
	touch "$dir/stop"
	wait_for 30 all_rest || note "a load does not end"
	for kind in closer reader; do
		cp "$dir/load-$kind.log" "$dir/$1-$kind.json"
		note "$1, $kind: $(cat "$dir/$1-$kind.json")"
		is 0 "$(jq .failed "$dir/$1-$kind.json")" "$1, $kind: no request fails"
		unset "pid_of[load-$kind]"
	done
	at_most 2000 "$(jq .worst_eof_ms "$dir/$1-reader.json")" "$1: no peer waits longer than two seconds for its EOF"
	at_most 2000 "$(jq .worst_answer_ms "$dir/$1-closer.json")" "$1: no answer waits for the daemon"
}

all_rest() {
	! running load-closer && ! running load-reader
}

held() {
	ctl a status custody.peer
}

steering() {
	[ "$(held)" -ge "$1" ]
}

resumes() {
	if wait_for 10 steering 20; then
		ok "$1: steering resumes"
	else
		not_ok "$1: steering resumes" "peer closed first in custody: $(held)"
	fi
}

# A process tells what it has open at its next call: a connection more.
knows_open() {
	actor_connect "$A4" 8005 1 text:hello recv:6 close >/dev/null
	finds_sleepers
}

finds_sleepers() {
	[ "$(ctl a conns | jq -c 'select(.local | endswith(":8005")) | select(.role == "server") |
		select(.state == "ESTABLISHED")' | wc -l)" -ge 5 ]
}

# A connection that the daemon takes over: the server at 8003 has found it.
wakes() {
	local before
	before=$(ctl a status custody.peer)
	actor_connect "$A4" 8003 1 text:hello recv:4 sleep:20 close >/dev/null
	ctl_least a status custody.peer $((before + 1))
}

# --- at rest, for comparison ---
under_load
wait_for 10 steering 20
wait_for 10 knows_open
check "it knows what is open" knows_open
rest quiet

# --- killed, and started again ---
under_load
wait_for 10 steering 100
stop closesided-a KILL
sleep 1
daemon_restart a
resumes "killed"
check "killed: the new daemon knows what is open" wait_for 10 knows_open
rest killed

# --- its first process stopped: the other goes on ---
under_load
wait_for 10 steering 100
signal closesided-a STOP
sleep 3
signal closesided-a CONT
resumes "stopped and continued"
rest stopped

# --- the loop alone is stopped: its guardian is there to end it ---
under_load
loop=$(child_of closesided-a)
if [ -n "$loop" ]; then
	kill -STOP "$loop"
	sleep 3
	resumes "loop stopped"
	check "loop stopped: the guardian has replaced it" test "$(child_of closesided-a)" != "$loop"
	kill -CONT "$loop" 2>/dev/null
	check "loop stopped: the new one knows what is open" wait_for 10 knows_open
fi
rest loop

# --- what it holds when it is killed: EOF at once ---
actor_serve held 8003 line text:bye close
actor_connect "$A4" 8003 20 --together text:hello recv:4 eof close >"$dir/held.out" &
client=$!
holds() {
	[ "$(ctl a status custody.held)" -ge "$1" ]
}
check "it holds 20" wait_for 10 holds 20
begin=$(now_ms)
stop closesided-a KILL
wait "$client"
took=$(($(now_ms) - begin))
note "killed with 20 held: all have their EOF after $took ms"
is 20 "$(lines_count "$dir/held.out" '.eof and .got == 4 and .error == null')" \
	"killed with 20 held: each peer has its bytes and EOF"
at_most 2000 "$took" "killed with 20 held: within two seconds"
daemon_restart a

# --- stopped, with hand-overs queued ---
actor_serve queued 8004 line text:bye close
actor_connect "$A4" 8004 1 text:hello recv:4 close >/dev/null
loop=$(child_of closesided-a)
[ -z "$loop" ] || kill -STOP "$loop"
begin=$(now_ms)
actor_connect "$A4" 8004 20 --together text:hello recv:4 eof close >"$dir/queued.out"
note "loop stopped with hand-overs queued: EOF after at most $(lines_max "$dir/queued.out" .ms.eof) ms"
is 20 "$(lines_count "$dir/queued.out" '.eof and .got == 4 and .error == null')" \
	"loop stopped with hand-overs queued: each peer has its bytes and EOF"
at_most 2000 "$(lines_max "$dir/queued.out" .ms.eof)" "loop stopped with hand-overs queued: within two seconds"
[ -z "$loop" ] || kill -CONT "$loop" 2>/dev/null
wait_for 10 daemon_answers a || note "the daemon does not answer"

# --- loop and guardian stopped together: a timer of the kernel ends the loop ---
wait_for 10 ctl_is a status custody.held 0 # what is queued counts against nobody now
wait_for 10 wakes || note "steering does not resume"
actor_connect "$A4" 8003 20 --together text:hello recv:4 eof close >"$dir/both.out" &
client=$!
check "it holds 20 again" wait_for 10 holds 20
loop=$(child_of closesided-a)
begin=$(now_ms)
signal closesided-a STOP
[ -z "$loop" ] || kill -STOP "$loop"
wait "$client"
took=$(($(now_ms) - begin))
note "loop and guardian stopped with 20 held: all have their EOF after $took ms"
is 20 "$(lines_count "$dir/both.out" '.eof and .got == 4 and .error == null')" \
	"loop and guardian stopped with 20 held: each peer has its bytes and EOF"
at_most 2000 "$took" "loop and guardian stopped with 20 held: within two seconds"
signal closesided-a CONT
# Nobody calls anything: those that sleep are found by /proc.
check "the new loop finds what sleeping processes hold" wait_for 10 finds_sleepers

# --- killed in the middle of rewriting the policy page: its sequence number stays odd ---
under_load
stop closesided-a KILL
spoil() {
	"$python" - "$dir/a.socket.policy" <<-'END'
		import mmap, struct, sys
		with open(sys.argv[1], "r+b") as f:
		    page = mmap.mmap(f.fileno(), 4096)
		    # magic, version, pad, size, rule_size, instance: then seq
		    seq, = struct.unpack_from("I", page, 24)
		    struct.pack_into("I", page, 24, seq | 1)
	END
}
if [ -z "$wire_plain" ]; then
	check "the page is left half-written" spoil
	workers=$(pgrep -P "${pid_of[nginx8001]}")
	cpu() {
		local sum=0 pid line
		for pid in $workers; do
			line=$(sed 's/.*) //' "/proc/$pid/stat")
			# shellcheck disable=SC2086 # words are wanted
			set -- $line
			sum=$((sum + ${12} + ${13}))
		done
		echo "$sum"
	}
	good=$(client_urllib 50 "http://$A4:8001/")
	is 50 "$good" "half-written page: requests are answered"
	touch "$dir/stop"
	wait_for 30 all_rest
	before=$(cpu)
	sleep 1
	at_most 20 $(($(cpu) - before)) "half-written page: nobody spins"
	daemon_restart a
	under_load
	resumes "half-written page, a new daemon"
fi
rest page

touch "$dir/over"
wait "$stayer"
is 5 "$(lines_count "$dir/stay.out" '.error == null')" "connections open all the time are undisturbed"
finish
