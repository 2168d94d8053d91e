#!/bin/bash
# SPDX-License-Identifier: MIT
# Patience: a peer that reads until EOF gets it at most the grace late at first, and once that is
# known it does not wait. Where both kinds use one port, each gets what suits it by its address.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

grace=200

wire_init
for n in 11 12; do
	ip -n "$ns_b" addr add 10.77.0.$n/24 dev veth0
done
capture_start a
daemon_start a <<-END
	defaults { close-first = peer  grace = ${grace}ms }
	policy readers { local-port = 8001 }
	policy mixed   { local-port = 8002 }
	policy turns   { local-port = 8003 }
END
steer a

outcome() {
	ctl a policies | jq -r "select(.name == \"$1\").$2"
}

# readers N OUT; closers likewise
readers() {
	actor_connect "$A4" "$1" "$2" "${@:4}" text:hello eof close >"$dir/$3.out"
}

closers() {
	actor_connect "$A4" "$1" "$2" "${@:4}" text:hello recv:4 close >"$dir/$3.out"
}

# --- all read until EOF ---
actor_serve readers 8001 line text:bye close
readers 8001 100 first
held=$(outcome readers hand_overs)
note "the first 100: handed over $held, median $(lines_median "$dir/first.out" .ms.eof) ms to EOF," \
	"most $(lines_max "$dir/first.out" .ms.eof) ms (grace $grace)"
is 100 "$(lines_count "$dir/first.out" '.eof and .got == 4')" "the first 100 read all and EOF"
at_least 1 "${held:-0}" "at first they are waited for"
at_most $((grace * 4)) "$(lines_max "$dir/first.out" .ms.eof)" "at most about the grace late"

skipped=$(outcome readers not_waited)
graces=$(outcome readers grace)
readers 8001 128 after
capture_section a after 228
skipped=$(($(outcome readers not_waited) - skipped))
graces=$(($(outcome readers grace) - graces))
note "the next 128: not waited for $skipped, waited in vain $graces," \
	"median $(lines_median "$dir/after.out" .ms.eof) ms"
is 128 "$(lines_count "$dir/after.out" '.eof and .got == 4')" "the next 128 read all and EOF"
at_least 120 "$skipped" "after 100 it has learned: they are not waited for"
at_most 8 "$graces" "but for a try now and then"
at_most $((grace / 2)) "$(lines_median "$dir/after.out" .ms.eof)" "and get their EOF at once"
note "learned: $(ctl a policies | jq -c 'select(.name == "readers").learned')"

# --- half and half on one port, from addresses of their own ---
actor_serve mixed 8002 line text:bye close
for round in 1 2 3 4; do
	readers 8002 32 "read$round" --bind 10.77.0.11 &
	reader=$!
	closers 8002 32 "close$round" --bind 10.77.0.12
	wait "$reader"
done
capture_section a taught 256
readers 8002 64 read --bind 10.77.0.11 &
reader=$!
closers 8002 64 close --bind 10.77.0.12
wait "$reader"
capture_section a mixed 128
grep '^10\.77\.0\.11\.' "$dir/mixed.conns" >"$dir/mixed-read.conns"
grep '^10\.77\.0\.12\.' "$dir/mixed.conns" >"$dir/mixed-close.conns"
note "mixed: learned $(ctl a policies | jq -c 'select(.name == "mixed").learned')"
note "mixed: readers' median $(lines_median "$dir/read.out" .ms.eof) ms to EOF;" \
	"closers first in $(conns_count "$dir/mixed-close.conns" 'first == "b"') of 64"
is 64 "$(lines_count "$dir/read.out" '.eof and .got == 4')" "mixed: readers read all and EOF"
at_most $((grace / 2)) "$(lines_median "$dir/read.out" .ms.eof)" "mixed: readers are not made to wait"
at_least 62 "$(conns_count "$dir/mixed-close.conns" 'first == "b"')" "mixed: closers close first"
at_most 2 "$(time_wait_among a "$dir/mixed-close.conns")" "mixed: and keep TIME_WAIT off the server"

# --- a peer that changes its ways is found out ---
actor_serve turns 8003 line text:bye close
readers 8003 100 turn-read
capture_section a read 100
# The trials in vain are followed by a rest, of ten seconds at most.
for round in 1 2 3 4 5 6 7 8 9 10; do
	closers 8003 200 turn-close
	capture_section a turns 200
	tail -n 100 "$dir/turns.conns" >"$dir/turned.conns"
	[ "$(conns_count "$dir/turned.conns" 'first == "b"')" -lt 50 ] || break
	sleep 2
done
note "a peer that changes: closed first in $(conns_count "$dir/turned.conns" 'first == "b"') of its last 100"
at_least 50 "$(conns_count "$dir/turned.conns" 'first == "b"')" "a peer that changes its ways is waited for again"

finish
