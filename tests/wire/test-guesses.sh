#!/bin/bash
# SPDX-License-Identifier: MIT
# What becomes of a freed socket the daemon takes for granted where it was so many times in a row. Where
# it is otherwise all of a sudden (peers that keep their end open, peers that reset), the model is what
# the kernel has all the same, a moment later; and most were not asked about.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
daemon_start a <<<'policy other { local-port = 1  close-first = peer }'

cat >"$dir/serve.py" <<-'END'
	# closes first, at once
	import socket, sys
	l = socket.create_server(("", int(sys.argv[1])), backlog=1000)
	print("ready", flush=True)
	while True:
	    l.accept()[0].close()
END
cat >"$dir/peer.py" <<-'END'
	# peer.py ADDR PORT close|keep|reset COUNT: what it does once the server has closed
	import socket, struct, sys, time
	kept = []
	for _ in range(int(sys.argv[4])):
	    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
	    s.recv(1)
	    if sys.argv[3] == "keep":
	        kept.append(s)
	        continue
	    if sys.argv[3] == "reset":
	        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	    s.close()
	print("done", flush=True)
	if kept:
	    time.sleep(600)
END

# in_model STATE: how many of the server's
in_model() {
	ctl a ps | jq --arg state "$1" '[select(.type == "process") | .states[$state] // 0] | add // 0' |
		awk '{ n += $1 } END { print n + 0 }'
}

# shellcheck disable=SC2317 # wait_for calls it
agrees() {
	[ "$(in_model TIME_WAIT)" = "$(time_wait a)" ] && [ "$(in_model FIN_WAIT2)" = "$1" ] &&
		[ "$(in_ns a ss -Htan state fin-wait-2 | wc -l)" = "$1" ]
}

# shellcheck disable=SC2317
destroyed_least() {
	[ "$(ctl a status costs.destroyed)" -ge "$1" ]
}

steer a
start_listening a server 8080 "${STEER[@]}" "$python" "$dir/serve.py" 8080
in_ns b "$python" "$dir/peer.py" "$A4" 8080 close 1500 >/dev/null
check "1,500 that are alike: the model has what the kernel has" wait_for 20 agrees 0
check "it has heard of all of them" wait_for 20 destroyed_least 1500
asked=$(ctl a status costs.lookups)
note "$(ctl a status costs)"
[ "$(ctl a status costs.multicast)" != true ] ||
	at_most 750 "$asked" "most were not asked about"

start b keeper "$python" "$dir/peer.py" "$A4" 8080 keep 40
wait_for 20 grep -q "done" "$dir/keeper.log"
check "40 peers that keep their end: FIN_WAIT2, as in the kernel" wait_for 30 agrees 40
in_ns b "$python" "$dir/peer.py" "$A4" 8080 reset 300 >/dev/null
check "300 that reset: TIME_WAITs as in the kernel" wait_for 30 agrees 40
note "$(ctl a status costs); the kernel has $(time_wait a) TIME_WAITs"
stop keeper
check "they close at last" wait_for 30 agrees 0
is "$(time_wait a)" "$(in_model TIME_WAIT)" "all TIME_WAITs are there"
finish
