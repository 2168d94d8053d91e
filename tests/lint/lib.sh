# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For the checks of the sources: TAP, and which files there are.

tests=0
failures=0

# ok WHAT
ok()
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
	head -n 40 | sed 's/^/# /'
}

# expect_silence WHAT COMMAND...: fails if the command does, or says anything
expect_silence()
{
	local what=$1 said
	shift
	if said=$("$@" 2>&1) && [ -z "$said" ]; then
		ok "$what"
	else
		not_ok "$what" <<<"${said:-failed without a word}"
	fi
}

# need PROGRAM: skips the whole script if it is not there
need()
{
	command -v "$1" >/dev/null && return
	echo "1..0 # SKIP $1 is not installed"
	exit 0
}

# sources PATTERN...: files of the project, those in git if it is a clone
sources()
{
	git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null |
		while read -r file; do [ -f "$file" ] && echo "$file"; done
}

finish()
{
	echo "1..$tests"
	[ "$failures" -eq 0 ]
	exit
}

cd "${top_srcdir:?}" || exit
if ! git rev-parse --git-dir >/dev/null 2>&1; then
	echo "1..0 # SKIP not a clone of the repository"
	exit 0
fi
