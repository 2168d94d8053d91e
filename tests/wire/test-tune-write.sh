#!/bin/bash
# SPDX-License-Identifier: MIT
# Sysctls as the daemon writes them, with the capabilities of the shipped unit and what it may write
# of /proc/sys: killed at any moment, with an admin who writes in between, a sysctl.d, a full disk, a
# journal that is damaged or not ours, without permission. In the end each sysctl is what it was.
# Each step of a write by itself is unit/test_setter_kill's.
# shellcheck disable=SC2317 # functions that wait_for calls
if [ -z "${TUNE_WRITE_MOUNTS:-}" ] && unshare -m --propagation private true 2>/dev/null; then
	# mounts of our own: a sysctl.d, and a small disk
	TUNE_WRITE_MOUNTS=1 exec unshare -m --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
[ -n "${TUNE_WRITE_MOUNTS:-}" ] || skip_all "no mount namespaces here"
have setpriv || skip_all "setpriv is not installed"
key=net.ipv4.tcp_max_tw_buckets
limit=200
advice=time-wait-buckets/tw-buckets
unit=$top_srcdir/conf/closeside.service.in

# --- the place ---

mkdir "$dir/sysctl.d" "$dir/small"
mount --bind "$dir/sysctl.d" /etc/sysctl.d || skip_all "no /etc/sysctl.d here"
for folder in /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d; do
	[ ! -d $folder ] || mount -t tmpfs none $folder
done
[ ! -e /etc/sysctl.conf ] || mount --bind /dev/null /etc/sysctl.conf

# wrap NAME CAPABILITIES [WRITABLE...]: a closesided that has these only, and of /proc/sys may write
# these only
wrap() {
	local name=$1 capabilities=$2 path
	shift 2
	{
		echo '#!/bin/sh'
		echo 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys || exit'
		for path; do
			echo "mount --bind $path $path && mount -o remount,bind,rw $path || exit"
		done
		echo "exec setpriv --bounding-set=-all,$capabilities --inh-caps=-all '$real' \"\$@\""
	} >"$dir/$name.inside"
	printf '#!/bin/sh\nexec unshare -m sh %s "$@"\n' "$dir/$name.inside" >"$dir/$name"
	chmod 755 "$dir/$name"
}
real=$closesided
caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
# shellcheck disable=SC2046 # one word for each
wrap as-the-unit "$caps" $(sed -n 's/^ReadWritePaths=-*//p' "$unit")
wrap read-only "$caps"
# shellcheck disable=SC2046
wrap powerless "${caps/+net_admin,/}" $(sed -n 's/^ReadWritePaths=-*//p' "$unit")
closesided=$dir/as-the-unit

# --- what is asked and seen ---

