#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside top` in every size, with names that a terminal would obey, without its daemon, and in
# terminals that cannot do it; and that the terminal is as it was however it ends.
. "${top_srcdir:?}/tests/conf/top-lib.sh"
terminal_start

# --- sizes ---

lives()
{
	[ -n "$(top_pid)" ]
}

top_start -d 0.2
for size in 132x50 200x60 80x24 60x20 40x10 32x7; do
	resize "${size%x*}" "${size#*x}"
	eventually "at $size: programs, and the worst of them" line_is 6 '^ 102 haproxy .* 70 .*50'
	eventually "at $size: CLOSE-W, and what it is sorted by" line_is 5 'CONNS.*CLOSE-W'
done
for size in 31x7 32x6 20x2 10x1 2x1; do
	resize "${size%x*}" "${size#*x}"
	eventually "at $size: nothing but that" hides haproxy
	keys Down / x Escape
done
resize 31 7
eventually "too small: which is said" line_is 1 '^31x7 is too small'
eventually "and what is needed" line_is 2 '^32x7 is needed'
resize 1 1
keys h Down h
eventually "at 1x1: it lives" lives
resize 80 24
eventually "back at 80x24" line_is 1 'closeside on'
keys q
top_ended "it ends after all that" 0
resize 20 5
top_start
eventually "begun in a small one" line_is 1 '20x5 is too small'
resize 80 24
eventually "which grows" rows_begin haproxy nginx
keys q
top_ended "and ends" 0

# --- names that a terminal would obey ---

# Does the column after the name begin in the same cell, though of other letters?
same_columns()
{
	[ "$(line 9 | sed 's/中文é/xxxxx/' | grep -bo ' no ' | cut -d: -f1)" = \
		"$(line 6 | sed 's/ yes / no  /' | grep -bo ' no ' | cut -d: -f1)" ]
}

title_is_ours()
{
	[ "$(terminal '#{pane_title}')" != pwned ]
}

say 'ps[0]["program"] = "\x1b]0;pwned\x07\x1b[2J\x1b[31mx"; ps[1]["unit"] = "u\n\r\tv\u009b31mw\u202e"; ps[2]["program"] = "\u4e2d\u6587\u00e9"; status["on"] = False'
top_start -d 0.2
resize 120 24
eventually "control characters are not obeyed" line_is 7 '^ 101 \?\]0;pwned\?\?\[2J\?\[\+ '
eventually "of a unit neither" line_is 6 'u\?\?\?v\?31mw\? '
eventually "letters are letters" line_is 9 '^ 103 中文é '
eventually "in their columns" same_columns
eventually "the title is not theirs" title_is_ours
keys Down Enter
eventually "nor in the second table" line_is 4 'connections of \?\]0;pwned'
keys q
top_ended "a clean end" 0
resize 80 24
say

# --- all ways to end ---

top_start -n 2 -d 0.1
top_ended "-n 2: ends by itself" 0
top_start
keys C-c
top_ended "Ctrl-C" 130
top_start
keys 'C-\'
top_ended "Ctrl-\\" 131
for signal in HUP INT TERM QUIT; do
	top_start
	kill "-$signal" "$pid"
	top_ended "SIG$signal" $((128 + $(kill -l "$signal")))
done
for signal in SEGV ABRT BUS FPE ILL; do
	top_start '2>/dev/null' # what a sanitizer says
	kill "-$signal" "$pid"
	# a sanitizer has its own end for these
	top_ended "SIG$signal: it broke" "$([ -n "${sanitizers-}" ] || echo $((128 + $(kill -l "$signal"))))"
done

on_its_screen()
{
	[ "$(terminal '#{alternate_on}')" = 1 ]
}

top_start
keys C-z
eventually "Ctrl-Z: it stops" shows 'Stopped'
eventually "and leaves the screen" shows '^before$'
command_line "$(modes "$work/stopped"); echo stty"
wait_for shows '^stty$'
eventually "the terminal is as it was" cmp "$work/before" "$work/stopped"
resize 100 30
command_line fg
eventually "fg: it goes on" rows_begin haproxy nginx
eventually "in the new size" line_is 30 worker20
eventually "on its screen" on_its_screen
keys Down
eventually "and obeys keys" is_inverse ' 101 nginx .*'
resize 80 24
kill -STOP "$pid"
wait_for grep -q 'State:.*T' "/proc/$pid/status"
wait_for shows 'Stopped'
command_line fg
eventually "after SIGSTOP as well" is_inverse ' 101 nginx .*'
keys q
wait_for top_gone
command_line "$(modes "$work/stopped"); echo end"
wait_for shows '^end$'
eventually "and at the end" cmp "$work/before" "$work/stopped"

