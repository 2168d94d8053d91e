# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # these are for compare*.sh; dir and the like are lib.sh's
#
# What the scripts of compare.sh share: how large it is, the contenders, and what they need.
#
#   compare_size quick|full       sets $seconds, $range...: the numbers of that size
#   contender NAME FIRST          what it sets; 1 if there is no such, with this order
#   contenders client|server      their names, in that order of closing
#   compare_place                 namespaces and settings as the contender wants them; `error` says why not
#   compare_emit JQ-ARGUMENTS...  a row for $BENCH_OUT/rows.jsonl
# An error is a row too: nothing is left out silently.

churn=$top_builddir/tests/bench/churn
sample=$top_builddir/tests/bench/sample
port=8001
sources=8 # addresses of the contender "source"

# In quick there are 4,000 ports, so that 6 s show what 130 s do with all that a system has.
compare_size() {
	size=$1
	case $1 in
	full)
		seconds=130 offered=1000 most_offered=7000 most_seconds=130 idle_seconds=4
		most_range="32768 60999"
		range="32768 60999" wide_range="1024 65535" buckets=5000
		ports_range="32768 60999" ports_rate=6000
		loss_connections=50
		;;
	quick)
		seconds=6 offered=1000 most_offered=7000 most_seconds=4 idle_seconds=1
		most_range="40000 41499"
		range="40000 43999" wide_range="40000 49139" buckets=400
		ports_range="40000 43999" ports_rate=2000
		loss_connections=20
		;;
	mini) # for make check: do the rows come, and do they say what must be so?
		seconds=2 offered=100 most_offered=200 most_seconds=2 idle_seconds=1
		most_range="40000 43999"
		range="40000 43999" wide_range="40000 49139" buckets=40
		ports_range="40000 40399" ports_rate=400
		loss_connections=8
		;;
	*)
		echo "compare: BENCH_SIZE is quick or full, not '$1'" >&2
		return 2
		;;
	esac
}

contenders() {
	case $1 in
	client)
		printf '%s\n' "default" "tcp_tw_reuse = 1" "wide ip_local_port_range" \
			"small tcp_max_tw_buckets" "SO_LINGER 0" "ss -K" "watch-only" "time-wait = none" \
			"time-wait = 2s" "peer-time-wait = none" "local-ports" "source"
		;;
	server)
		printf '%s\n' "default" "small tcp_max_tw_buckets" "SO_LINGER 0" "ss -K" "watch-only" \
			"close-first = peer" "time-wait = none" "time-wait = 2s" "peer-time-wait = none"
		;;
	esac
}

# contender NAME FIRST: sets
#   ours    true|false
#   end     the namespace whose program runs under the shim (its daemon is there too), if it is ours
#   policy  what that daemon is told
#   tuned   sysctls that differ from the system's: NAMESPACE KEY VALUE, a line each
#   client_options, server_options   of churn
#   killer  the namespace in which ss -K goes on
# and compare_place sets loop, the pid of the daemon's loop
#
# The client knows where the answer ends. Where the server closes first, it closes by itself only if no
# FIN came for 2 ms, as one does that looks at it between two turns of its loop: else no server could
# let it go first, and at once both would close together half of the time.
contender() {
	local closer=b second=a
	[ "$2" = client ] || { closer=a second=b; }
	ours=true end=$closer policy='' tuned="b net.ipv4.ip_local_port_range $range" killer=''
	client_options=(--close us) server_options=(--close peer)
	[ "$2" = client ] || { client_options+=(--pause 2) server_options=(--close us); }
	contenders "$2" | grep -qxF -- "$1" || return 1
	case $1 in
	"default" | "SO_LINGER 0" | "ss -K" | "tcp_"* | "wide "* | "small "*) ours=false end='' ;;
	esac
	case $1 in
	"tcp_tw_reuse = 1") tuned+=$'\n'"b net.ipv4.tcp_tw_reuse 1" ;;
	"wide ip_local_port_range") tuned="b net.ipv4.ip_local_port_range $wide_range" ;;
	"small tcp_max_tw_buckets") tuned+=$'\n'"$closer net.ipv4.tcp_max_tw_buckets $buckets" ;;
	"SO_LINGER 0")
		if [ "$2" = client ]; then client_options+=(--linger0); else server_options+=(--linger0); fi
		;;
	"ss -K") killer=$closer ;;
	"close-first = peer" | "time-wait = "*) policy=$1 ;;
	"peer-time-wait = none") policy=$1 end=$second ;;
	"local-ports")
		tuned="b net.ipv4.ip_local_port_range $wide_range"
		policy="local-ports = ${wide_range/ /-}"
		;;
	"source") policy="source = {$(source_addresses)}" ;;
	esac
}

