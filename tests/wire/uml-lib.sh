# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # dir and the like are lib.sh's
#
# A machine of our own, for what no network namespace has: User-Mode Linux is a kernel that runs as a
# program. It sees this system's files, read-only, and runs this same script, with UML=1, as root of a
# machine where settings of all of it may be written. It boots in two seconds.
#
#   uml_run "$@"        outside: runs the script within, and ends as it does. Inside: returns.
#   uml_place           inside, instead of wire_init: A and B are both the machine, at 127.0.0.1
#   uml_modules NAME... loads modules of the kernel, in this order
uml_run() {
	local script
	[ -z "${UML:-}" ] || return 0
	have linux.uml || skip_all "linux.uml (Debian: user-mode-linux) is not installed"
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	script=$(realpath "$0")
	dir=$(mktemp -d "${TMPDIR:-/tmp}/closeside-uml.XXXXXX")
	trap uml_end EXIT
	trap 'exit 130' INT TERM HUP
	cat >"$dir/init" <<-END
		#!/bin/sh
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/run UML=1 LONG="${LONG:-}" \
			WIRE_KEEP= top_srcdir="$top_srcdir" top_builddir="$top_builddir"
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t tmpfs tmpfs /run
		mount -t hostfs -o "$dir" none "$dir"
		dmesg -n 1
		ip link set lo up
		echo booted >"$dir/booted"
		bash "$script" >"$dir/tap" 2>"$dir/stderr"
		echo \$? >"$dir/status"
		sync
		echo o >/proc/sysrq-trigger
		sleep 60
	END
	chmod 755 "$dir/init"
	setsid linux.uml mem=512M rootfstype=hostfs rootflags=/ ro "init=$dir/init" quiet con=null \
		con0=fd:0,fd:1 "uml_dir=$dir/" </dev/null >"$dir/console" 2>&1 &
	uml_pid=$!
	wait_for "$(by_length 240 2000)" pid_gone "$uml_pid"
	if [ ! -e "$dir/booted" ]; then
		tail -n 5 "$dir/console" >&2
		skip_all "User-Mode Linux does not boot here: $(tr -d '\r' <"$dir/console" | tail -n 1)"
	fi
	cat "$dir/stderr" >&2
	cat "$dir/tap"
	if [ ! -s "$dir/status" ]; then
		tail -n 20 "$dir/console" >&2
		echo "Bail out! the machine did not come to its end"
		exit 1
	fi
	exit "$(cat "$dir/status")"
}

# Its processes are a group: the kernel, and one for each that runs within.
uml_end() {
	kill -KILL -- "-${uml_pid:-}" 2>/dev/null
	rm -rf "$dir"
}

uml_place() {
	dir=$(mktemp -d /run/closeside-wire.XXXXXX)
	chmod 755 "$dir"
	# shellcheck disable=SC2034 # for the tests
	ns_a=cs$$a ns_b=cs$$a A4=127.0.0.1 B4=127.0.0.1
	mkdir -p /run/netns
	touch "/run/netns/$ns_a"
	mount --bind /proc/1/ns/net "/run/netns/$ns_a"
	note "$(uname -sr), User-Mode Linux"
}

uml_modules() {
	local name file
	for name; do
		file=$(find "/usr/lib/uml/modules/$(uname -r)" -name "$name.ko" | head -n1)
		# finit_module(2): insmod may not be installed
		[ -n "$file" ] && "$python" -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(313, os.open(sys.argv[1], os.O_RDONLY), b"", 0) and ctypes.get_errno() != 17:
    sys.exit(os.strerror(ctypes.get_errno()))' "$file" || return
	done
}
