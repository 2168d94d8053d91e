#!/bin/bash
# SPDX-License-Identifier: MIT
# What ./bootstrap demo shows: nginx's TIME_WAITs at the server, then at the client, then nowhere.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init # for what it skips where it cannot run
[ -z "$wire_plain" ] || skip_all "it runs closeside itself"
for program in nginx curl; do
	have $program || skip_all "$program is not installed"
done
env -u CLOSESIDE_SOCKET CLOSESIDED="$closesided" bash "$top_srcdir/tests/demo.sh" "$top_builddir" \
	>"$dir/demo" 2>&1
is 0 $? "it runs"
note "$(cat "$dir/demo")"

# row TITLE: sets first_a, first_b, left_a, left_b
row() {
	read -r first_a first_b left_a left_b < <(sed -n "s/^$1   *\([0-9]\)/\1/p" "$dir/demo")
}

row nginx
at_least 45 "${left_a:-0}" "plain: the TIME_WAITs are at the server"
row 'closeside run -o close-first=peer'
at_least 49 "${left_b:-0}" "close-first = peer: at the client"
at_most 1 "$left_a" "close-first = peer: none at the server"
at_least 49 "${first_b:-0}" "close-first = peer: the client's FIN was first"
row 'closeside run -o time-wait=none'
is 0 "${left_a:-}" "time-wait = none: none at the server"
at_most 5 "$left_b" "time-wait = none: nor at the client"
at_least 45 "${first_a:-0}" "time-wait = none: where the server's FIN was first"
finish
