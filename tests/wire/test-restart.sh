#!/bin/bash
# SPDX-License-Identifier: MIT
# A server restarted while its old connections are in TIME_WAIT starts at once with
# reuse-address = yes; and what it had open at its end is handed over.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
capture_start a

# once NAME PORT: a server without SO_REUSEADDR that leaves TIME_WAITs, ended
once() {
	actor_serve "$1" "$2" --no-reuse line text:bye close
	actor_connect "$A4" "$2" 10 text:hello eof close >"$dir/$1.out"
	at_least 9 "$(time_wait a "sport = :$2")" "$1: it leaves TIME_WAITs"
	stop "$1"
}

again() {
	start a "$1" "${STEER[@]}" "$python" "$wire_dir/actor.py" serve "$2" --no-reuse line text:bye close
}

refused() {
	grep -q 'Address already in use' "$dir/$1.log"
}

once plain 8000
again plain 8000
check "plain: it does not start again" wait_for 10 refused plain
is "" "$(in_ns a ss -Htln 'sport = :8000')" "plain: and does not listen"

daemon_start a <<-END
	policy reuse { local-port = 8001  reuse-address = yes }
	policy exit  { local-port = 8002  close-first = peer  grace = 20s  grace-learn = no }
	policy app   { local-port = 8003 }
END
steer a
once reuse 8001
again reuse 8001
check "reuse-address = yes: it starts at once" wait_for 10 listening a 8001
note "TIME_WAITs meanwhile: $(time_wait a 'sport = :8001')"
at_least 9 "$(time_wait a 'sport = :8001')" "reuse-address = yes: while they are there"
capture_mark a

# --- connections open at the end, and not idle ---
ended() {
	actor_serve "$1" "$2" line trickle:60000
	actor_connect "$A4" "$2" 20 --together text:hello "until:$dir/$1.gone" close >"$dir/$1.out" &
	local client=$!
	served() {
		[ "$(in_ns a ss -Htani state established "sport = :$1" | grep -c 'bytes_sent:')" = 20 ]
	}
	wait_for 10 served "$2"
	stop "$1"
	touch "$dir/$1.gone"
	wait "$client"
	capture_section a "$1" 20
	is 20 "$(lines_count "$dir/$1.out" '.error == null and .got > 0')" "$1: no client sees an error"
}
ended app 8003
is 20 "$(conns_count "$dir/app.conns" 'first == "a"')" "open at exit, app: the server's FINs are first"
ended exit 8002
is 20 "$(conns_count "$dir/exit.conns" 'first == "b" && kind == "FIN"')" \
	"open at exit, peer: the clients' FINs are first"
is 0 "$(time_wait_among a "$dir/exit.conns")" "open at exit, peer: no TIME_WAIT at the server"

finish
