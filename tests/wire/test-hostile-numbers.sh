#!/bin/bash
# SPDX-License-Identifier: MIT
# A hostile user tells of connections that never were, and of TIME_WAITs to be ended that never were,
# by the hundred thousand: memory is bounded.
# shellcheck disable=SC2154 # of the libraries
# shellcheck source=tests/wire/hostile-lib.sh
. "$(dirname "$0")/hostile-lib.sh"

hostile_init 'policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }'
attack_s=2
begin_s=120
attack "400,000 connections that never were" $hostile opens 400000
is 400000 "$(jq .sent <<<"$did")" "connections that never were: they were sent"
at_most 400000 "$rss" "connections that never were: memory is bounded"
is 1 "$(grep -c "uid $hostile.*limit reached: 262144 connections" "$dir/closesided-a.log")" \
	"connections that never were: the limit is said, once"
few_connections() {
	[ "$(ctl a status connections)" -le 100 ]
}
check "connections that never were: they go with their sessions" wait_for 30 few_connections

attack "300,000 TIME_WAITs that never were" $hostile retires 300000
is true "$(jq .alive <<<"$did")" "TIME_WAITs that never were: the session goes on"
at_most 262144 "$(ctl a status retire.pending)" "TIME_WAITs that never were: a share of what there is"

at_most 6 "$(said $hostile)" "the user is named once for each cause"
finish
