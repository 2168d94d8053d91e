# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # what tests/wire/lib.sh and test-soak.sh set
#
# What test-soak.sh does with the daemons, and how it measures. Sourced after tests/wire/lib.sh.

soak=${top_builddir:?}/tests/soak/soak
disturbances=0
programs=() # NAME of lib.sh's start, of all that live as long as the soak
config_order=

soak_init() {
	local i ns
	[ -x "$soak" ] || {
		echo "Bail out! $soak is not built"
		exit 1
	}
	daemon_sanitized=
	[ -n "$wire_plain" ] || ! ldd "$closesided" | grep -q libasan || daemon_sanitized=yes
	shim_sanitized=
	[ -n "$wire_plain" ] || ! ldd "$shim" | grep -q libasan || shim_sanitized=yes
	seconds=${SOAK_SECONDS:-60}
	[ -z "$daemon_sanitized" ] || seconds=${SOAK_SECONDS:-30}
	connections=${SOAK_CONNECTIONS:-}
	[ -z "$connections" ] || seconds=100000
	connections=${connections:-1000000000}
	seed=${SOAK_SEED:-$((RANDOM << 15 | RANDOM))}
	RANDOM=$((seed % 32768))
	threads=${SOAK_CLIENTS:-12}
	for i in 1 2 3; do
		ip -n "$ns_a" addr add "10.77.0.$((10 + i))/24" dev veth0
		ip -n "$ns_b" addr add "10.77.0.$((20 + i))/24" dev veth0
	done
	# The servers' ports lie below, and both ends may have a minute's worth of TIME_WAITs.
	for ns in a b; do
		in_ns $ns sysctl -qw net.ipv4.ip_local_port_range='15000 64999' \
			net.ipv4.tcp_max_tw_buckets=300000
	done
	board_file=$dir/board
	board seed "$seed"
	board rate "${SOAK_RATE:-40}"
}

# board [NAME [VALUE]]
board() {
	"$soak" board "$board_file" "$@"
}

# Nothing is under way.
rested() {
	local started
	started=$(board started)
	[ "$started" = "$(board ended)" ] && [ "$started" -ge "$(board limit)" ]
}

# --- who takes part ---

daemons_start() {
	"$soak" config >"$dir/forwards.conf"
	"$soak" config backwards >"$dir/backwards.conf"
	only_own_namespace "$dir/forwards.conf"
	only_own_namespace "$dir/backwards.conf"
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:quarantine_size_mb=4
	daemon_start a <"$dir/forwards.conf"
	daemon_start b <"$dir/forwards.conf"
}

servers_start() {
	local model port
	steer a
	while read -r model port; do
		start_listening a "serve-$model" "$port" "${STEER[@]}" "$soak" serve "$board_file" "$model"
		programs+=("serve-$model")
	done < <("$soak" models)
}

# client NAMESPACE NAME POLICY KEYS ADDRESS...
client() {
	local ns=$1 name=$2 policy=$3 keys=$4
	shift 4
	steer "$ns" "$keys"
	start "$ns" "client-$name" "${STEER[@]}" "$soak" client "$board_file" "$policy" "$threads" "$@"
	programs+=("client-$name")
}

# All of them over the veth, some within one namespace.
clients_start() {
	local policy keys
	while read -r policy keys; do
		client b "$policy" "$policy" "${keys/SOURCES/10.77.0.2+10.77.0.22+10.77.0.23}" \
			"$A4" 10.77.0.11 10.77.0.12 "$A6" 10.77.0.13
		case $policy in peer | none | defer)
			client a "loop-$policy" "$policy" "$keys" 127.0.0.1 ::1 127.0.0.2 "$A4" 127.0.0.3 ;;
		esac
	done < <("$soak" clients)
}

all_programs_gone() {
	local name
	for name in "${programs[@]}"; do
		pid_gone "${pid_of[$name]}" || return 1
	done
}

# --- the lives of a daemon: its counters, as they were before each end ---

life_ends() {
	ctl "$1" status >>"$dir/$1.lives" 2>/dev/null
	ctl "$1" policies >>"$dir/$1.policies" 2>/dev/null
}

# lives JQ-VALUE: the sum over all
lives() {
	cat "$dir"/[ab].lives 2>/dev/null | jq -s "map($1) | add // 0"
}

check_activity() {
	local policy word
	for word in open close hand-over defer at-exit let-go; do
		at_least 10 "$(lives ".records.\"$word\"")" "the daemons had $word records"
	done
	for policy in learning peer defer peer-none peer-retire all-none options; do
		at_least 1 "$(cat "$dir"/[ab].policies | jq -s "map(select(.name == \"$policy\") | .hand_overs) | add // 0")" \
			"connections of policy $policy were handed over"
	done
	is 0 "$(lives .bad_messages)" "the daemons understood every message"
	note "records: $(cat "$dir"/[ab].lives | jq -sc 'map(.records) | reduce .[] as $r ({}; . as $s |
		reduce ($r | keys[]) as $k ($s; .[$k] += $r[$k]))')"
	note "custody: $(cat "$dir"/[ab].lives | jq -sc 'map(.custody) | reduce .[] as $r ({}; . as $s |
		reduce ($r | keys[]) as $k ($s; .[$k] += $r[$k]))')"
	note "lost records: $(lives .lost), refused descriptors: $(lives .custody.refused)," \
		"lives: $(cat "$dir"/[ab].lives | jq -s 'map(.pid) | unique | length')"
}

