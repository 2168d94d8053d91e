#!/bin/bash
# SPDX-License-Identifier: MIT
# Who loses data: compare-loss.sh SIZE. Answers of 1 MB to a client that begins to read a second later;
# the server writes all of it, and closes at once. The kernel takes it all (tcp_wmem), so that the program
# believes that it is sent. Rows: {"bench":"loss","contender":"SO_LINGER 0","ours":false,"connections":50,
# "bytes_sent":52428800,"bytes_lost":48000000,"cut":50,"errors":{"ECONNRESET":50}}.
#
# nginx and HAProxy have options that end connections with an RST: nginx's reset_timedout_connection, with
# a client that is slower than send_timeout, beside the same without; HAProxy's nolinger.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:?}/tests/wire/lib.sh"
# shellcheck source=tests/bench/compare-lib.sh
. "$top_srcdir/tests/bench/compare-lib.sh"

compare_size "$1" || exit
answer=1048576
own_contenders=("default" "SO_LINGER 0" "linger = abort" "watch-only" "close-first = peer" "time-wait = none"
	"time-wait = 2s")
declare -A port_of=()

# emit CONTENDER JSON: with what all rows have
emit() {
	local ours=false
	case $1 in *" = "* | watch-only) ours=true ;; esac
	# shellcheck disable=SC2016 # jq expands them
	compare_emit -n --arg contender "$1" --argjson ours "$ours" --arg size "$size" --argjson row "$2" \
		'{bench: "loss", contender: $contender, ours: $ours, size: $size} + $row'
}

emit_error() {
	emit "$1" "$(jq -cn --arg error "$2" '{error: $error}')"
	echo "compare: loss, $1: $2" >&2
}

# --- our own server ---

serve() {
	local name=$1 options=() next=$((port + ${#port_of[@]}))
	port_of[$name]=$next
	steer a
	case $name in
	"default") plain ;;
	"SO_LINGER 0") plain && options=(--linger0) ;;
	esac
	start_listening a "server-$next" $next "${STEER[@]}" "$churn" -l "$A4:$next" --close us "${options[@]}" >&2
}


read_slowly() {
	start b "client-${port_of[$1]}" "$churn" -c "$A4:${port_of[$1]}" -r "$loss_connections" -d 1 \
		--answer $answer --close peer --read-after 1000 --timeout 60
}

tell() {
	local log=$dir/client-${port_of[$1]}.log server=server-${port_of[$1]}
	wait_for 90 pid_gone "${pid_of[client-${port_of[$1]}]}"
	unset "pid_of[client-${port_of[$1]}]"
	stop "$server"
	emit "$1" "$(jq -c --argjson answer $answer --argjson served "$(tail -n1 "$dir/$server.log")" '
		select(.summary) | {connections: .connected, bytes_sent: ($served.answered * $answer),
		bytes_lost, cut, errors, not_answered: $served.failed}' "$log")" ||
		emit_error "$1" "no row: $(tail -n1 "$log")"
}

# The daemon has a record of each that was closed under the shim.
records_least() {
	[ "$(ctl a status records | jq '.close + .["hand-over"]')" -ge "$1" ]
}

own_start() {
	local name
	daemon_start a <<-END >&2 || return
		defaults { grace = 500ms  grace-learn = no }
		policy abort { local-port = {$((port + 2))}  linger = abort  allow-data-loss = yes }
		policy peer { local-port = {$((port + 4))}  close-first = peer }
		policy none { local-port = {$((port + 5))}  time-wait = none }
		policy second { local-port = {$((port + 6))}  time-wait = 2s }
	END
	for name in "${own_contenders[@]}"; do
		serve "$name" || return
	done
	for name in "${own_contenders[@]}"; do
		read_slowly "$name"
	done
}

own_tell() {
	local name
	for name in "${own_contenders[@]}"; do
		tell "$name"
	done
	if ! wait_for 20 records_least $((5 * loss_connections)) ||
		! ctl_least a status records.hand-over "$loss_connections"; then
		error "not active: $(ctl a status records)"
	fi
}

# shellcheck source=tests/bench/compare-others.sh
. "$top_srcdir/tests/bench/compare-others.sh"
wire_init
finished=1
others_start
in_ns a sysctl -qw net.ipv4.tcp_wmem="4096 4194304 8388608"
others_buffered
others_read
own_start && own_tell || emit_error "ours" "${error:-it did not go}"
others_tell