# --- the daemon goes away ---

top_start -d 0.2
fake_stop
eventually "the daemon is gone: it says so, inverse" is_inverse '.*socket: .*; trying again'
eventually "and keeps what it has" rows_begin haproxy nginx
keys T
eventually "and obeys keys" rows_begin unknown nginx
say 'ps[0]["states"]["TIME_WAIT"] = 9999'
fake_start
eventually "it is back: so are new figures" rows_begin nginx unknown
eventually "and nothing is amiss" hides 'trying again'
touch "$work/answers/mute"
eventually "a daemon that does not answer" shows 'no answer for [0-9]+ s; waiting'
keys C
eventually "keys are obeyed meanwhile" is_inverse CONNS
rm "$work/answers/mute"
eventually "until it does" hides 'no answer'
echo '{"status": [], "ps": "the kernel said no"}' | answers
eventually "an error of the daemon's" shows 'the daemon says: the kernel said no'
echo '{"status": [7], "ps": [{"type":"total"}]}' | answers
eventually "rows that make no sense" shows 'not understood'
echo '{"status": [{"type":"status"}], "ps": [{"type":"process"},{"type":"process","pid":"x","program":7,"states":[1],"conns":-5},{"type":"total","conns":"many","missing":7}]}' | answers
eventually "nor do these: no connections" line_is 2 '^no connections$'
keys Enter Down End q
top_ended "q after all that" 0
top_start -n 3 -d 0.1
fake_stop
top_ended "-n counts what failed as well" 0
say
fake_start

# --- no terminal, or not enough of one ---

resize 200 24
# refused WHAT STATUS PATTERN COMMAND: its first line is that, and the screen is not touched
refused()
{
	local what=$1 status=$2 pattern=$3

	# what is there already is not what we wait for
	refusals=$((${refusals:-0} + 1))
	command_line "clear; $4; echo \"exit=\$? of $refusals\""
	if wait_for shows "^exit=$status of $refusals\$" && line_is 1 "^closeside: $pattern" &&
		[ "$(terminal '#{alternate_on} #{cursor_flag} #{keypad_flag}')" = "0 1 0" ]; then
		ok "$what"
	else
		not_ok "$what" < <(echo "expected exit $status and: $pattern" && screen)
	fi
}

top="$closeside -s $socket top"
refused "TERM=dumb" 4 'top: TERM=dumb: a terminal on which the cursor cannot be moved' "env TERM=dumb $top"
refused "no TERM" 4 'top: TERM is not set' "env -u TERM $top"
refused "an empty TERM" 4 'top: TERM is not set' "env TERM= $top"
refused "a TERM that nobody knows" 4 'top: TERM=frob: a terminal that is not known' "env TERM=frob $top"
refused "output that is no terminal" 4 'top: needs a terminal.*`closeside ps` prints once' "$top | cat >&2; (exit \${PIPESTATUS[0]})"
refused "input that is no terminal" 4 'top: needs a terminal' "$top </dev/null"
refused "-d 0" 2 'top -d 0: expected 0.1 to 3600 seconds' "$top -d 0"
refused "-d x" 2 'top -d x: expected' "$top -d x"
refused "-n 0" 2 'top -n 0: expected a number above 0' "$top -n 0"
refused "-n -1" 2 'top -n -1: expected' "$top -n -1"
refused "-n 1x" 2 'top -n 1x: expected' "$top -n 1x"
refused "an argument" 2 'top: too much' "$top nginx"
refused "no daemon" 3 'no daemon answers' "$closeside -s $work/nowhere top"
echo '{}' | answers
refused "a daemon that is too old" 4 'ps: unknown command' "$top"
say
resize 80 24
for name in vt100 xterm-256color linux; do
	environment="TERM=$name" top_start -d 0.2
	eventually "TERM=$name" rows_begin haproxy nginx
	keys q
	top_ended "it ends in it" 0 "$name"
done
environment="LC_ALL=C" top_start -d 0.2
eventually "in the C locale" rows_begin haproxy nginx
keys q
top_ended "it ends in it" 0

# --- the terminal itself goes away ---

top_start
"${tmux[@]}" kill-server
eventually "the terminal is closed: it ends" test ! -e "/proc/$pid"
finish
