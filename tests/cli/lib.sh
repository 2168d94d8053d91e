# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For tests of the command against a control server that says what the test wants: control.py.
set -u
export LC_ALL=C
export TZ=UTC0

top_srcdir=$(cd "${top_srcdir:?}" && pwd)
top_builddir=$(cd "${top_builddir:?}" && pwd)
closeside=$top_builddir/closeside
python=/usr/bin/python3
unset CLOSESIDE_SOCKET CLOSESIDED LD_PRELOAD NO_COLOR COLUMNS
export TERM=xterm

tests=0
failures=0
work=$(mktemp -d)
answers=$work/answers # COMMAND.jsonl is what the server answers to it
socket=$work/socket
mkdir "$answers"
servers=()

cleanup()
{
	local pid

	for pid in "${servers[@]}"; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

ok()
{
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

# not_ok WHAT WHY...
not_ok()
{
	tests=$((tests + 1))
	failures=$((failures + 1))
	echo "not ok $tests - $1"
	shift
	printf '%s\n' "$@" | head -n 40 | sed 's/^/# /'
}

# is WHAT EXPECTED GOT
is()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "expected:" "$2" "got:" "$3"
	fi
}

# has WHAT PATTERN FILE: a line matches (an ERE)
has()
{
	if grep -qE -- "$2" "$3"; then
		ok "$1"
	else
		not_ok "$1" "no line matches $2:" "$(head -n 20 "$3")"
	fi
}

# is_empty WHAT FILE
is_empty()
{
	if [ -e "$2" ] && [ ! -s "$2" ]; then
		ok "$1"
	else
		not_ok "$1" "not empty:" "$(head -n 20 "$2" 2>&1)"
	fi
}

finish()
{
	echo "1..$tests"
	[ "$failures" -eq 0 ]
	exit
}

# wait_for COMMAND...: until it succeeds, at most 30 s
wait_for()
{
	local deadline=$((SECONDS + 30))

	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

# serve: starts the server
serve()
{
	"$python" "$top_srcdir/tests/cli/control.py" "$socket.control" "$answers" &
	servers+=($!)
	wait_for test -S "$socket.control" || {
		echo "Bail out! the control server does not start"
		exit 1
	}
}

# run ARGUMENT...: closeside with that server; into $out, $err, $status
# shellcheck disable=SC2034 # they are for the tests
run()
{
	status=0
	timeout 60 "$closeside" -s "$socket" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}

# run_by_environment ARGUMENT...: the same, and nothing says which socket
# shellcheck disable=SC2034 # they are for the tests
run_by_environment()
{
	status=0
	CLOSESIDE_SOCKET=$socket timeout 60 "$closeside" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}

# on_terminal COLUMNS COMMAND...: what it prints on a terminal of this width
on_terminal()
{
	timeout 60 "$python" "$top_srcdir/tests/cli/terminal.py" "$@"
}
