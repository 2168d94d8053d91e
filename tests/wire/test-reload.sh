#!/bin/bash
# SPDX-License-Identifier: MIT
# A policy change by `policy reload`, by SIGHUP, and `off` and `on`, steers the very next connection
# of a process that was running already; a config that is wrong leaves the old one in force.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"
# shellcheck source=tests/wire/clients.sh
. "$(dirname "$0")/clients.sh"

wire_init
have nginx || skip_all "nginx is not installed"
capture_start a
daemon_start a <<-END
	policy web { local-port = 8001  close-first = app }
END
steer a
server_nginx 8001

# next WHO NAME: of the next 3 connections the first closer is a or b
next() {
	local good
	good=$(client_patient 3 "http://$A4:8001/")
	capture_section a next 3
	if [ "$good" = 3 ] && [ "$(conns_count "$dir/next.conns" "first == \"$1\"")" = 3 ]; then
		ok "$2"
	else
		not_ok "$2" "answered $good; $(cut -d' ' -f1-10 "$dir/next.conns")"
	fi
}

# client_patient waits for the server's close for two seconds, then closes itself.
peer() {
	cat >"$dir/a.conf" <<-END
		policy web { local-port = 8001  close-first = peer  grace = 30s  grace-learn = no }
	END
}

app() {
	cat >"$dir/a.conf" <<-END
		policy web { local-port = 8001  close-first = app }
	END
}

reload() {
	if [ -n "$wire_plain" ]; then return 1; fi
	"$closeside" policy reload -s "$dir/a.socket" >"$dir/reload.out" 2>&1
}

next a "as it starts: the server first"
peer
check "policy reload succeeds" reload
next b "policy reload: the very next connections are steered"
app
check "policy reload back succeeds" reload
next a "policy reload back: and no longer"

# the same by SIGHUP; the number of policies is a sign that it has been done
cat >"$dir/a.conf" <<-END
	policy web { local-port = 8001  close-first = peer  grace = 30s  grace-learn = no }
	policy other { local-port = 1 }
END
signal closesided-a HUP
check "SIGHUP: it reads its config" wait_for 5 ctl_is a status policies 2
next b "SIGHUP: the very next connections are steered"

switch() {
	if [ -n "$wire_plain" ]; then return 1; fi
	"$closeside" "$1" -s "$dir/a.socket" >"$dir/switch.out" 2>&1
}
check "off succeeds" switch off
next a "off: only watched"
check "on succeeds" switch on
next b "on: steered again"

# --- wrong configs ---
# said_so LINE TIMES
said_so() {
	[ "$(grep -cE "a\.conf${1:+:$1}: .*; the old policies stay in force" "$dir/closesided-a.log")" = "$2" ]
}

# broken LINE NAME: "a.conf:LINE: why", or "a.conf: why" if LINE is empty; by the command, and by SIGHUP
broken() {
	local line=$1 before
	shift
	before=$(grep -cE "a\.conf${line:+:$line}: .*; the old policies stay in force" "$dir/closesided-a.log")
	if reload; then
		not_ok "$1: reload says no" "$(cat "$dir/reload.out")"
	else
		ok "$1: reload says no"
	fi
	note "$1: $(head -n2 "$dir/reload.out")"
	check "$1: it names the file${line:+ and the line}" grep -qE "a\.conf${line:+:$line}: " "$dir/reload.out"
	signal closesided-a HUP
	check "$1: so does the log, by either way" wait_for 5 said_so "$line" $((before + 2))
	is 2 "$(ctl a status policies)" "$1: the old policies stay in force"
}
echo 'policy web { close-frist = peer }' >"$dir/a.conf"
broken 1 "an unknown key"
echo 'policy web { close-first = perr }' >"$dir/a.conf"
broken 1 "a wrong value"
echo 'policy web { close-first = app' >"$dir/a.conf"
broken 1 "a missing brace"
printf 'policy web { close-first = app }\npolicy web { close-first = app }\n' >"$dir/a.conf"
broken 2 "a name used twice"
rm "$dir/a.conf"
mkdir "$dir/a.conf"
broken "" "a directory"
rmdir "$dir/a.conf"
broken "" "a missing file"
: >"$dir/a.conf"
broken 1 "an empty file"
printf 'policy web {\n\tlinger = abort\n}\n' >"$dir/a.conf"
broken 2 "linger = abort without allow-data-loss"
next b "after all that: steered as before"

finish
