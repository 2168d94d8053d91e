#!/bin/bash
# SPDX-License-Identifier: MIT
# The system calls that nginx makes for each short connection: plain, and what the shim adds under
# each policy, where the server is the first to close. Only counted: the same on every machine.
# BENCH_CONNECTIONS: another number.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/wire/lib.sh"
# shellcheck source=tests/bench/nginx.sh
. "$(dirname "$0")/nginx.sh"

count=${BENCH_CONNECTIONS:-1000}
[ "$count" -le 5000 ] || count=5000 # strace is slow
kinds=(plain watch peer none)
declare -A port=([plain]=8100 [watch]=8200 [peer]=8300 [none]=8400)

wire_init
bench_init
have strace || skip_all "strace is not installed"

# server KIND
server() {
	bench_nginx "$1" 1 "${port[$1]}" 1
}

# shellcheck disable=SC2317 # wait_for calls it
attached() {
	grep -q attached "$dir/strace.log"
}

# calls KIND: writes "NAME CALLS" of its worker to $dir/KIND.calls, epoll_wait aside: it is of the load
calls() {
	local worker
	in_ns b "$client" "$A4" "${port[$1]}" 100 1 5 >/dev/null # the first makes the channel
	worker=$(child_of "$1")
	start a strace strace -c -o "$dir/$1.strace" -p "$worker"
	wait_for 10 attached
	in_ns b "$client" "$A4" "${port[$1]}" "$count" 1 5 >/dev/null
	sleep 0.2
	stop strace INT
	awk '$1 ~ /^[0-9.]+$/ && $NF != "total" && $NF != "epoll_wait" { print $NF, $4 }' \
		"$dir/$1.strace" | sort >"$dir/$1.calls"
}

daemon_start a <<-END
	policy peer { role = server  program = {nginx}  local-port = {8300-8399}  close-first = peer }
	policy none { role = server  program = {nginx}  local-port = {8400-8499}  time-wait = none }
END
plain
server plain
steer a
for kind in "${kinds[@]:1}"; do
	server "$kind"
done
for kind in "${kinds[@]}"; do
	calls "$kind"
	awk -v kind="$kind" -v n="$count" '
		FNR == NR { plain[$1] = $2; next }
		{ all += $2; add = ($2 - plain[$1]) / n
			if (add >= 0.05 || add <= -0.05) text = text sprintf("%s %s %.1f", text ? "," : "", $1, add) }
		END { printf "# %s: %.1f calls a connection; added:%s\n", kind, all / n, text ? text : " -" }
		' "$dir/plain.calls" "$dir/$kind.calls"
done
ok "counted"
finish
