#!/bin/bash
# SPDX-License-Identifier: MIT
# As many sockets in custody at once as are wanted, or as the limit of open files allows here: what
# each takes of the daemon's own memory, and by how much the last ends after its time. The daemon's
# limit is to be twice as many as it may hold, and a program needs one for each. Part of custody.sh.
# shellcheck source=tests/bench/custody-lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/bench/custody-lib.sh"
wanted=$(by_size 4000 50000) rate=4000

custody_init
most=$((($(ulimit -n) - 1000) / 2))
many=$((most < wanted ? most : wanted))
grace_ms=$((many * 1000 / rate + 5000))
hold_daemon $((many + 100)) ${grace_ms}ms || exit
hold_serve || exit
hold_connect $many -r $rate || exit
before=$(hold_rss)
hold_say
wait_for 120 hold_heard $many
held=$(ctl a status custody.held) each=$((($(hold_rss) - before) / many))
steered=$(ctl a status records.hand-over)
hold_wait
late=$(jq ".wait_ms.max - $grace_ms | round" <<<"$hold_told")
note "$steered of $many closes were handed over, and $held held at once; from close to end" \
	"$(jq -c .wait_ms <<<"$hold_told") ms, with a grace of $grace_ms; load $(cut -d' ' -f1-3 /proc/loadavg)"
if [ "$many" -lt 50000 ]; then
	row held_at_once "$held" sockets "50000: the limit of open files here allows $most, and $many were tried" null
else
	row held_at_once "$held" sockets ">= 50000 but a hundredth" "$held >= 49500"
fi
row bytes_each "$each" bytes "< 2048" "$each < 2048"
row ended_within_ms "$late" "ms after its time" "<= 1000" "$late <= 1000"
row lost $((many - $(hold_has clean))) connections 0 "$(hold_has clean) == $many"
is "$held" "$steered" "all that were handed over were held at once"
is "$steered" "$(ctl a status custody.grace)" "each ended with its grace"
finish
