#!/bin/bash
# SPDX-License-Identifier: MIT
# A client that leaves in the middle: its server, which sends on, is told that nobody reads, as by a
# plain close. At once if the client never listened, else after the grace; drain-max is for servers.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=5

wire_init
daemon_start b <<-END
	defaults { close-first = peer  grace-learn = no  half-close = defer }
	policy never  { remote-port = 8001  grace = 20s }
	policy defers { remote-port = 8002  grace = 20s }
	policy leaves { remote-port = 8003  grace = 300ms  drain-max = 60s }
END

# leaves NAME PORT CLIENT-STEPS SERVER-STEP...: the server's steps fail
leaves() {
	local name=$1 port=$2 client=$3

	shift 3
	actor_serve "$name" "$port" "$@"
	# shellcheck disable=SC2086 # words
	actor_connect "$A4" "$port" $count --together $client >"$dir/$name.client"
	: >"$dir/$name.left"
	is $count "$(lines_count "$dir/$name.client" '.error == null')" "$name: $count clients have left"
	# The server prints a line when its steps are done, or one has failed.
	wait_for 30 told "$name"
	is $count "$(lines_count "$dir/$name.log" '.error != null')" "$name: its server learns that nobody reads"
	stop "$name"
}

# shellcheck disable=SC2317 # wait_for calls it
told() {
	[ "$(wc -l <"$dir/$1.log")" -ge $count ]
}

leaves plain 8000 "text:hello close" line "fate:$dir/plain.left" trickle:5000 close
if [ -z "$wire_plain" ]; then
	steer b
	# shellcheck disable=SC2034 # actor_connect uses it
	CLIENT_STEER=("${STEER[@]}")
	plain
fi
leaves never 8001 "text:hello close" line "fate:$dir/never.left" trickle:5000 close
leaves defers 8002 "text:hello shut_rdwr close" line "fate:$dir/defers.left" trickle:5000 close
leaves leaves 8003 "text:hello recv:100 close" line trickle:15000 close
if [ -z "$wire_plain" ]; then
	# Each client is a process of five threads, whose first calls come together.
	sum() {
		ctl b policies "$1" | awk '{ n += $1 } END { print n }'
	}
	is $((3 * count)) "$(sum opens)" "each connection was seen"
	at_least $count "$(sum hand_overs)" "and at least a third of them, which were not idle, handed over"
fi
finish
