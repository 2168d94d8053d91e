#!/bin/bash
# SPDX-License-Identifier: MIT
# Each key and each selector acts as its table says. What acts on sockets is read back from them by
# the program itself; what acts at close is seen in the capture. A selector's policy is told by its
# user-timeout.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
for n in 21 22; do
	ip -n "$ns_b" addr add 10.77.0.$n/24 dev veth0
done
capture_start a
daemon_start a <<-END
	policy keepalive     { local-port = 8001  keepalive = 60s/10s/5 }
	policy keepalive-off { local-port = 8002  keepalive = off }
	policy user-timeout  { local-port = 8003  user-timeout = 30s }
	policy backlog       { local-port = 8004  backlog = 300 }
	policy backlog-less  { local-port = 8005  backlog = 3 }
	policy reuse-address { local-port = 8006  reuse-address = yes }
	policy reuse-port    { local-port = 8007  reuse-port = yes }
	policy linger        { local-port = 8008  linger = 5s }
	policy linger-abort  { local-port = 8009  linger = abort  allow-data-loss = yes }
	policy linger-off    { local-port = 8010  linger = off }
	policy linger-app    { local-port = 8011  close-first = peer  grace = 5s }
	policy self          { local-port = 8012  close-first = self }

	policy c-keepalive   { role = client  remote-port = 8021  keepalive = 70s/11s/6  user-timeout = 20s }
	policy c-ports       { role = client  remote-port = 8023  local-ports = 45000-45099 }
	policy c-source      { role = client  remote-port = 8024  source = {10.77.0.21, 10.77.0.22} }
	policy c-source-next { role = client  remote-port = 8025  source = {10.99.9.9, 10.77.0.22} }

	policy program-no   { local-port = 8101  program = {nosuch}             user-timeout = 1001ms }
	policy program      { local-port = 8101  program = {"python3*"}         user-timeout = 1002ms }
	policy path-no      { local-port = 8102  program = {"/opt/*"}           user-timeout = 1001ms }
	policy path         { local-port = 8102  program = {x, "/usr/bin/pyth*"} user-timeout = 1002ms }
	policy user-no      { local-port = 8103  user = {nobody}                user-timeout = 1001ms }
	policy user         { local-port = 8103  user = {www-data}              user-timeout = 1002ms }
	policy remote-no    { local-port = 8104  remote = {10.77.0.22/32, 10.88.0.0/16}  user-timeout = 1001ms }
	policy remote       { local-port = 8104  remote = {10.77.0.0/24}        user-timeout = 1002ms }
	policy role-no      { local-port = 8105  role = client                  user-timeout = 1001ms }
	policy role         { local-port = 8105  role = server                  user-timeout = 1002ms }
	policy port         { local-port = {1, 8106-8107}                       user-timeout = 1002ms }
	policy first        { local-port = 8108                                 user-timeout = 1002ms }
	policy second       { local-port = 8108                                 user-timeout = 1001ms }
	policy rport-no     { role = client  remote-port = {8110-8120}          user-timeout = 1001ms }
	policy rport        { role = client  remote-port = {8109}               user-timeout = 1002ms }
	policy unit-no      { local-port = 8121  unit = {"no-such.service"}     user-timeout = 1001ms }
	policy unit         { local-port = 8121  unit = {"/*"}                  user-timeout = 1002ms }
END
steer a

# server NAME PORT OPTIONS... -- STEPS...; the options are --keepalive and the like
asks() {
	actor_connect "$A4" "$1" "${3:-1}" text:hello recv:4 eof close >"$dir/asks.out"
	wait_for 5 test -s "$dir/$2.log"
}

# option NAME KEY VALUE: what the server's accepted socket has
option() {
	is "$3" "$(head -n1 "$dir/$1.log" | jq -c ".opts.$2")" "$1: $2 is $3"
}

