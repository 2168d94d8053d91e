#!/bin/bash
# SPDX-License-Identifier: MIT
# Connections in other network namespaces than the daemon's: seen, attributed, followed into TIME_WAIT;
# and a namespace that nobody is in any more is let go.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=20

# there JQ: of the rows in namespace B
there() {
	ctl a conns | jq -c "select(.type == \"conn\" and .netns == $b_inode) | $1"
}

many() {
	[ "$(there "select($1)" | wc -l)" = "$2" ]
}

not_running() {
	! running "$1"
}

wire_init
if ! in_ns b true || [ "$(id -u)" != 0 ]; then
	skip_all "it takes CAP_SYS_ADMIN"
fi
b_inode=$(in_ns b stat -Lc %i /proc/self/ns/net)
daemon_start a <<-END
	limits { namespaces = 64 }
	policy gone { local-port = 8102  time-wait = none }
END

# The server is in B, without the shim, and closes first.
start b server "$python" "$wire_dir/actor.py" serve 8101 line send:1000 "fate:$dir/go" close
wait_for 20 listening b 8101
start a client "$python" "$wire_dir/actor.py" connect "$B4" 8101 "$count" --together text:hello eof close
check "another namespace's connections are its processes'" wait_for 30 \
	many ".state == \"ESTABLISHED\" and .pid == ${pid_of[server]} and .role == \"server\"" "$count"
at_least "$count" "$(ctl a conns | jq -c 'select(.netns == null and (.remote | endswith(":8101")))' | wc -l)" \
	"and our own namespace's their own"
is 1 "$(ctl a ps | jq -c "select(.type == \"process\" and .pid == ${pid_of[server]} and .netns == $b_inode)" | wc -l)" \
	"ps has the process, and where it is"
is "$count" "$("$closeside" conns -s "$dir/a.socket" -f jsonl netns "$b_inode" sport = :8101 | wc -l)" \
	"conns can be asked for a namespace"
touch "$dir/go"
wait_for 20 not_running client
check "they keep their maker's name in TIME_WAIT" wait_for 20 \
	many ".state == \"TIME_WAIT\" and .pid == ${pid_of[server]}" "$count"
is "$count" "$(in_ns b ss -Htan state time-wait '( sport = :8101 )' | wc -l)" "as many as the kernel has there"

# Under the shim, and too short for any survey: the record says whose it is.
steer a
start b steered "${STEER[@]}" "$python" "$wire_dir/actor.py" serve 8103 line send:1000 close
plain
wait_for 20 listening b 8103
in_ns a timeout 60 "$python" "$wire_dir/actor.py" connect "$B4" 8103 "$count" text:hello eof close >/dev/null
check "of short ones under the shim as well" wait_for 20 \
	many ".state == \"TIME_WAIT\" and .pid == ${pid_of[steered]}" "$count"

# --- it ends ---
stop server
stop steered
check "once no process is there, nothing of it is shown" wait_for 30 many true 0
# Its end of the veth pair goes with it, and so does ours.
ip netns del "$(ns_name b)"
link_gone() {
	! ip -n "$(ns_name a)" link show veth0
}
check "and nothing keeps it alive" wait_for 20 link_gone

finish