source_addresses() {
	seq -s ', ' -f "10.77.0.%g" 11 $((10 + sources))
}

# Says why this contender cannot be tried, and fails.
error() {
	error=$*
	return 1
}

# --- rows ---

# compare_emit JQ-ARGUMENTS...: of jq -cn, what it prints is added to the rows. Several scripts do so at
# a time, each row at once.
compare_emit() {
	jq -c "$@" >"$dir/emitted" || return
	flock "$BENCH_OUT/rows.jsonl" dd if="$dir/emitted" of="$BENCH_OUT/rows.jsonl" oflag=append \
		conv=notrunc bs=1M status=none
}

# --- the place ---

compare_place() {
	local ns key value i
	while read -r ns key value; do
		in_ns "$ns" sysctl -qw "$key=$value" 2>"$dir/sysctl.err" ||
			error "$key = $value: $(tail -n1 "$dir/sysctl.err")" || return
		# proved: what the namespace has now
		[ "$(setting_of "$ns" "$key")" = "$value" ] ||
			error "$key is $(setting_of "$ns" "$key"), not $value" || return
	done <<<"$tuned"
	for ((i = 11; i < 11 + sources; i++)); do
		ip -n "$ns_b" addr add "10.77.0.$i/24" dev veth0 || return
	done
	[ -z "$end" ] || compare_daemon || return
	[ -z "$killer" ] || compare_killer
}

setting_of() {
	in_ns "$1" sysctl -n "$2" | xargs
}

compare_daemon() {
	daemon_start "$end" <<-END >&2 || error "closesided does not start" || return
		defaults { grace = 500ms }
		policy bench { program = {churn}  $policy }
	END
	loop=$(ctl "$end" status pid)
}

# Its program runs under the shim, or not.
compare_steer() {
	if [ "$end" = "$1" ]; then steer "$1"; else plain; fi
}

# From now on every second, if this kernel does it at all: tried at a TIME_WAIT made for it.
compare_killer() {
	local server=peer client=us
	[ "$killer" = b ] || { server=us client=peer; }
	start_listening a trial 8999 "$churn" -l "$A4:8999" --close $server >&2 || error "no server" || return
	in_ns b "$churn" -c "$A4:8999" -r 1 -d 1 --close $client >"$dir/trial.out"
	stop trial
	wait_for 5 time_waits_least "$killer" 1 || error "no TIME_WAIT to try ss -K at" || return
	in_ns "$killer" ss -K -Htan state time-wait >"$dir/killed" 2>&1
	wait_for 5 time_wait_is "$killer" 0 ||
		error "ss -K does not end TIME_WAITs here (CONFIG_INET_DIAG_DESTROY, Linux 6.0)" || return
	# shellcheck disable=SC2016 # bash -c expands them
	start "$killer" killer bash -c 'while :; do
		ss -K -Htan state time-wait "( sport = :$1 or dport = :$1 )" >/dev/null; sleep 1; done' bash $port
}

time_waits_least() {
	[ "$(time_wait "$1")" -ge "$2" ]
}

# --- memory ---

# Bytes of an object of this slab cache; the kernel gives a cache that it has merged another name
# in /proc/slabinfo. 0: it does not say.
slab_bytes() {
	local bytes
	bytes=$(cat "/sys/kernel/slab/$1/slab_size" 2>/dev/null) ||
		bytes=$(awk -v name="$1" '$1 == name { print $4 }' /proc/slabinfo 2>/dev/null)
	echo "${bytes:-0}"
}
