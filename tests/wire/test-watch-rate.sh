#!/bin/bash
# SPDX-License-Identifier: MIT
# `watch` at more than 10,000 transitions a second: what a reader does not see, it is told the number
# of. One that keeps up sees each connection's way, one that does not read loses.
# WATCH_SECONDS, WATCH_RATE: other numbers.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing to say without closeside"
daemon_start a <<<'limits { namespaces = 1 }
policy none { program = nobody-has-this }'
in_ns a "$python" "$wire_dir/watch_rate.py" "$dir/a.socket" "${WATCH_RATE:-15000}" "${WATCH_SECONDS:-3}" \
	>"$dir/rate.out" 2>"$dir/rate.err" || note "$(tail -n3 "$dir/rate.err")"
note "$(cat "$dir/rate.out"); load $(cut -d' ' -f1-3 /proc/loadavg)"
value() {
	jq "$1" "$dir/rate.out"
}
made=$(value .made)
at_least 30000 "$made" "transitions are made"
is "$made" "$(($(ctl a status records.open) + $(ctl a status records.close)))" "and the daemon has heard of each"
is "$made" "$(value '.fast.seen + .fast.lost')" "who reads: what was seen and what was lost are all of them"
is 0 "$(value .fast.wrong)" "no connection goes a way of its own"
at_least $((made / 4)) "$(value .fast.chains)" "it sees the whole way of connections"
is "$made" "$(value '.slow.seen + .slow.lost')" "who does not read: the same"
at_least 1 "$(value .slow.lost)" "it lost some, and was told"
is 0 "$(value .slow.wrong)" "what it sees is true"
is 0 "$(ctl a status lost)" "no record was lost"
finish
