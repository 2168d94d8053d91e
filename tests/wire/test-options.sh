#!/bin/bash
# SPDX-License-Identifier: MIT
# The keys that act before a connection is there: keepalive, user-timeout, reuse-address, reuse-port,
# backlog, bind-late, local-ports, source. Options go on the accepted or connecting socket, never on
# the listener, but for the three that are a listener's by nature.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
ip -n "$ns_b" addr add 10.77.0.3/24 dev veth0
ip -n "$ns_b" addr add 10.77.0.4/24 dev veth0
daemon_start a <<-END
	policy server  { role = server  local-port = 8001  keepalive = "61s/11s/6"  user-timeout = 7s
	                 reuse-address = yes  reuse-port = yes  backlog = 300 }
	policy app     { role = server  local-port = 8002 }
	policy less    { role = server  local-port = 8003  backlog = 5 }
	policy client  { role = client  remote-port = 8011  keepalive = "62s/12s/7"  user-timeout = 8s }
	policy none    { role = client  remote-port = 8012  keepalive = off }
	policy range   { role = client  remote-port = 8013  local-ports = 42000-42015 }
	policy turns   { role = client  remote-port = 8014  source = {10.77.0.3, 10.77.0.4} }
	policy next    { role = client  remote-port = 8015  local-ports = 43000-43000
	                 source = {10.77.0.3, 10.77.0.4} }
	policy foreign { role = client  remote-port = 8016  source = {10.99.0.9, 10.77.0.4} }
	# a client has no remote when it binds, so this is one for all
	policy late    { role = client  program = "python*"  bind-late = yes  local-ports = 44000-44000 }
END
steer a

# value FILE LINE JQ: of a line of an actor
value() {
	sed -n "$2p" "$dir/$1" | jq -c "$3"
}

options='[.opts.keepalive, .opts.idle, .opts.interval, .opts.probes, .opts.user_timeout]'

# --- on what is accepted, not on the listener ---
backlog_of() {
	in_ns a ss -Htln "sport = :$1" | awk 'NR == 1 { print $3 }'
}
actor_serve server 8001 --opts --no-reuse --backlog 20 line opts close
actor_connect "$A4" 8001 1 text:hello eof close >"$dir/server.out"
wait_for 10 grep -q 'line' "$dir/server.log"
is '[0,7200,75,9,0]' "$(value server.log 1 "$options")" "keepalive, user-timeout: not on the listener"
is '[1,61,11,6,7000]' "$(value server.log 2 "$options")" "keepalive, user-timeout: on what it accepts"
is '[1,1]' "$(value server.log 1 '[.opts.reuse_address, .opts.reuse_port]')" \
	"reuse-address, reuse-port: on the listener"
is 300 "$(backlog_of 8001)" "backlog: raised"

# Two at once on a port: what reuse-port is for.
start a server-too "${STEER[@]}" "$python" "$wire_dir/actor.py" serve 8001 --no-reuse line close
two_listen() {
	[ "$(in_ns a ss -Htln 'sport = :8001' | wc -l)" = 2 ]
}
check "reuse-port: a second server on the port" wait_for 10 two_listen

actor_serve app 8002 --opts --no-reuse --backlog 20 line opts close
actor_connect "$A4" 8002 1 text:hello eof close >"$dir/app.out"
wait_for 10 grep -q 'line' "$dir/app.log"
is '[0,7200,75,9,0]' "$(value app.log 2 "$options")" "app: nothing on what it accepts"
is '[0,0]' "$(value app.log 1 '[.opts.reuse_address, .opts.reuse_port]')" "app: nothing on the listener"
is 20 "$(backlog_of 8002)" "app: the program's backlog"
actor_serve less 8003 --backlog 20 line close
is 20 "$(backlog_of 8003)" "backlog: never lowered"

# --- on what connects ---
plain
for port in 8011 8012 8013 8014 8015 8016 8017 8018; do
	actor_serve "plain-$port" $port line send:10 eof close
done
steer a
# shellcheck disable=SC2034 # actor_connect's
CLIENT_STEER=("${STEER[@]}")
actor_connect "$A4" 8011 1 opts text:hello recv:10 close >"$dir/client.out"
is '[1,62,12,7,8000]' "$(value client.out 1 "$options")" "keepalive, user-timeout: on what connects"

