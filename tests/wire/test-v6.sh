#!/bin/bash
# SPDX-License-Identifier: MIT
# IPv4, IPv6 and v4-mapped addresses (an IPv6 listener with IPv4 clients, an IPv6 socket that connects
# to one) alike: who closes first, what stays, what is retired, whom `remote` selects, what is shown.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=20
body=20000
sha=$("$python" "$wire_dir/actor.py" hash $body)

wire_init
ip -n "$ns_b" addr add 10.77.0.3/24 dev veth0
ip -n "$ns_b" addr add fd77::3/64 dev veth0 nodad preferred_lft 0
capture_start a
daemon_start a <<-END
	defaults { grace-learn = no }
	policy peer    { role = server  local-port = {8001, 8011}  close-first = peer  grace = 5s }
	policy none    { role = server  local-port = {8002, 8012}  time-wait = none }
	policy brief   { role = server  local-port = {8003, 8013}  time-wait = 3s }
	policy reset   { role = client  remote-port = {8004, 8014}  peer-time-wait = none }
	policy four    { role = client  remote-port = 8005  remote = $A4
	                 keepalive = "64s/10s/5" }
	policy six     { role = client  remote-port = 8005  remote = "fd77::/64"
	                 keepalive = "66s/10s/5"}
	policy from    { role = client  remote-port = 8006  source = {10.77.0.3, "fd77::3"}
	                 local-ports = 42000-42009 }
	policy sourced { role = server  local-port = 8007  remote = 10.77.0.0/24  close-first = peer
	                 grace = 5s }
	policy held    { role = server  local-port = 8008  close-first = peer  grace = 60s }
	policy early   { role = client  remote-port = 8008  close-first = self }
	policy late    { role = client  program = "python*"  bind-late = yes }
	policy rest    { role = server  local-port = 8007  remote = "::/0"  time-wait = none }
END
# 801x are IPv4's, the others IPv6's with IPv4 by mapped addresses
plain
actor_serve plain-8014 8014 line "send:$body" close
for port in 8004 8005 8006; do
	actor_serve "plain-$port" $port --dual line "send:$body" close
done
steer a
for n in 1 2 3; do
	actor_serve four-$n 801$n line "send:$body" close
	actor_serve dual-$n 800$n --dual line "send:$body" close
done
actor_serve sourced 8007 --dual line "send:$body" close
start_listening a four 8019 "${STEER[@]}" "$python" "$wire_dir/actor.py" serve 8019 line hold
start_listening a dual 8009 "${STEER[@]}" "$python" "$wire_dir/actor.py" serve 8009 --dual line hold

whole() {
	is $count "$(lines_count "$dir/$1.out" ".error == null and .sha == \"$sha\"")" \
		"$1: every client reads every byte"
}

for name in v4 mapped v6; do
	server=$A4
	port=800
	[ $name != v6 ] || server=$A6
	[ $name != v4 ] || port=801

	actor_connect "$server" ${port}1 $count text:hello "recv:$body" close >"$dir/$name-peer.out"
	capture_section a $name-peer $count
	whole $name-peer
	is $count "$(conns_count "$dir/$name-peer.conns" 'first == "b" && kind == "FIN" && !rst_a')" \
		"$name: close-first = peer: the client's FIN comes first"
	is "0 $count" "$(time_wait_among a "$dir/$name-peer.conns") $(time_wait_among b "$dir/$name-peer.conns")" \
		"$name: close-first = peer: the TIME_WAITs are the client's"

	actor_connect "$server" ${port}2 $count text:hello eof close >"$dir/$name-none.out"
	capture_section a $name-none $count
	whole $name-none
	is $count "$(conns_count "$dir/$name-none.conns" 'first == "a" && kind == "FIN"')" \
		"$name: time-wait = none: the server's FIN comes first"
	is '0 0' "$(time_wait_among a "$dir/$name-none.conns") $(time_wait_among b "$dir/$name-none.conns")" \
		"$name: time-wait = none: no TIME_WAIT on either side"

	# shellcheck disable=SC2034 # actor_connect's
	CLIENT_STEER=("${STEER[@]}")
	actor_connect "$server" ${port}4 $count text:hello eof close >"$dir/$name-reset.out"
	CLIENT_STEER=()
	capture_section a $name-reset $count
	whole $name-reset
	is $count "$(conns_count "$dir/$name-reset.conns" 'first == "a" && kind == "FIN" && rst_b && !fin_b')" \
		"$name: peer-time-wait = none: RST in answer to the server's FIN"
	is '0 0' "$(time_wait_among a "$dir/$name-reset.conns") $(time_wait_among b "$dir/$name-reset.conns")" \
		"$name: peer-time-wait = none: no TIME_WAIT on either side"

	actor_connect "$server" ${port}3 $count --together text:hello eof close >"$dir/$name-brief.out"
	brief_left() {
		[ "$(in_ns a ss -Htan state time-wait "sport = :${port}3" | wc -l)" = "$1" ]
	}
	check "$name: time-wait = 3s: TIME_WAITs at first" wait_for 3 brief_left $count
	check "$name: time-wait = 3s: retired after it" wait_for 20 brief_left 0
	capture_section a $name-brief $count
	is $count "$(conns_count "$dir/$name-brief.conns" 'first == "a" && !rst_a && !rst_b')" \
		"$name: time-wait = 3s: an ordinary close"
done
is 0 "$(ctl a status retire.left)" "none was left that should have been retired"

