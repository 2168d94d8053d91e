#!/bin/bash
# SPDX-License-Identifier: MIT
# A busy system without a fault: nginx under load, idle keep-alives, a few connections in every state
# for longer than the patience, lost SYN-ACKs, rude clients. The doctor finds nothing; and of many
# TIME_WAITs it says that they are harmless.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$wire_dir/servers.sh"
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

wire_init
have nginx || skip_all "nginx is not installed"
doctor_start </dev/null

# all_fine NAME: a fault in no round, while the load goes on and until there are many TIME_WAITs
all_fine() {
	local bad='' end=$(($(now_ms) + 30000))
	rounds=0
	while [ $rounds -lt 15 ] || [ "$(time_wait a)" -lt 1500 ]; do
		doctor
		rounds=$((rounds + 1))
		[ $doctor_status = 0 ] || bad=$(cat "$dir/doctor.jsonl" "$dir/doctor.err")
		[ "$(now_ms)" -lt $end ] || break
		sleep 0.1
	done
	check "$1: the load went on" running load
	is "" "$bad" "$1: $rounds rounds find no fault"
}

# --- a few of everything ---
actor_serve half 8101 line shut_wr hold
actor_serve keeps 8102 line eof hold
start b half-open "$python" "$wire_dir/actor.py" connect "$A4" 8101 4 --together text:hello eof hold
start b closed "$python" "$wire_dir/actor.py" connect "$A4" 8102 4 --together text:hello close
cat >"$dir/idle.py" <<-'END'
	import socket, sys, time
	kept = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(100)]
	for s in kept:
	    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	time.sleep(1000)
END
in_ns b nft -f - <<-END
	table ip lossy {
		chain in { type filter hook input priority 0; tcp sport 8103 drop; }
	}
END
actor_serve lossy 8103 line close
cat >"$dir/syns.py" <<-'END'
	import socket, sys, time
	kept = []
	for _ in range(20):
	    s = socket.socket()
	    s.setblocking(False)
	    s.connect_ex((sys.argv[1], int(sys.argv[2])))
	    kept.append(s)
	time.sleep(1000)
END
start b syns "$python" "$dir/syns.py" "$A4" 8103
steer a
server_nginx 8100 75
start b idle "$python" "$dir/idle.py" "$A4" 8100
plain
each_is_there() {
	local state
	in_ns a ss -Htan >"$dir/states"
	for state in FIN-WAIT-2:8101 CLOSE-WAIT:8102 SYN-RECV:8103 ESTAB:8100; do
		grep -qE "^${state%:*} .*:${state#*:} " "$dir/states" || return 1
	done
}
check "connections in many states" wait_for 20 each_is_there

# --- under load ---
start b load "$python" "$wire_dir/load.py" reader "$A4" 8100 4 "$dir/stop"
all_fine busy
touch "$dir/stop"
check "and they were there all the time" each_is_there
note "states: $(awk '{ print $1 }' "$dir/states" | sort | uniq -c | tr -s ' ' | tr '\n' ',')"

# --- what is many, but harmless ---
many=$(time_wait a)
at_least 1000 "$many" "there are many TIME_WAITs"
check "it is said that they are harmless" finds time-wait-harmless
is "0 info nginx" "$doctor_status $(verdict_of time-wait-harmless '"\(.level) \(.program)"')" \
	"time-wait-harmless: for information, with who makes them"
check "time-wait-harmless: far from any limit" grep -q 'far from any limit' \
	<(verdict_of time-wait-harmless .title)
note "$(verdict_of time-wait-harmless .title)"
is 1 "$(jq -s length "$dir/doctor.jsonl")" "and no more is said"
is "0 1" "$(in_ns a "$closeside" -s "$dir/a.socket" doctor -f json | jq -r '"\(.schema - 1) \(.verdicts | length)"')" \
	"json: one document, with its schema"
at_least 1 "$(in_ns a "$closeside" -s "$dir/a.socket" doctor | grep -c '^info time-wait-harmless: ')" \
	"plain: a line that begins with what it is"

# --- who asks ---
in_ns a "$closeside" -s "$dir/nobody" doctor >/dev/null 2>"$dir/no.err"
is 3 $? "without a daemon: exit status 3"
check "without a daemon: how to start one" grep -q 'systemctl start closeside' "$dir/no.err"
for ((i = 0; i < 20; i++)); do
	in_ns a "$closeside" -s "$dir/a.socket" doctor 2>>"$dir/head.err" | head -c 1 >/dev/null
done
is "" "$(cat "$dir/head.err")" "a reader that goes is no error"
check "the daemon goes on" daemon_answers a
finish