# --- a server's sockets ---
actor_serve keepalive 8001 line opts text:bye close
asks 8001 keepalive
option keepalive keepalive 1
option keepalive idle 60
option keepalive interval 10
option keepalive probes 5
actor_serve keepalive-off 8002 --keepalive line opts text:bye close
asks 8002 keepalive-off
option keepalive-off keepalive 0
actor_serve user-timeout 8003 line opts text:bye close
asks 8003 user-timeout
option user-timeout user_timeout 30000
option user-timeout keepalive 0
actor_serve backlog 8004 --backlog 5 line text:bye close
is 300 "$(in_ns a ss -Htln 'sport = :8004' | awk '{ print $3 }')" "backlog: raised to 300"
actor_serve backlog-less 8005 --backlog 50 line text:bye close
is 50 "$(in_ns a ss -Htln 'sport = :8005' | awk '{ print $3 }')" "backlog: never lowered"
actor_serve reuse-address 8006 --no-reuse line opts text:bye close
asks 8006 reuse-address
option reuse-address reuse_address 1
actor_serve reuse-port 8007 line opts text:bye close
asks 8007 reuse-port
option reuse-port reuse_port 1
start a reuse-port-2 "${STEER[@]}" "$python" "$wire_dir/actor.py" serve 8007 line text:bye close
two_listen() {
	[ "$(in_ns a ss -Htln 'sport = :8007' | wc -l)" = 2 ]
}
check "reuse-port: a second server starts on the port" wait_for 10 two_listen

# --- SO_LINGER ---
capture_mark a
actor_serve linger 8008 line send:3000000 close
actor_connect "$A4" 8008 1 small text:hello recv:2980000 sleep:500 eof close >"$dir/linger.out"
wait_for 5 test -s "$dir/linger.log"
note "linger = 5s: close() took $(jq .ms.close "$dir/linger.log") ms"
at_least 100 "$(jq '.ms.close | floor' "$dir/linger.log")" "linger = 5s: close() waits for the reader"
is 3000000 "$(jq .got "$dir/linger.out")" "linger = 5s: it reads all"
capture_section a linger 1
actor_serve linger-abort 8009 line text:bye close
actor_connect "$A4" 8009 5 text:hello recv:4 eof close >"$dir/linger-abort.out"
capture_section a linger-abort 5
is 5 "$(conns_count "$dir/linger-abort.conns" 'first == "a" && kind == "RST"')" "linger = abort: RST, no FIN"
actor_serve linger-off 8010 line text:bye linger:0 close
actor_connect "$A4" 8010 5 text:hello recv:4 eof close >"$dir/linger-off.out"
capture_section a linger-off 5
is 5 "$(conns_count "$dir/linger-off.conns" 'first == "a" && kind == "FIN" && rst_a == 0')" \
	"linger = off: what the program set does not count: FIN, no RST"
actor_serve linger-app 8011 line text:bye linger:0 close
actor_connect "$A4" 8011 5 text:hello recv:4 eof close >"$dir/linger-app.out"
capture_section a linger-app 5
is 5 "$(conns_count "$dir/linger-app.conns" 'first == "a" && kind == "RST"')" \
	"linger = app: a program that set SO_LINGER itself is obeyed, and not handed over"
actor_serve self 8012 line text:bye close
actor_connect "$A4" 8012 5 text:hello recv:4 sleep:50 close >"$dir/self.out"
capture_section a self 5
is 5 "$(conns_count "$dir/self.conns" 'first == "a" && kind == "FIN"')" "close-first = self: the server's FIN first"

# --- a client's sockets: the server is without us ---
plain
for port in 8021 8022 8023 8024 8025 8026 8109 8110; do
	actor_serve s$port $port line opts text:bye close
done
steer a
CLIENT_STEER=("${STEER[@]}")

