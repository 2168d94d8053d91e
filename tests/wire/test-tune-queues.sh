#!/bin/bash
# SPDX-License-Identifier: MIT
# Accept queues and SYN queues at one and a half times their limits: named; mode apply calls listen()
# again with a longer backlog for the program that does not, raises what bounds it, and the drops stop.
#
# What is known of Linux 6.18: listen() on a duplicate (pidfd_getfd) takes effect at once, and is bounded
# by somaxconn of the socket's namespace, whoever calls it. Without SYN cookies handshakes are bounded by
# the backlog (more are dropped, TCPReqQFullDrop), and by three quarters of tcp_max_syn_backlog (more are
# dropped, and only ListenDrops and the listener's own drops count them). With SYN cookies neither is so.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/tune-lib.sh
. "$wire_dir/tune-lib.sh"

wire_init
backlog_of() {
	in_ns a ss -Htln "sport = :$1" | awk '{ print $3 }'
}
backlog_least() {
	[ "$(backlog_of "$1")" -ge "$2" ]
}
# SYNs that found no room
syn_drops() {
	echo $(($(counter a ListenDrops) - $(counter a ListenOverflows)))
}
syn_drops_least() {
	[ "$(syn_drops)" -ge $((syn_drops_began + $1)) ]
}

tune_start a <<<'tune { mode = advise }'

# --- the accept queue; somaxconn bounds it too ---
backlog=$(by_length 32 128)
burst=$((backlog * 3 / 2))
in_ns a sysctl -qw net.core.somaxconn=$((backlog + 2))
churn_serve web 8001 --backlog "$backlog" --accept-every 100 --close us
id=accept-queue/$A4:8001
churn_load load 8001 $((burst * 5)) 600 --burst "$burst" --close peer --timeout 60
check "connections are refused a place" wait_for 60 counter_least a ListenOverflows 1
named a "$id" over
is churn "$(resource "$id" .program)" "$id: the program is named"
is "$backlog" "$(resource "$id" .capacity)" "$id: its capacity"
is "backlog somaxconn relisten" "$(levers "$id")" "$id: the levers, the gentlest first"
is "$backlog $((backlog + 2))" "$(backlog_of 8001) $(setting a net.core.somaxconn)" "mode advise changes nothing"
tune_mode a apply
check "mode apply makes it longer" wait_for 90 backlog_least 8001 $((burst + 1))
at_least $((burst + 1)) "$(setting a net.core.somaxconn)" "and what bounds it"
check "the drops stop" wait_for "$(by_length 60 240)" settled a ListenOverflows "$(by_length 5 60)"
note "backlog $backlog is $(backlog_of 8001), somaxconn $(setting a net.core.somaxconn);" \
	"ListenOverflows $(counter a ListenOverflows)"
at_most $((backlog * 4)) "$(backlog_of 8001)" "it is no longer than is needed"
stop load INT
overflows=$(counter a ListenOverflows)
churn_load after 8001 $((burst * 5)) "$(by_length 3 20)" --burst "$burst" --close peer
churn_done after
is 0 "$(churn_of after .failed)" "the same load again is served"
is "$overflows" "$(counter a ListenOverflows)" "and none of it finds the queue full"
check "tune revert" revert a
is "$backlog" "$(backlog_of 8001)" "tune revert: the backlog is what the program said"
is $((backlog + 2)) "$(setting a net.core.somaxconn)" "and somaxconn what it was"
stop web
in_ns a sysctl -qw net.core.somaxconn=4096

# --- the SYN queue: the answers to SYNs are lost, as from a flood of forged ones ---
in_ns b nft -f - <<-END
	table ip silent {
		chain in { type filter hook input priority 0; tcp sport { 8002, 8003 } drop; }
	}
END
# who has connected before is no stranger, and may pass three quarters of tcp_max_syn_backlog
ip -n "$ns_b" addr add 10.77.0.9/24 dev veth0
# a handshake is given up after 3 s, then
in_ns a sysctl -qw net.ipv4.tcp_synack_retries=1 net.ipv4.tcp_syncookies=0

# by the backlog
tune_mode a advise
churn_serve short 8002 --backlog 32
id=syn-queue/$A4:8002
churn_load half 8002 18 600 --timeout 2 -s 10.77.0.9
check "SYNs are dropped" wait_for 60 counter_least a TCPReqQFullDrop 1
named a "$id" over
is churn "$(resource "$id" .program)" "$id: the program is named"
note "levers: $(levers "$id")"
tune_mode a apply
check "mode apply makes the backlog longer" wait_for 90 backlog_least 8002 49
check "the drops stop" wait_for "$(by_length 60 240)" settled a TCPReqQFullDrop "$(by_length 5 60)"
at_most 128 "$(backlog_of 8002)" "SYNs that come again are no reason to make it longer still"
note "backlog 32 is $(backlog_of 8002); TCPReqQFullDrop $(counter a TCPReqQFullDrop)"
stop half INT
stop short

# by tcp_max_syn_backlog
tune_mode a advise
in_ns a sysctl -qw net.ipv4.tcp_max_syn_backlog=44
churn_serve long 8003 --backlog 1024
id=syn-queue/$A4:8003
syn_drops_began=$(syn_drops)
full_drops=$(counter a TCPReqQFullDrop)
churn_load more 8003 18 600 --timeout 2 -s 10.77.0.9
check "SYNs are dropped that no TCPReqQFullDrop tells of" wait_for 60 syn_drops_least 1
named a "$id" over
is "$full_drops" "$(counter a TCPReqQFullDrop)" "$id: TCPReqQFullDrop does not tell"
note "levers: $(levers "$id")"
check "to switch SYN cookies on is proposed first" grep -q '^syncookies ' <<<"$(levers "$id") "
tune_mode a apply
check "mode apply raises tcp_max_syn_backlog" wait_for 90 setting_least a net.ipv4.tcp_max_syn_backlog 65
check "the drops stop there too" wait_for "$(by_length 60 240)" settled a ListenDrops "$(by_length 5 60)"
note "tcp_max_syn_backlog 44 is $(setting a net.ipv4.tcp_max_syn_backlog)"
is 0 "$(setting a net.ipv4.tcp_syncookies)" "SYN cookies are as the admin has set them"
stop more INT
is 0 "$(grep -c tcp_syncookies "$dir/closesided-a.log")" "and are no sysctl that closeside writes"
check "tune revert: the rest" revert a
is 44 "$(setting a net.ipv4.tcp_max_syn_backlog)" "tune revert: tcp_max_syn_backlog is what it was"
finish
