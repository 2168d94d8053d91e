#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside top` in a terminal that tmux plays: what it shows, what the keys do, and that the
# terminal is as it was however it ends.
. "${top_srcdir:?}/tests/conf/fake-lib.sh"
command -v tmux >/dev/null || {
	echo "1..0 # SKIP tmux is not installed"
	exit 0
}
export LC_ALL=C.UTF-8 TMUX_TMPDIR=$work
unset TMUX
tmux=(tmux -u -L cs -f /dev/null)

cleanup()
{
	"${tmux[@]}" kill-server 2>/dev/null
}

# --- the terminal ---

screen()
{
	"${tmux[@]}" capture-pane -p
}

line() # NUMBER, from 1
{
	screen | sed -n "$1p"
}

keys() # KEY...: as tmux names them
{
	"${tmux[@]}" send-keys "$@"
}

literally()
{
	"${tmux[@]}" send-keys -l -- "$1"
}

shows() # PATTERN: an ERE, on some line
{
	screen | grep -qE -- "$1"
}

hides()
{
	! shows "$1"
}

line_is() # NUMBER PATTERN
{
	line "$1" | grep -qE -- "$2"
}

rows_begin() # PROGRAM...: the first rows of the table, in this order
{
	[ "$(screen | tail -n +6 | awk '{ print $2 }' | head -n $# | xargs)" = "$*" ]
}

inverse() # what the screen has in reverse video, a line each
{
	"${tmux[@]}" capture-pane -pe | grep -oP '\e\[([0-9;]*;)?7m(\e\[[34]9m)*\K[^\e]*' | sed 's/ *$//'
}

is_inverse()
{
	inverse | grep -qxE -- "$1"
}

terminal() # FORMAT: of tmux
{
	"${tmux[@]}" display-message -p "$1"
}

# eventually WHAT COMMAND...
eventually()
{
	local what=$1

	shift
	if wait_for "$@"; then ok "$what"; else not_ok "$what" < <(echo "not: $*" && screen && inverse); fi
}

resize() # WIDTH HEIGHT
{
	"${tmux[@]}" resize-window -x "$1" -y "$2"
}

# command TEXT: types it into the shell, whose answer comes when it has ended
command_line()
{
	literally "$1"
	keys Enter
}

# --- top in it ---

top_pid()
{
	pgrep -P "$(terminal '#{pane_pid}')" closeside
}

top_gone()
{
	! top_pid
}

# modes FILE: the command for those of the terminal, but for its size
modes()
{
	echo "stty -a | sed 's/rows.*columns [0-9]*;//' >$1"
}

# top_start [ARGUMENT...]
top_start()
{
	command_line "clear; echo before; $(modes "$work/before"); ${environment-} $closeside -s $socket top $*"
	wait_for shows 'by [A-Z]|too small' || note_screen
	pid=$(top_pid)
}

note_screen()
{
	screen | sed 's/^/# /'
}

# Where there is no second screen, nothing of top's is left on the first.
former_screen()
{
	if infocmp -1 "${1:-screen}" 2>/dev/null | grep -q smcup=; then
		shows '^before$'
	else
		hides 'closeside on|haproxy'
	fi
}

# top_ended WHAT [STATUS [TERM]]: and the terminal is as it was
top_ended()
{
	local what=$1 problem=''

	wait_for top_gone || problem="has not ended"
	# a line of its own: bash drops the rest of one whose command SIGINT has ended
	command_line "echo \"exit=\$?\"; $(modes "$work/after"); echo done"
	wait_for shows '^done$' || problem+=" the shell does not answer"
	[ -z "${2-}" ] || shows "^exit=$2\$" || problem+=" exit status is not $2"
	cmp -s "$work/before" "$work/after" || problem+=" stty: $(diff "$work/before" "$work/after")"
	former_screen "${3-}" || problem+=" what was there before is not"
	[ "$(terminal '#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{keypad_flag}')" = "0 1 0 0" ] ||
		problem+=" alternate screen, cursor, keypad: $(terminal '#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{keypad_flag}')"
	rm -f "$work/after"
	if [ -z "$problem" ]; then ok "$what"; else not_ok "$what" < <(echo "$problem" && screen); fi
}

# --- what the daemon says ---

