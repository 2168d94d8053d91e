#!/bin/bash
# SPDX-License-Identifier: MIT
# What comes over the two sockets and is not what it should be: counted, the daemon goes on, and so
# do the other sessions; it never keeps a descriptor that it should not have. A process that hands
# over more than its share costs nobody but itself.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing to say without closeside"
daemon_start a <<-END
	limits { custody = 300  custody-per-process = 200  sessions = 200 }
	policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }
END
steer a
loop=$(ctl a status pid)

# An ordinary server under the shim, all the while: the very same process and session.
actor_serve web 8001 line send:1000 close
served() {
	local before
	before=$(ctl a status custody.peer)
	actor_connect "$A4" 8001 2 text:hello recv:1000 sleep:20 close >"$dir/web.out"
	if [ "$(lines_count "$dir/web.out" '.error == null and .got == 1000')" = 2 ] &&
		wait_for 5 ctl_least a status custody.peer $((before + 2)) &&
		[ "$(ctl a status pid)" = "$loop" ]; then
		ok "$1: another session is served as before"
	else
		not_ok "$1: another session is served as before" \
			"loop $loop, now $(ctl a status pid); $(cat "$dir/web.out")"
	fi
}

hostile() {
	in_ns a timeout -k 5 120 "$python" "$wire_dir/hostile.py" "$dir/a.socket" "$@"
}

fds() {
	find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}

# The closes are another thread's, and sessions end a moment after their processes.
fds_at_most() {
	[ "$(fds "$loop")" -le "$1" ]
}

# attempt WHAT [NUMBER]: sets what it answered, $bad and $refused by how much the counters rose
attempt() {
	local bad_before refused_before fds_before
	fds_before=$(fds "$loop")
	bad_before=$(ctl a status bad_messages)
	refused_before=$(ctl a status custody.refused)
	answer=$(hostile "$@" 2>"$dir/hostile.err")
	[ -n "$answer" ] || note "$1: $(tail -n3 "$dir/hostile.err")"
	bad=$(($(ctl a status bad_messages) - bad_before))
	refused=$(($(ctl a status custody.refused) - refused_before))
	if wait_for 10 fds_at_most "$fds_before"; then
		ok "$*: no descriptor stays with the daemon"
	else
		not_ok "$*: no descriptor stays with the daemon" "$fds_before before, $(fds "$loop") after"
	fi
}

# answered EXPECTED JQ-VALUE NAME
answered() {
	is "$1" "$(jq -c "$2" <<<"$answer")" "$3"
}

logged() {
	check "$2" grep -q -- "$1" "$dir/closesided-a.log"
}

served "at first"

# --- the session socket ---
attempt no_hello
answered '[0,0]' '[.served, .alive]' "what is no hello is not served"
is "$(jq .sent <<<"$answer")" "$bad" "each is counted"

attempt options
is "$(jq .sent <<<"$answer")" "$(jq .served <<<"$answer")" "nonsense as options: served all the same"
is 0 "$bad" "it may be a newer shim: it is not counted"

attempt silent 50
answered '[false,49]' '[.served, .alive]' "who says nothing may stay; an empty message is an end"

for version in 0 2 65535; do
	attempt version $version
	answered '[false,false]' '[.served, .alive]' "version $version is not served"
	is 1 "$bad" "it is counted"
done
logged 'speaks protocol version 2, this daemon 1' "the version is named"
served "wrong hellos"

attempt garbage
answered '[true,true,true]' '[.served, .alive, .held]' "wrong records: the session goes on, and may hand over"
is "$(jq .sent <<<"$answer")" "$bad" "each is counted"

attempt flood_garbage 1000
answered '[true,false]' '[.served, .alive]' "nothing but wrong records: the session is ended"
at_most 200 "$bad" "before it has cost much"
served "wrong records"

# --- descriptors ---
attempt not_tcp
answered '[true,true]' '[.served, .alive]' "what is no TCP connection: the session goes on"
is "$(jq .sent <<<"$answer")" "$refused" "each is counted"
logged 'handed over what is no TCP connection' "it is said"

attempt not_asked
answered '[true,true]' '[.served, .alive]' "a descriptor where none belongs, none where one does: the session goes on"
is 7 "$bad" "each is counted"

for number in 2 5 253; do
	attempt several $number
	answered '[true,false,0]' '[.served, .alive, .held]' "$number descriptors at once: the session is ended"
	is 1 "$bad" "it is counted"
done
served "wrong descriptors"

attempt lingering 40
answered true .served "descriptors whose close() blocks"
served "they block nobody"

# --- the control socket ---
# control TEXT...: printf's arguments; sends it, and prints what comes until it or we hang up
control() {
	# shellcheck disable=SC2059 # that is the idea
	printf "$@" | timeout 10 "$python" -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])
