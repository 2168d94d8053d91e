#!/bin/bash
# SPDX-License-Identifier: MIT
# What closeside costs programs that it steers: short connections to unmodified servers, in pairs of a
# plain one and one under the shim, or with an option of its own, that run right after each other,
# now this one first, now that. Connections a second of nginx with wrk, which closes when it has the
# answer, and with ab, which reads until the server has closed; of HAProxy before nginx with wrk. nginx
# with churn at half of that rate: the 99th percentile of a request's latency. "plain again" is another
# plain server: how far two that are alike lie apart. Rows of JSON for $BENCH_OUT/rows.jsonl.
# BENCH_SIZE=quick|full.
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/wire/lib.sh"
# shellcheck source=tests/bench/pairs-lib.sh
. "$(dirname "$0")/pairs-lib.sh"

churn=$top_builddir/tests/bench/churn
case ${BENCH_SIZE:=full} in
full) wrk_rounds=9 ab_rounds=7 haproxy_rounds=7 latency_rounds=9 connections=4000 latency_seconds=2 ;;
quick) wrk_rounds=3 ab_rounds=0 haproxy_rounds=0 latency_rounds=3 connections=2000 latency_seconds=1 ;;
mini) wrk_rounds=1 ab_rounds=1 haproxy_rounds=0 latency_rounds=1 connections=200 latency_seconds=1 ;;
*) echo "pairs: BENCH_SIZE is quick or full" >&2; exit 2 ;;
esac
clients=16

wire_init
for program in nginx haproxy ab wrk jq nc; do
	have $program || skip_all "$program is not installed"
done
wire_third || exit
pairs_room
mkdir -p "${BENCH_OUT:=bench-out}"
rows=$(cd "$BENCH_OUT" && pwd)/rows.jsonl

# emit JQ-ARGUMENTS...
emit() {
	jq -cn "$@" >>"$rows"
}

# The contenders: what each server is, and the first of its ports. Each run has a port of its own, so
# that the client's TIME_WAITs of one do not stand in the way of the next.
ports=$((2 + 6 * (wrk_rounds + ab_rounds + haproxy_rounds + latency_rounds)))
# shellcheck disable=SC2034 # pairs_of() takes their names
nginx=("plain again" "watch-only" "close-first = peer" "time-wait = none" "lingering_close off" "reset_timedout_connection on")
# shellcheck disable=SC2034
haproxy=("plain again" "watch-only" "close-first = peer" "time-wait = none" "option nolinger")
# shellcheck disable=SC2034
latency=("plain again" "watch-only" "close-first = peer" "time-wait = none")
if [ "$BENCH_SIZE" = quick ]; then
	# shellcheck disable=SC2034
	nginx=("plain again" "watch-only" "close-first = peer" "time-wait = none")
elif [ "$BENCH_SIZE" = mini ]; then # for make check: does it go?
	# shellcheck disable=SC2034
	nginx=("close-first = peer" "watch-only" "time-wait = none") latency=("watch-only")
fi
declare -A next=()
declare -A server=([plain]=plain ["plain again"]=again [watch-only]=watch
	["close-first = peer"]=peer ["time-wait = none"]=none
	["lingering_close off"]=off ["reset_timedout_connection on"]=reset ["option nolinger"]=nolinger)

is_ours() {
	case $1 in
	watch-only | "close-first = peer" | "time-wait = none") return 0 ;;
	*) return 1 ;;
	esac
}

# placed_as CONTENDER: where it is, and under the shim or not
placed_as() {
	if is_ours "$1"; then
		place=a address=$A4
		steer a
	else
		# shellcheck disable=SC2034 # pairs-lib.sh's
		place=c address=$C4
		plain
	fi
}

# start_all: a server for each, at ports that the policies go by
start_all() {
	local program contender more at=9000
	for program in nginx haproxy; do
		for contender in plain "plain again" watch-only "close-first = peer" "time-wait = none" \
			"lingering_close off" "reset_timedout_connection on" "option nolinger"; do
			at=$((at + 1000)) # also of what is left out: the policies go by it
			more=()
			case $program:$contender in
			haproxy:*) [ "$haproxy_rounds" -gt 0 ] || continue ;;&
			nginx:plain) ;;
			nginx:*) [[ " ${nginx[*]} ${latency[*]} " == *" $contender "* ]] || continue ;;&
			nginx:option* | haproxy:ling* | haproxy:reset*) continue ;;
			nginx:ling* | nginx:reset*) more=("$contender;") ;;
			haproxy:option*) more=("$contender") ;;
			esac
			placed_as "$contender"
			next[$program:$contender]=$at
			if [ $program = nginx ]; then
				pairs_nginx "nginx-${server[$contender]}" $at $ports "${more[@]}"
			else
				# behind it a plain nginx of its own
				plain
				pairs_nginx "behind-${server[$contender]}" $((at + 999)) 1
				placed_as "$contender"
				pairs_haproxy "haproxy-${server[$contender]}" $at $ports $((at + 999)) "${more[@]}"
			fi
		done
	done
}

# run PROGRAM CONTENDER TOOL ARGUMENT...: sets got, cpu (of the program, us a connection), port
run() {
	local key=$1:$2 name=$1-${server[$2]} tool=$3 before answered
	placed_as "$2"
	port=${next[$key]}
	next[$key]=$((port + 1))
	shift 3
	before=$(ns_of "${pid_of[$name]}")
	"by_$tool" "$port" "$@"
	answered=$(jq .answered <<<"$got")
	cpu=$(awk -v ns=$(($(ns_of "${pid_of[$name]}") - before)) -v n="$answered" \
		'BEGIN { printf "%.2f", (n > 0 ? ns / n / 1000 : 0) }')
	all_answered=$((all_answered + answered))
	all_failed=$((all_failed + $(jq .failed <<<"$got")))
}

