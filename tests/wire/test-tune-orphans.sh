#!/bin/bash
# SPDX-License-Identifier: MIT
# Orphans at one and a half times tcp_max_orphans, which is the machine's: so in one of our own. Peers
# that never close leave ours in FIN_WAIT2; with a tcp_fin_timeout of 300 these are whole sockets, and
# orphans. Named; mode apply lowers the one and raises the other, and none is aborted any more.
#
# What is known of Linux 6.1 and 6.18: up to 60 s of tcp_fin_timeout such a connection is a minisocket as
# soon as it is in FIN_WAIT2, and no orphan. A lower tcp_fin_timeout is for those that come: those that
# are there stay as long as they were to.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/tune-lib.sh
. "$wire_dir/tune-lib.sh"
# shellcheck source=tests/wire/uml-lib.sh
. "$wire_dir/uml-lib.sh"

uml_run
uml_place
limit=$(by_length 100 1000)
rate=$((limit / 10))
orphans() {
	sed -n 's/^TCP: .* orphan \([0-9]*\) .*/\1/p' /proc/net/sockstat
}
sysctl -qw net.ipv4.tcp_max_orphans="$limit" net.ipv4.tcp_fin_timeout=300

# --- what is said ---
daemon_start a <<<'tune { mode = advise }'
steer a
churn_serve web 8001 --close us
plain
churn_load never 8001 "$rate" 15 --close never --stay 600
check "orphans are aborted" wait_for 60 counter_least a TCPAbortOnMemory 1
named a orphans over
note "orphans: $(orphans), TCPAbortOnMemory $(counter a TCPAbortOnMemory)"
is "$limit" "$(resource orphans .capacity)" "orphans: so many there may be"
is "fin-timeout max-orphans" "$(levers orphans)" "orphans: the levers"
check "tcp_fin_timeout is not said to shorten TIME_WAIT" grep -qiE 'never TIME_WAIT|not TIME_WAIT|FIN_WAIT2' \
	<<<"$(advice orphans/fin-timeout '[.title, .effect, .cost] | tostring')"
check "what they cost is said" grep -qE '[0-9]+ ?(k|M|Ki|Mi)?B' <<<"$(advice orphans/max-orphans .cost)"

# --- what is printed, pasted ---
before=$(orphans)
paste a orphans/fin-timeout
check "with the line for tcp_fin_timeout it is 60 at most" test "$(setting a net.ipv4.tcp_fin_timeout)" -le 60
stop never INT
wait_for 30 test "$(orphans)" -lt 10
churn_load less 8001 "$rate" 10 --close never --stay 3
churn_done less 120
at_most $((limit / 2)) "$(orphans)" "then peers that never close leave no orphans"
note "$before orphans before"
stop closesided-a
sysctl -qw net.ipv4.tcp_fin_timeout=300

# --- what mode apply does ---
daemon_start a <<<'tune { mode = apply }'
aborted=$(counter a TCPAbortOnMemory)
churn_load never 8001 "$rate" 600 --close never
check "orphans are aborted again" wait_for 60 counter_least a TCPAbortOnMemory $((aborted + 1))
changed() {
	[ "$(setting a net.ipv4.tcp_max_orphans)" -gt "$limit" ] || [ "$(setting a net.ipv4.tcp_fin_timeout)" -le 60 ]
}
check "mode apply changes something" wait_for 60 changed
check "and none is aborted any more" wait_for 120 settled a TCPAbortOnMemory "$(by_length 6 60)"
note "tcp_max_orphans $limit is $(setting a net.ipv4.tcp_max_orphans), tcp_fin_timeout 300 is" \
	"$(setting a net.ipv4.tcp_fin_timeout); orphans $(orphans)," \
	"TCPAbortOnMemory $(counter a TCPAbortOnMemory)"
note "$(grep -E 'tcp_(max_orphans|fin_timeout)' "$dir/closesided-a.log")"
stop never INT
check "tune revert" revert a
is "$limit 300" "$(setting a net.ipv4.tcp_max_orphans) $(setting a net.ipv4.tcp_fin_timeout)" \
	"tune revert puts both back"
finish