# --- clients, also one that reaches IPv4 by an IPv6 socket ---
cat >"$dir/ask.py" <<-'END'
	"""ask.py ADDRESS PORT: as an IPv6 socket does, late: whether it had no port; its keepalive
	time, its own address and port"""
	import socket, sys
	s = socket.socket(socket.AF_INET6)
	if len(sys.argv) > 3: s.bind((sys.argv[3], 0))
	late = s.getsockopt(socket.SOL_IP, 24)
	s.connect((sys.argv[1], int(sys.argv[2])))
	print(s.getsockopt(socket.SOL_TCP, socket.TCP_KEEPIDLE), *s.getsockname()[:2], late)
END
ask() {
	in_ns b "${STEER[@]}" "$python" "$dir/ask.py" "$@"
}
is "66 $B6" "$(ask "$A6" 8005 | cut -d' ' -f1,2)" "remote: an IPv6 network has an IPv6 server"
is "64 ::ffff:$B4" "$(ask "::ffff:$A4" 8005 | cut -d' ' -f1,2)" "remote: an IPv4 address has it by its mapped one"
CLIENT_STEER=("${STEER[@]}")
is 64 "$(actor_connect "$A4" 8005 1 opts | jq .opts.idle)" "remote: and by its own"
is fd77::3 "$(ask "$A6" 8006 | cut -d' ' -f2)" "source: IPv6 to an IPv6 server"
is "::ffff:10.77.0.3" "$(ask "::ffff:$A4" 8006 | cut -d' ' -f2)" \
	"source: IPv4 to an IPv4 server, by its mapped address"
is 10.77.0.3 "$(actor_connect "$A4" 8006 1 opts | jq -r '.opts.local[0]')" "source: and by its own"
for server in "$A6" "::ffff:$A4"; do
	port=$(ask "$server" 8006 | cut -d' ' -f3)
	if actor_connect "$A4" 8005 1 opts | jq -e '.opts.local_ports == "ENOPROTOOPT"' >/dev/null; then
		skip "local-ports: $server" "this kernel has no IP_LOCAL_PORT_RANGE (Linux 6.3)"
	else
		is 4200 "${port%?}" "local-ports: an IPv6 socket to $server"
	fi
done
is "$B6 1" "$(ask "$A6" 8005 "$B6" | cut -d' ' -f2,4)" "bind-late: IPv6"
is "::ffff:$B4 1" "$(ask "::ffff:$A4" 8005 "::ffff:$B4" | cut -d' ' -f2,4)" "bind-late: mapped"
CLIENT_STEER=()

# Both ends ours: the daemon closes for the client, found by both ends' addresses.
actor_serve held 8008 --dual line "send:$body" close
close_early() {
	in_ns a "${STEER[@]}" timeout 30 "$python" "$wire_dir/actor.py" connect "$1" 8008 5 \
		text:hello eof close >"$dir/self.out"
}
check "close-first = self: IPv4 by mapped addresses" close_early 127.0.0.1
check "close-first = self: IPv6" close_early ::1
is '"peer 10, grace 0"' "$(ctl a policies | jq -c \
	'select(.name == "held") | "peer \(.peer), grace \(.grace)"')" \
	"close-first = self: the client closed first"
capture_mark a

actor_connect "$A4" 8007 $count text:hello "recv:$body" close >"$dir/sourced.out"
actor_connect "$A6" 8007 $count text:hello "recv:$body" eof close >"$dir/rest.out"
capture_section a sourced $((2 * count))
is "$count 0" "$(conns_count "$dir/sourced.conns" 'a !~ /:/ && first == "b"') $(conns_count \
	"$dir/sourced.conns" 'a !~ /:/ && first == "a"')" "remote: an IPv4 network has mapped clients"
is "0 $count" "$(conns_count "$dir/sourced.conns" 'a ~ /:/ && first == "b"') $(conns_count \
	"$dir/sourced.conns" 'a ~ /:/ && first == "a"')" "remote: ::/0 has what it leaves"

# --- what is shown ---
start b hold4 "$python" "$wire_dir/actor.py" connect "$A4" 8019 1 text:hello hold
start b hold6 "$python" "$wire_dir/actor.py" connect "$A6" 8009 1 text:hello hold
start b holdm "$python" "$wire_dir/actor.py" connect "$A4" 8009 1 text:hello hold
shown() {
	ctl a conns | jq -r 'select(.shim) | "\(.local) \(.remote)"' | sed 's/:[0-9]*$//' | sort >"$dir/shown"
	[ "$(wc -l <"$dir/shown")" -ge 3 ]
}
wait_for 10 shown
is "$A4:8009 $B4
$A4:8019 $B4
[$A6]:8009 [$B6]" "$(cat "$dir/shown")" "conns: mapped addresses are shown as IPv4, IPv6 in brackets"

if [ -z "$wire_plain" ]; then
	"$closeside" conns -s "$dir/a.socket" >"$dir/listed"
	is 3 "$(grep -c -e " $A4:8019 " -e " $A4:8009 " -e " \[$A6\]:8009 " "$dir/listed")" \
		"closeside conns shows them likewise"
	explain() {
		"$closeside" policy test -s "$dir/a.socket" "$@" 2>&1
	}
	explain --role server --local "$A4:8007" --remote "$B4:40000" >"$dir/test4"
	explain --role server --local "[$A6]:8007" --remote "[$B6]:40000" >"$dir/test6"
	explain --role server --local "[::ffff:$A4]:8007" --remote "[::ffff:$B4]:40000" >"$dir/testm"
	check "policy test: IPv4" grep -q 'Policy sourced says' "$dir/test4"
	check "policy test: IPv6" grep -q 'Policy rest says' "$dir/test6"
	check "policy test: a mapped address is IPv4" grep -q 'Policy sourced says' "$dir/testm"
fi

finish
