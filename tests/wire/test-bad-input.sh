#!/bin/bash
# SPDX-License-Identifier: MIT
# What should not come from whoever starts things: a second daemon, a stale socket, a command that
# the shim cannot enter. What should not come over the sockets is in test-hostile.sh.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"
# shellcheck source=tests/wire/clients.sh
. "$(dirname "$0")/clients.sh"

wire_init
capture_start a
daemon_start a <<-END
	policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }
END
[ -n "$wire_plain" ] || daemon=$(ctl a status pid)
steer a
actor_serve web 8001 line text:bye close

# undisturbed NAME: another process is steered as ever, by the daemon that it was
undisturbed() {
	actor_connect "$A4" 8001 10 text:hello recv:4 close >"$dir/other.out"
	capture_section a other 10
	is "10 10" "$(lines_count "$dir/other.out" '.error == null and .got == 4') $(conns_count \
		"$dir/other.conns" 'first == "b"')" "$1: others are steered as ever"
}

# --- a second daemon, a stale socket ---
second=$("$closesided" -c "$dir/a.conf" -s "$dir/a.socket" -f 2>&1)
status=$?
note "a second daemon: exit $status: $(tail -n1 <<<"$second")"
check "a second daemon on the socket: refuses to start" test $status -ne 0
check "a second daemon: and names the socket" grep -q "a.socket" <<<"$second"
is "${daemon:-}" "$(ctl a status pid)" "a second daemon: the first goes on"
undisturbed "a second daemon"

stop closesided-a KILL
check "a stale socket file is there" test -S "$dir/a.socket"
daemon_restart a
check "a stale socket file: the daemon starts over it" daemon_answers a
# not a socket at all
echo "somebody's" >"$dir/b.socket"
"$closesided" -c "$dir/a.conf" -s "$dir/b.socket" -f >"$dir/b.log" 2>&1 &
wrong=$!
wait_for 5 pid_gone $wrong || kill "$wrong"
wait $wrong
check "a file in the socket's place: it does not start" test $? -ne 0
is "somebody's" "$(cat "$dir/b.socket")" "a file in the socket's place: it is left alone"
note "it says: $(tail -n1 "$dir/b.log")"

# --- commands that the shim cannot enter ---
# runs EXIT PATTERN NAME COMMAND...
runs() {
	local expected=$1 pattern=$2 name=$3 output status
	shift 3
	output=$("$closeside" run -s "$dir/a.socket" -- "$@" 2>&1 </dev/null)
	status=$?
	is "$expected" $status "$name: exit $expected"
	if grep -qiE "$pattern" <<<"$output"; then
		ok "$name: says so"
	else
		not_ok "$name: says so" "$output"
	fi
}
runs 127 'not found|no such' "a command that is not there" nosuch-command
runs 127 'not found|no such' "a path that is not there" "$dir/nosuch"
echo 'echo no' >"$dir/plain-file"
chmod 644 "$dir/plain-file"
runs 126 'permission|not executable|executable' "a file that is not executable" "$dir/plain-file"
runs 126 'directory' "a directory" "$dir"
if have gcc && echo 'int main(void) { return 7; }' >"$dir/s.c" && gcc -static -o "$dir/static" "$dir/s.c" 2>"$dir/gcc.log"; then
	runs 7 'static' "a static program" "$dir/static"
else
	skip "a static program" "cannot be made here"
fi
cp "$(type -P true)" "$dir/setuid"
chown nobody "$dir/setuid" # for root, its own would be none
chmod 4755 "$dir/setuid"
runs 0 'set-?user|setuid|set-uid' "a setuid program" "$dir/setuid"

# misspelt
misspelt=$("$closeside" run -s "$dir/a.socket" -o close-frist=peer -- true 2>&1)
is 125 $? "a misspelt key: exit 125"
check "a misspelt key: suggests the near one" grep -q 'close-first' <<<"$misspelt"
unsafe=$("$closeside" run -s "$dir/a.socket" -o linger=abort -- true 2>&1)
is 125 $? "linger = abort alone: exit 125"
check "linger = abort alone: names allow-data-loss" grep -q 'allow-data-loss' <<<"$unsafe"

# --- where the shim leaves a process alone: too few descriptors, switched off, a socket that is none ---
declare -A alone=(
	["few descriptors"]="prlimit --nofile=40"
	["CLOSESIDE_DISABLE=1"]="env CLOSESIDE_DISABLE=1"
	["a directory for a socket"]="env CLOSESIDE_SOCKET=$dir"
	["a path that is too long"]="env CLOSESIDE_SOCKET=/$(printf 'x%.0s' {1..200})"
)
# one_client COMMAND...: a client under the shim and the command
one_client() {
	CLIENT_STEER=("${STEER[@]}" "$@")
	actor_connect "$A4" 8001 1 text:hello recv:4 close >"$dir/alone.out"
	CLIENT_STEER=()
}
# The server finds the new daemon with one of its next connections: before we count.
server_is_back() {
	actor_connect "$A4" 8001 1 text:hello recv:4 close >"$dir/back.out"
	ctl_least a status sessions 1
}
check "the server is back" wait_for 10 server_is_back
for what in "${!alone[@]}"; do
	sessions=$(ctl a status sessions_total)
	# shellcheck disable=SC2086 # words
	one_client ${alone[$what]}
	is 1 "$(lines_count "$dir/alone.out" '.error == null')" "$what: the program works"
	is "$sessions" "$(ctl a status sessions_total)" "$what: the shim leaves it alone"
done
sessions=$(ctl a status sessions_total)
one_client env
check "and otherwise it does not" wait_for 5 ctl_least a status sessions_total $((sessions + 1))
finish