cat >"$dir/client.py" <<-'END'
	"""What a client asks and is told: client.py keepalive HOST PORT | hold HOST PORT |
	late HOST PORT... | asked HOST PORT"""
	import ctypes, errno, json, socket, struct, sys, time
	libc = ctypes.CDLL(None, use_errno=True)
	kind, host, ports = sys.argv[1], sys.argv[2], [int(p) for p in sys.argv[3:]]
	def real_port(s):
	    """the kernel's word, past any wrapper (x86-64, aarch64)"""
	    number = {"x86_64": 51, "aarch64": 204}[__import__("platform").machine()]
	    name, size = ctypes.create_string_buffer(128), ctypes.c_uint(128)
	    libc.syscall(number, s.fileno(), name, ctypes.byref(size))
	    return struct.unpack(">H", name.raw[2:4])[0]
	def new(bind):
	    s = socket.socket()
	    if bind: s.bind((bind, 0))
	    return s
	note = {}
	if kind == "keepalive":
	    s = new(None)
	    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
	    s.connect((host, ports[0]))
	    note["keepalive"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
	elif kind == "hold":
	    s = new(None)
	    try:
	        s.connect((host, ports[0]))
	        note["from"] = "%s:%d" % s.getsockname()
	        print(json.dumps(note), flush=True)
	        time.sleep(1000)
	    except OSError as error:
	        note["error"] = errno.errorcode[error.errno]
	elif kind == "late":
	    some = [new("10.77.0.2") for _ in ports]
	    note["before"] = [real_port(s) for s in some]
	    note["no_port"] = [s.getsockopt(socket.SOL_IP, 24) for s in some]
	    for s, port in zip(some, ports): s.connect((host, port))
	    note["after"] = [s.getsockname()[1] for s in some]
	elif kind == "asked":
	    s = new("10.77.0.2")
	    note["before"] = real_port(s)
	    note["asked"] = s.getsockname()[1]
	    note["address"] = s.getsockname()[0]
	    note["real"] = real_port(s)
	    s.connect((host, ports[0]))
	    note["after"] = s.getsockname()[1]
	print(json.dumps(note), flush=True)
END

# client KIND HOST PORT...: what it prints
client() {
	in_ns b "${CLIENT_STEER[@]}" timeout -k 5 60 "$python" "$dir/client.py" "$@" |
		tee "$dir/client-$1.out"
}

is 0 "$(client keepalive "$A4" 8012 | jq .keepalive)" "keepalive = off: switched off where the program has it"

# --- local-ports ---
if [ -n "$wire_plain" ] || [ "$(actor_connect "$A4" 8011 1 opts | jq -c .opts.local_ports)" != '"ENOPROTOOPT"' ]; then
	actor_connect "$A4" 8013 16 --together opts text:hello recv:10 close >"$dir/range.out"
	is 16 "$(lines_count "$dir/range.out" '.error == null')" "local-ports: as many as the range has"
	is 16 "$(jq '.opts.local[1] | select(. >= 42000 and . <= 42015)' "$dir/range.out" | sort -u | wc -l)" \
		"local-ports: each from a port of the range"
	ports=1
else
	skip "local-ports" "this kernel has no IP_LOCAL_PORT_RANGE (Linux 6.3)"
	ports=
fi

# --- source ---
actor_connect "$A4" 8014 10 opts text:hello recv:10 close >"$dir/turns.out"
is '5 5' "$(lines_count "$dir/turns.out" '.opts.local[0] == "10.77.0.3"') $(lines_count \
	"$dir/turns.out" '.opts.local[0] == "10.77.0.4"')" "source: they take turns"
is 10.77.0.4 "$(actor_connect "$A4" 8016 1 opts | jq -r '.opts.local[0]')" \
	"source: an address that is not ours is passed over"
actor_connect "$A4" 8014 2 --bind "$B4" opts >"$dir/chosen.out"
is 2 "$(lines_count "$dir/chosen.out" ".opts.local[0] == \"$B4\"")" \
	"source: a program that chose its address keeps it"

# One port each: who begins with the address that is taken goes on to the next.
if [ -n "$ports" ]; then
	held() {
		grep -q . "$dir/hold-$1.log"
	}
	for n in 1 2 3; do
		start b "hold-$n" "${CLIENT_STEER[@]}" "$python" "$dir/client.py" hold "$A4" 8015
		wait_for 10 held $n
	done
	is '"10.77.0.3:43000"' "$(value hold-1.log 1 .from)" "source: the first address"
	is '"10.77.0.4:43000"' "$(value hold-2.log 1 .from)" "source: the next one on EADDRNOTAVAIL"
	is '"EADDRNOTAVAIL"' "$(value hold-3.log 1 .error)" "source: EADDRNOTAVAIL once all are taken"
else
	skip "source: the next one on EADDRNOTAVAIL" "it takes IP_LOCAL_PORT_RANGE (Linux 6.3)"
fi

# --- bind-late ---
# Both connect from the one port of their range, which a bind before connect could not share.
client late "$A4" 8017 8018 >/dev/null
is '[0,0] [1,1]' "$(jq -r '"\(.before) \(.no_port)"' "$dir/client-late.out")" \
	"bind-late: no port before connect, IP_BIND_ADDRESS_NO_PORT"
[ -z "$ports" ] || is '[44000,44000]' "$(jq -c .after "$dir/client-late.out")" \
	"bind-late: a port is shared towards two servers"
client asked "$A4" 8017 >/dev/null
is '0 true true true' "$(jq -r \
	'"\(.before) \(.asked > 0) \(.asked == .real) \(.asked == .after)"' "$dir/client-asked.out")" \
	"bind-late: who asks gets the port it will have"
is "\"$B4\"" "$(jq .address "$dir/client-asked.out")" "bind-late: and the address it bound"

finish
