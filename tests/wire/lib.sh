# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the wire tests share. A test sources this file and gets two network namespaces joined by
# a veth pair: A, the server's (10.77.0.1, fd77::1), and B, the client's (10.77.0.2, fd77::2). All
# it starts and writes is gone when it ends. It prints TAP; the plan comes last, so that a test
# that dies on the way is seen as one.
#
#   start a web nginx ...     a program in the background in A, its output in $dir/web.log
#   in_ns b curl ...          a program in the foreground in B
#   daemon_start a <<END      closesided in A with this config
#   steer a                   from now on "${STEER[@]}" PROGRAM runs it under the shim
#   capture_start a           what passes A's end of the veth, as text in $dir/a.cap
#   capture_section a x 20    ends a section of it once 20 connections are complete: $dir/x.conns
#   wait_for 5 COMMAND        polls until the command succeeds, at most 5 s
#   is EXPECTED GOT NAME, at_least, at_most, ok, not_ok, skip, note; finish
#
# WIRE_PLAIN=1 runs a test without closeside: what it claims about steering must then fail.
# WIRE_KEEP=1 keeps $dir.
set -u
export LC_ALL=C

wire_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top_srcdir=${top_srcdir:-$wire_dir/../..}
top_srcdir=$(cd "$top_srcdir" && pwd)
top_builddir=${top_builddir:-$top_srcdir}
top_builddir=$(cd "$top_builddir" && pwd)
python=${PYTHON:-/usr/bin/python3}
PATH=$PATH:/usr/sbin:/sbin

wire_plain=${WIRE_PLAIN:-}
closesided=${CLOSESIDED:-$top_builddir/closesided}
# shellcheck disable=SC2034 # for the tests
closeside=${CLOSESIDE:-$top_builddir/closeside}
shim=$top_builddir/.libs/libcloseside.so

# shellcheck disable=SC2034 # some are for the tests only
A4=10.77.0.1 B4=10.77.0.2 A6=fd77::1 B6=fd77::2

# --- TAP ---

tap_count=0
tap_failed=0

ok() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

not_ok() {
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1"
	[ $# -lt 2 ] || note "$2"
	return 0
}

skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# is EXPECTED GOT NAME
is() {
	if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "expected '$1', got '$2'"; fi
}

at_least() {
	if [ "${2:-0}" -ge "$1" ]; then ok "$3"; else not_ok "$3" "expected at least $1, got '$2'"; fi
}

at_most() {
	if [ "${2:-999999999}" -le "$1" ]; then ok "$3"; else not_ok "$3" "expected at most $1, got '$2'"; fi
}

# check NAME COMMAND...: ok if the command succeeds
check() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name" "failed: $*"; fi
}

# What a sanitizer found in the daemon, or with the shim in any program or child of one: the test may
# not have noticed.
no_complaints() {
	local files
	files=$(grep -rlE --exclude-dir=sources 'ERROR: [A-Z][a-z]*Sanitizer|: runtime error: ' "$dir" 2>/dev/null) || return 0
	not_ok "no sanitizer complains" "see below"
	# shellcheck disable=SC2086 # names of ours, without blanks
	note "$(grep -hE -A 20 'ERROR: [A-Z][a-z]*Sanitizer|: runtime error: ' $files | head -n 60)"
}

finish() {
	no_complaints
	echo "1..$tap_count"
	finished=1
	[ "$tap_failed" = 0 ]
	exit
}

# quietly COMMAND...: for check, whose own line is not to go where its command's do
quietly() {
	"$@" >/dev/null 2>&1
}

# --- time ---

# Milliseconds, monotonic enough for a deadline.
now_ms() {
	local t=${EPOCHREALTIME/./}
	echo $((t / 1000))
}

# wait_for SECONDS COMMAND...
wait_for() {
	local deadline=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}

have() {
	command -v "$1" >/dev/null
}

# --- the place ---

declare -A pid_of=()

