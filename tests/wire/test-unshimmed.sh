#!/bin/bash
# SPDX-License-Identifier: MIT
# Programs without the shim: whose their connections are, and TIME_WAITs that a policy ends for them.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=20

not_running() {
	! running "$1"
}

# conns_of PORT JQ: of the daemon's rows, those of a local port
conns_of() {
	ctl a conns | jq -c "select(.type == \"conn\" and (.local | endswith(\":$1\"))) | $2"
}

wire_init
daemon_start a <<-END
	policy by-program { program = {nobody-has-this, "python3*"}  local-port = 8001  time-wait = none }
	policy by-port    { local-port = 8002  time-wait = none }
	policy later      { local-port = 8003  time-wait = 2s }
	policy other-user { user = nobody  local-port = 8004  time-wait = none }
	policy after      { local-port = 8004  time-wait = none }
END

for port in 8000 8001 8002 8003 8004; do
	actor_serve "server$port" $port line send:1000 "fate:$dir/go" close
done
for port in 8000 8001 8002 8003 8004; do
	start b "client$port" "$python" "$wire_dir/actor.py" connect "$A4" $port $count --together text:hello eof close
done
attributed() {
	[ "$(conns_of 8000 "select(.pid == ${pid_of[server8000]} and .state == \"ESTABLISHED\")" | wc -l)" = "$count" ] &&
		[ "$(conns_of 8001 "select(.pid == ${pid_of[server8001]})" | wc -l)" = "$count" ] &&
		[ "$(conns_of 8004 "select(.pid == ${pid_of[server8004]})" | wc -l)" = "$count" ]
}
check "open connections are their processes'" wait_for 20 attributed
is "false server" "$(conns_of 8000 '"\(.shim) \(.role)"' | sort -u | tr -d '"')" "which are not under the shim, and servers"
is '"by-program"' "$(conns_of 8001 .policy | sort -u)" "a policy that names the program is theirs"
is '"after"' "$(conns_of 8004 .policy | sort -u)" "and not one that names another user"
touch "$dir/go"
for port in 8000 8001 8002 8003 8004; do
	wait_for 20 not_running "client$port"
done
state_is() {
	[ "$(conns_of "$1" "select(.state == \"$2\" and .pid == ${pid_of["server$1"]})" | wc -l)" = "$3" ]
}
check "TIME_WAITs keep their maker's name" wait_for 20 state_is 8000 TIME_WAIT $count
is $count "$(in_ns a ss -Htan state time-wait '( sport = :8000 )' | wc -l)" "as many as the kernel has"
gone() {
	[ "$(in_ns a ss -Htan state time-wait "( sport = :$1 )" | wc -l)" = 0 ]
}
check "time-wait = none, by program: none are left" wait_for 10 gone 8001
check "by port: the same" wait_for 10 gone 8002
check "a duration: they are ended after it" wait_for 20 gone 8003
check "of the next policy, where one names another user" wait_for 10 gone 8004
check "and the model knows" wait_for 10 state_is 8001 TIME_WAIT 0
is $count "$(in_ns a ss -Htan state time-wait '( sport = :8000 )' | wc -l)" "what no policy names stays"
is $((4 * count)) "$(ctl a status retire.retired)" "so many were retired"

# --- too short to be seen alive ---
: >"$dir/go"
in_ns b timeout 60 "$python" "$wire_dir/actor.py" connect "$A4" 8001 $count text:hello eof close >/dev/null
in_ns b timeout 60 "$python" "$wire_dir/actor.py" connect "$A4" 8002 $count text:hello eof close >/dev/null
check "by port, nobody need be known" wait_for 10 gone 8002
note "by program, TIME_WAITs left of connections that lived for a moment:" \
	"$(in_ns a ss -Htan state time-wait '( sport = :8001 )' | wc -l) of $count"
is 0 "$(ctl a conns | jq -c 'select(.local | endswith(":8001")) | select(.pid != null) | select(.state == "TIME_WAIT")' | wc -l)" \
	"and who is not known is not guessed"

finish
