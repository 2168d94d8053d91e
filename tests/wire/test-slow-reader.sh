#!/bin/bash
# SPDX-License-Identifier: MIT
# 8 MB to a slow reader: every byte arrives whatever the policy, and time-wait = none leaves no
# TIME_WAIT on either side.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

body=8000000
pause=${WIRE_PAUSE:-1500}
sha=$("$python" "$wire_dir/actor.py" hash $body)

wire_init
capture_start a
daemon_start a <<-END
	defaults { grace = 300ms  grace-learn = no }
	policy app-keep     { local-port = 8001 }
	policy app-none     { local-port = 8002  time-wait = none }
	policy app-second   { local-port = 8003  time-wait = 1s }
	policy peer-keep    { local-port = 8004  close-first = peer }
	policy peer-none    { local-port = 8005  close-first = peer  time-wait = none }
	policy peer-second  { local-port = 8006  close-first = peer  time-wait = 1s }
	policy defer-none   { local-port = 8007  close-first = peer  half-close = defer  time-wait = none }
	policy self-none    { local-port = 8008  close-first = self  time-wait = none }
	policy linger       { local-port = 8009  close-first = peer  linger = 20s }
	policy linger-off   { local-port = 8010  close-first = peer  linger = off  time-wait = none }
	policy peer-tw      { local-port = 8011  close-first = peer  peer-time-wait = none }
	policy others       { local-port = 8012  close-first = peer  time-wait = none  keepalive = 60s/10s/5
	                      user-timeout = 30s }
	policy keep-defer   { local-port = 8013  close-first = peer  half-close = defer }
END
steer a

names=(app-keep app-none app-second peer-keep peer-none peer-second defer-none self-none linger
	linger-off peer-tw others keep-defer)
readers=()
port=8000
for name in "${names[@]}"; do
	port=$((port + 1))
	end=close
	case $name in *defer*) end="shut_wr close" ;; esac
	# shellcheck disable=SC2086 # steps are words
	actor_serve "$name" $port line "send:$body" $end
	actor_connect "$A4" $port 1 text:hello "slow:$pause" close >"$dir/$name.out" &
	readers+=("$!")
done
wait "${readers[@]}"
capture_section a all ${#names[@]}

port=8000
for name in "${names[@]}"; do
	port=$((port + 1))
	grep "\.$port " "$dir/all.conns" >"$dir/$name.conns"
	note "$name: read $(jq .got "$dir/$name.out") bytes in $(jq .ms.slow "$dir/$name.out") ms:" \
		"$(cut -d' ' -f3-10 "$dir/$name.conns")"
	is 1 "$(lines_count "$dir/$name.out" ".eof and .error == null and .sha == \"$sha\"")" \
		"$name: every byte arrives, and EOF"
	case $name in
	*none | linger-off | others)
		is 0 "$(time_wait_among a "$dir/$name.conns")" "$name: no TIME_WAIT at the server"
		is 0 "$(time_wait_among b "$dir/$name.conns")" "$name: none at the client"
		;;
	esac
done

finish
