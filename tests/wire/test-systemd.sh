#!/bin/bash
# SPDX-License-Identifier: MIT
# The shipped unit under a real systemd, with its sandbox: it says that it is ready, follows the
# connections of other services, retires a TIME_WAIT, reloads, stays off over a restart, and is killed
# by its watchdog when it stands still.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/systemd-lib.sh
. "$wire_dir/systemd-lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "there is no unit without closeside"
have nginx || skip_all "nginx is not installed"
systemd_install
systemd_in systemctl daemon-reload

state() {
	systemd_in systemctl show -p "$1" --value closeside
}
status() {
	systemd_in "$prefix/bin/closeside" status -f json | jq -r ".$1"
}
says() { # MEMBER VALUE
	[ "$(status "$1")" = "$2" ]
}
says_least() {
	[ "$(status "$1")" -ge "$2" ]
}
logged() {
	systemd_in journalctl -q -u closeside -o cat --no-pager | grep -q "$1"
}

cat >>"$etc" <<-'END'
	limits { namespaces = 1 }
	policy web { program = nginx  local-port = 80  time-wait = 1s }
END
check "it starts" systemd_in systemctl start closeside
is active "$(state ActiveState)" "it is active once it says so (Type=notify)"
is '[]' "$(status missing | jq -c .)" "no capability is missing"
check "the unit has no error of its own" systemd_in systemd-analyze verify closeside.service
note "$(systemd_in systemd-analyze security --no-pager closeside.service | tail -n1)"

# nginx's unit as Debian ships it, without the shim: followed, and its TIME_WAITs retired
check "nginx starts" systemd_in systemctl start nginx
# Open until it is known whose it is; then nginx answers and closes first.
# shellcheck disable=SC2016 # the other bash expands it
start b visitor bash -c 'exec 3<>"/dev/tcp/$1/80"
	until [ -e "$2" ]; do sleep 0.1; done
	printf "GET / HTTP/1.0\r\n\r\n" >&3
	exec cat <&3' - "$A4" "$dir/go"
nginx_is_named() {
	systemd_in "$prefix/bin/closeside" conns -f json 'sport = :80 and state established' >"$dir/conns.json"
	[ "$(jq '[.conns[] | select(.program == "nginx" and .unit == "nginx.service")] | length' \
		"$dir/conns.json")" -ge 1 ]
}
check "a service's connections are named, with its unit" wait_for 20 nginx_is_named
touch "$dir/go"
check "its TIME_WAITs are ended before their time" wait_for 30 says_least retire.retired 1

check "reload" systemd_in systemctl reload closeside
check "... is logged" wait_for 20 logged '^reloaded: 1 policy'

check "off" quietly systemd_in "$prefix/bin/closeside" off
check "it restarts" systemd_in systemctl restart closeside
is false "$(status on)" "it is off still"
check "on" quietly systemd_in "$prefix/bin/closeside" on
is true "$(status on)" "and on"

# --- the guardian sees to the loop, and systemd to the guardian ---
main=$(state MainPID)
loop=$(status pid)
systemd_in kill -KILL "$loop"
has_another() {
	[ "$(status pid)" != "$loop" ] && [ "$(status pid)" -gt 1 ]
}
check "another loop after one is killed" wait_for 20 has_another
is "$main" "$(state MainPID)" "... of the same guardian"
systemd_in kill -STOP "$main"
restarted() {
	[ "$(state MainPID)" != "$main" ] && [ "$(state ActiveState)" = active ]
}
check "a guardian that stands still is restarted by its watchdog" wait_for 60 restarted
check "it stops" systemd_in systemctl stop closeside
is success "$(state Result)" "... and its end is no failure"
finish
