#!/bin/bash
# SPDX-License-Identifier: MIT
# The doctor finds connections stuck in FIN_WAIT2, orphans, and a program that is short of
# descriptors.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

wire_init
doctor_start </dev/null

states() {
	in_ns a ss -Htn state "$1" "sport = :$2" | wc -l
}
states_are() {
	[ "$(states "$1" "$2")" = "$3" ]
}

# peers NAME PORT N STEP...: N clients in B that hold on
peers() {
	local name=$1 port=$2 n=$3
	shift 3
	start b "$name" "$python" "$wire_dir/actor.py" connect "$A4" "$port" "$n" --together "$@"
}

# --- shut down here, never closed there ---
actor_serve halves 8001 line shut_wr hold
peers never-close 8001 12 text:hello eof hold
judged fin-wait-2-stuck "$python_name" "${pid_of[halves]}" 12 'port 8001 \(12\)'
paste_remedy fin-wait-2-stuck '^ss -K'
check "ss -K: no FIN_WAIT2 is left" wait_for 20 states_are fin-wait-2 8001 0
check "ss -K: the program goes on" running halves
cured fin-wait-2-stuck
stop never-close
stop halves

# --- closed here, with data that the peer does not take ---
orphaned() { # NAME PORT
	actor_serve "$1" "$2" big line "fate:$dir/$1.go" send:60000 close
	peers "$1-pause" "$2" 110 small text:hello hold
	check "$1: 110 connections" wait_for 30 states_are established "$2" 110
	wait_for 20 attributed "$2" "${pid_of[$1]}" 110 # while they live
	touch "$dir/$1.go"
	check "$1: 110 connections are in FIN_WAIT1" wait_for 30 states_are fin-wait-1 "$2" 110
	is 0 "$(in_ns a ss -Htnp state fin-wait-1 "sport = :$2" | grep -c users:)" "$1: held by nobody"
}
steer a
orphaned shimmed 8002
judged orphans "$python_name" "${pid_of[shimmed]}" 100 'port 8002 \(1[01][0-9]\)'
check "orphans: bytes that have not arrived" grep -qE '^[0-9,]{7,} bytes have not been ack' "$dir/evidence"
paste_remedy orphans '^ss -K'
check "ss -K: no orphan is left" wait_for 20 states_are fin-wait-1 8002 0
cured orphans
stop shimmed-pause
stop shimmed
plain
orphaned bare 8003
judged orphans "$python_name" "${pid_of[bare]}" 100 'port 8003 \(1[01][0-9]\)'
in_ns b nft -f - <<-END
	table ip silent {
		chain in { type filter hook input priority 0; tcp sport 8003 drop; }
	}
END
paste_remedy orphans '^sysctl -w net.ipv4.tcp_orphan_retries='
cured orphans
check "tcp_orphan_retries: no orphan is left" wait_for 20 states_are fin-wait-1 8003 0
stop bare-pause
stop bare

# --- many descriptors, a low limit ---
start_listening a short 8004 prlimit --nofile=100:400 "$python" "$wire_dir/actor.py" serve 8004 line hold
peers many 8004 70 text:hello hold
check "70 connections" wait_for 20 states_are established 8004 70
check "70 of 100 are not too many" finds_not descriptors-running-out
peers more 8004 15 text:hello hold
judged descriptors-running-out "$python_name" "${pid_of[short]}" 85 'of 100 are open'
paste_remedy descriptors-running-out '^prlimit '
is "200 400" "$(prlimit --pid "${pid_of[short]}" --nofile --noheadings --output SOFT,HARD | tr -s ' ' | xargs)" \
	"prlimit: the soft limit is doubled, the hard one stays"
cured descriptors-running-out
finish
