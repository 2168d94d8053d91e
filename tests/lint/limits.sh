#!/bin/bash
# SPDX-License-Identifier: MIT
# What README.md says is bounded, and by how much, is what daemon/limits.h says, and so are the
# defaults in closeside.conf(5).
. "${top_srcdir:?}/tests/lint/lib.sh"

limits() # NAME|WORDS|NUMBER of each
{
	sed -nE 's/^\tX\((LIMIT_[A-Z_]+), ([0-9]+), "(.*)"\).*/\1|\3|\2/p' daemon/limits.h
}

differences()
{
	diff <(sed -n '/^| what is bounded |/,/^$/p' README.md | sed -n '3,$p' | sed '/^$/d') \
		<(limits | sed -E 's/^[^|]*\|(.*)\|([0-9]+)$/| \1 | \2 |/')
}

if [ "$(limits | wc -l)" -ge 20 ] &&
	[ "$(limits | wc -l)" = "$(grep -cE '^	X\(' daemon/limits.h)" ]; then
	ok "the table of limits was found"
else
	not_ok "the table of limits was found" < <(limits)
fi
expect_silence "README.md has the numbers of daemon/limits.h" differences

default_of() # ENUM KEY
{
	local number
	number=$(limits | sed -n "s/^$1|.*|//p")
	grep -qF ".It Ic $2 No = $number" man/closeside.conf.5 || echo "$2: not $number"
}

expect_silence "closeside.conf(5): custody" default_of LIMIT_HELD custody
expect_silence "closeside.conf(5): custody-per-process" default_of LIMIT_HELD_PROCESS custody-per-process
expect_silence "closeside.conf(5): sessions" default_of LIMIT_SESSIONS sessions
expect_silence "closeside.conf(5): sessions-per-user" default_of LIMIT_SESSIONS_USER sessions-per-user
finish
