#!/bin/bash
# SPDX-License-Identifier: MIT
# time-wait = none: all data and the FIN are delivered, the peer reads a clean EOF, and nothing
# stays on either side; a duration: an ordinary TIME_WAIT, which is retired after it.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"
# shellcheck source=tests/wire/clients.sh
. "$(dirname "$0")/clients.sh"

count=100
body=200000

wire_init
capture_start a

# untouched NAME N SHA: every one of N clients read all, and a clean EOF
untouched() {
	is "$2" "$(lines_count "$dir/$1.out" ".eof and .error == null and .sha == \"$3\"")" \
		"$1: every client reads every byte and a clean EOF"
}

sha=$("$python" "$wire_dir/actor.py" hash $body)

# Plainly the server keeps them.
actor_serve plain 8000 line "send:$body" close
actor_connect "$A4" 8000 20 text:hello eof close >"$dir/plain.out"
capture_section a plain 20
untouched plain 20 "$sha"
is 20 "$(time_wait_among a "$dir/plain.conns")" "plain: the server holds every TIME_WAIT"

daemon_start a <<-END
	policy quiet   { local-port = 8001  time-wait = none }
	policy nginx   { local-port = 8002  time-wait = none }
	policy custody { local-port = 8003  time-wait = none  close-first = peer  grace = 100ms  grace-learn = no }
	policy willing { local-port = 8004  time-wait = none  close-first = peer  grace = 2s  grace-learn = no }
	policy second  { local-port = 8005  time-wait = 1s }
	policy client  { role = client  remote-port = 8006  time-wait = none }
	policy defer   { local-port = 8007  time-wait = none  close-first = peer  half-close = defer
	                 grace = 100ms  grace-learn = no }
	policy self    { local-port = 8008  time-wait = none  close-first = self }
END
steer a

# nothing_left NAME: FIN of ours first, RST after it, no TIME_WAIT here or there
nothing_left() {
	local conns=$dir/$1.conns n
	n=$(wc -l <"$conns")
	is "$n" "$(conns_count "$conns" 'first == "a" && kind == "FIN"')" "$1: the server's FIN goes out first"
	is 0 "$(time_wait_among a "$conns")" "$1: no TIME_WAIT at the server"
	is 0 "$(time_wait_among b "$conns")" "$1: no TIME_WAIT at the client"
	note "$1: of $n connections the server's RST followed in $(conns_count "$conns" rst_a)"
}

actor_serve quiet 8001 line "send:$body" close
actor_connect "$A4" 8001 $count text:hello eof close >"$dir/quiet.out"
capture_section a quiet $count
untouched quiet $count "$sha"
nothing_left quiet

if have nginx && have curl; then
	server_nginx 8002
	good=$(client_curl $count "http://$A4:8002/")
	capture_section a nginx $count
	is $count "$good" "nginx: every request of curl is answered"
	# curl knows where an answer ends: some closes cross, and both ends go to TIME_WAIT then.
	none_at_server() { [ "$(time_wait_among a "$dir/nginx.conns")" = 0 ]; }
	crossed=$(conns_count "$dir/nginx.conns" 'crossed == 1')
	note "nginx: $crossed of $count closes were simultaneous," \
		"$(conns_count "$dir/nginx.conns" 'first == "b"') the client's"
	check "nginx: no TIME_WAIT at the server, what a simultaneous close left is retired" \
		wait_for 10 none_at_server
	at_most "$(conns_count "$dir/nginx.conns" 'first == "b" || crossed == 1')" \
		"$(time_wait_among b "$dir/nginx.conns")" \
		"nginx: none at the client, but where it closed first itself or at the same time"
else
	skip "nginx and curl" "they are not installed"
fi

actor_serve custody 8003 line "send:$body" close
actor_connect "$A4" 8003 20 text:hello eof close >"$dir/custody.out"
capture_section a custody 20
untouched custody 20 "$sha"
nothing_left custody
is 20 "$(ctl a policies | jq 'select(.name == "custody").grace')" \
	"custody: all of them ended with the grace"

# A peer that closes first has its own TIME_WAIT; it is not ours to take.
actor_serve willing 8004 line "send:$body" close
actor_connect "$A4" 8004 20 text:hello "recv:$body" close >"$dir/willing.out"
capture_section a willing 20
is 20 "$(lines_count "$dir/willing.out" ".error == null and .sha == \"$sha\"")" \
	"willing: every client reads every byte"
is 20 "$(conns_count "$dir/willing.conns" 'first == "b" && kind == "FIN" && rst_a == 0')" \
	"willing: the client's FIN first, no RST"
is 0 "$(time_wait_among a "$dir/willing.conns")" "willing: no TIME_WAIT at the server"
is 20 "$(time_wait_among b "$dir/willing.conns")" "willing: the client has it"

actor_serve second 8005 line "send:$body" close
actor_connect "$A4" 8005 20 text:hello eof close >"$dir/second.out"
capture_section a second 20
untouched second 20 "$sha"
retired() {
	[ "$(time_wait_among a "$dir/second.conns")" = 0 ]
}
note "a duration: $(time_wait_among a "$dir/second.conns") TIME_WAITs at first"
if wait_for 10 retired; then
	ok "a duration: the server's TIME_WAITs are retired"
else
	not_ok "a duration: the server's TIME_WAITs are retired" \
		"left: $(time_wait_among a "$dir/second.conns"); missing: $(ctl a status missing)"
fi
is 0 "$(conns_count "$dir/second.conns" rst_a)" "a duration: the close is an ordinary one"

# A client that closes first, with a server that waits for it.
plain
actor_serve patient 8006 line "send:$body" eof close
steer a
# shellcheck disable=SC2034 # actor_connect's
CLIENT_STEER=("${STEER[@]}")
actor_connect "$A4" 8006 $count text:hello "recv:$body" close >"$dir/client.out"
CLIENT_STEER=()
capture_section a client $count
is $count "$(lines_count "$dir/client.out" ".error == null and .sha == \"$sha\"")" \
	"client: reads every byte"
is $count "$(conns_count "$dir/client.conns" 'first == "b" && kind == "FIN"')" "client: its FIN first"
is $count "$(lines_count "$dir/patient.log" '.eof and .error == null')" \
	"client: every server reads a clean EOF"
is 0 "$(time_wait_among a "$dir/client.conns")" "client: no TIME_WAIT at the server"
is 0 "$(time_wait_among b "$dir/client.conns")" "client: no TIME_WAIT at the client"

# The FIN is a deferred shutdown's, the daemon's.
actor_serve defer 8007 line "send:$body" shut_wr close
actor_connect "$A4" 8007 20 text:hello eof close >"$dir/defer.out"
capture_section a defer 20
untouched defer 20 "$sha"
nothing_left defer

actor_serve self 8008 line "send:$body" close
actor_connect "$A4" 8008 20 text:hello eof close >"$dir/self.out"
capture_section a self 20
untouched self 20 "$sha"
nothing_left self

finish
