#!/bin/bash
# SPDX-License-Identifier: MIT
# What a program has said in the ring of its session page: it is heard when the program is killed in
# the next moment; what a daemon that stands still leaves no room for is dropped, and counted.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
for ns in a b; do
	in_ns $ns sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=4096
done
daemon_start a <<<'policy other { local-port = 1  close-first = peer }'

cat >"$dir/burst.py" <<-'END'
	# burst.py ADDR PORT COUNT [LOOP-PID]: opens and closes so many connections, first some slowly,
	# for the page to come; with a pid that process is stopped meanwhile; then is killed.
	import os, signal, socket, sys, time

	address, count = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3])

	def once():
	    s = socket.socket()
	    s.connect(address)
	    s.close()

	for _ in range(20):
	    once()
	    time.sleep(0.01)
	time.sleep(0.2)  # the daemon sleeps again
	if len(sys.argv) > 4:
	    os.kill(int(sys.argv[4]), signal.SIGSTOP)
	began = time.monotonic()
	done = 0
	while done < count and time.monotonic() - began < 0.4:
	    once()
	    done += 1
	if len(sys.argv) > 4:
	    os.kill(int(sys.argv[4]), signal.SIGCONT)
	print(done + 20, flush=True)
	os.kill(os.getpid(), signal.SIGKILL)
END

# heard: records of opens and of closes, and what was lost, together
# shellcheck disable=SC2317 # wait_for calls it
heard_is() {
	[ "$(ctl a status | jq '.records.open + .records.close + .lost')" = "$1" ]
}

start_listening b server 8080 "$top_builddir/tests/wire/crowd" serve 8080 8081 8082
steer a

start a burst "${STEER[@]}" "$python" "$dir/burst.py" "$B4" 8080 300
wait_for 20 pid_gone "${pid_of[burst]}"
said=$(cat "$dir/burst.log")
at_least 21 "$said" "a program made connections and was killed"
check "each open and each close is heard" wait_for 20 heard_is $((2 * said))
is 0 "$(ctl a status lost)" "none was lost"
is "$said" "$(ctl a status records.close)" "its closes too"

# Long enough for the ring to be full, not so long that the guardian takes the loop for dead.
start a burst "${STEER[@]}" "$python" "$dir/burst.py" "$B4" 8080 3000 "$(ctl a status pid)"
wait_for 20 pid_gone "${pid_of[burst]}"
said=$((said + $(cat "$dir/burst.log")))
check "while the daemon stood still: heard or counted as lost, each record" \
	wait_for 20 heard_is $((2 * said))
lost=$(ctl a status lost)
note "$said connections, $lost records lost"
[ "$said" -lt 1000 ] || at_least 1 "$lost" "the ring was full"
finish
