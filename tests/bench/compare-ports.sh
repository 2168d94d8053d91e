#!/bin/bash
# SPDX-License-Identifier: MIT
# What connect() costs as the ports to one server run out, without and with local-ports:
# compare-ports.sh SIZE. Connections are begun and closed until the last port is in TIME_WAIT, within the
# 60 s that the first of them lasts. Rows: {"bench":"ports","contender":"default","used":1411,
# "of":28232,"call_p50_us":25,"call_p99_us":40}, where `used` is how many there were at the end of the step.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:?}/tests/wire/lib.sh"
# shellcheck source=tests/bench/compare-lib.sh
. "$top_srcdir/tests/bench/compare-lib.sh"

compare_size "$1" || exit
steps=20
lo=${ports_range% *} hi=${ports_range#* }
of=$((hi - lo + 1))
option="local-ports = $lo-$hi"

# load NAME PORT: in the background; as many as there are ports. Two threads, for past half of the default
# range one alone takes about a minute, and a TIME_WAIT lasts no longer.
load() {
	local whole=$(((of + ports_rate - 1) / ports_rate))
	start b "$1" prlimit --nofile="$(ulimit -Hn)" "${STEER[@]}" "$churn" -c "$A4:$2" -t 2 \
		-r "$(awk "BEGIN { printf \"%.9g\", $of / $whole }")" -d "$whole" --every $((of / steps)) --timeout 60
}

# tell CONTENDER OURS LOG
tell() {
	# shellcheck disable=SC2016 # jq expands them
	compare_emit -n --arg contender "$1" --argjson ours "$2" --argjson of "$of" --arg size "$size" \
		--slurpfile line <(jq -c 'select(.second != null and .begun > 0 and .ms < 59000)' "$dir/$3.log") '
		foreach $line[] as $l (0; . + $l.begun - $l.failed;
			{bench: "ports", contender: $contender, ours: $ours, size: $size, used: ., of: $of,
			call_p50_us: $l.call_us.p50, call_p99_us: $l.call_us.p99, failed: $l.failed})'
}

tell_error() {
	# shellcheck disable=SC2016 # jq expands them
	compare_emit -n --arg contender "$1" --argjson ours "$2" --argjson of "$of" --arg size "$size" \
		--arg error "$3" '{bench: "ports", contender: $contender, ours: $ours, size: $size, of: $of,
		error: $error}'
}

# ended NAME: in time; its TIME_WAITs are still all there
ended() {
	wait_for 150 pid_gone "${pid_of[$1]}" || return
	unset "pid_of[$1]"
	[ -n "$(jq -c 'select(.summary)' "$dir/$1.log")" ]
}

# try CONTENDER OURS: alone with the machine, as the steps are to be compared
try() {
	local took name=$1 ours=$2 log=plain began
	[ "$ours" = false ] || log=ours
	began=$(now_ms)
	load $log $port
	ended $log || {
		tell_error "$name" "$ours" "churn did not end: $(tail -n1 "$dir/$log.log")"
		return
	}
	took=$(($(now_ms) - began))
	echo "compare: $of ports, $name: $took ms, $(jq -c 'select(.summary) | .errors' "$dir/$log.log")" >&2
	if [ "$ours" = true ] && ! wait_for 20 ctl_least b status records.close $((of / 2)); then
		tell_error "$name" "$ours" "it was not active: $(ctl b status records)"
	else
		tell "$name" "$ours" $log
		[ $took -lt 59000 ] || tell_error "$name" "$ours" \
			"it took $took ms: at its end the first ports were free again"
	fi
}

wire_init
finished=1
in_ns b sysctl -qw net.ipv4.ip_local_port_range="$ports_range"
start_listening a server $port prlimit --nofile="$(ulimit -Hn)" "$churn" -l "$A4:$port" >&2 || exit 1
plain
try default false
# what is left would be in the way
in_ns b ss -K -Htan state time-wait >/dev/null
daemon_start b <<-END >&2
	policy bench { program = {churn}  $option }
END
steer b
# another port of the server's, where none is in use
if wait_for 10 time_wait_is b 0; then
	try "$option" true
else
	stop server
	port=$((port + 1))
	start_listening a server $port prlimit --nofile="$(ulimit -Hn)" "$churn" -l "$A4:$port" >&2
	try "$option" true
fi
