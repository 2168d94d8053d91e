#!/bin/bash
# SPDX-License-Identifier: MIT
# The doctor finds an accept queue that overflows, and handshakes that nobody completes.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
doctor_patience=5000 # what happened is to be found after a while on a busy machine
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

wire_init
doctor_start </dev/null

# --- accept() is slow, and the queue is short ---
cat >"$dir/slow.py" <<-'END'
	import socket, sys, time
	s = socket.socket()
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind(("0.0.0.0", int(sys.argv[1])))
	s.listen(4)
	kept = []
	while True:
	    kept.append(s.accept()[0])
	    kept[-1].send(b"bye\n")
	    time.sleep(0.1)
END
steer a
slow() {
	start_listening a slow 8001 "${STEER[@]}" "$python" "$dir/slow.py" 8001
}
slow
in_ns b timeout 60 "$python" "$wire_dir/actor.py" connect "$A4" 8001 40 --together text:hello recv:4 hold >/dev/null &
first=$!
judged accept-queue-overflow "$python_name" "${pid_of[slow]}" 1 '8001.*bounds at 4'
at_least 1 "$(in_ns a nstat -asz TcpExtListenOverflows | awk '/Overflows/ { print $2 }')" \
	"accept-queue-overflow: so it is"
paste_remedy accept-queue-overflow "^echo 'policy accept-queue-overflow-8001 " ' policy reload$' '^kill '
wait_for 20 pid_gone "${pid_of[slow]}"
kill "$first"
slow
is 1024 "$(in_ns a ss -Htln 'sport = :8001' | awk '{ print $3 }')" "the new listener has a longer queue"
cured accept-queue-overflow
in_ns b timeout 60 "$python" "$wire_dir/actor.py" connect "$A4" 8001 40 --together text:hello recv:4 close >"$dir/second.out"
is 40 "$(lines_count "$dir/second.out" '.error == null and .got == 4')" "the same load is served"
check "and does not overflow it" finds_not accept-queue-overflow
stop slow
plain

# --- SYNs whose answers are lost ---
in_ns b nft -f - <<-END
	table ip silent {
		chain in { type filter hook input priority 0; tcp sport 8002 drop; }
	}
END
start_listening a web 8002 "$python" "$wire_dir/actor.py" serve 8002 --backlog 64 line text:bye close
cat >"$dir/syns.py" <<-'END'
	import socket, sys, time
	kept = []
	for _ in range(int(sys.argv[3])):
	    s = socket.socket()
	    s.setblocking(False)
	    s.connect_ex((sys.argv[1], int(sys.argv[2])))
	    kept.append(s)
	time.sleep(1000)
END
start b syns "$python" "$dir/syns.py" "$A4" 8002 50
judged syn-recv-pile-up "$python_name" "${pid_of[web]}" 32 'SYN-ACK was sent again'
stop syns KILL # what is left of it would stay for a minute
at_least 32 "$(in_ns a ss -Htn state syn-recv 'sport = :8002' | wc -l)" "they stay when their sender has gone"
paste_remedy syn-recv-pile-up '^sysctl -w net.ipv4.tcp_synack_retries=1'
cured syn-recv-pile-up
start b syns "$python" "$dir/syns.py" "$A4" 8002 50
in_ns a sysctl -qw net.ipv4.tcp_synack_retries=5
check "with the old setting they are back" wait_for 20 finds syn-recv-pile-up
stop syns KILL
paste_remedy syn-recv-pile-up '^ss -K'
cured syn-recv-pile-up
finish
