#!/bin/bash
# SPDX-License-Identifier: MIT
# The doctor finds a program that never closes what its peers have closed, and one that never accepts,
# with and without the shim.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

wire_init
doctor_start </dev/null

# --- it reads to the end, and forgets to close ---
actor_serve leak 8001 line eof hold
actor_connect "$A4" 8001 4 text:hello close >/dev/null
in_close_wait() {
	[ "$(in_ns a ss -Htn state close-wait "sport = :$1" | wc -l)" = "$2" ]
}
check "four connections are in CLOSE_WAIT" wait_for 20 in_close_wait 8001 4
sleep "$(((doctor_patience + 1500) / 1000))" # long enough to be found, if four were too many
check "a few are no leak" finds_nothing
actor_connect "$A4" 8001 16 text:hello close >/dev/null
leak_is_whole() {
	finds close-wait-leak && [ "$(verdict_of close-wait-leak .count)" = 20 ]
}
wait_for 30 leak_is_whole
judged close-wait-leak "$python_name" "${pid_of[leak]}" 20 'port 8001 \(20\)'
at_least "$doctor_patience" "$(verdict_of close-wait-leak .since_ms)" \
	"close-wait-leak: it has lasted for the patience"
paste_remedy close-wait-leak '^ss -K'
check "ss -K: no CLOSE_WAIT is left" wait_for 20 in_close_wait 8001 0
check "ss -K: the program goes on" running leak
cured close-wait-leak
steer a
actor_serve leaks-too 8002 line eof hold
plain
actor_connect "$A4" 8002 10 text:hello close >/dev/null
judged close-wait-leak "$python_name" "${pid_of[leaks-too]}" 10 'port 8002 \(10\)'
paste_remedy close-wait-leak '^kill '
check "kill: it ends the program" wait_for 20 pid_gone "${pid_of[leaks-too]}"
cured close-wait-leak

# --- it listens, and never accepts ---
cat >"$dir/deaf.py" <<-'END'
	import signal, socket
	s = socket.socket()
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind(("0.0.0.0", 8003))
	s.listen(100)
	signal.pause()
END
start_listening a deaf 8003 "$python" "$dir/deaf.py"
start b waits "$python" "$wire_dir/actor.py" connect "$A4" 8003 8 --together text:hello recv:1 close
start b leaves "$python" "$wire_dir/actor.py" connect "$A4" 8003 4 --together text:hello close
judged never-accepted "$python_name" "${pid_of[deaf]}" 1 '12 in the queue of .*8003.* 100'
all_wait() {
	finds never-accepted && [ "$(verdict_of never-accepted .count)" = 12 ]
}
check "never-accepted: also those in CLOSE_WAIT" wait_for 20 all_wait
check "never-accepted: and nobody is said to leak them" finds_not close-wait-leak
paste_remedy never-accepted '^kill '
cured never-accepted

# --- it does, but it was stopped ---
actor_serve stopped 8004 line text:bye close
signal stopped STOP
actor_connect "$A4" 8004 3 --together text:hello recv:4 eof close >"$dir/stopped.out" &
client=$!
judged never-accepted "$python_name" "${pid_of[stopped]}" 1 'stopped by a signal'
paste_remedy never-accepted '^kill -CONT'
wait $client
is 3 "$(lines_count "$dir/stopped.out" '.error == null and .got == 4')" "kill -CONT: all are answered"
cured never-accepted
finish
