#!/bin/bash
# SPDX-License-Identifier: MIT
# The bench's comparison (tests/bench/compare.sh) in miniature: each contender has its row, whole; what
# must be so whatever the machine does is so; what did not act is told, not left out; nothing stays behind.
# Times and rates are the bench's.
# shellcheck disable=SC2317,SC2154 # functions that wait_for calls; what lib.sh and compare_size set
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/bench/compare-lib.sh
. "$top_srcdir/tests/bench/compare-lib.sh"

wire_init
have flock || skip_all "flock is not installed"
compare_size mini
export top_srcdir top_builddir

# bench NAME [VARIABLE=VALUE...] COMMAND...: in the background, with $dir/NAME/rows.jsonl
bench() {
	local name=$1
	shift
	mkdir -p "$dir/$name"
	: >"$dir/$name/rows.jsonl"
	setsid env BENCH_OUT="$dir/$name" BENCH_SIZE=mini "$@" </dev/null >"$dir/$name.log" 2>&1 &
	pid_of["$name"]=$!
	disown "$!"
}

ended() {
	wait_for 120 pid_gone "${pid_of[$1]}" || not_ok "$1 ends" "$(tail -n5 "$dir/$1.log")"
	unset "pid_of[$1]"
}

# row FIRST CONTENDER JQ; $at: with another rate offered
row() {
	jq -r "select(.bench == \"rate\" and .first == \"$1\" and .contender == \"$2\" and .offered_s == ${at:-$offered}) |
		$3" "$dir/rows.jsonl"
}

one=$top_srcdir/tests/bench/compare-one.sh
bench rate BENCH_PARTS=rate bash "$top_srcdir/tests/bench/compare.sh"
bench more BENCH_PARTS="most ports loss" bash "$top_srcdir/tests/bench/compare.sh"
bench inert CLOSESIDE_DISABLE=1 bash "$one" mini "time-wait = none" client 50 1
bench absent CLOSESIDED=/bin/false bash "$one" mini "time-wait = none" client 50 1

bench lost TMPDIR="$dir/nowhere" BENCH_PARTS=most bash "$top_srcdir/tests/bench/compare.sh"

# --- what is stopped leaves nothing ---
bench stopped BENCH_PARTS=most bash "$top_srcdir/tests/bench/compare.sh"
spaces_of() {
	local pid
	pid=$(pgrep -P "${pid_of[$1]}" -f compare-one.sh | head -n1)
	[ -n "$pid" ] && space=cs${pid}a && [ -e "/run/netns/$space" ] && ip netns pids "$space" | grep -q .
}
check "it makes namespaces and starts programs" wait_for 30 spaces_of stopped
spaces_of stopped
stop stopped
no_space() {
	! ip netns list | grep -qE "^${space%a}[ab]( |\$)"
}
check "stopped, it leaves none" wait_for 20 no_space

# --- each contender ---
ended rate
ended more
cat "$dir/rate/rows.jsonl" "$dir/more/rows.jsonl" >"$dir/rows.jsonl"
keys='"sustained_s", "sustained_last_60_s", "failed", "errors", "slow", "connect_us", "call_us",
	"request_us", "time_waits_client", "time_waits_server", "time_wait_bytes", "bytes_lost",
	"cpu_program_us"'

# judge FIRST CONTENDER
judge() {
	local what="$2, $1 closes first"
	case $(row "$1" "$2" '.error // "none"') in
	none) ;;
	*CONFIG_INET_DIAG_DESTROY*)
		skip "$what" "this kernel does not end TIME_WAITs"
		return
		;;
	*)
		not_ok "$what: has one row, and could be tried" "$(row "$1" "$2" '.error // "two rows"')"
		return
		;;
	esac
	is "true 0 {} 0" "$(row "$1" "$2" \
		". as \$row | \"\\([$keys] | all(\$row[.] != null)) \\(.failed) \\(.errors) \\(.bytes_lost)\"")" \
		"$what: its row is complete, nothing failed, no byte is lost"
	at_least 2 "$(jq -c "select(.bench == \"series\" and .contender == \"$2\" and .first == \"$1\" and
		.offered_s == ${at:-$offered})" "$dir/rows.jsonl" | wc -l)" "$what: it has a series"
	[ "$(row "$1" "$2" .ours)" = false ] || is true "$(row "$1" "$2" \
		'.cpu_daemon_us > 0 and .idle_wakeups_s != null')" "$what: the daemon took processor time, and wakes up"
}

