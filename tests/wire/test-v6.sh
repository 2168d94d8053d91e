#!/bin/bash
# SPDX-License-Identifier: MIT
# IPv4, IPv6 and IPv4 by a mapped address are treated alike: selectors, custody, time-wait.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=20

wire_init
capture_start a
daemon_start a <<-END
	defaults { close-first = peer  grace = 3s  grace-learn = no }
	policy four    { local-port = 8001  remote = {10.77.0.0/24} }
	policy six     { local-port = 8001  remote = {"fd77::/64"} }
	policy quiet   { local-port = 8002  close-first = app  time-wait = none }
	policy retire  { local-port = 8003  close-first = app  time-wait = 1s }
	policy defer   { local-port = 8004  half-close = defer }
	policy peer-tw { local-port = 8005  close-first = app  peer-time-wait = none }
END
steer a
port=8000
for end in close close close "shut_wr close" "eof close"; do
	port=$((port + 1))
	# shellcheck disable=SC2086 # steps are words
	actor_serve "four$port" $port --bind "$A4" line text:bye $end
	# shellcheck disable=SC2086
	actor_serve "six$port" $((port + 100)) --dual line text:bye $end
done
# the dual servers have ports of their own, and the same policies
sed -E 's/(policy )([a-z-]*)( *\{ local-port = )80/\1dual-\2\381/' "$dir/a.conf" | grep dual >"$dir/more.conf"
cat "$dir/more.conf" >>"$dir/a.conf"
[ -n "$wire_plain" ] || "$closeside" policy reload -s "$dir/a.socket" || note "no reload"

# family NAME HOST BASE
family() {
	local name=$1 host=$2 base=$3
	actor_connect "$host" $((base + 1)) $count text:hello recv:4 close >"$dir/$name.out"
	capture_section a "$name" $count
	is $count "$(conns_count "$dir/$name.conns" 'first == "b" && kind == "FIN" && rst_a == 0')" \
		"$name: custody: the client's FIN first"
	is 0 "$(time_wait_among a "$dir/$name.conns")" "$name: custody: no TIME_WAIT at the server"
	is $count "$(time_wait_among b "$dir/$name.conns")" "$name: custody: but at the client"

	actor_connect "$host" $((base + 2)) $count text:hello eof close >"$dir/$name.out"
	capture_section a "$name" $count
	is $count "$(conns_count "$dir/$name.conns" 'first == "a" && rst_a')" "$name: time-wait = none: RST follows"
	is 0 "$(time_wait_among a "$dir/$name.conns")" "$name: time-wait = none: no TIME_WAIT"

	actor_connect "$host" $((base + 3)) $count text:hello eof close >"$dir/$name.out"
	capture_section a "$name" $count
	gone() {
		[ "$(time_wait_among a "$dir/$1.conns")" = 0 ]
	}
	at_least 1 "$(time_wait_among a "$dir/$name.conns")" "$name: time-wait = 1s: an ordinary one"
	check "$name: time-wait = 1s: it is retired" wait_for 10 gone "$name"

	actor_connect "$host" $((base + 4)) $count text:hello recv:4 sleep:10 close >"$dir/$name.out"
	capture_section a "$name" $count
	is $count "$(conns_count "$dir/$name.conns" 'first == "b" && kind == "FIN"')" \
		"$name: half-close = defer: the client's FIN first"

	actor_connect "$host" $((base + 5)) $count text:hello recv:4 close >"$dir/$name.out"
	capture_section a "$name" $count
	is $count "$(conns_count "$dir/$name.conns" 'first == "b" && rst_a')" "$name: peer-time-wait = none: RST answers"
	is 0 "$(time_wait_among b "$dir/$name.conns")" "$name: peer-time-wait = none: no TIME_WAIT at the client"
}

family "IPv4" "$A4" 8000
family "IPv4 by a mapped address" "$A4" 8100
family "IPv6" "$A6" 8100

finish
