#!/bin/bash
# SPDX-License-Identifier: MIT
# Every policy key, subcommand and option has its line in the manual, as a reader sees it.
. "${top_srcdir:?}/tests/lint/lib.sh"
need mandoc

page() # NAME
{
	mandoc -T ascii "man/$1" 2>/dev/null | sed 's/.\x08//g'
}

# has_line PAGE WORDS: a line begins with them, or has them after a comma
has_line()
{
	page "$1" | grep -qE -- "^ +(.*[ ,|])?$2([] ,=|]|\$)" || echo "man/$1 has no line for $2"
}

keys=$(sed -nE 's/.*(SELECTOR|KEY)\("([a-z-]+)",.*/\2/p' common/policy_keys.c)
for key in $keys; do
	expect_silence "closeside.conf(5) has the key $key" has_line closeside.conf.5 "$key"
done
if [ "$(wc -w <<<"$keys")" -ge 20 ]; then
	ok "the table of keys was found"
else
	not_ok "the table of keys was found" <<<"only: $keys"
fi

closeside=$top_builddir/closeside
commands=$("$closeside" help 2>/dev/null | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p')
while read -r command; do
	[ -n "$command" ] || continue
	expect_silence "closeside(1) has $command" has_line closeside.1 "(closeside )?$command"
	# shellcheck disable=SC2086 # two words, as in "policy list"
	for option in $("$closeside" $command --help 2>/dev/null | grep -oE '^ +-[^ ]*,? +(--[a-z-]+)?|^ +--[a-z-]+' |
		grep -oE -- '--[a-z-]+|-[a-zA-Z]\b' | sort -u); do
		expect_silence "closeside(1) has $option of $command" has_line closeside.1 "$option"
	done
done <<<"$commands"
if [ "$(wc -l <<<"$commands")" -ge 5 ]; then
	ok "the table of subcommands was found"
else
	not_ok "the table of subcommands was found" <<<"only: $commands"
fi

options=$("$top_builddir/closesided" -h 2>/dev/null | grep -oE '^ +-[a-zA-Z]\b|--[a-z-]+' | tr -d ' ' | sort -u)
for option in $options; do
	expect_silence "closesided(8) has $option" has_line closesided.8 "$option"
done
if [ "$(wc -w <<<"$options")" -ge 4 ]; then
	ok "the options of closesided were found"
else
	not_ok "the options of closesided were found" <<<"only: $options"
fi

for variable in CLOSESIDE_SOCKET CLOSESIDE_DISABLE; do
	expect_silence "libcloseside(7) has $variable" has_line libcloseside.7 "$variable"
done
finish