wire_cleanup() {
	local status=$? name pid
	trap - EXIT
	trap '' INT TERM HUP
	for name in "${!pid_of[@]}"; do
		kill -TERM -- "-${pid_of[$name]}" 2>/dev/null
		kill -CONT -- "-${pid_of[$name]}" 2>/dev/null
	done
	wait_for 2 all_gone
	for name in "${!pid_of[@]}"; do
		kill -KILL -- "-${pid_of[$name]}" 2>/dev/null
	done
	# What left its process group can only be found in our own namespaces.
	for name in "$ns_a" "$ns_b" ${ns_c:+"$ns_c"}; do
		for pid in $(ip netns pids "$name" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$name" 2>/dev/null
	done
	if [ -n "${WIRE_KEEP:-}" ]; then
		note "kept: $dir"
	else
		rm -rf "$dir"
	fi
	if [ -z "${finished:-}" ] && [ "$status" = 0 ]; then
		status=1
	fi
	exit "$status"
}

all_gone() {
	local name
	for name in "${!pid_of[@]}"; do
		pid_gone "${pid_of[$name]}" || return 1
	done
}

pid_gone() {
	! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]
}

wire_init() {
	[ -n "$wire_plain" ] || [ -x "$closesided" ] || {
		echo "Bail out! $closesided is not built"
		exit 1
	}
	[ "$(id -u)" = 0 ] || skip_all "needs root, for network namespaces"
	local tool
	for tool in ip ss nsenter tcpdump jq setsid "$python"; do
		have "$tool" || skip_all "$tool is not installed"
	done
	dir=$(mktemp -d "${TMPDIR:-/tmp}/closeside-wire.XXXXXX") || {
		echo "Bail out! no folder for what it writes"
		exit 1
	}
	chmod 755 "$dir"
	ns_a=cs$$a
	ns_b=cs$$b
	trap wire_cleanup EXIT
	trap 'exit 130' INT TERM HUP
	if ! ip netns add "$ns_a" 2>"$dir/ns.err" || ! ip netns add "$ns_b" 2>>"$dir/ns.err" ||
		! ip netns exec "$ns_a" true 2>>"$dir/ns.err"; then
		finished=1
		skip_all "no network namespaces here: $(tail -n1 "$dir/ns.err")"
	fi
	ip -n "$ns_a" link add veth0 type veth peer name veth0 netns "$ns_b"
	wire_addresses "$ns_a" "$A4" "$A6"
	wire_addresses "$ns_b" "$B4" "$B6"
}

# A third namespace, c, for servers that b can reach and no daemon of a sees: after wire_init.
wire_third() {
	C4=10.78.0.1
	ns_c=cs$$c
	ip netns add "$ns_c" && ip -n "$ns_c" link set lo up &&
		ip -n "$ns_c" link add veth0 type veth peer name veth1 netns "$ns_b" &&
		ip -n "$ns_c" addr add "$C4/24" dev veth0 && ip -n "$ns_b" addr add 10.78.0.2/24 dev veth1 &&
		ip -n "$ns_c" link set veth0 up && ip -n "$ns_b" link set veth1 up
}

wire_addresses() {
	ip -n "$1" link set lo up
	ip -n "$1" addr add "$2/24" dev veth0
	ip -n "$1" addr add "$3/64" dev veth0 nodad
	ip -n "$1" link set veth0 up
}

# The name of namespace a, b or c.
ns_name() {
	case $1 in
	a) echo "$ns_a" ;;
	c) echo "$ns_c" ;;
	*) echo "$ns_b" ;;
	esac
}

# in_ns a|b COMMAND...
in_ns() {
	local ns=$1
	shift
	nsenter "--net=/run/netns/$(ns_name "$ns")" "$@"
}

# start a|b NAME COMMAND...; the process, and a group of its own, is ${pid_of[NAME]}
start() {
	local ns=$1 name=$2
	shift 2
	setsid nsenter "--net=/run/netns/$(ns_name "$ns")" "$@" \
		</dev/null >"$dir/$name.log" 2>&1 &
	pid_of[$name]=$!
	# bash would print "Killed" and the like otherwise
	disown "$!"
}

# stop NAME [SIGNAL]: ends it and waits until it has gone
stop() {
	local pid=${pid_of[$1]:-}
	[ -n "$pid" ] || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null
	wait_for 5 pid_gone "$pid" || kill -KILL -- "-$pid" 2>/dev/null
	wait_for 5 pid_gone "$pid"
	# its children too, if it left any
	kill -KILL -- "-$pid" 2>/dev/null
	unset "pid_of[$1]"
}