# What was killed, was by SIGKILL: us, the guardian, or a timer.
daemons_sound() {
	! cat "$dir/daemons.log" "$dir"/closesided-[ab].log 2>/dev/null |
		grep -E 'ended with status|ended by signal ([^9]|9[0-9])|Sanitizer|runtime error'
}

custody_empty() {
	[ -n "$wire_plain" ] || { ctl_is a status custody.held 0 && ctl_is b status custody.held 0; }
}

# check_steered: all together, and each kind of server that can know that it is the sole owner
check_steered() {
	local looked model steered
	looked=$(board looked)
	at_least 50 "$looked" "clients looked at closes that were to be steered"
	while read -r model looked steered; do
		note "$model: clients looked at $looked closes, $steered of them steered"
		[ "$model" != exit ] || continue
		at_least 90 $((steered * 100 / (looked > 0 ? looked : 1))) \
			"at least 90 % of the eligible closes were steered, $model"
	done < <("$soak" looked "$board_file")
}

# --- disturbances ---

# over PERCENT: is so much of the run done?
over() {
	[ "$(now_ms)" -ge $((begin + seconds * 10 * $1)) ] ||
		[ "$(board ended)" -ge $((connections * $1 / 100)) ]
}

# Lets what is under way end; it goes on with board limit.
rest() {
	board limit "$(board started)"
	wait_for 120 rested
}

# The servers, their workers and the clients on loopback with a; the other clients with b.
all_found() {
	ctl_least a status sessions 8 && ctl_least b status sessions 8
}

# A while without any, once the programs have found the daemons.
calm() {
	if [ -z "$wire_plain" ] && ! wait_for 20 all_found; then
		not_ok "the programs find the daemons again" \
			"sessions: $(ctl a status sessions), $(ctl b status sessions)"
	fi
	sleep 0.5
	board calm 1
	sleep "${SOAK_CALM:-2}"
	board calm 0
}