# Those that closeside may write, and some that it never does.
snapshot() {
	in_ns a sysctl -a -r '^net\.(ipv4\.(tcp_|ip_local)|core\.somaxconn|netfilter)' 2>/dev/null |
		grep -v nf_conntrack_count
}
value() {
	in_ns a sysctl -n $key
}
is_proposed() {
	[ "$(ctl a tune | jq -r "select(.type == \"advice\" and .id == \"$advice\") | .state")" = open ]
}
proposed() {
	wait_for 40 is_proposed || note "it is not proposed:" "$(ctl a tune | jq -c 'select(.type == "resource")')" >&2
}
# apply: what became of it
apply() {
	proposed
	ctl a tune-apply "id=$advice" | jq -r 'select(.type == "change") | .outcome' | head -n1
}
revert() {
	ctl a tune-revert | jq -r 'select(.type == "change" and .key != null) | .outcome' | head -n1
}
state() {
	ctl a tune | jq -r "select(.type == \"key\" and .key == \"$key\") | .state"
}
state_is() {
	[ "$(state)" = "$1" ]
}
state_is_not() {
	[ "$(state)" != "$1" ]
}
original() {
	ctl a tune | jq -r "select(.type == \"key\" and .key == \"$key\") | .original"
}
logged() {
	grep -c -- "$1" "$dir/closesided-a.log"
}
# The guardian, where the wrappers have become it.
guardian() {
	echo "${pid_of[closesided-a]}"
}
loop() {
	child_of closesided-a
}
another_loop() {
	local now
	now=$(loop)
	[ -n "$now" ] && [ "$now" != "$1" ] && daemon_answers a
}
kill_guardian() {
	kill -KILL "$(guardian)"
	wait_for 20 pid_gone "$(guardian)"
	stop closesided-a
}

in_ns a sysctl -qw $key=$limit
before=$(snapshot)
at_least 20 "$(wc -l <<<"$before")" "there are sysctls to compare"
daemon_start a </dev/null
actor_serve server 8001 line send:10 close
cat >"$dir/load.py" <<-'END'
	"""load.py HOST PORT RATE: so many connections a second, each closed by the server"""
	import socket, sys, time
	while True:
	    try:
	        with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as s:
	            s.sendall(b"hello\n")
	            while s.recv(100):
	                pass
	    except OSError:
	        pass
	    time.sleep(1 / float(sys.argv[3]))
END
# A minute's TIME_WAITs of it are many times the limit.
start b load "$python" "$dir/load.py" "$A4" 8001 40

# --- set, and put back ---
is "done" "$(apply)" "apply, as the unit permits"
applied=$(value)
at_least $((limit + 1)) "$applied" "it is set"
is ours "$(state)" "it is closeside's"
is 1 "$(logged "$key: $limit to $applied")" "one line in the log"
is "600 1" "$(stat -c '%a' "$dir/a.socket.journal") $(grep -c "$key $limit " "$dir/a.socket.journal")" \
	"the journal, which nobody else may read, has what it was"
is "done" "$(revert)" "revert"
is "$before" "$(snapshot)" "all is as it was"
check "the journal is gone" [ ! -e "$dir/a.socket.journal" ]
is 1 "$(logged "$key: $applied to $limit, as it was")" "one line in the log for that"
is "$key: $limit to $applied
$key: $applied to $limit, put back" "$(ctl a history | jq -r 'select(.event == "sysctl") | .text')" \
	"both are in the history"

# --- an idle guardian ---
wakeups() {
	awk '/^voluntary/ { print $2 }' "/proc/$(guardian)/status"
}
woken=$(wakeups) since=$(now_ms)
sleep 4
at_most $((($(now_ms) - since) / 400 + 3)) $(($(wakeups) - woken)) "a guardian that nobody asks wakes for its looks only"

# --- killed ---
apply >/dev/null
applied=$(value)
was=$(loop)
kill -KILL "$was"
check "the loop is killed, and another comes" wait_for 20 another_loop "$was"
check "which knows what is ours" wait_for 20 state_is ours
is "$limit" "$(original)" "and what it was"
kill_guardian
is "$applied" "$(value)" "the guardian is killed: what was set is still set"
daemon_restart a
check "the next one knows what is ours" wait_for 20 state_is ours
is "$limit" "$(original)" "and what it was"
is "done" "$(revert)" "and can put it back"
is "$before" "$(snapshot)" "all is as it was"

# At any moment while it is applied and put back again and again.
cat >"$dir/again.py" <<-'END'
	"""again.py CTL SOCKET ID: applies and reverts until the daemon does not answer"""
	import subprocess, sys
	def ask(*words):
	    return subprocess.run([sys.executable, sys.argv[1], sys.argv[2], *words],
	                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
	while ask("tune-apply", "id=" + sys.argv[3]) == 0 and ask("tune-revert") == 0:
	    pass
END
proposed
lost=0 left=0
for ((round = 0; round < 16; round++)); do
	start a again "$python" "$dir/again.py" "$wire_dir/ctl.py" "$dir/a.socket.control" $advice
	sleep "0.$((RANDOM % 7))$((RANDOM % 10))" # anywhere in it: that is the point
	if ((round % 2)); then
		was=$(loop)
		kill -KILL "$was"
		stop again
		wait_for 20 another_loop "$was"
	else
		kill_guardian
		stop again
		[ "$(value)" = $limit ] || left=$((left + 1))
		daemon_restart a
	fi
	revert >/dev/null
	[ "$(snapshot)" = "$before" ] || lost=$((lost + 1))
done
note "killed 16 times; $left times the guardian left it set"
is 0 $lost "killed in the midst of it: revert makes all as it was, each time"

# --- an admin ---
apply >/dev/null
in_ns a sysctl -qw $key=7777
check "an admin's value is his" wait_for 20 state_is yielded
revert >/dev/null
is 7777 "$(value)" "revert leaves it"
kill_guardian
daemon_restart a
stop closesided-a
is 7777 "$(value)" "so does the next daemon, and its end"
in_ns a sysctl -qw $key=$limit
daemon_restart a

apply >/dev/null
kill_guardian
in_ns a sysctl -qw $key=7778
daemon_restart a
revert >/dev/null
is 7778 "$(value)" "one that he sets while no guardian is there as well"
is 1 "$(logged "$key: somebody else has set it to 7778.*($limit before closeside set it)")" \
	"and what it was is in the log"
stop closesided-a
in_ns a sysctl -qw $key=$limit
daemon_restart a

# --- sysctl.d ---
proposed
echo "net/ipv4/tcp_max_tw_* = 999" >"$dir/sysctl.d/50-admin.conf"
is "it is named in sysctl.d" "$(ctl a tune-apply "id=$advice" | jq -r .outcome | head -n1)" \
	"named in sysctl.d: apply leaves it, and says why"
is $limit "$(value)" "named in sysctl.d: it is as it was"
check "named in sysctl.d: no journal" [ ! -e "$dir/a.socket.journal" ]
rm "$dir/sysctl.d/50-admin.conf"
check "named no more: it is free" wait_for 60 state_is_not named

# --- a stop ---
is "done" "$(apply)" "named no more: it is set"
stop closesided-a
is "$before" "$(snapshot)" "SIGTERM: all is as it was"
check "SIGTERM: no journal is left" [ ! -e "$dir/a.socket.journal" ]

# --- a journal that is damaged, or is not ours ---
daemon_restart a
apply >/dev/null
applied=$(value)
kill_guardian
sed -i 's/ 200 / 201 /' "$dir/a.socket.journal"
daemon_restart a
is 1 "$(logged 'it is damaged')" "a damaged journal: it is said"
check "a damaged journal: it is put aside" [ -s "$dir/a.socket.journal.damaged" ]
revert >/dev/null
is "$applied" "$(value)" "a damaged journal: what it says is not believed"
stop closesided-a
in_ns a sysctl -qw $key=$limit
ln -s "$dir/elsewhere" "$dir/a.socket.journal"
daemon_restart a
is "its original cannot be kept: the journal cannot be written" "$(apply)" "a link for a journal: nothing is set"
is $limit "$(value)" "a link for a journal: it is as it was"
stop closesided-a
check "a link for a journal: nothing came of it" [ ! -e "$dir/elsewhere" ]
rm "$dir/a.socket.journal"

# --- permission ---
closesided=$dir/read-only
daemon_restart a
is "it is read-only here" "$(apply)" "/proc/sys is read-only: apply says so"
check "/proc/sys is read-only: advice goes on" is_proposed
stop closesided-a
closesided=$dir/powerless
daemon_restart a
is "done" "$(apply)" "the user that owns the namespace needs no CAP_NET_ADMIN"
stop closesided-a
is "$before" "$(snapshot)" "and puts it back as well"
closesided=$dir/as-the-unit

# --- a full disk ---
mount -t tmpfs -o size=2m none "$dir/small"
sed 's/^/ /' "$dir/a.conf" >"$dir/small/a.conf"
outer=$dir
dir=$dir/small
daemon_restart a
proposed
dd if=/dev/zero of="$dir/filler" bs=4096 2>/dev/null
is "its original cannot be kept: the journal cannot be written" "$(apply)" "a full disk: nothing is set"
is $limit "$(value)" "a full disk: it is as it was"
rm "$dir/filler"
resumed() {
	[ "$(apply)" = "done" ]
}
check "a full disk: with room again it is" wait_for 20 resumed
dd if=/dev/zero of="$dir/filler" bs=4096 2>/dev/null
stop closesided-a
is "$before" "$(snapshot)" "a full disk: what was set can be put back"
dir=$outer
umount "$dir/small"
finish
