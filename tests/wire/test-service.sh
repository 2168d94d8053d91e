#!/bin/bash
# SPDX-License-Identifier: MIT
# The daemon as a service: what it tells systemd, how it stops, what it does without any privilege,
# and what readers of its policy page see when it is killed again and again while it rewrites it.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
capture_start a

# --- what systemd is told ---
cat >"$dir/manager.py" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	print("bound", flush=True)
	while True:
	    print(s.recv(4096).decode().replace("\n", " "), flush=True)
END
start a manager "$python" "$dir/manager.py" "$dir/notify"
wait_for 10 grep -q bound "$dir/manager.log"
told() {
	[ "$(grep -c "^$1" "$dir/manager.log")" -ge "$2" ]
}
export NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=1000000
daemon_start a <<-END
	policy held { local-port = 8001  close-first = peer  grace = 60s  grace-learn = no }
END
unset NOTIFY_SOCKET WATCHDOG_USEC
check "systemd: READY=1" wait_for 10 told READY=1 1
is 1 "$(sed -n '2,$p' "$dir/manager.log" | head -n1 | grep -c READY=1)" "systemd: it is the first word"
check "systemd: WATCHDOG=1, and again" wait_for 10 told WATCHDOG=1 2
signal closesided-a HUP
check "systemd: RELOADING=1" wait_for 10 told RELOADING=1 1
check "systemd: and ready again" wait_for 10 told READY=1 2

# --- stopped while it holds ---
steer a
actor_serve held 8001 line text:bye close
actor_connect "$A4" 8001 10 --together text:hello recv:4 eof close >"$dir/held.out" &
client=$!
check "it holds 10" wait_for 10 ctl_is a status custody.held 10
stop closesided-a
wait $client
capture_section a held 10
check "SIGTERM: STOPPING=1" told STOPPING=1 1
is 10 "$(lines_count "$dir/held.out" '.eof and .error == null and .got == 4')" \
	"SIGTERM: what is held ends, each peer has its bytes and EOF"
is 10 "$(conns_count "$dir/held.conns" 'first == "a" && kind == "FIN"')" \
	"SIGTERM: as the policy says, with a FIN of ours"
check "SIGTERM: it says that it has stopped" grep -q 'stopped; 10 held' "$dir/closesided-a.log"
is "$dir/a.socket.history" "$(find "$dir" -maxdepth 1 -name 'a.socket*')" \
	"SIGTERM: its sockets and its page are gone, its history is not"
# A server that ran under it goes on.
actor_connect "$A4" 8001 2 text:hello recv:4 eof close >"$dir/after.out"
is 2 "$(lines_count "$dir/after.out" '.eof and .error == null')" "SIGTERM: the programs go on"
# shellcheck disable=SC2016 # sh expands them
start a terminal sh -c 'env --default-signal=INT "$@"; echo "exit $?"' sh \
	"$closesided" -c "$dir/a.conf" -s "$dir/a.socket"
wait_for 10 daemon_answers a
kill -INT "$(child_of terminal)"
check "Ctrl-C: exit 0" wait_for 10 grep -q '^exit 0$' "$dir/terminal.log"
stop terminal

# --- without any privilege ---
if have setpriv; then
	mkdir "$dir/low"
	chown nobody "$dir/low"
	nobody=(setpriv --reuid=nobody --clear-groups --bounding-set=-all --inh-caps=-all)
	cat >"$dir/low.conf" <<-END
		policy low { local-port = 8002  close-first = peer  grace = 10s  grace-learn = no }
	END
	start a closesided-low "${nobody[@]}" "$closesided" -c "$dir/low.conf" -s "$dir/low/low.socket"
	check "unprivileged: it serves" wait_for 10 daemon_answers low/low
	is 1 "$(grep -c 'without CAP_NET_ADMIN' "$dir/closesided-low.log")" \
		"unprivileged: says once what it cannot do"
	check "unprivileged: so does status" grep -q CAP_NET_ADMIN <(ctl low/low status missing)
	steer low/low
	capture_mark a
	start_listening a low 8002 "${nobody[@]}" "${STEER[@]}" "$python" "$wire_dir/actor.py" serve 8002 \
		line text:bye close
	actor_connect "$A4" 8002 20 text:hello recv:4 sleep:20 close >"$dir/low.out"
	capture_section a low 20
	is 20 "$(conns_count "$dir/low.conns" 'first == "b" && kind == "FIN"')" \
		"unprivileged: a program of its user is steered"
	stop low
	stop closesided-low
else
	skip "unprivileged" "setpriv is not installed"
fi

# --- killed while it rewrites the page, many times ---
cat >"$dir/storm.py" <<-'END'
	"""storm.py SOCKET: asks for a reload, and another, until nobody answers; page.py: how it was left"""
	import socket, sys
	try:
	    with socket.socket(socket.AF_UNIX) as s:
	        s.connect(sys.argv[1] + ".control")
	        reader = s.makefile("rb")
	        while True:
	            s.sendall(b'{"v":1,"cmd":"reload"}\n')
	            while b'"end"' not in (reader.readline() or sys.exit(0)):
	                pass
	except OSError:
	    pass
END
page_is_odd() {
	[ $(($(od -An -tu4 -j24 -N4 "$dir/a.socket.policy") % 2)) = 1 ]
}
{
	for ((i = 0; i < 60; i++)); do
		echo "policy other$i { local-port = $((20000 + i))  program = {a, b, c}  close-first = peer }"
	done
	echo "policy web { local-port = 8003  close-first = peer  grace = 10s  grace-learn = no }"
} >"$dir/a.conf"
daemon_restart a
steer a
actor_serve web 8003 line text:bye close
odd=0 answered=0
for ((round = 0; round < 20; round++)); do
	start a storm "$python" "$dir/storm.py" "$dir/a.socket"
	sleep "0.0$((RANDOM % 9 + 1))" # anywhere in it: that is the point
	stop closesided-a KILL
	stop storm
	! page_is_odd || odd=$((odd + 1))
	[ "$(actor_connect "$A4" 8003 1 text:hello recv:4 close | jq -c '[.got, .error]')" = '[4,null]' ] &&
		answered=$((answered + 1))
	daemon_restart a
done
note "killed 20 times in a storm of reloads; the page was left half-written $odd times"
is 20 $answered "killed while it reloads: the next connection is served"
capture_mark a
# At its first call a program notices the new page, if not at once.
steered_again() {
	actor_connect "$A4" 8003 1 text:hello recv:4 sleep:20 close >/dev/null
	ctl_least a status custody.peer 1
}
check "killed while it reloads: the new daemon steers" wait_for 10 steered_again
finish