# disturb KIND...
disturb() {
	local kinds=("$@") one=a
	[ -z "$wire_plain" ] || {
		sleep 1
		return
	}
	[ $((RANDOM % 3)) -gt 0 ] || one=b
	# each once, then as it comes
	local kind=${kinds[RANDOM % ${#kinds[@]}]}
	[ "$disturbances" -ge ${#kinds[@]} ] || kind=${kinds[disturbances]}
	disturbances=$((disturbances + 1))
	"disturb_$kind" $one
}

start_again() {
	cat "$dir/closesided-$1.log" >>"$dir/daemons.log"
	daemon_restart "$1"
}

disturb_kill() {
	[ -z "$wire_plain" ] || return 0
	life_ends "$1"
	stop "closesided-$1" KILL
	sleep 0.3
	start_again "$1"
}

# The guardian starts another.
disturb_loop() {
	local loop
	life_ends "$1"
	loop=$(child_of "closesided-$1")
	[ -z "$loop" ] || kill -KILL "$loop"
}

disturb_loop_stopped() {
	local loop
	life_ends "$1"
	loop=$(child_of "closesided-$1")
	[ -n "$loop" ] || return
	kill -STOP "$loop"
	sleep 2
	kill -CONT "$loop" 2>/dev/null
}

disturb_both_stopped() {
	local loop
	life_ends "$1"
	loop=$(child_of "closesided-$1")
	signal "closesided-$1" STOP
	[ -z "$loop" ] || kill -STOP "$loop"
	sleep 2
	signal "closesided-$1" CONT
	[ -z "$loop" ] || kill -CONT "$loop" 2>/dev/null
}

# Not long enough for the guardian: the channels fill up.
disturb_pause() {
	local loop
	life_ends "$1"
	loop=$(child_of "closesided-$1")
	[ -n "$loop" ] || return
	kill -STOP "$loop"
	sleep 0.6
	kill -CONT "$loop" 2>/dev/null
	lives_again "$1"
}

disturb_term() {
	life_ends "$1"
	stop "closesided-$1" TERM
	start_again "$1"
}

disturb_reload() {
	if [ -z "$config_order" ]; then config_order=backwards; else config_order=; fi
	cp "$dir/${config_order:-forwards}.conf" "$dir/$1.conf"
	ctl "$1" reload >/dev/null || not_ok "reload" "daemon $1 refuses its config"
}

disturb_off() {
	ctl "$1" off >/dev/null
	sleep 0.5
	ctl "$1" on >/dev/null
}

disturb_flood() {
	in_ns "$1" timeout -k 5 30 "$soak" flood "$dir/$1.socket" 300 1 >"$dir/flood.log" 2>&1
}

# A life that was counted goes on after all: then it is not counted twice.
lives_again() {
	local pid
	wait_for 10 daemon_answers "$1"
	pid=$(ctl "$1" status pid)
	[ "$(tail -n1 "$dir/$1.lives" | jq .pid)" = "$pid" ] || return
	forget_last "$1"
}

forget_last() {
	local count
	sed -i '$d' "$dir/$1.lives"
	count=$(ctl "$1" policies | wc -l)
	head -n "-$count" "$dir/$1.policies" >"$dir/policies.new"
	mv "$dir/policies.new" "$dir/$1.policies"
}

# --- leaks ---

# memory PID FIELD: in KB
memory() {
	awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/smaps_rollup" 2>/dev/null
}

# processes: "NAME PID" of all that live long, and of the daemons' loops
processes() {
	local name pid i
	for name in "${programs[@]}"; do
		echo "$name ${pid_of[$name]}"
		[ "$name" = serve-pass ] || continue
		echo "$name-worker $(child_of "$name")"
	done
	for name in a b; do
		pid=$(child_of "closesided-$name")
		[ -z "$pid" ] || echo "daemon-$name $pid"
	done
}

fds_of() {
	local count
	count=$(find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l)
	case $2 in daemon-*) # two for each process that it serves; some come and go
		count=$((count - 2 * $(ctl "${2#daemon-}" status sessions))) ;;
	esac
	echo "$count"
}

# pages_of PID KIND: how many mappings of the daemons', of those that were as well
pages_of() {
	grep -c "$2" "/proc/$1/maps"
}

# measure before|between|after: NAME FDS RSS ANONYMOUS MAPS POLICY-PAGES SESSION-PAGES, at rest
measure() {
	local name pid
	wait_for 10 no_daemon_busy
	processes | while read -r name pid; do
		echo "$name $(fds_of "$pid" "$name") $(memory "$pid" Rss) $(memory "$pid" Anonymous)" \
			"$(wc -l <"/proc/$pid/maps")" "$(pages_of "$pid" '\.policy')" \
			"$(pages_of "$pid" 'memfd:closeside')"
	done >"$dir/$1.measure"
}

no_daemon_busy() {
	ctl_is a status custody.held 0 && ctl_is b status custody.held 0 &&
		ctl_is a status retire.pending 0 && ctl_is b status retire.pending 0
}

show_remembered() {
	local one
	for one in a b; do
		note "daemon $one knows of $(ctl $one status connections) connections:" \
			"$(ctl $one conns | head -n5)"
	done
}

# Whatever ended without a word to them is found by asking the kernel: after a few seconds.
forgotten() {
	[ -n "$wire_plain" ] || { ctl_is a status connections 0 && ctl_is b status connections 0; }
}

# grown NAME COLUMN [before|between]: by how much since then
grown() {
	awk -v name="$1" -v column="$2" '$1 == name { v[FILENAME] = $column }
		END { print v[ARGV[2]] - v[ARGV[1]] }' "$dir/${3:-before}.measure" "$dir/after.measure"
}

# after NAME COLUMN
after() {
	awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$dir/after.measure"
}

# The table of holders, which a family shares, fills as connections pass (2 MB); of the pages of
# policies 17 are kept. Threads that had nothing to do in the warm-up have stacks and heaps to come.
# What is sanitized keeps more of what is freed. A daemon has the TIME_WAITs of a minute, of 288 bytes
# each with all that belongs to it, and malloc keeps that much: a million connections leave no more.
check_leaks() {
	local name most minute
	minute=$(($(board ended) * 60000 / ${took:?}))
	[ "$minute" -lt "$(board ended)" ] || minute=$(board ended)
	while read -r name _; do
		most=1024
		[ -z "$shim_sanitized" ] || most=16384
		case $name in daemon-*) most=$((6144 + minute * 288 / 1024)) ;; esac
		[ -z "$daemon_sanitized" ] || case $name in daemon-*) most=65536 ;; esac
		at_most 0 "$(grown "$name" 2)" "$name: no descriptor leaked"
		at_most "$most" "$(grown "$name" 4)" "$name: no memory leaked"
		at_most $((most + 4096)) "$(grown "$name" 3)" "$name: does not grow"
		at_most 64 "$(grown "$name" 5)" "$name: no mappings leaked"
		case $name in daemon-*)
			at_most "$most" "$(grown "$name" 4 between)" "$name: no memory leaked in one life"
			continue ;;
		esac
		at_most 17 "$(after "$name" 6)" "$name: pages of policies do not pile up"
		at_most 2 "$(after "$name" 7)" "$name: pages of sessions do not pile up"
	done <"$dir/before.measure"
	note "process; descriptors, RSS, private memory (KB), mappings, policy and session pages, before and after:"
	note "$(join "$dir/before.measure" "$dir/after.measure" | column -t)"
	note "the daemons when their last life was young, and at its end:"
	note "$(join "$dir/between.measure" "$dir/after.measure" | grep ^daemon | column -t)"
}