# client PORT N [OPTIONS]: its own view in $dir/client.out
client() {
	actor_connect "$A4" "$1" "$2" "${@:3}" text:hello recv:4 opts eof close >"$dir/client.out"
	at_least "$2" "$(lines_count "$dir/client.out" '.error == null and .got == 4')" \
		"port $1: connects and is answered ($2 times)"
}
mine() {
	jq -c ".opts.$1" "$dir/client.out" | sort | uniq
}

client 8021 1
is 1 "$(mine keepalive)" "client: keepalive is on"
is "70 11 6" "$(mine idle) $(mine interval) $(mine probes)" "client: keepalive's three times"
is 20000 "$(mine user_timeout)" "client: user-timeout"
# bind() knows no remote yet, so a policy that selects one cannot act there
steer a role=client,bind-late=yes
CLIENT_STEER=("${STEER[@]}")
client 8022 3 --bind 10.77.0.2
is 1 "$(mine bind_no_port)" "bind-late: the port is chosen by connect()"
client 8022 3 --bind 10.77.0.2 --getsockname
is 3 "$(lines_count "$dir/client.out" '.error == null')" \
	"bind-late: getsockname() before connect() shows the port that it gets"
steer a
CLIENT_STEER=("${STEER[@]}")

if in_ns b "$python" -c 'import socket; socket.socket().setsockopt(0, 51, (2 << 16) | 1)' 2>/dev/null; then
	client 8023 20
	is 20 "$(jq '.opts.local[1] | select(. >= 45000 and . <= 45099)' "$dir/client.out" | wc -l)" \
		"local-ports: all within the range"
	steer a role=client,bind-late=yes,local-ports=46000-46099
	CLIENT_STEER=("${STEER[@]}")
	client 8026 20 --bind 10.77.0.2
	is 20 "$(jq '.opts.local[1] | select(. >= 46000 and . <= 46099)' "$dir/client.out" | wc -l)" \
		"local-ports, with an early bind: all within the range"
	steer a
	CLIENT_STEER=("${STEER[@]}")
else
	skip "local-ports" "this kernel has no IP_LOCAL_PORT_RANGE"
fi
client 8024 10
is "10.77.0.21 10.77.0.22" "$(jq -r '.opts.local[0]' "$dir/client.out" | sort -u | xargs)" \
	"source: its addresses take turns"
is 5 "$(jq -r '.opts.local[0]' "$dir/client.out" | grep -c '\.21$')" "source: evenly"
client 8024 3 --bind 10.77.0.2
is "10.77.0.2" "$(jq -r '.opts.local[0]' "$dir/client.out" | sort -u | xargs)" \
	"source: what the program bound itself stays"
client 8025 4
is "10.77.0.22" "$(jq -r '.opts.local[0]' "$dir/client.out" | sort -u | xargs)" \
	"source: one that is not there is passed over"
client 8109 1
is 1002 "$(mine user_timeout)" "remote-port: matches"
client 8110 1
is 1001 "$(mine user_timeout)" "remote-port: a range"
CLIENT_STEER=()

# --- selectors, of a server ---
selects() {
	asks "$2" "$1"
	is 1002 "$(head -n1 "$dir/$1.log" | jq -c .opts.user_timeout)" "selector: $1"
}
port=8100
for name in program path user remote role port; do
	port=$((port + 1))
	if [ $name = user ]; then
		if ! have setpriv || ! id -u www-data >"$dir/www"; then
			skip "selector: user" "no setpriv, or no www-data"
			continue
		fi
		start_listening a user $port "${STEER[@]}" setpriv --reuid=www-data --regid=www-data \
			--clear-groups "$python" "$wire_dir/actor.py" serve $port line opts text:bye close
	else
		actor_serve $name $port line opts text:bye close
	fi
	selects $name $port
done
actor_serve first 8108 line opts text:bye close
selects first 8108
if grep -q ':/.' /proc/self/cgroup; then
	actor_serve unit 8121 line opts text:bye close
	selects unit 8121
else
	skip "selector: unit" "this process is in no cgroup"
fi

finish