# signal NAME SIGNAL: to the process alone; nothing if it is not there
signal() {
	[ -z "${pid_of[$1]:-}" ] || kill "-$2" "${pid_of[$1]}"
}

# child_of NAME: a child of the process, or nothing
child_of() {
	[ -z "${pid_of[$1]:-}" ] || pgrep -P "${pid_of[$1]}" | head -n1
}

running() {
	! pid_gone "${pid_of[$1]}"
}

# listening a PORT
listening() {
	[ -n "$(in_ns "$1" ss -Htln "sport = :$2")" ]
}

# start_listening a NAME PORT COMMAND...: start, and wait until it listens
start_listening() {
	local ns=$1 name=$2 port=$3
	shift 3
	start "$ns" "$name" "$@"
	if ! wait_for 20 listening "$ns" "$port"; then
		note "$name does not listen on port $port:" "$(tail -n5 "$dir/$name.log")"
		return 1
	fi
}

# --- closeside ---

# Tests run beside each other, each in namespaces of its own: a daemon that says nothing else looks
# into its own only.
only_own_namespace() {
	grep -q namespaces "$1" && return
	if grep -q '^limits {' "$1"; then
		sed -i 's/^limits {/limits { namespaces = 1 /' "$1"
	else
		echo 'limits { namespaces = 1 }' >>"$1"
	fi
}

