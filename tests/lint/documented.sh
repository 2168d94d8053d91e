#!/bin/bash
# SPDX-License-Identifier: MIT
# Every policy key, subcommand and option has its line in the manual, as a reader sees it.
. "${top_srcdir:?}/tests/lint/lib.sh"
need mandoc

for page in closeside.1 closesided.8 closeside.conf.5 libcloseside.7; do
	[ -e "man/$page" ] && continue
	not_ok "man/$page is there" <<<"no such file"
	finish
done

rendered() # NAME
{
	mandoc -T ascii "man/$1" 2>/dev/null | sed 's/.\x08//g'
}

# has_line PAGE WORDS: a line begins with them, or has them after a comma
has_line()
{
	rendered "$1" | grep -qE -- "^ +(.*[ ,|])?$2([] ,=|]|\$)" || echo "man/$1 has no line for $2"
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

others=$(sed -nE 's/.*CFG_(STR_CB|SEC)\("([a-z-]+)",.*/\2/p; s/^\t\{"([a-z-]+)", offsetof.*/\1/p' daemon/config*.c |
	sort -u)
for key in $others; do
	expect_silence "closeside.conf(5) has $key" has_line closeside.conf.5 "$key"
done
if [ "$(wc -w <<<"$others")" -ge 15 ]; then
	ok "the other keys and the sections were found"
else
	not_ok "the other keys and the sections were found" <<<"only: $others"
fi

# options_of COMMAND...: as its help has them
options_of()
{
	"$@" 2>/dev/null | grep -oE '^ +-[a-zA-Z]([ ,]|$)|^ +(-[a-zA-Z],)? *--[a-z-]+' |
		grep -oE -- '--[a-z-]+|-[a-zA-Z]' | sort -u
}

# has_command NAME: and its options
has_command()
{
	local option

	has_line closeside.1 "(closeside )?$1"
	# shellcheck disable=SC2086 # two words, as in "policy list"
	for option in $(options_of "${top_builddir:?}/closeside" $1 --help); do
		has_line closeside.1 "$option"
	done
}

commands=$("$top_builddir/closeside" help 2>/dev/null | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p')
while read -r command; do
	[ -z "$command" ] || expect_silence "closeside(1) has $command" has_command "$command"
done <<<"$commands"
if [ "$(wc -l <<<"$commands")" -ge 5 ]; then
	ok "the table of subcommands was found"
else
	not_ok "the table of subcommands was found" <<<"only: $commands"
fi

options=$(options_of "$top_builddir/closesided" -h)
for option in $options; do
	expect_silence "closesided(8) has $option" has_line closesided.8 "$option"
done
if [ "$(wc -w <<<"$options")" -ge 4 ]; then
	ok "the options of closesided were found"
else
	not_ok "the options of closesided were found" <<<"only: $options"
fi

# Of the balance sheet: what can run out, and the levers.
words=$(sed -nE 's/^\tX\([A-Z_]+, "([a-z-]+)", ([0-9]+|POLICY|SYSCTL|LINE|RELISTEN)\).*/\1/p' daemon/balance.h | sort -u)
for word in $words; do
	expect_silence "closeside(1) has $word" has_line closeside.1 "$word"
done
if [ "$(wc -w <<<"$words")" -ge 25 ]; then
	ok "the resources and levers were found"
else
	not_ok "the resources and levers were found" <<<"only: $words"
fi

verdicts=$(sed -nE 's/^\tX\([A-Z_0-9]+, "([a-z0-9-]+)", (FAULT|INFO),.*/\1/p' daemon/verdict.h | sort -u)
for verdict in $verdicts; do
	expect_silence "closeside(1) has the verdict $verdict" has_line closeside.1 "$verdict"
done
if [ "$(wc -w <<<"$verdicts")" -ge 12 ]; then
	ok "the table of verdicts was found"
else
	not_ok "the table of verdicts was found" <<<"only: $verdicts"
fi

# Both ways: what the table of metrics has, and what the section on them has.
families=$(sed -nE 's/^\tX\([A-Z_]+, "([a-z_]+)", (GAUGE|COUNTER|INFO),.*/\1/p' daemon/metrics_text.h)
documented=$(rendered closeside.1 | sed -n '/^METRICS/,/^[A-Z]/p' | grep -oE '^ +(closeside|process)_[a-z_]+' | tr -d ' ')
expect_silence "closeside(1) has every metric, and no other" diff <(sort -u <<<"$families") <(sort -u <<<"$documented")
if [ "$(wc -w <<<"$families")" -ge 30 ]; then
	ok "the table of metrics was found"
else
	not_ok "the table of metrics was found" <<<"only: $families"
fi

for variable in CLOSESIDE_SOCKET CLOSESIDE_DISABLE; do
	expect_silence "libcloseside(7) has $variable" has_line libcloseside.7 "$variable"
done
finish
