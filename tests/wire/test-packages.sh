#!/bin/bash
# SPDX-License-Identifier: MIT
# The Debian packages: built from the sources, looked at by lintian, installed, upgraded under load and
# purged, with a real dpkg and a real systemd over this system's files. During the upgrade nginx goes on
# with the library that it has: no process of it is started anew, no request fails, no exec finds the
# library missing; and afterwards it is steered again. How many closes were not, and for how long, is
# told from a capture. With LONG=1 2,000 connections a second for two minutes, with the upgrade and the
# way back.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/systemd-lib.sh
. "$wire_dir/systemd-lib.sh"

churn=$top_builddir/tests/bench/churn
rate=300 seconds=15
[ -z "${LONG:-}" ] || rate=2000 seconds=120

wire_init
[ -z "$wire_plain" ] || skip_all "there are no packages without closeside"
for tool in dpkg-buildpackage dh lintian nginx; do
	have $tool || skip_all "$tool is not installed"
done
[ -x "$churn" ] || skip_all "$churn is not built"

# --- building ---

version=$(sed -n 's/^VERSION = //p' "$top_builddir/Makefile")
source=$dir/sources/closeside-$version
mkdir "$dir/sources" "$dir/debs"
# build_packages [OPTIONS]
build_packages() {
	(cd "$source" && DEB_BUILD_OPTIONS='nocheck noopt parallel=2' nice dpkg-buildpackage -b -us -uc "$@") \
		>>"$dir/build.log" 2>&1
}
make -s -C "$top_builddir" distdir distdir="$source" >"$dir/build.log" 2>&1
chmod -R u+w "$source"
build_packages
is 0 $? "they are built"
[ "$tap_failed" = 0 ] || {
	tail -n 20 "$dir/build.log" | sed 's/^/# /'
	finish
}
lintian --allow-root --fail-on error "$dir"/sources/closeside_*.changes >"$dir/lintian.out" 2>&1
is 0 $? "lintian has no error"
is "" "$(cat "$dir/lintian.out")" "... and no warning"
mkdir "$dir/debs/first" && mv "$dir"/sources/*.deb "$dir/debs/first"

# The next version: the same, but for its number.
next=$version+next
sed -i "1s/($version)/($next)/" "$source/debian/changelog"
sed -i "s/\"$version\"/\"$next\"/" "$source/build-deb/config.h"
grep -rl '[( "]VERSION' "$source/daemon" --include='*.c' | xargs touch
touch "$source/shim/libc.c"
make -s -C "$source/build-deb" >>"$dir/build.log" 2>&1
build_packages -nc
is 0 $? "so is the next version"
mkdir "$dir/debs/second" && mv "$dir"/sources/*.deb "$dir/debs/second"

# --- installing ---

systemd_boot "$top_srcdir" "$top_builddir" "$dir/debs" || {
	not_ok "systemd boots"
	finish
}
# What has our name where dpkg, systemd and the daemon put files.
found() {
	systemd_in find /etc /usr /var -xdev -name '*closeside*' -not -name 'closeside-test*' | sort
}
found >"$dir/found.before"
rm -f "$systemd_root/usr/sbin/policy-rc.d" # there, where nothing is to be started
rm -f "$systemd_root/var/lib/man-db/auto-update" # a matter of seconds each time
# install_packages first|second
install_packages() {
	systemd_in sh -c "exec dpkg -i $dir/debs/$1/closeside_*.deb $dir/debs/$1/libcloseside_*.deb" \
		>"$dir/dpkg.$1" 2>&1
}
status() {
	systemd_in closeside status -f json 2>/dev/null | jq -r ".$1"
}
status_least() {
	[ "$(status "$1")" -ge "$2" ]
}
install_packages first
is 0 $? "they are installed"
is active "$(systemd_in systemctl is-active closeside)" "the daemon runs"
is enabled "$(systemd_in systemctl is-enabled closeside)" "... and will after a boot"
is "$version" "$(status version)" "it is the one of the package"
is 0 "$(status policies)" "no policy is in force"
# shellcheck disable=SC2016 # the dynamic loader expands it
check "the library is where \$LIB finds it" systemd_in sh -c \
	'LD_PRELOAD=/usr/\$LIB/libcloseside.so grep -q libcloseside /proc/self/maps'

cat >>"$systemd_root/etc/closeside/closeside.conf" <<-END
	limits { namespaces = 1 }
	policy web { program = nginx  close-first = peer  grace = 30s  grace-learn = no }
END
check "the policy is sound" quietly systemd_in closeside policy reload
systemd_in closeside enable nginx >"$dir/enable" 2>&1
is 0 $? "nginx is enabled"
dropins=$systemd_root/etc/systemd/system/nginx.service.d
check "... by the drop-in that the removal knows" [ -e "$dropins/zz-closeside.conf" ]
check "nginx starts" systemd_in systemctl restart nginx

# --- upgraded under load ---

# pid and start time of each process of nginx, as seen from here
nginxes() {
	local pid
	for pid in $(systemd_in systemctl show -p MainPID --value nginx) \
		$(systemd_in pgrep -P "$(systemd_in systemctl show -p MainPID --value nginx)"); do
		echo "$pid $(awk '{ print $22 }' "$systemd_root/proc/$pid/stat")"
	done
}
# shellcheck disable=SC2016 # the other bash expands it
in_ns b bash -c 'exec 3<>"/dev/tcp/$1/80" && printf "GET / HTTP/1.0\r\nHost: bench\r\n\r\n" >&3 && cat <&3' \
	- "$A4" >"$dir/answer"
# It keeps the TIME_WAITs: one address would run out of ports.
sources=()
for i in 1 2 3 4 5 6 7 8; do
	ip -n "$ns_b" addr add "10.77.0.$((20 + i))/24" dev veth0
	sources+=(-s "10.77.0.$((20 + i))")
done
load() { # NAME SECONDS
	start b "$1" "$churn" "${sources[@]}" -c "$A4:80" --http --answer "$(stat -c %s "$dir/answer")" -r $rate -d "$2" --close us --pause 300 --timeout 60
}
over() {
	grep -q summary "$dir/$1.log"
}
sum() {
	tail -n1 "$dir/$1.log" | jq -r ".$2"
}
before=$(nginxes)
at_least 2 "$(wc -l <<<"$before")" "nginx has a master and workers"
# What is started meanwhile has the library in it, whichever, and the loader says nothing.
# shellcheck disable=SC2016 # sh expands it
start a execs nice nsenter -t "$systemd_pid" --mount --pid --root --wd -- sh -c '
	export LD_PRELOAD="/usr/\$LIB/libcloseside.so"
	while :; do
		grep -q libcloseside /proc/self/maps || echo "one has started without the library"
		n=$((n + 1)) && [ $((n % 10)) -gt 0 ] || echo "$n" >&3
		sleep 0.005
	done' 3>"$dir/execs.count"
execs() {
	tail -n1 "$dir/execs.count"
}
# FIN and RST, and the SYNs, for ports are used again
capture_start a 'tcp port 80 and (tcp[13] & 5 != 0 or tcp[13] & 18 == 2)'
# not_steered FROM TO (ms): the closes between that were nginx's: how many, and for how many ms
not_steered() {
	capture_conns a | awk -v from="$1" -v to="$2" '
		$3 == "a" && $11 * 1000 >= from && $11 * 1000 <= to {
			if (!n++ || $11 < first) first = $11
			if ($11 > last) last = $11
		}
		END { printf "%d closes in %d ms", n, (last - first) * 1000 }'
}
load upgrade $seconds
check "it is steered" wait_for 30 status_least 'records."hand-over"' $((rate / 2))
pid=$(status pid)
nginx=$(systemd_in systemctl show -p MainPID --value nginx)
check "nginx has the library of the first" systemd_in grep -q 'libcloseside.so[^(]*$' "/proc/$nginx/maps"
held=$(status 'records."hand-over"') execs=$(execs)
began=$(now_ms)
install_packages second
is 0 $? "upgraded"
took=$(($(now_ms) - began)) execs=$(($(execs) - execs))
at_least 1 $execs "programs were started meanwhile"
check "nginx still has the library of the first" systemd_in grep -q 'libcloseside.so (deleted)' "/proc/$nginx/maps"
is "$next" "$(status version)" "the daemon is the new one"
check "... another process" [ "$(status pid)" != "$pid" ]
check "nginx is steered again" wait_for 30 status_least 'records."hand-over"' $((rate / 2))
again=$(now_ms)
if [ -n "${LONG:-}" ]; then
	sleep $((seconds / 4))
	back=$(now_ms)
	install_packages first
	is 0 $? "the way back: the former version"
	is "$version" "$(status version)" "the way back: its daemon runs"
	check "the way back: nginx is steered again" wait_for 30 status_least 'records."hand-over"' $rate
	back_again=$(now_ms)
fi
check "the load is over" wait_for $((seconds + 60)) over upgrade
is "$before" "$(nginxes)" "each process of nginx is the one that it was"
is 0/0/0 "$(sum upgrade failed)/$(sum upgrade reset)/$(sum upgrade bytes_lost)" "no request failed"
at_least $((rate * seconds)) "$(sum upgrade answered)" "... of all that there were"
stop execs
is "" "$(cat "$dir/execs.log")" "no exec found the library missing"
stop tcpdump-a
note "upgraded in $took ms, $execs programs started meanwhile; $(sum upgrade answered) requests in all;" \
	"held before it $held, by the last daemon $(status 'records."hand-over"')"
note "not steered: $(not_steered "$began" "$again")"
[ -z "${LONG:-}" ] || note "not steered on the way back: $(not_steered "$back" "$back_again")"
at_least $rate "$(capture_conns a | awk -v t="$again" '$3 == "b" && $11 * 1000 > t' | wc -l)" \
	"after it the clients' FINs come first"
note "p99 of an answer $(sum upgrade answer_us.p99) us, most $(sum upgrade answer_us.max) us"
at_least $rate "$(status 'records."hand-over"')" "the second daemon has steered"
is 0 "$(status lost)" "no record was lost"

# --- upgraded while it is off, and its config has an error ---

check "it can be switched off" quietly systemd_in closeside off
cp "$systemd_root/etc/closeside/closeside.conf" "$dir/closeside.conf"
echo 'policy web {' >>"$systemd_root/etc/closeside/closeside.conf"
install_packages second
is 0 $? "a config with an error fails no upgrade"
check "... and is told" grep -q 'does not start until its config is mended' "$dir/dpkg.second"
cp "$dir/closeside.conf" "$systemd_root/etc/closeside/closeside.conf"
systemd_in systemctl reset-failed closeside 2>/dev/null
check "mended, the daemon starts" systemd_in systemctl restart closeside
is "$next false" "$(status version) $(status on)" "it is the new one, and still off"

# --- removed, purged ---

# shellcheck disable=SC2016 # the dynamic loader expands it
printf '[Service]\nEnvironment=LD_PRELOAD=/usr/$LIB/libcloseside.so\n' >"$dropins/own.conf"
systemd_in dpkg -r closeside libcloseside >"$dir/dpkg.remove" 2>&1
is 0 $? "removed"
check "nginx is named, which had the library" grep -q 'preloaded into: nginx.service' "$dir/dpkg.remove"
check "... and the admin's own file, which stays" grep -q '/nginx.service.d/own.conf still names' "$dir/dpkg.remove"
is "own.conf zz-closeside.conf.removed" "$(cd "$dropins" && echo *)" "what enable wrote is put aside"
rm "$dropins/own.conf"
systemd_in systemctl daemon-reload
is inactive "$(systemd_in systemctl is-active closeside)" "the daemon has stopped"
load removed 2
check "nginx serves on" wait_for 60 over removed
is "0 $before" "$(sum removed failed) $(nginxes)" "... the same processes"
systemd_in dpkg -P closeside libcloseside >"$dir/dpkg.purge" 2>&1
is 0 $? "purged"
found >"$dir/found.after"
check "its drop-ins are gone" [ ! -e "$dropins" ]
left=$(diff "$dir/found.before" "$dir/found.after")
is "" "$left" "nothing of it is left"
is "" "$(ls -A "$systemd_root/run/closeside" 2>/dev/null)" "... nor in /run"
check "nginx can be started anew" systemd_in systemctl restart nginx
is "" "$(systemd_in journalctl -q -o cat --no-pager | grep 'cannot be preloaded')" "and nobody misses the library"
finish
