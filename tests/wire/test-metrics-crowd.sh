#!/bin/bash
# SPDX-License-Identifier: MIT
# What a scrape costs the daemon beside many connections, and that custody does not wait for it: 5,000
# TIME_WAITs, and with LONG=1 100,000 (CROWD_N says otherwise).
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
crowd=$top_builddir/tests/wire/crowd
[ -x "$crowd" ] || skip_all "crowd is not built"
n=${CROWD_N:-${LONG:+100000}}
n=${n:-5000}
each=20000
ulimit -n 60000 2>/dev/null || true
for ns in a b; do
	in_ns $ns sysctl -qw net.ipv4.tcp_max_tw_buckets=1000000 net.ipv4.ip_local_port_range="1024 65535" \
		net.core.somaxconn=4096
done

port=16117
scrape() {
	in_ns a "$python" -c 'import sys, urllib.request
sys.stdout.write(urllib.request.urlopen("http://127.0.0.1:16117/metrics", timeout=20).read().decode())'
}
answers() {
	scrape >"$dir/scrape"
}
value() {
	awk -v name="$1" '$1 == name { print $NF }' "$dir/scrape"
}
daemon_start a <<-END
	metrics { listen = "127.0.0.1:$port" }
	policy held { local-port = 8001  close-first = peer  grace = 500ms  grace-learn = no  time-wait = none }
END
steer a
start_listening a crowd 8105 "$crowd" serve 8100 8101 8102 8103 8104 8105
actor_serve web 8001 line text:bye close
for ((i = 0; i * each < n; i++)); do
	in_ns b "$crowd" connect "$A4" $((8100 + i)) $((n < each ? n : each)) -p 20000 >/dev/null 2>&1
done
many() {
	answers && [ "$(value 'closeside_tcp_connections{state="TIME_WAIT"}')" -ge $((n * 9 / 10)) ]
}
check "many TIME_WAITs are followed" wait_for 60 many
note "$(value 'closeside_tcp_connections{state="TIME_WAIT"}') TIME_WAITs"

# Twenty scrapes, and beside them sockets whose grace ends.
before_s=$(value closeside_scrape_seconds_total) before_n=$(value closeside_scrapes_total)
before_cpu=$(value process_cpu_seconds_total)
actor_connect "$A4" 8001 20 text:hello recv:4 eof close >"$dir/held.out" &
client=$!
for ((i = 0; i < 20; i++)); do
	answers
done
wait $client
answers
each_us=$(awk -v a="$before_s" -v b="$(value closeside_scrape_seconds_total)" -v m="$before_n" \
	-v n="$(value closeside_scrapes_total)" 'BEGIN { printf "%d\n", (b - a) * 1e6 / (n - m) }')
note "a scrape takes $each_us us of the daemon's time; its process in all meanwhile $(awk -v a="$before_cpu" \
	-v b="$(value process_cpu_seconds_total)" 'BEGIN { printf "%d ms", (b - a) * 1000 }')"
at_least 20 "$(($(value closeside_scrapes_total) - before_n))" "twenty scrapes"
at_most 100000 "$each_us" "a scrape takes no more than 100 ms"
is 20 "$(value 'closeside_custody_ended_total{outcome="grace"}')" "custody: each grace ended"
is 20 "$(lines_count "$dir/held.out" '.eof and .got == 4 and .error == null')" "custody: each peer has its answer and EOF"
note "a grace of 500 ms took $(lines_median "$dir/held.out" .ms.eof) ms, at most $(lines_max "$dir/held.out" .ms.eof)"
finish
