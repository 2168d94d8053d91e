#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One run of some units of a suite, in one mode: one.sh MODE SUITE OUT UNIT[::TEST]...
#
# In a network namespace of its own where only lo is up, under a closesided of its own (none in mode
# plain). Leaves OUT.res (a line for each test: UNIT::TEST RESULT), OUT.log (what the suite said),
# of the daemon OUT.status and OUT.policy (JSON), of the kernel OUT.snmp. With SUITE_CAPTURE=1 also OUT.cap, what passed
# lo as text of tcpdump.
#
# MODE  plain  without closeside
#       watch  a config that steers nothing: all is watched and recorded
#       peer   one policy that matches everything and keeps nothing
# shellcheck source=tests/wire/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../wire/lib.sh"

suites_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mode=$1 suite=$2 out=$3
shift 3

config_of() {
	case $1 in
	watch) echo 'policy nothing { remote = 192.0.2.1 close-first = peer }' ;;
	peer)
		cat <<-'END'
			policy everything {
				close-first = peer
				grace       = 200ms
				grace-learn = no
				half-close  = defer
				time-wait   = none
			}
		END
		;;
	*)
		echo "no mode $1" >&2
		return 1
		;;
	esac
}

settled() {
	ctl a status >"$out.status" &&
		jq -e '.sessions == 0 and .custody.held == 0' "$out.status" >/dev/null
}

rm -f "$out".{res,log,status,policy,snmp,cap}
wire_init
ip -n "$ns_a" link del veth0
# An ordinary user may not reach the build or the sources.
mkdir -m 1777 "$dir/tmp"
cp "$suites_dir"/*.{sh,py} "$dir" && cp "$shim" "$dir/libcloseside.so" || exit
shim=$dir/libcloseside.so
install -m 666 /dev/null "$dir/res"

if [ "$mode" != plain ]; then
	config_of "$mode" >"$dir/mode" || exit
	daemon_start a <"$dir/mode" || exit
	steer a
fi
if [ -n "${SUITE_CAPTURE:-}" ]; then
	start a tcpdump tcpdump -i lo -nn -tt -S -l -s 128 -B 8192 --immediate-mode tcp
	wait_for 10 grep -q 'listening on' "$dir/tcpdump.log" || exit
fi
printf '%s\0' "${STEER[@]}" >"$dir/steer"
as=()
[ "${SUITE_USER:-root}" = root ] ||
	as=(setpriv "--reuid=$SUITE_USER" "--regid=$(id -g "$SUITE_USER")" --clear-groups)
in_ns a "${as[@]}" env -u LC_ALL LANG=C.UTF-8 TMPDIR="$dir/tmp" HOME="$dir/tmp" \
	top_srcdir="$top_srcdir" top_builddir="$top_builddir" python="$python" \
	bash "$dir/inside.sh" "$dir" "$suite" "$@" </dev/null >"$out.log" 2>&1
cp "$dir/res" "$out.res"

# What the suite left running would keep its session, and its counters, open.
for pid in $(ip netns pids "$ns_a"); do
	[[ " ${pid_of[*]} " == *" $pid "* || "$(ps -o ppid= -p "$pid")" -eq ${pid_of[closesided-a]:-0} ]] ||
		kill -KILL "$pid" 2>/dev/null
done
if [ "$mode" != plain ]; then
	wait_for 20 settled || note "sessions or held sockets are left"
	ctl a policies >"$out.policy"
fi
in_ns a cat /proc/net/snmp /proc/net/netstat | grep '^Tcp' >"$out.snmp"
if [ -n "${SUITE_CAPTURE:-}" ]; then
	stop tcpdump INT
	cp "$dir/tcpdump.log" "$out.cap"
fi
finished=1