for first in client server; do
	while read -r name; do
		judge $first "$name"
	done < <(contenders $first)
done
for name in "default" "time-wait = none"; do
	at=$most_offered judge client "$name"
done

# left FIRST CONTENDER END: most TIME_WAITs there, in hundredths of its connections
left() {
	row "$1" "$2" ".time_waits_$3.max * 100 / ([.answered, 1] | max) | floor"
}

for name in "default" "watch-only" "local-ports" "source"; do
	at_least 90 "$(left client "$name" client)" "$name: the client is left with a TIME_WAIT for each, in 100"
done
# a port that is used again ends the TIME_WAIT it was in
for name in "default" "watch-only"; do
	at_least 70 "$(left server "$name" server)" "$name, server first: so is the server"
done
at_least 70 "$(left server "close-first = peer" client)" "close-first = peer: it is the client that is left with them"
for name in "SO_LINGER 0" "time-wait = none"; do
	is "0 0" "$(left client "$name" client) $(left client "$name" server)" "$name: neither is left with any"
done
# what waits for the server's RST is counted among them
at_most 10 "$(left client "peer-time-wait = none" client)" "peer-time-wait = none: the client is left with none, in 100"
# a client that got no FIN for 2 ms, for the server was not given the processor, closes at the same time
for name in "time-wait = none" "peer-time-wait = none"; do
	at_most 10 "$(left server "$name" server)" "$name, server first: the server is left with none, in 100"
done
at_most "$buckets" "$(row client "small tcp_max_tw_buckets" .time_waits_client.max)" "small tcp_max_tw_buckets: no more than these"
is "true" "$(row client default '.time_wait_bytes > .time_waits_client.max * 100')" "memory is reckoned from them"

# --- ports, and who loses data ---
rows() {
	jq -r "select(.bench == \"$1\") | $2" "$dir/rows.jsonl"
}
is "default 400 0 local-ports = 40000-40399 400 0" \
	"$(rows ports 'select(.used == .of) | "\(.contender) \(.used) \(.failed)"' | xargs)" \
	"ports: both come to the last port, without a failure"
for name in "SO_LINGER 0" "linger = abort"; do
	is "$loss_connections true" "$(rows loss "select(.contender == \"$name\") | \"\\(.cut) \\(.bytes_lost > 0)\"")" \
		"loss: $name cuts every answer that is not read yet"
done
for name in "default" "watch-only" "close-first = peer" "time-wait = none" "time-wait = 2s"; do
	is "$loss_connections 0 0 $((loss_connections << 20))" "$(rows loss "select(.contender == \"$name\") |
		\"\\(.connections) \\(.cut) \\(.bytes_lost) \\(.bytes_sent)\"")" "loss: $name loses nothing"
done
for name in "nginx send_timeout" "HAProxy"; do
	is "$loss_connections 0" "$(rows loss "select(.contender == \"$name\") | \"\(.connections) \(.bytes_lost)\"")" \
		"loss: $name loses nothing that it has sent"
done
for name in "nginx reset_timedout_connection" "HAProxy nolinger"; do
	is "$loss_connections true" "$(rows loss "select(.contender == \"$name\") | \"\(.cut) \(.bytes_lost > 0)\"")" \
		"loss: $name cuts every answer"
done

# --- what did not act is told ---
for name in inert absent; do
	ended $name
	is "1 true false" "$(jq -rs '"\(length) \(.[0].error != null) \(.[0] | has("sustained_s"))"' \
		"$dir/$name/rows.jsonl")" "$name: its only row is an error: $(jq -r .error "$dir/$name/rows.jsonl")"
done
ended lost
is "2 true" "$(jq -rs '"\(length) \(all(.error == "it ended without a row"))"' "$dir/lost/rows.jsonl")" \
	"what ended before it could say anything has its row too"
finish