# time_waits PORT: of that server's port, at each end
time_waits() {
	printf '{"server":%d,"client":%d}' "$(time_wait "$place" "sport = :$1")" "$(time_wait b "dport = :$1")"
}

# pair WHAT PROGRAM TOOL CONTENDER ROUND ARGUMENT...
pair() {
	local what=$1 program=$2 tool=$3 contender=$4 round=$5 order which daemon_before daemon_ns
	local -A value=() used=() waits=()
	shift 5
	order=(plain "$contender")
	[ $((round % 2)) = 1 ] || order=("$contender" plain)
	for which in "${order[@]}"; do
		daemon_before=$(ns_of "${daemon_pids[@]}")
		run "$program" "$which" "$tool" "$@"
		! is_ours "$which" || sleep 0.1 # the daemon has yet to hear of the last
		daemon_ns=$(($(ns_of "${daemon_pids[@]}") - daemon_before))
		value[$which]=$(jq .value <<<"$got") used[$which]=$cpu
		[ "$which" = plain ] || with_daemon=$(awk -v ns="$daemon_ns" -v n="$(jq .answered <<<"$got")" \
			'BEGIN { printf "%.2f", (n > 0 ? ns / n / 1000 : 0) }')
		waits[$which]=null
		[ "$round" = 1 ] || continue
		# those that are to be ended are so a moment later
		[ "$which" != "time-wait = none" ] || wait_for 5 time_wait_is a 0 "sport = :$port"
		waits[$which]=$(time_waits "$port")
	done
	# shellcheck disable=SC2016 # jq's
	emit --arg what "$what" --arg program "$program" --arg tool "$tool" --arg contender "$contender" \
		--argjson ours "$(if is_ours "$contender"; then echo true; else echo false; fi)" \
		--argjson round "$round" --argjson plain "${value[plain]}" --argjson with "${value[$contender]}" \
		--argjson cpu_plain "${used[plain]}" --argjson cpu_with "${used[$contender]}" \
		--argjson daemon "$with_daemon" --argjson waits_plain "${waits[plain]}" \
		--argjson waits_with "${waits[$contender]}" '
		{bench: "pair", $what, $program, $tool, $contender, $ours, $round, $plain, $with,
			ratio: (if $plain > 0 then $with / $plain * 1e4 | round / 1e4 else null end),
			cpu_program_us: {plain: $cpu_plain, with: $cpu_with},
			cpu_daemon_us: (if $ours then $daemon else null end),
			time_waits: {plain: $waits_plain, with: $waits_with}}'
}

# pairs_of WHAT PROGRAM TOOL ROUNDS ARRAY ARGUMENT...: each contender begins in its turn
pairs_of() {
	local what=$1 program=$2 tool=$3 count=$4 round i
	local -n list=$5
	shift 5
	for ((round = 1; round <= count; round++)); do
		for ((i = 0; i < ${#list[@]}; i++)); do
			pair "$what" "$program" "$tool" "${list[(round + i) % ${#list[@]}]}" "$round" "$@"
		done
	done
}

# As start_all() gives each server its thousand ports.
daemon_start a <<-END
	policy peer { role = server  program = {nginx,haproxy}  local-port = {13000-13998,20000-20998}  close-first = peer }
	policy none { role = server  program = {nginx,haproxy}  local-port = {14000-14998,21000-21998}  time-wait = none }
END
daemon_pids=("${pid_of[closesided-a]}" "$(ctl a status pid)")
all_answered=0 all_failed=0
start_all
for which in "${!next[@]}"; do # the first connections make the channel, fill caches, and learn
	placed_as "${which#*:}"
	by_ab "${next[$which]}" 300 "$clients"
	next[$which]=$((next[$which] + 1))
done

pairs_of rate nginx wrk "$wrk_rounds" nginx 1 "$clients"
pairs_of rate nginx ab "$ab_rounds" nginx "$connections" "$clients"
pairs_of rate haproxy wrk "$haproxy_rounds" haproxy 1 "$clients"
half=$(jq -rs '[.[] | select(.bench == "pair" and .what == "rate" and .tool == "wrk" and .program == "nginx") |
	.plain] | sort | .[length / 2 | floor] / 2 | floor' "$rows")
placed_as plain
pairs_of latency_p99 nginx churn "$latency_rounds" latency "$half" "$latency_seconds" \
	"$(length_of "${next[nginx:plain]}")"

# An inert shim is as fast as none.
policies=$(ctl a policies | jq -sc 'map(select(.name) | {(.name): {opens, hand_overs}}) | add')
note "$all_answered answered, $all_failed failed; half of the rate is $half/s; $policies"
# shellcheck disable=SC2016
emit --argjson answered "$all_answered" --argjson failed "$all_failed" --argjson half "$half" \
	--argjson policies "$policies" --argjson lost "$(ctl a status lost)" \
	'{bench: "pairs", $answered, $failed, half_load_s: $half, $policies, lost_records: $lost}'
is 0 "$all_failed" "every request is answered"
at_least "$connections" "$(jq '.peer.hand_overs' <<<"$policies")" "close-first = peer: closes were handed over"
at_least "$connections" "$(jq '.none.opens' <<<"$policies")" "time-wait = none: connections were its"
at_most "$((connections / 100))" "$(jq -s '[.[] | select(.bench == "pair" and .contender == "time-wait = none") |
	.time_waits.with.server | select(.)] | max' "$rows")" "... and left next to no TIME_WAITs at the server"
at_least "$connections" "$(($(ctl a status records.open) - $(jq '.peer.opens + .none.opens' <<<"$policies")))" \
	"watch-only: connections were recorded"
finish
