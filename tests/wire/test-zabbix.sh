#!/bin/bash
# SPDX-License-Identifier: MIT
# The shipped UserParameter in a real agent of Zabbix, as the agent's own user, and the template held
# against what it answers.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
have zabbix_agentd || skip_all "zabbix-agent is not installed"
"$python" -c 'import yaml' 2>/dev/null || skip_all "python3-yaml is not installed"
id -u zabbix >/dev/null 2>&1 || skip_all "there is no user zabbix"

# The command as the agent finds it, wherever the build is.
mkdir "$dir/bin" && cp "$closeside" "$dir/bin/closeside"
cp "$top_srcdir/conf/zabbix/closeside.conf" "$dir/parameter.conf"
cat >"$dir/agent.conf" <<-END
	LogType=console
	PidFile=$dir/agent.pid
	Server=127.0.0.1
	ListenIP=127.0.0.1
	ListenPort=10050
	StartAgents=1
	Timeout=10
	User=zabbix
	Include=$dir/parameter.conf
END
touch "$dir/agent.pid" && chown zabbix "$dir/agent.pid"

# agent_says KEY: by the agent's own protocol
agent_says() {
	in_ns a "$python" - "$1" <<-'END'
		import socket, struct, sys
		key = sys.argv[1].encode()
		with socket.create_connection(("127.0.0.1", 10050), timeout=20) as s:
		    s.sendall(b"ZBXD\1" + struct.pack("<II", len(key), 0) + key)
		    data = b""
		    while chunk := s.recv(65536):
		        data += chunk
		assert data[:5] == b"ZBXD\1", data
		print(data[13:].split(b"\0")[-1].decode())
	END
}
answer() {
	agent_says closeside.status >"$dir/answer" 2>"$dir/answer.err"
}

daemon_start a <<-END
	group = zabbix
	policy held { local-port = 8001  close-first = peer  grace = 10s  grace-learn = no }
END
export CLOSESIDE_SOCKET=$dir/a.socket PATH=$dir/bin:$PATH
start_listening a agent 10050 zabbix_agentd -f -c "$dir/agent.conf"
is zabbix "$(ps -o user= -p "${pid_of[agent]}" | tr -d ' ')" "the agent runs as its own user"
steer a
actor_serve web 8001 line text:bye close
actor_connect "$A4" 8001 10 text:hello recv:4 sleep:50 close >/dev/null
ended_ten() {
	answer && [ "$(jq .custody.peer "$dir/answer")" = 10 ]
}
check "the agent asks the daemon" wait_for 10 ended_ten
is 1 "$(jq .up "$dir/answer")" "the daemon is up"
has_program() {
	answer && jq -e '.programs[] | select(.program | startswith("python3"))' "$dir/answer" >/dev/null
}
check "programs are discovered" wait_for 10 has_program
"$python" "$wire_dir/zabbix_check.py" "$top_srcdir/conf/zabbix/template_closeside.yaml" "$dir/answer" >"$dir/wrong" 2>&1
is "" "$(cat "$dir/wrong")" "the template: paths, types, triggers, uuids and the answer agree"
is "$(sed -nE 's/^\tX\([A-Z_0-9]+, "([a-z0-9-]+)", FAULT,.*/\1/p' "$top_srcdir/daemon/verdict.h" | sort)" \
	"$(jq -r '.faults | keys[]' "$dir/answer" | sort)" "every fault of the doctor is told"
# That it would be found wrong: without the programs, and with a trigger's item renamed.
jq '.programs = [] | del(.faults)' "$dir/answer" >"$dir/less"
"$python" "$wire_dir/zabbix_check.py" "$top_srcdir/conf/zabbix/template_closeside.yaml" "$dir/less" >"$dir/wrong" 2>&1
check "and would be found out if not" test -s "$dir/wrong"
check "zabbix_agentd -t" grep -q '"up":1' <(in_ns a zabbix_agentd -c "$dir/agent.conf" -t closeside.status 2>&1)

# --- without the right, without a daemon ---
stop closesided-a
answer
is '{"schema":1,"up":0}' "$(cat "$dir/answer")" "no daemon: the same item says so"
sed -i '/^group/d' "$dir/a.conf"
daemon_restart a
answer
is "" "$(cat "$dir/answer")" "without group = zabbix it may not ask"
finish