# say [PYTHON]: some processes, changed by this
say()
{
	/usr/bin/python3 - "${1-}" <<-'END' | answers
		import json, sys
		def process(pid, program, **more):
		    row = dict(type="process", pid=pid, start=1, program=program, unit=None, uid=0, shim=True,
		               states={}, conns=0, opens_s=0, closes_s=0, peer_share=None, alive=True)
		    row.update(more)
		    row["conns"] = row["conns"] or sum(row["states"].values())
		    return row
		def conn(pid, n, state, ms, **more):
		    row = dict(type="conn", cookie="%x" % n, pid=pid, local="10.0.0.1:80",
		               remote="10.0.0.9:%d" % (40000 + n), state=state, state_ms=ms, age_ms=ms + 5,
		               role="server", policy="web", side="us", custody=None, unread=0, unacked=0,
		               retrans=0, rtt_us=250)
		    row.update(more)
		    return row
		ps = [process(101, "nginx", unit="nginx.service", states={"ESTABLISHED": 30, "TIME_WAIT": 5}),
		      process(102, "haproxy", states={"ESTABLISHED": 20, "CLOSE_WAIT": 50}, opens_s=7.5),
		      process(103, "redis", uid=65534, shim=False, states={"ESTABLISHED": 2, "LISTEN": 2}),
		      process(None, None, states={"TIME_WAIT": 8})]
		ps += [process(1000 + i, "worker%02d" % i, states={"LISTEN": 1}) for i in range(60)]
		conns = [conn(101, i, "ESTABLISHED", 1000 * i) for i in range(30)] + \
		        [conn(101, 50 + i, "TIME_WAIT", 9000) for i in range(5)]
		total = dict(type="total", states={"ESTABLISHED": 52, "TIME_WAIT": 13, "CLOSE_WAIT": 50, "LISTEN": 62},
		             conns=177, attributed=169, attributed_share=169 / 177, as_of_ms=100, opens_s=7.5,
		             closes_s=3, lost=0, missing=[])
		status = dict(type="status", on=True, uptime_ms=150000)
		exec(sys.argv[1])
		print(json.dumps({"status": [status], "ps": ps + [total], "conns": conns}))
	END
}

asked()
{
	wc -l <"$work/answers.asked"
}

was_asked() # TIMES
{
	[ "$(asked)" = "$1" ]
}

asks_no_more()
{
	local before

	before=$(asked)
	sleep 1
	[ "$(asked)" = "$before" ]
}

# --- begin ---

say
fake_start
"${tmux[@]}" new-session -d -x 80 -y 24 'exec env -u LINES -u COLUMNS bash --norc --noprofile -i'
command_line "PS1='\$ '; ulimit -c 0; set +m; set -m; clear; echo ready"
wait_for shows '^ready$' || note_screen

top_start -d 0.2
eventually "on or off, how long, how many processes, by what" line_is 1 \
	'^closeside on, up 2m  64 processes  by CONNS  every 0.2 s  [0-9:]{8}'
eventually "the totals by state" line_is 2 '^177 connections:  established 52  time-wait 13  close-wait 50  listening 62$'
eventually "the share attributed, rates, lost" line_is 3 '^attributed 95.5%  opens 7.5/s  closes 3.0/s  lost 0$'
eventually "the biggest first" rows_begin haproxy nginx unknown redis worker00
eventually "the sort column is inverse" is_inverse CONNS
eventually "so is the cursor's row" is_inverse ' 102 haproxy .*'
eventually "as many rows as fit" line_is 24 '^1014 worker14 '
eventually "in 80 columns what matters" line_is 5 '^ PID PROGRAM +SHIM CONNS ESTAB SYN FIN-W CLOSE-W TIME-W OPEN/S CLOSE/S PEER%$'

say 'ps[0]["states"]["ESTABLISHED"] = 300; ps[0]["conns"] = 305; status["on"] = False; total["as_of_ms"] = 4200; total["missing"] = ["CAP_NET_ADMIN: x", "CAP_SYS_PTRACE: y"]'
eventually "it is live: another is the biggest" rows_begin nginx haproxy
eventually "off is said first" line_is 1 '^closeside OFF: only watching'
eventually "old data, and what the daemon lacks" line_is 3 'data 4.2 s old'
resize 120 24
eventually "by name, if there is room" line_is 3 'lacks CAP_NET_ADMIN, CAP_SYS_PTRACE$'
eventually "in 120 columns: all" line_is 5 '^ PID PROGRAM +UNIT +USER +SHIM CONNS ESTAB SYN FIN-W CLOSE-W LAST-A LISTEN TIME-W OPEN/S CLOSE/S PEER%$'
resize 80 24
say

# --- keys ---

keys T
eventually "a letter: sorted by TIME-W" rows_begin unknown nginx
eventually "its title is inverse" is_inverse 'TIME-W'
keys R
eventually "R: the other way round" hides ' unknown '
eventually "which is said" line_is 1 'by TIME-W reversed'
keys R A
eventually "A: by CLOSE-W" rows_begin haproxy
keys '<'
eventually "<: by the column to the left" is_inverse FIN-W
keys '>' '>'
eventually ">: to the right" is_inverse TIME-W
keys Right
eventually "or an arrow" is_inverse OPEN/S
keys N
eventually "N: by name" rows_begin haproxy nginx redis unknown worker00
keys P
eventually "P: by pid, as ps has them" rows_begin unknown nginx haproxy redis worker00
keys C
eventually "C: by connections" rows_begin haproxy nginx