# daemon_start a|b [NAME [ARGUMENTS...]] <config
daemon_start() {
	local ns=$1 name=${2:-$1}
	shift
	[ $# -eq 0 ] || shift
	cat >"$dir/$name.conf"
	only_own_namespace "$dir/$name.conf"
	daemon_restart "$ns" "$name" "$@"
}

# the same with the config that is there
daemon_restart() {
	local ns=$1 name=${2:-$1}
	shift
	[ $# -eq 0 ] || shift
	[ -z "$wire_plain" ] || return 0
	start "$ns" "closesided-$name" "$closesided" -c "$dir/$name.conf" -s "$dir/$name.socket" -f "$@"
	if ! wait_for 10 daemon_answers "$name"; then
		note "closesided does not answer:" "$(tail -n5 "$dir/closesided-$name.log")"
		return 1
	fi
}

daemon_answers() {
	ctl "$1" status pid >/dev/null
}

# steer NAME [OPTIONS]: "${STEER[@]}" PROGRAM runs it under the shim of that daemon
# plain: and now without
steer() {
	local socket=$dir/$1.socket preload=$shim asan
	[ -z "$wire_plain" ] || return 0
	[ -z "${2:-}" ] || socket="$socket?$2"
	if asan=$(ldd "$shim" 2>/dev/null | awk '/libasan/ { print $3 }') && [ -n "$asan" ]; then
		preload="$asan $shim"
	fi
	STEER=(env "LD_PRELOAD=$preload" "CLOSESIDE_SOCKET=$socket")
	[ -z "$asan" ] || STEER+=("ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0")
}

plain() {
	STEER=()
}
plain

# ctl NAME COMMAND [PATH]: asks the daemon; with a path as custody.peer prints that value
ctl() {
	local name=$1
	[ -z "$wire_plain" ] || return 0
	shift
	"$python" "$wire_dir/ctl.py" "$dir/$name.socket.control" "$@"
}

# ctl_is NAME COMMAND PATH VALUE, ctl_least: for wait_for
ctl_is() {
	[ "$(ctl "$1" "$2" "$3")" = "$4" ]
}

ctl_least() {
	[ "$(ctl "$1" "$2" "$3")" -ge "$4" ]
}

# --- capture ---

declare -A capture_marks=()

# capture_start a|b [FILTER]: by default SYN, FIN and RST
capture_start() {
	local ns=$1
	local filter=${2:-'tcp[13] & 7 != 0 or (ip6[6] == 6 and ip6[53] & 7 != 0)'}
	# shellcheck disable=SC2016 # sh expands them
	start "$ns" "tcpdump-$ns" sh -c \
		'exec tcpdump -i veth0 -nn -tt -S -l -s 128 -B 8192 --immediate-mode "$1" >"$2"' \
		sh "$filter" "$dir/$ns.cap"
	capture_marks[$ns]=0
	wait_for 10 grep -q 'listening on' "$dir/tcpdump-$ns.log" || {
		note "tcpdump:" "$(cat "$dir/tcpdump-$ns.log")"
		return 1
	}
}

capture_marks_seen() {
	[ "$(grep -c '\.9 > .*Flags \[R' "$dir/$1.cap")" -ge "${capture_marks[$1]}" ]
}

# capture_mark a: all that came before it is in the file once this returns, and a new section
# begins. The mark is a connect to port 9, which is refused.
capture_mark() {
	capture_marks[$1]=$((capture_marks[$1] + 1))
	in_ns b bash -c "exec 3<>/dev/tcp/$A4/9" 2>/dev/null
	wait_for 10 capture_marks_seen "$1" || note "the capture did not show its mark"
}

# capture_conns a [SECTION]: a line for each connection, see conns.awk; the first section is 0
capture_conns() {
	awk -v section="${2:-}" -f "$wire_dir/conns.awk" "$dir/$1.cap"
}

# capture_section a NAME N: once N connections of the section that runs are complete, ends it and
# writes them to $dir/NAME.conns
capture_section() {
	local section=${capture_marks[$1]}
	wait_for 15 capture_done "$1" "$section" "$3" || note "$2: not all connections ended"
	capture_mark "$1"
	capture_conns "$1" "$section" >"$dir/$2.conns"
}

# capture_done a SECTION N: are N connections complete in it?
capture_done() {
	[ "$(capture_conns "$1" "$2" | awk '$10 { n++ } END { print n + 0 }')" -ge "$3" ]
}

# conns_count FILE AWK-CONDITION, with names for the columns of conns.awk
conns_count() {
	awk "{ b = \$1; a = \$2; first = \$3; kind = \$4; fin_a = \$5; fin_b = \$6; rst_a = \$7
		rst_b = \$8; crossed = \$9; done = \$10; t = \$11; t_a = \$12; t_b = \$13 }
		$2 { n++ } END { print n + 0 }" "$1"
}

# --- TIME_WAIT ---

# time_wait a [SS-FILTER...]: how many there are
time_wait() {
	local ns=$1
	shift
	in_ns "$ns" ss -Htan state time-wait "$@" | wc -l
}

time_wait_is() {
	[ "$(time_wait "$1" "${@:3}")" = "$2" ]
}

# time_wait_among a|b FILE: how many of the connections that capture_conns listed are there
time_wait_among() {
	in_ns "$1" ss -Htan state time-wait | awk -v ns="$1" '
		function dotted(ep) {
			gsub(/[][]/, "", ep)
			sub(/^::ffff:/, "", ep)
			match(ep, /:[0-9]+$/)
			return substr(ep, 1, RSTART - 1) "." substr(ep, RSTART + 1)
		}
		FNR == NR { key = ns == "a" ? dotted($4) " " dotted($3) : dotted($3) " " dotted($4)
			tw[key] = 1; next }
		($1 " " $2) in tw { n++ }
		END { print n + 0 }' - "$2"
}

# --- actors ---

# actor_serve NAME PORT [OPTIONS] STEP...: a server of actor.py in A, under "${STEER[@]}"
actor_serve() {
	local name=$1 port=$2
	shift 2
	start_listening a "$name" "$port" "${STEER[@]}" "$python" "$wire_dir/actor.py" serve "$port" "$@"
}

# actor_connect HOST PORT N STEP...: a client of it in B, under "${CLIENT_STEER[@]}"; its lines on stdout
CLIENT_STEER=()
actor_connect() {
	in_ns b "${CLIENT_STEER[@]}" timeout -k 5 90 "$python" "$wire_dir/actor.py" connect "$@"
}

# lines_count FILE JQ-CONDITION: how many lines of JSON it holds for
lines_count() {
	jq -c "select($2)" "$1" | wc -l
}

# lines_median FILE JQ-VALUE, rounded to a whole number; lines_max
lines_median() {
	jq -r "$2" "$1" | sort -n | awk '{ v[NR] = $1 } END { printf "%d\n", v[int((NR + 1) / 2)] }'
}

lines_max() {
	jq -r "$2" "$1" | sort -n | awk 'END { printf "%d\n", $1 }'
}
