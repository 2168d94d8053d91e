#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside top` in a terminal that tmux plays: what it shows, and what the keys do.
. "${top_srcdir:?}/tests/conf/top-lib.sh"
terminal_start

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
finish
