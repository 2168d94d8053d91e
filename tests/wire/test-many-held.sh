#!/bin/bash
# SPDX-License-Identifier: MIT
# Two thousand sockets in custody at once: each ends with its grace, none sooner and none lost, every
# peer reads all and a clean end of file; what each takes of the loop's own memory is bounded, and
# all of it is free for the next. tests/bench/custody.sh does the same with 50,000.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/hold-lib.sh
. "$wire_dir/hold-lib.sh"
many=2000 grace_ms=10000 bytes_most=2048

wire_init
[ -x "$hold" ] || skip_all "$hold is not built"
hold_limits
hold_daemon 10000 "${grace_ms}ms"
hold_serve
hold_connect $((2 * many)) -n $many -r 2000
before=$(hold_rss)

# round NAME CLOSES: a batch, of all closes up to now so many
round() {
	local held steered
	hold_say
	check "$1: the daemon has heard of each close" wait_for 60 hold_heard "$2"
	held=$(ctl a status custody.held) steered=$(ctl a status records.hand-over)
	during=$(hold_rss)
	note "$1: $held held at once; $(ctl a status not_handed_over)"
	at_least $((many / 2)) "$held" "$1: most are held"
	is "$((steered - steered_before))" "$held" "$1: all that were handed over, at once"
	steered_before=$steered
	hold_wait
	is $many "$(hold_has clean)" "$1: each peer has its answer, and a clean end of file"
	check "$1: none is held any more" wait_for 20 ctl_is a status custody.held 0
	is "$steered" "$(ctl a status custody.grace)" "$1: each ended with its grace"
	note "$1: from close to end $(jq -c .wait_ms <<<"$hold_told") ms"
	at_least $((grace_ms - 100)) "$(hold_has wait_ms.p50 | cut -d. -f1)" "$1: and not sooner"
}
steered_before=0
round first $many
if [ -n "${sanitizers:-}" ]; then
	skip "what each takes" "a sanitizer's memory is its own"
else
	at_most $bytes_most $(((during - before) / many)) "what each takes, of $bytes_most bytes at most"
fi
after=$during
round again $((2 * many))
if [ -n "${sanitizers:-}" ]; then
	skip "what they took is used again" "a sanitizer's memory is its own"
else
	at_most $((256 * many)) $((during - after)) "what they took is used again"
fi
is 0 "$(ctl a status lost)" "no record was lost"
finish
