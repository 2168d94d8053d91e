#!/bin/bash
# SPDX-License-Identifier: MIT
# peer-time-wait = none: where the peer closed first, its TIME_WAIT ends too: RST instead of our FIN.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"

count=50
body=100000
sha=$("$python" "$wire_dir/actor.py" hash $body)

wire_init
capture_start a

# Plainly each leaves one where the first closer is.
actor_serve plain 8000 line "send:$body" close
actor_connect "$A4" 8000 10 text:hello eof close >"$dir/plain.out"
capture_section a plain 10
is 10 "$(time_wait_among a "$dir/plain.conns")" "plain: the server closes first and holds TIME_WAIT"

daemon_start a <<-END
	policy server { role = server  local-port = {8003, 8004}  peer-time-wait = none }
	policy client { role = client  remote-port = {8001, 8002}  peer-time-wait = none }
END

# --- a client that closes second ---
actor_serve second 8001 line "send:$body" close
steer a
CLIENT_STEER=("${STEER[@]}")
actor_connect "$A4" 8001 $count text:hello eof close >"$dir/client.out"
CLIENT_STEER=()
capture_section a client $count
is $count "$(lines_count "$dir/client.out" ".eof and .error == null and .sha == \"$sha\"")" \
	"client: reads every byte and EOF"
is $count "$(conns_count "$dir/client.conns" 'first == "a" && kind == "FIN" && rst_b && !fin_b')" \
	"client: after the server's FIN it sends RST, no FIN"
is 0 "$(time_wait_among a "$dir/client.conns")" "client: no TIME_WAIT at the server"
is 0 "$(time_wait_among b "$dir/client.conns")" "client: none at the client"

# --- curl, in front of nginx ---
if have nginx && have curl; then
	plain
	NGINX_MORE='location /open { chunked_transfer_encoding off; proxy_http_version 1.0;
		proxy_pass http://127.0.0.1:8009; }'
	server_nginx 8002
	steer a
	# HTTP/1.0 without Content-Length: curl reads until EOF, so the server closes first
	cat >"$dir/open.py" <<-'END'
		import socket
		s = socket.socket()
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		s.bind(("127.0.0.1", 8009))
		s.listen(100)
		while True:
		    c, _ = s.accept()
		    c.recv(4096)
		    c.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello\n")
		    c.close()
	END
	start_listening a open 8009 "$python" "$dir/open.py"
	good=0
	for ((i = 0; i < 20; i++)); do
		in_ns b "${STEER[@]}" curl -s --http1.0 -m 20 "http://$A4:8002/open" | grep -q hello &&
			good=$((good + 1))
	done
	capture_section a curl 20
	is 20 "$good" "nginx, curl: every request is answered"
	first_a=$(conns_count "$dir/curl.conns" 'first == "a" && kind == "FIN"')
	note "nginx, curl: the server first in $first_a of 20"
	is 0 "$(time_wait_among a "$dir/curl.conns")" "nginx, curl: no TIME_WAIT at the server"
else
	skip "nginx, curl" "they are not installed"
fi

# --- a server that closes second ---
steer a
actor_serve server 8003 line "send:$body" eof close
actor_connect "$A4" 8003 $count text:hello "recv:$body" close >"$dir/server.out"
capture_section a server $count
is $count "$(lines_count "$dir/server.out" ".error == null and .sha == \"$sha\"")" \
	"server: the client reads every byte"
is $count "$(conns_count "$dir/server.conns" 'first == "b" && kind == "FIN" && rst_a && !fin_a')" \
	"server: after the client's FIN it sends RST, no FIN"
is 0 "$(time_wait_among b "$dir/server.conns")" "server: no TIME_WAIT at the client"
is 0 "$(time_wait_among a "$dir/server.conns")" "server: none at the server"

# With bytes that the peer has not acknowledged it stays with an ordinary close: nothing is lost. The
# server's buffer takes the whole answer, the client's does not, and it reads once the server closed.
actor_serve unacked 8004 eof big send:150000 close
big=$("$python" "$wire_dir/actor.py" hash 150000)
server_closed() {
	[ "$(lines_count "$dir/unacked.log" '.sent == 150000')" -eq "$1" ]
}
closed=0
for ((i = 1; i <= 5; i++)); do
	actor_connect "$A4" 8004 1 small text:hello shut_wr "fate:$dir/closed.$i" eof close \
		>>"$dir/unacked.out" &
	client=$!
	wait_for 20 server_closed $i && closed=$i
	touch "$dir/closed.$i"
	wait $client
done
is 5 "$closed" "unacknowledged data: the server has closed before the client reads"
is 5 "$(lines_count "$dir/unacked.out" ".eof and .error == null and .sha == \"$big\"")" \
	"unacknowledged data: the peer that only half-closed reads all of it"

finish
