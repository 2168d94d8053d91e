# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For tests of the command against a daemon that is only played: TAP, and a control socket that
# answers what the folder $work/answers holds (tests/cli/control.py).
set -u
tests=0 failures=0
work=$(mktemp -d)
# shellcheck disable=SC2034 # for the tests
closeside=${top_builddir:?}/closeside
socket=$work/socket
mkdir "$work/answers"
fake_pid=
export LC_ALL=C
unset CLOSESIDE_SOCKET COLUMNS LINES NO_COLOR

# A test's own cleanup() runs before.
fake_cleanup()
{
	local status=$?

	trap - EXIT
	[ "$(type -t cleanup)" != function ] || cleanup
	fake_stop
	rm -rf "$work"
	exit "$status"
}
trap fake_cleanup EXIT
trap 'exit 130' INT TERM HUP

ok() # WHAT
{
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

# not_ok WHAT: the reason is read from stdin
not_ok()
{
	tests=$((tests + 1))
	failures=$((failures + 1))
	echo "not ok $tests - $1"
	head -n 60 | sed 's/^/# /'
}

# wait_for COMMAND...: polls until it succeeds; 40 s at most, PATIENCE says otherwise
wait_for()
{
	local deadline=$((SECONDS + ${PATIENCE:-40}))

	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

finish()
{
	echo "1..$tests"
	[ "$failures" -eq 0 ]
	exit
}

# answers: {"COMMAND": [ROW, ...]} from stdin; a string is an error. The change of each is whole.
answers()
{
	local all command file

	all=$(cat)
	for file in "$work/answers"/*.jsonl; do
		command=${file##*/}
		jq -e --arg command "${command%.jsonl}" 'has($command)' <<<"$all" >/dev/null || rm -f "$file"
	done
	for command in $(jq -r 'keys[]' <<<"$all"); do
		jq -c --arg command "$command" '.[$command] | if type == "string"
			then {type: "end", ok: false, error: .} else .[] end' <<<"$all" >"$work/answer" &&
			mv "$work/answer" "$work/answers/$command.jsonl"
	done
}

fake_start()
{
	rm -f "$socket.control"
	/usr/bin/python3 "${top_srcdir:?}/tests/cli/control.py" "$socket.control" "$work/answers" \
		2>"$work/fake.err" &
	fake_pid=$!
	wait_for test -S "$socket.control" || {
		cat "$work/fake.err" >&2
		exit 1
	}
}

fake_stop()
{
	[ -z "$fake_pid" ] || { kill "$fake_pid" && wait "$fake_pid"; } 2>/dev/null
	fake_pid=
	rm -f "$socket.control"
}