try:
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
    while part := s.recv(65536):
        sys.stdout.buffer.write(part)
except ConnectionError:
    pass' "$dir/a.socket.control"
}

# refused_line NAME ERROR TEXT...
refused_line() {
	local name=$1 error=$2 before
	shift 2
	before=$(ctl a status bad_messages)
	is "$error" "$(control "$@" | jq -r .error 2>&1)" "control: $name: it is told"
	is 1 $(($(ctl a status bad_messages) - before)) "control: $name: it is counted"
}

status='{"v":1,"cmd":"status"}\n'
is "status end" "$(control "$status" | jq -r .type | tr '\n' ' ' | sed 's/ $//')" \
	"control: who hangs up after the request has the answer"
no_request='not a request: {"v":1,"cmd":"..."} is'
refused_line "garbage" "$no_request" 'rubbish\n'
refused_line "binary" "$no_request" '\001\377\000\200\n'
refused_line "an empty line" "$no_request" '\n'
refused_line "a list" "$no_request" '["status"]\n'
refused_line "a command that is a number" "$no_request" '{"v":1,"cmd":7}\n'
refused_line "the same key twice" "$no_request" '{"v":1,"cmd":"status","cmd":"off"}\n'
refused_line "a wrong version" "unknown protocol version: this daemon speaks 1" '{"v":2,"cmd":"status"}\n'
refused_line "no version" "unknown protocol version: this daemon speaks 1" '{"cmd":"status"}\n'
refused_line "an unknown command" "unknown command" '{"v":1,"cmd":"stauts"}\n'
refused_line "half a request" "" '{"v":1,"cmd":"sta'
refused_line "100,000 bytes without an end" "" '%0100000d' 0
refused_line "deeply nested" "$no_request" '%s\n' "$(printf '[%.0s' {1..30000})"
is "status end end" "$(control '%b%b' 'rubbish\n' "$status" | jq -r .type | sort -r | tr '\n' ' ' | sed 's/ $//')" \
	"control: after a wrong line the next is answered"
served "wrong requests"

# Requests that are never finished must not lock anybody out.
start a idle "$python" -c '
import socket, sys, time
all = [socket.socket(socket.AF_UNIX) for i in range(100)]
for s in all:
    try:
        s.connect(sys.argv[1])
        s.send(b"{")
    except BrokenPipeError:
        pass
print("ready", flush=True)
time.sleep(100)' "$dir/a.socket.control"
wait_for 10 grep -q ready "$dir/idle.log"
check "control: 100 requests that are never finished: others are answered" daemon_answers a
stop idle

# --- more than its share ---
# flooded NAME NUMBER LIMIT: while a polite process has one connection in custody
flooded() {
	local early
	early=$(ctl a status custody.early)
	mkfifo "$dir/go"
	hostile polite <"$dir/go" >"$dir/polite" 2>&1 &
	local polite=$! peak=0 now flood
	exec 7>"$dir/go"
	wait_for 10 grep -q ready "$dir/polite"
	hostile flood "$2" <"$dir/go" >"$dir/flood" 2>&1 7>&- &
	flood=$!
	until grep -q ready "$dir/flood" || pid_gone $flood; do
		now=$(fds "$loop")
		[ "$now" -le "$peak" ] || peak=$now
		sleep 0.1
	done
	note "$1: $2 handed over; at most $peak descriptors in the daemon; $(ctl a status custody)"
	at_most $(($3 + 1000)) "$peak" "$1: the daemon's descriptors are bounded"
	at_least $(($2 - $3)) $(($(ctl a status custody.early) - early)) "$1: the oldest end early"
	at_most $(($3 + 1)) "$(ctl a status custody.held)" "$1: what is held is bounded"
	served "$1"
	exec 7>&-
	wait $polite $flood
	is '[true,true,true]' "$(tail -n1 "$dir/polite" | jq -c '[.served, .alive, .held]')" \
		"$1: what another process handed over is held all the while"
	is "[true,true,0,true]" "$(tail -n1 "$dir/flood" | jq -c '[.served, .alive, .stuck, .in_order]')" \
		"$1: it ended the oldest first"
	wait_for 20 ctl_is a status custody.held 0
	rm "$dir/go" "$dir/flood"
}
flooded "over its share" 3000 200

cat >"$dir/a.conf" <<-END
	limits { custody = 300  custody-per-process = 300  sessions = 200 }
	policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }
END
check "reload" ctl a reload
flooded "over the limit of all" 3000 300

cat >"$dir/a.conf" <<-END
	policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }
END
check "reload" ctl a reload
share=$(($(ulimit -Hn) / 2)) # see apply_limits() in daemon/loop.c
[ "$share" -lt 10000 ] || share=10000
flooded "100,000" 100000 $share

finish
