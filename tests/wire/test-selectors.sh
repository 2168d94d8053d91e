#!/bin/bash
# SPDX-License-Identifier: MIT
# Whom a policy selects: every selector, in real processes. All that are given must match, the first
# policy that matches wins, what matches none is only watched, and a selector that is not known yet
# does not match.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
exe=$(readlink -f "$python")
base=${exe##*/}
comm=$(basename "$python")
nobody=$(id -u nobody)

# Decoys come first: each would win if what it asks for beside the port were not looked at.
daemon_start a <<-END
	policy role-decoy   { role = client  local-port = 8001  close-first = peer }
	policy role-server  { role = server  local-port = 8001 }
	policy role-decoy2  { role = server  remote-port = 8001 }
	policy role-client  { role = client  remote-port = 8001 }

	policy prog-decoy   { program = {nginx, "python9*", "/usr/bin/nginx", "/$base"}  remote-port = 8101-8109 }
	policy prog-base    { program = {nginx, "$base"}  remote-port = 8101 }
	policy prog-comm    { program = "$comm"  remote-port = 8102 }
	policy prog-path    { program = "$exe"  remote-port = 8103 }
	policy prog-glob    { program = "pyth?n*"  remote-port = 8104 }
	policy prog-pathglob { program = "/*/$base"  remote-port = 8105 }

	policy unit-name    { unit = "cs$$.service"  remote-port = 8111 }
	policy unit-glob    { unit = {"x.service", "cs*.service"}  remote-port = 8112 }
	policy unit-path    { unit = "/cs$$.slice/*"  remote-port = 8113 }
	policy unit-none    { remote-port = 8111-8113 }

	policy user-root    { user = root  remote-port = 8121 }
	policy user-nobody  { user = {nobody, daemon}  remote-port = 8121 }

	policy local-port   { local-port = {8130, 8132-8133} }
	policy local-client { role = client  local-port = 45000-45009  keepalive = "61s/11s/6" }

	policy net-first    { remote = $A4  remote-port = 8141 }
	policy net-wide     { remote = {10.9.0.0/16, 10.77.0.0/24}  remote-port = 8142 }
	policy net-six      { remote = "fd77::/64"  remote-port = {8141, 8142} }
	policy net-other    { remote = {0.0.0.0/0, "::/0"}  remote-port = 8141-8142 }

	policy first        { remote-port = 8151 }
	policy second       { remote-port = 8151-8152 }

	policy unknown      { role = server  local-port = 8160  remote = 10.77.0.0/24  backlog = 300
	                      keepalive = "62s/12s/7" }
	policy unknown-user { role = server  local-port = 8161  user = nobody  backlog = 300 }
	policy unknown-port { role = client  remote-port = 8162  local-port = 1-65535
	                      local-ports = 46000-46009  keepalive = "63s/13s/8" }
END

# opens POLICY: how many connections it has got
opens() {
	ctl a policies | jq "select(.name == \"$1\").opens"
}

# got POLICY N WHAT
got() {
	opens_are() {
		[ "$(opens "$1")" = "$2" ]
	}
	wait_for 5 opens_are "$1" "$2"
	is "$2" "$(opens "$1")" "$3"
}

# Plain servers on one port each, for steered clients.
cat >"$dir/sink.py" <<-'END'
	"""Accepts on every port that it is given, of any address, and keeps what it gets."""
	import select, socket, sys
	kept, listeners = [], []
	for port in sys.argv[1:]:
	    s = socket.socket(socket.AF_INET6)
	    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
	    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	    s.bind(("::", int(port)))
	    s.listen(100)
	    listeners.append(s)
	while True:
	    for s in select.select(listeners, [], [])[0]:
	        kept.append(s.accept()[0])
END
start_listening a sink 8170 "$python" "$dir/sink.py" 8101 8102 8103 8104 8105 8106 8111 8112 8113 \
	8121 8140 8141 8142 8151 8152 8162 8163 8170

steer a
# shellcheck disable=SC2034 # actor_connect's
CLIENT_STEER=("${STEER[@]}")

# --- role ---
actor_serve role 8001 line close
actor_connect "$A4" 8001 3 text:hello eof close >"$dir/role.out"
got role-server 3 "role = server: what is accepted"
got role-client 3 "role = client: what connects"
is '0 0' "$(opens role-decoy) $(opens role-decoy2)" "role: the other one's policy takes none"

# --- program ---
n=0
for kind in base comm path glob pathglob; do
	n=$((n + 1))
	actor_connect "$A4" 810$n 1 close >"$dir/program.out"
	got prog-$kind 1 "program: by $kind"
done
is 0 "$(opens prog-decoy)" "program: others' patterns take none"

# --- unit ---
cgroup=
for top in /sys/fs/cgroup /sys/fs/cgroup/unified; do
	if [ "$(stat -fc %T $top 2>/dev/null)" = cgroup2fs ] &&
		mkdir -p "$top/cs$$.slice/cs$$.service" 2>/dev/null; then
		cgroup=$top/cs$$.slice/cs$$.service
		break
	fi
done
in_unit() {
	# shellcheck disable=SC2016 # sh expands them
	in_ns b sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "${STEER[@]}" \
		"$python" "$wire_dir/actor.py" connect "$A4" "$1" 1 close >"$dir/unit.out" 2>&1
}
unit_cleanup() {
	rmdir "$cgroup"
}
if [ -n "$cgroup" ] && in_unit 8111; then
	got unit-name 1 "unit: by name"
	in_unit 8112
	got unit-glob 1 "unit: by a pattern"
	in_unit 8113
	got unit-path 1 "unit: by the path of its cgroup"
	actor_connect "$A4" 8111 2 close >"$dir/unit.out"
	got unit-none 2 "unit: a process elsewhere is not of it"
	wait_for 5 unit_cleanup
	rmdir "${cgroup%/*}"
else
	[ -z "$cgroup" ] || rmdir "$cgroup" "${cgroup%/*}"
	skip "unit" "no cgroup can be made here"
fi

# --- user: the effective one at the call ---
cat >"$dir/users.py" <<-'END'
	import os, socket, sys
	for uid in (0, int(sys.argv[1]), 0, int(sys.argv[1])):
	    os.seteuid(0)
	    os.seteuid(uid)
	    s = socket.create_connection((sys.argv[2], 8121))
	os.seteuid(0)
	os.setuid(int(sys.argv[1]))
	s = socket.create_connection((sys.argv[2], 8121))
END
in_ns b "${STEER[@]}" "$python" "$dir/users.py" "$nobody" "$A4"
got user-root 2 "user: root while it is"
got user-nobody 3 "user: another once it has become that, by seteuid and by setuid"

# --- local-port ---
for port in 8130 8131 8132 8133; do
	actor_serve "port-$port" $port line close
	actor_connect "$A4" $port 1 text:hello eof close >"$dir/port.out"
done
got local-port 3 "local-port: a port, and a range"
cat >"$dir/from.py" <<-'END'
	import json, socket, sys
	s = socket.socket()
	s.bind(("", int(sys.argv[3])))
	s.connect((sys.argv[1], int(sys.argv[2])))
	print(s.getsockopt(socket.SOL_TCP, socket.TCP_KEEPIDLE))
END
is 61 "$(in_ns b "${STEER[@]}" "$python" "$dir/from.py" "$A4" 8163 45009)" \
	"local-port: of a client that chose it"
is 7200 "$(in_ns b "${STEER[@]}" "$python" "$dir/from.py" "$A4" 8163 45010)" \
	"local-port: of one that chose another"

# --- remote, remote-port ---
actor_connect "$A4" 8141 1 close >"$dir/net.out"
actor_connect "$A4" 8142 2 close >"$dir/net.out"
actor_connect "$A6" 8141 1 close >"$dir/net.out"
actor_connect "$A6" 8142 1 close >"$dir/net.out"
in_ns a "${STEER[@]}" "$python" "$wire_dir/actor.py" connect 127.0.0.1 8141 1 close >"$dir/net.out"
in_ns a "${STEER[@]}" "$python" "$wire_dir/actor.py" connect ::1 8142 1 close >"$dir/net.out"
got net-first 1 "remote: an address"
got net-wide 2 "remote: a network among others"
got net-six 2 "remote: an IPv6 network"
got net-other 2 "remote: 0.0.0.0/0 and ::/0 take what is left"

# --- the first that matches; none ---
actor_connect "$A4" 8151 1 close >"$dir/first.out"
actor_connect "$A4" 8152 1 close >"$dir/first.out"
got first 1 "two match: the first wins"
got second 1 "what it leaves is the second's"

start a nobodys "${STEER[@]}" "$python" "$wire_dir/actor.py" connect 127.0.0.1 8140 1 hold
none_conn() {
	ctl a conns | jq -c 'select(.remote | endswith(":8140"))' >"$dir/none.conn"
	[ -s "$dir/none.conn" ]
}
check "none matches: it is watched all the same" wait_for 10 none_conn
is '[null,"client","ESTABLISHED"]' "$(jq -c '[.policy, .role, .state]' "$dir/none.conn")" \
	"none matches: under no policy"

# --- what is not known yet ---
backlog_of() {
	in_ns a ss -Htln "sport = :$1" | awk 'NR == 1 { print $3 }'
}
actor_serve unknown 8160 --backlog 20 line opts close
is 20 "$(backlog_of 8160)" "a listener has no remote: its backlog is the program's"
actor_connect "$A4" 8160 1 text:hello eof close >"$dir/unknown.out"
wait_for 10 grep -q line "$dir/unknown.log"
is 62 "$(jq .opts.idle "$dir/unknown.log")" "what it accepts has one: its keepalive is the policy's"
actor_serve unknown-user 8161 --backlog 20 line opts close
is 20 "$(backlog_of 8161)" "a listener of root is not its workers'"
actor_connect "$A4" 8162 1 opts >"$dir/unknown.out"
is '[63,true]' "$(jq -c '[.opts.idle, (.opts.local[1] < 46000 or .opts.local[1] > 46009)]' \
	"$dir/unknown.out")" "a client that connects has no port yet: known once it has connected"

finish
