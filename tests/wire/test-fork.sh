#!/bin/bash
# SPDX-License-Identifier: MIT
# The parent accepts, a child serves, the parent closes its copy: no byte is lost or stolen, only
# the last close is steered, and a connection is booked under the process that serves it. Likewise
# for dup and for descriptors sent to another process.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=50
body=100000
sha=$("$python" "$wire_dir/actor.py" hash $body)

wire_init
capture_start a
daemon_start a <<-END
	policy forked { local-port = {8000-8099}  close-first = peer  grace = 3s  grace-learn = no }
	policy halved { local-port = {8100-8199}  close-first = peer  half-close = defer  grace = 3s  grace-learn = no }
END
steer a

# steered NAME N: clients knew where the answer ended, and closed first
steered() {
	capture_section a "$1" "$2"
	is "$2" "$(lines_count "$dir/$1.out" ".error == null and .sha == \"$sha\"")" \
		"$1: every client reads every byte"
	is "$2" "$(conns_count "$dir/$1.conns" 'first == "b" && kind == "FIN" && rst_a == 0')" \
		"$1: the last close is steered: the client's FIN first"
	is 0 "$(time_wait_among a "$dir/$1.conns")" "$1: no TIME_WAIT at the server"
}

# --- fork ---
start_listening a fork 8000 "${STEER[@]}" "$python" "$wire_dir/actor.py" fork 8000 \
	line "send:$body" close
actor_connect "$A4" 8000 $count text:hello "recv:$body" sleep:2 close >"$dir/fork.out"
steered fork $count

# The child is in no hurry: parent's close long before the child's must do nothing.
start_listening a slow 8001 "${STEER[@]}" "$python" "$wire_dir/actor.py" fork 8001 \
	line sleep:300 "send:$body" close
actor_connect "$A4" 8001 10 --together text:hello "recv:$body" close >"$dir/slow.out"
steered slow 10

# A child that ends without a close: the kernel's, an ordinary FIN; nothing is lost.
start_listening a leave 8002 "${STEER[@]}" "$python" "$wire_dir/actor.py" fork 8002 \
	line "send:$body" exit0
actor_connect "$A4" 8002 10 --together text:hello eof close >"$dir/leave.out"
is 10 "$(lines_count "$dir/leave.out" ".eof and .error == null and .sha == \"$sha\"")" \
	"a child that ends without a close: every byte, and EOF"
capture_section a leave 10

# --- who it is booked under ---
start_listening a book 8003 "${STEER[@]}" "$python" "$wire_dir/actor.py" fork 8003 \
	line text:ready "fate:$dir/go" "send:$body" close
actor_connect "$A4" 8003 3 --together text:hello recv:6 "recv:$body" close >"$dir/book.out" &
client=$!
booked() {
	ctl a conns | jq -c 'select(.local | endswith(":8003")) | select(.role == "server")' >"$dir/book.conns"
	[ "$(wc -l <"$dir/book.conns")" = 3 ] &&
		[ "$(jq .pid "$dir/book.conns" | grep -cv "^${pid_of[book]}$")" = 3 ]
}
if wait_for 10 booked; then
	children=$(pgrep -P "${pid_of[book]}" | sort | tr '\n' ' ')
	is "$children" "$(jq .pid "$dir/book.conns" | sort | tr '\n' ' ')" \
		"each connection is booked under the child that serves it"
else
	not_ok "each connection is booked under the child that serves it" \
		"parent ${pid_of[book]}; $(cat "$dir/book.conns")"
fi
touch "$dir/go"
wait "$client"
capture_section a book 3

# --- socat, a process per connection ---
if have socat; then
	"$python" - "$dir/body" $body <<-'END'
		import struct, sys
		data = b"".join(struct.pack(">Q", i) for i in range(int(sys.argv[2]) // 8))
		open(sys.argv[1], "wb").write(data)
	END
	# shellcheck disable=SC2016 # the shell of socat expands it
	printf '#!/bin/sh\nread -r line\nexec cat %s\n' "$dir/body" >"$dir/answer"
	chmod 755 "$dir/answer"
	start_listening a socat 8100 "${STEER[@]}" socat TCP4-LISTEN:8100,fork,reuseaddr,backlog=100 \
		"EXEC:$dir/answer"
	actor_connect "$A4" 8100 $count text:hello "recv:$body" close >"$dir/socat.out"
	steered socat $count
else
	skip "socat" "it is not installed"
fi

# --- dup, and a descriptor sent to another process ---
cat >"$dir/share.py" <<-'END'
	"""share.py dup|dup2|pass|inherit PORT: a copy of each connection outlives the first close()."""
	import os, socket, subprocess, struct, sys, time
	kind, port = sys.argv[1], int(sys.argv[2])
	body = b"".join(struct.pack(">Q", i) for i in range(100000 // 8))
	s = socket.socket()
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind(("0.0.0.0", port))
	near, far = socket.socketpair()
	if kind == "pass" and os.fork() == 0:
	    s.close(); near.close()
	    while True:
	        message, fds, _, _ = socket.recv_fds(far, 100, 4)
	        if not message: os._exit(0)
	        time.sleep(0.05)
	        c = socket.socket(fileno=fds[0])
	        c.sendall(body)
	        c.close()
	far.close()
	s.listen(100)
	while True:
	    c, _ = s.accept()
	    line = c.recv(100)
	    if kind == "dup":
	        d = c.dup()
	    elif kind == "dup2":
	        d = socket.socket(fileno=os.dup2(c.fileno(), 200, inheritable=False))
	    elif kind == "pass":
	        socket.send_fds(near, [b"x"], [c.fileno()])
	        c.close()
	        continue
	    elif kind == "inherit":
	        os.set_inheritable(c.fileno(), True)
	        p = subprocess.Popen(["sh", "-c", "sleep 0.1; exec cat /dev/fd/9 >&%d" % c.fileno()],
	                             close_fds=False, stdin=open(sys.argv[3]), preexec_fn=lambda: os.dup2(0, 9))
	        c.close()
	        continue
	    c.close()
	    time.sleep(0.05)
	    d.sendall(body)
	    d.close()
END
port=8010
for kind in dup dup2 pass; do
	port=$((port + 1))
	start_listening a "$kind" $port "${STEER[@]}" "$python" "$dir/share.py" $kind $port
	actor_connect "$A4" $port 20 text:hello "recv:$body" sleep:2 close >"$dir/$kind.out"
	capture_section a "$kind" 20
	is 20 "$(lines_count "$dir/$kind.out" ".error == null and .sha == \"$sha\"")" \
		"$kind: the first close takes nothing from who still holds it"
	is 20 "$(conns_count "$dir/$kind.conns" 'first == "b"')" "$kind: the last close is steered"
done

# A program started with the connection as its own: the parent's close must not end it.
port=8020
[ -e "$dir/body" ] || head -c $body /dev/zero >"$dir/body"
start_listening a inherit $port "${STEER[@]}" "$python" "$dir/share.py" inherit $port "$dir/body"
actor_connect "$A4" $port 5 text:hello "recv:$body" close >"$dir/inherit.out"
is 5 "$(lines_count "$dir/inherit.out" ".error == null and .got == $body")" \
	"a program started with the connection: it can use it to the end"

finish
