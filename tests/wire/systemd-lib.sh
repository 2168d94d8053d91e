# shellcheck shell=bash disable=SC2154,SC2034 # what lib.sh sets, and reads
# SPDX-License-Identifier: MIT
# A real systemd as PID 1, in namespaces of its own: it sees this system's files through an overlay in
# memory, so that what it, or dpkg, writes to them is gone with it; its network is namespace a. After
# wire_init.
#
# systemd_boot        boots it; false if that cannot be here, with notes why
# systemd_install     boots it, and installs the build: to $prefix, its config is $etc
# systemd_in CMD...   runs a command in it
# $systemd_root       its files, as seen from here
# systemd_halt        also when wire_cleanup runs

systemd_pid='' systemd_root='' systemd_cgroup=''

# Where a hierarchy of version 2 is mounted; systemd wants one, and gets a part of it.
systemd_cgroups() {
	awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts
}

# In the namespaces, before it begins: WORK is an empty folder.
systemd_prepare() {
	cat <<-'END'
		set -e
		work=$1 root=$1/root
		mount --make-rprivate /
		mount -t tmpfs tmpfs "$work"
		mkdir "$work/upper" "$work/work" "$root"
		mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
		mount -t proc proc "$root/proc"
		mount -t sysfs -o ro sysfs "$root/sys"
		mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
		mount -t tmpfs -o mode=755 tmpfs "$root/run"
		mount -t tmpfs tmpfs "$root/tmp"
		mount -t tmpfs -o mode=755 tmpfs "$root/dev"
		for device in null zero full random urandom tty; do
			touch "$root/dev/$device"
			mount --bind "/dev/$device" "$root/dev/$device"
		done
		mkdir "$root/dev/pts" "$root/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
		ln -s pts/ptmx "$root/dev/ptmx"
		ln -s /proc/self/fd "$root/dev/fd"
		# What the sources and the build are in, where this is not the system's own file system.
		for folder in "${@:2}"; do
			mkdir -p "$root$folder"
			mount --bind "$folder" "$root$folder"
		done
		echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
		units=$root/etc/systemd/system
		mkdir -p "$units"
		# The kernel is not its own.
		for unit in systemd-sysctl systemd-modules-load systemd-udevd systemd-udev-trigger \
			systemd-remount-fs systemd-random-seed systemd-timesyncd; do
			ln -sf /dev/null "$units/$unit.service"
		done
		for unit in sys-kernel-debug sys-kernel-tracing sys-kernel-config sys-fs-fuse-connections \
			dev-hugepages dev-mqueue proc-sys-fs-binfmt_misc; do
			ln -sf /dev/null "$units/$unit.mount"
		done
		cat >"$units/closeside-test.target" <<-UNIT
			[Unit]
			Requires=dbus.socket systemd-journald.service
			After=dbus.socket systemd-journald.service
		UNIT
		exec chroot "$root" env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			/lib/systemd/systemd --system --unit=closeside-test.target
	END
}

systemd_in() {
	nsenter -t "$systemd_pid" --mount --pid --uts --ipc --net --cgroup --root --wd -- \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C SYSTEMD_PAGER=cat TERM=dumb "$@"
}

systemd_is_up() {
	[[ $(systemd_in systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]
}

# systemd_boot [FOLDER...]: folders that it is to see as they are here, and may write to
systemd_boot() {
	local cgroups starter
	cgroups=$(systemd_cgroups)
	[ -x /lib/systemd/systemd ] || {
		note "systemd is not installed"
		return 1
	}
	[ -n "$cgroups" ] || {
		note "no cgroup2 is mounted here"
		return 1
	}
	trap systemd_cleanup EXIT
	systemd_cgroup=$cgroups/closeside-test-$$
	mkdir "$systemd_cgroup" "$dir/systemd" || return
	# shellcheck disable=SC2016 # bash expands it, in its cgroup
	setsid nsenter "--net=/run/netns/$ns_a" bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - \
		"$systemd_cgroup" unshare --fork --kill-child --pid --mount --uts --ipc --cgroup \
		bash -c "$(systemd_prepare)" - "$dir/systemd" "$@" </dev/null >"$dir/systemd.log" 2>&1 &
	starter=$!
	disown "$starter"
	pid_of[systemd]=$starter
	wait_for 20 systemd_has_pid "$starter" && wait_for 60 systemd_is_up && return
	note "systemd does not boot:" "$(tail -n5 "$dir/systemd.log")"
	return 1
}

# Its pid as seen from here: the child of unshare, once it is systemd.
systemd_has_pid() {
	systemd_pid=$(pgrep -P "$1" | head -n1)
	[ -n "$systemd_pid" ] && [ "$(cat "/proc/$systemd_pid/comm" 2>/dev/null)" = systemd ] &&
		systemd_root=/proc/$systemd_pid/root
}

# With the status that it is called with.
systemd_cleanup() {
	local status=$?
	systemd_halt
	(exit "$status")
	wire_cleanup
}

# Everything in it ends with it.
systemd_halt() {
	[ -n "$systemd_cgroup" ] || return 0
	[ -z "$systemd_pid" ] || kill -KILL "$systemd_pid" 2>/dev/null
	stop systemd KILL
	wait_for 10 systemd_has_gone
	systemd_cgroup='' systemd_pid=''
}

systemd_has_gone() {
	find "$systemd_cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
	[ ! -e "$systemd_cgroup" ]
}

systemd_install() {
	systemd_boot "$top_srcdir" "$top_builddir" || {
		not_ok "systemd boots"
		finish
	}
	make -s -C "$top_builddir" install DESTDIR="$systemd_root" >"$dir/install.log" 2>&1
	is 0 $? "it can be installed"
	prefix=$(sed -n 's/^prefix = //p' "$top_builddir/Makefile")
	etc=$(sed -n 's/^sysconfdir = //p' "$top_builddir/Makefile")
	etc=$systemd_root${etc/#\$\{prefix\}/$prefix}/closeside/closeside.conf
}
