#!/bin/bash
# SPDX-License-Identifier: MIT
# One contender of compare.sh, in namespaces of its own: compare-one.sh SIZE NAME FIRST OFFERED SECONDS.
# Adds its rows to $BENCH_OUT/rows.jsonl; one with an "error" if it could not be tried.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:?}/tests/wire/lib.sh"
# shellcheck source=tests/bench/compare-lib.sh
. "$top_srcdir/tests/bench/compare-lib.sh"

# what contender() sets; and why it could not be tried
policy='' error='' ours=false end='' killer='' tuned='' loop=''

# Behind this shell, for only then signals reach it. While something is measured nothing polls often: that
# would take processor time from it.
behind() {
	"$@" &
	wait $!
}

# Samples all of it from now on: $dir/NAME.samples
start_sample() {
	local name=$1 groups=()
	shift
	[ -z "${pid_of[client]:-}" ] || groups+=(-p "client=${pid_of[client]}")
	groups+=(-p "server=${pid_of[server]}")
	[ -z "$end" ] || groups+=(-p "daemon=${pid_of[closesided-$end]},$loop")
	# what goes on beside the program, whatever it is
	[ -z "$killer" ] || groups+=(-p "daemon=${pid_of[killer]}")
	setsid "$sample" -n "client=/run/netns/$ns_b" -n "server=/run/netns/$ns_a" "${groups[@]}" \
		>"$dir/$name.samples" 2>"$dir/$name.samples.err" &
	pid_of[sample]=$!
	disown
}

start_server() {
	compare_steer a
	start_listening a server $port prlimit --nofile="$(ulimit -Hn)" "${STEER[@]}" \
		"$churn" -l "$A4:$port" "${server_options[@]}" >&2 || error "the server does not listen"
}

is_stopped() {
	[ "$(ps -o stat= -p "${pid_of[$1]}" | cut -c1)" = T ]
}

samples_least() {
	[ "$(wc -l <"$dir/$1.samples")" -gt "$2" ]
}

idle() {
	start_sample idle
	behind sleep "$idle_seconds"
	wait_for 20 samples_least idle "$idle_seconds"
	stop sample
}

# What only shows while it goes on: the ports of the first two seconds.
look_early() {
	behind sleep 2
	wait_for 20 samples_least load 2
	in_ns b ss -Htan "dport = :$port" >"$dir/early"
}

load() {
	compare_steer b
	# it goes on once the first sample is there: so the seconds of both are the same
	# shellcheck disable=SC2016 # sh expands them
	start b client sh -c 'kill -STOP $$; exec "$@"' sh "${STEER[@]}" \
		"$churn" -c "$A4:$port" -r "$offered" -d "$seconds" --drop-late --stay 1 "${client_options[@]}"
	wait_for 20 is_stopped client || error "it does not stop" || return
	start_sample load
	wait_for 20 samples_least load 0 || error "no samples: $(cat "$dir/load.samples.err")" || return
	signal client CONT
	case $name in local-ports | source) look_early ;; esac
	behind timeout $((seconds + 60)) tail --pid="${pid_of[client]}" -s 0.5 -f /dev/null || error "churn does not end" || return
	unset "pid_of[client]"
	stop sample
	stop server
	[ -n "$(summary client)" ] || error "churn ended early: $(tail -n1 "$dir/client.log")" || return
}

summary() {
	jq -c 'select(.summary)' "$dir/$1.log" 2>/dev/null
}

# --- was it there? ---

# What the daemon has counted; it hears of the last a moment later.
all_told() {
	ctl "$end" status >"$dir/status.json" &&
		jq -e --argjson n "$(summary client | jq .ended)" '.records.close + .records["hand-over"] + .lost >= $n' "$dir/status.json"
}

prove() {
	local proof=null condition=true
	[ -z "$end" ] || {
		wait_for 10 all_told || error "the daemon knows of $(jq -c .records "$dir/status.json") only" || return
		case $name in
		"close-first = peer") condition='.hand_overs > 0 and .held_until_peer > 0' ;;
		"time-wait = 2s") condition='.retired > 0' ;;
		"peer-time-wait = none") condition='.closed_by_peer > 0' ;;
		"source") condition=".addresses == $sources" ;;
		# without the option only every second port is taken so soon
		"local-ports") condition='.even * 4 > .odd and .odd * 4 > .even' ;;
		esac
		proof=$(jq -c --argjson early "$(early)" '{records: (.records.close + .records["hand-over"]), lost,
			closed_by_peer: .closes.peer, hand_overs: .records["hand-over"],
			held_until_peer: .custody.peer, retired: .retire.retired} + $early' "$dir/status.json")
	}
	jq -e "$condition" <<<"$proof" >/dev/null || error "it was not active: $proof" || return
	echo "$proof" >"$dir/proof.json"
}

# How many addresses, and even and odd ports, there were early on.
early() {
	[ -s "$dir/early" ] || {
		echo '{}'
		return
	}
	awk '{ n = split($4, part, ":"); address[part[1]] = 1; parity[part[n] % 2]++ }
		END { for (a in address) count++
			printf "{\"addresses\":%d,\"even\":%d,\"odd\":%d}\n", count, parity[0], parity[1] }' \
		"$dir/early"
}

# --- rows ---

# Namespace, key and value of each that was set, and what decides otherwise.
settings() {
	{
		echo "$tuned"
		for key in tcp_tw_reuse tcp_max_tw_buckets; do
			grep -q "$key" <<<"$tuned" || echo "b net.ipv4.$key $(setting_of b net.ipv4.$key)"
		done
	} | jq -Rcn '[inputs | split(" ") | {(.[1] | ltrimstr("net.ipv4.")): (.[2:] | join(" "))}] | add'
}

tell() {
	local slab
	slab=$(for name_of in tw_sock_TCP tcp_bind_bucket tcp_bind2_bucket; do
		echo "{\"$name_of\":$(slab_bytes $name_of)}"
	done | jq -cs add)
	[ -s "$dir/idle.samples" ] || : >"$dir/idle.samples"
	compare_emit -n -f "$top_srcdir/tests/bench/compare-rate.jq" \
		--arg contender "$name" --arg first "$first" --arg size "$size" --arg policy "$policy" \
		--argjson ours "$ours" --argjson offered "$offered" --argjson seconds "$seconds" \
		--argjson settings "$(settings)" --argjson slab "$slab" \
		--argjson total "$(summary client)" --argjson served "$(tail -n1 "$dir/server.log")" \
		--slurpfile lines <(jq -c 'select(.second != null)' "$dir/client.log") \
		--slurpfile sampled "$dir/load.samples" --slurpfile idle "$dir/idle.samples" \
		--argjson proof "$(cat "$dir/proof.json")"
}

tell_error() {
	# shellcheck disable=SC2016 # jq expands them
	compare_emit -n --arg contender "$name" --arg first "$first" --argjson ours "$ours" \
		--argjson offered "$offered" --argjson seconds "$seconds" --arg size "$size" --arg error "$1" \
		'{bench: "rate", contender: $contender, ours: $ours, first: $first, offered_s: $offered,
		seconds: $seconds, size: $size, error: $error}'
	echo "compare: $name, $first first: $1" >&2
}

compare_size "$1" || exit
name=$2 first=$3 offered=$4 seconds=$5
[ "$offered" != "$most_offered" ] || range=$most_range
contender "$name" "$first" || exit 2
wire_init
finished=1
if compare_place && start_server && { [ -z "$end" ] || idle; } && load && prove; then
	tell || tell_error "its row could not be made"
else
	tell_error "${error:-it did not go}"
fi
