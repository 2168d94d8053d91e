# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # dir and the like are lib.sh's
#
# Many sockets in custody: a server under the shim (bench/hold.c) closes each when its client says so.
#
#   hold_daemon MOST GRACE    a daemon that may hold so many, and hands none back sooner
#   hold_serve [WRAPPER...]   the server, in A; its connections are handed over
#   hold_connect N [OPTIONS]  clients in B, which close last, or with -p first
#   hold_say                  the clients of the next batch say the word
#   hold_wait                 until they all are over: the line of JSON that tells, as $hold_told
#   hold_rss                  the loop's own memory, bytes
#   hold_cpu_us               what both processes of the daemon took on a processor up to now
hold=$top_builddir/tests/bench/hold
hold_port=8100 hold_ports=4

# hold_limits: as many connections as the system lets a program have, in both namespaces
hold_limits() {
	ulimit -Hn 300000 2>/dev/null || true
	ulimit -Sn "$(ulimit -Hn)"
	local ns
	for ns in a b; do
		in_ns $ns sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=4096 \
			net.ipv4.tcp_max_tw_buckets=1000000 2>/dev/null
	done
}

hold_daemon() {
	daemon_start a <<-END || return
		limits { namespaces = 1 custody = $1 custody-per-process = $1 }
		policy held { role = server close-first = peer grace = $2 grace-learn = no }
	END
	hold_is_a
}

# hold_is_a: it is the daemon of A that is meant
hold_is_a() {
	hold_loop=$(ctl a status pid)
	hold_pids=("${pid_of[closesided-a]}" "$hold_loop")
	steer a
}

hold_serve() {
	start_listening a hold $hold_port "$@" "${STEER[@]}" "$hold" serve $hold_port $hold_ports
}

hold_connect() {
	rm -f "$dir/say"
	mkfifo "$dir/say"
	exec 9<>"$dir/say"
	start b holders "${hold_wrapper[@]}" sh -c 'exec "$0" "$@" <'"$dir/say" "$hold" connect "$A4" \
		$hold_port $hold_ports "$@"
	wait_for 600 grep -q held "$dir/holders.log" || {
		note "not all connected:" "$(tail -n3 "$dir/holders.log")"
		return 1
	}
	hold_lines=1
}
hold_wrapper=()

hold_say() {
	echo >&9
}

hold_is_over() {
	[ "$(wc -l <"$dir/holders.log")" -gt "$hold_lines" ] || pid_gone "${pid_of[holders]}"
}

hold_wait() {
	wait_for 900 hold_is_over
	hold_lines=$((hold_lines + 1))
	hold_told=$(sed -n "${hold_lines}p" "$dir/holders.log")
	[ -n "$hold_told" ] || hold_told='{}'
}

# hold_has MEMBER: a number of what was told
hold_has() {
	jq -r ".$1 // 0" <<<"$hold_told"
}

# All closes of the server have come to the daemon: so many.
hold_heard() {
	[ "$(ctl a status records | jq '.close + ."hand-over"')" -ge "$1" ]
}

hold_rss() {
	awk '/^VmRSS:/ { print $2 * 1024 }' "/proc/$hold_loop/status"
}

hold_cpu_us() {
	local pid
	for pid in "${hold_pids[@]}"; do
		cat "/proc/$pid/task/"*/schedstat
	done | awk '{ ns += $1 } END { printf "%.0f\n", ns / 1000 }'
}
