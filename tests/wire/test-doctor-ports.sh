#!/bin/bash
# SPDX-License-Identifier: MIT
# The doctor finds ports to one destination running out, with the time that is left, and TIME_WAITs
# near their limit, with who made them.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
doctor_patience=5000 # what happened is to be found after a while on a busy machine
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

wire_init
doctor_start </dev/null
in_ns a sysctl -qw net.ipv4.ip_local_port_range='40000 40199'
start_listening b sink 9001 "$python" "$wire_dir/actor.py" serve 9001 eof close

# Connects and closes, so many at once and then some a second; then waits.
cat >"$dir/busy.py" <<-'END'
	import socket, sys, time
	host, port, first, rate, seconds = sys.argv[1], *map(int, sys.argv[2:])
	def one():
	    with socket.create_connection((host, port)) as s:
	        s.shutdown(socket.SHUT_WR)
	        s.recv(1)
	def many(count, pause):
	    for _ in range(count):
	        try:
	            one()
	            print("fine", flush=True)
	        except OSError as error:
	            print(error, flush=True)
	        time.sleep(pause)
	many(first, 0)
	print("first", flush=True)
	many(rate * seconds, 1 / max(rate, 1))
	print("done", flush=True)
	time.sleep(1000)
END
said() {
	grep -qx "$2" "$dir/$1.log"
}

steer a
start a calm "${STEER[@]}" "$python" "$dir/busy.py" "$B4" 9001 60 0 0
wait_for 20 said calm first
check "60 of 200 ports are not too many" finds_nothing
start a busy "${STEER[@]}" "$python" "$dir/busy.py" "$B4" 9001 80 2 20
plain
wait_for 20 said busy first # before, the calm one has more
judged ports-running-out "$python_name" "${pid_of[busy]}" 100 '10\.77\.0\.2:9001: 1[0-9]{2} of 200'
check "ports-running-out: how long they last" grep -qE 'at this rate all in [0-9]+(s|ms)|none is left' \
	"$dir/evidence"
wide=$(remedy ports-running-out | grep -c 'ip_local_port_range')
is 1 "$wide" "a wider range is a remedy"
paste_remedy ports-running-out '^sysctl -w net.ipv4.ip_local_port_range='
cured ports-running-out
is "10240 65535" "$(in_ns a sysctl -n net.ipv4.ip_local_port_range | xargs)" "the range is wider"
in_ns a sysctl -qw net.ipv4.ip_local_port_range='40000 40199'
check "with the old one it is back" wait_for 20 finds ports-running-out
paste_remedy ports-running-out '^sysctl -w net.ipv4.tcp_tw_reuse=1'
cured ports-running-out
start a again "$python" "$dir/busy.py" "$B4" 9001 0 150 2
check "with tcp_tw_reuse, 300 more connections" wait_for 30 said again "done"
is 300 "$(grep -c '^fine$' "$dir/again.log")" "none of them fails"
stop again
stop busy
stop calm
in_ns a ss -K -Htan state time-wait >/dev/null

# --- near tcp_max_tw_buckets ---
in_ns a sysctl -qw net.ipv4.tcp_max_tw_buckets=200
steer a
actor_serve maker 8002 line text:bye close
plain
actor_connect "$A4" 8002 120 text:hello recv:4 eof close >/dev/null
check "120 of 200 are not too many" finds_nothing
actor_connect "$A4" 8002 50 text:hello recv:4 eof close >/dev/null
judged time-wait-near-limit "$python_name" "${pid_of[maker]}" 150 \
	"1[67][0-9] made by $python_name\[${pid_of[maker]}\]: port 8002"
paste_remedy time-wait-near-limit '^sysctl -w net.ipv4.tcp_max_tw_buckets='
is 400 "$(in_ns a sysctl -n net.ipv4.tcp_max_tw_buckets)" "the limit is doubled"
cured time-wait-near-limit
in_ns a sysctl -qw net.ipv4.tcp_max_tw_buckets=200
check "with the old limit it is back" wait_for 20 finds time-wait-near-limit
actor_connect "$A4" 8002 60 text:hello recv:4 eof close >/dev/null
judged time-wait-near-limit "$python_name" "${pid_of[maker]}" 190 'ended at once of late'
paste_remedy time-wait-near-limit "^echo 'policy time-wait-near-limit-8002 .*close-first = peer" \
	' policy reload$'
in_ns a ss -K -Htan state time-wait >/dev/null
actor_connect "$A4" 8002 250 text:hello recv:4 close >/dev/null
at_most 20 "$(time_wait a)" "with the policy, 250 closes leave hardly any here"
cured time-wait-near-limit
finish