keys Down Down
eventually "Down, Down: the third row" is_inverse ' +- unknown .*'
keys Up
eventually "Up: the second" is_inverse ' 101 nginx .*'
keys P
eventually "the cursor stays with its row" is_inverse ' 101 nginx .*'
keys C End
eventually "End: the last row is on the screen" line_is 24 '^1059 worker59 '
eventually "and has the cursor" is_inverse '1059 worker59 .*'
keys PPage
eventually "PgUp: a page up" is_inverse '1040 worker40 .*'
keys NPage
eventually "PgDn: a page down" is_inverse '1059 worker59 .*'
keys NPage Down
eventually "no further than the end" is_inverse '1059 worker59 .*'
keys Home
eventually "Home: the first" is_inverse ' 102 haproxy .*'
keys Up PPage
eventually "no further" is_inverse ' 102 haproxy .*'
keys G
eventually "G and g as well" is_inverse '1059 worker59 .*'
keys g
eventually "at home again" is_inverse ' 102 haproxy .*'

keys /
eventually "/: it asks" line_is 4 '^show only: _$'
literally worker1
eventually "as it is typed" rows_begin worker10 worker11 worker12
eventually "how many" line_is 1 '64 processes  10 shown'
keys BSpace BSpace BSpace BSpace BSpace BSpace BSpace
literally NgInX.s
eventually "letters large or small; also of the unit" rows_begin nginx
keys Enter
eventually "it stays, and is shown" line_is 4 '^only: NgInX.s \(Esc shows all\)$'
keys Escape
eventually "Esc shows all" rows_begin haproxy nginx unknown
keys /
literally nobody
keys Enter
eventually "by user" rows_begin redis
keys /
eventually "a new one begins empty" line_is 4 '^show only: _$'
literally 1003
eventually "by pid" rows_begin worker03
keys C-u
literally ünix
eventually "letters of more bytes" line_is 4 '^show only: ünix_$'
eventually "that match nothing" line_is 1 '64 processes  0 shown'
keys Down Enter Escape
eventually "none of them: nothing breaks" rows_begin haproxy nginx

keys Space
eventually "Space: paused, which is said" line_is 1 '^PAUSED'
wait_for asks_no_more
say 'ps[0]["conns"] = 4000; ps[0]["states"] = {"ESTABLISHED": 4000}'
before=$(asked)
keys T
eventually "it still sorts" rows_begin unknown nginx
eventually "what it has: the daemon is not asked" was_asked "$before"
keys C
eventually "nothing new is shown" rows_begin haproxy nginx
keys Space
eventually "Space again: it goes on" rows_begin nginx haproxy
say

keys d
eventually "d: it asks" line_is 4 '^seconds, now 0.2: _$'
literally 0.3
keys Enter
eventually "every 0.3 s" line_is 1 'every 0.3 s'
for wrong in 0 x 1e9 -1 0x10 1.2.3 99999; do
	keys d
	literally "$wrong"
	keys Enter
	eventually "not every $wrong s" line_is 4 'expected 0.1 to 3600 seconds'
done
keys d Escape
eventually "nor is it changed by Esc" line_is 1 'every 0.3 s'

keys h
eventually "h: help" shows '^  / +show only rows'
keys NPage NPage NPage
eventually "all of it" shows '^  B PEER% +share of closes'
keys q
top_ended "q in it quits" 0

top_start -d 0.2
keys Down Enter
eventually "Enter: the connections of the process" line_is 4 '^connections of nginx, pid 101 \(Esc: back\)$'
eventually "by state, the oldest first" line_is 6 '^established +29s 10.0.0.1:80 +10.0.0.9:40029'
eventually "its own columns" line_is 5 '^STATE +TIME LOCAL +REMOTE .* RETRANS'
keys End
eventually "to the last of them" line_is 24 '^time-wait +9s 10.0.0.1:80 +10.0.0.9:4005[0-4]'
keys / 
literally time-w
eventually "a filter of their own" line_is 1 '35 connections  5 shown  by STATE'
keys Enter Escape
eventually "Esc: all" line_is 1 '35 connections  by STATE'
say 'conns = conns[:3]'
eventually "live as well" line_is 1 '3 connections'
say 'conns = [conn(101, i, "CLOSE_WAIT", i) for i in range(6000)]'
eventually "of very many, some" line_is 1 '5000 connections'
eventually "which is said" line_is 4 'connections of nginx, pid 101: not all of them'
say
keys Escape
eventually "Esc: back" rows_begin haproxy nginx
eventually "to the same row" is_inverse ' 101 nginx .*'
keys Down Enter
eventually "nobody's connections" line_is 4 '^whose these are, nobody can say$'
keys q
top_ended "q quits" 0

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
	top_start
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
touch "$work/answers.mute"
eventually "a daemon that does not answer" shows 'no answer for [0-9]+ s; waiting'
keys C
eventually "keys are obeyed meanwhile" is_inverse CONNS
rm "$work/answers.mute"
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

	command_line "clear; $4; echo \"exit=\$?\""
	if wait_for shows "^exit=$status\$" && line_is 1 "^closeside: $pattern" &&
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
