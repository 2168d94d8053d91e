#!/bin/bash
# SPDX-License-Identifier: MIT
# The system calls that the shim adds to each short connection of an unmodified nginx that closes
# first, by policy: counted, so the same on every machine. The calls that depend on what is ready
# when (epoll_wait, accept4, recvfrom, epoll_ctl) vary by themselves and are left out.
# CALLS_CONNECTIONS: another number.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/wire/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"

count=${CALLS_CONNECTIONS:-500}
client=$top_builddir/tests/bench/short_conns

# By policy: its port, and how many calls it may add. A hand-over also asks in each tick of the
# coarse clock (4 ms) whether the channel's descriptor is still the channel, which under strace is
# nearly each time.
declare -A port=([plain]=8100 [watch]=8200 [peer]=8300 [none]=8400 [2s]=8500)
declare -A allowed=([watch]=3 [peer]=8 [none]=4 [2s]=3)

wire_init
for program in nginx strace; do
	have $program || skip_all "$program is not installed"
done
[ -x "$client" ] || skip_all "$client is not built"

# shellcheck disable=SC2317 # wait_for calls it
attached() {
	[ "$(grep -c attached "$dir/strace.log")" -ge 2 ]
}

# short PORT COUNT: connections; prints how many were answered. Strace makes a server slow to close:
# each waits 5 ms after its answer, so that it is not the client that closes first.
short() {
	in_ns b "$client" "$A4" "$1" "$2" 1 5 | cut -d' ' -f1
}

# calls KIND: "NAME CALLS" of its workers, in $dir/KIND.calls
calls() {
	local workers
	short "${port[$1]}" 100 >/dev/null # the first ones make the channel, and learn
	mapfile -t workers < <(pgrep -P "${pid_of[nginx${port[$1]}]}")
	start a strace strace -f -c -o "$dir/$1.strace" "${workers[@]/#/-p}"
	wait_for 20 attached
	is "$count" "$(short "${port[$1]}" "$count")" "$1: each is answered"
	stop strace INT
	awk '$1 ~ /^[0-9.]+$/ && $NF !~ /^(total|epoll_wait|accept4|recvfrom|epoll_ctl)$/ { print $NF, $4 }' \
		"$dir/$1.strace" | sort >"$dir/$1.calls"
}

# added KIND: how many it adds to plain's, and which
added() {
	awk -v n="$count" '
		FNR == NR { plain[$1] = $2; next }
		{ add = ($2 - plain[$1]) / n; all += add
			if (add >= 0.05 || add <= -0.05) text = text sprintf(", %s %.2f", $1, add) }
		END { printf "%.2f%s\n", all, text }' "$dir/plain.calls" "$dir/$1.calls"
}

daemon_start a <<-END
	policy peer { role = server  program = {nginx}  local-port = 8300  close-first = peer  grace-learn = no }
	policy none { role = server  program = {nginx}  local-port = 8400  time-wait = none }
	policy 2s   { role = server  program = {nginx}  local-port = 8500  time-wait = 2s }
END
plain
server_nginx 8100
calls plain
at_least "$count" "$(awk '$1 == "close" { print $2 }' "$dir/plain.calls")" "plain: its closes are counted"
steer a
for kind in watch peer none 2s; do
	server_nginx "${port[$kind]}"
	calls $kind
	IFS=, read -r calls which < <(added $kind)
	note "$kind: $calls calls added:$which"
	at_most $((${allowed[$kind]} * 100 + 30)) "${calls/./}" "$kind: calls added to a hundred connections"
	stop "nginx${port[$kind]}"
done
# Otherwise nothing was measured.
records=$(ctl a status | jq -c .records)
at_least $((4 * count)) "$(jq .open <<<"$records")" "the opens of all four were recorded"
at_least "$count" "$(jq '.["hand-over"]' <<<"$records")" "peer: closes were handed over"
is 0 "$(ctl a status lost)" "no record was lost"
finish
