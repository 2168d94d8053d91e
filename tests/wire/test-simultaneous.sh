#!/bin/bash
# SPDX-License-Identifier: MIT
# After a simultaneous close, TIME_WAIT comes whatever TCP_LINGER2 says. time-wait = none retires
# it with CAP_NET_ADMIN, and counts it without.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=30

wire_init
have nft || skip_all "nft is not installed"
capture_start a

policies='
	policy none { local-port = {8000-8099}  time-wait = none }
'

# fins_lost on|off: B does not see A's FIN, so that its own crosses it
fins_lost() {
	if [ "$1" = on ]; then
		in_ns b nft -f - <<-END
			table inet closeside_test {
				chain in {
					type filter hook input priority 0;
					tcp sport 8000-8099 tcp flags & (fin) == fin drop
				}
			}
		END
	else
		in_ns b nft delete table inet closeside_test
	fi
}

fins_lost on 2>"$dir/nft.err" || skip_all "nft cannot drop here: $(head -n1 "$dir/nft.err")"
fins_lost off

# simultaneous NAME PORT: the server closes, its FIN is lost, the client closes; then FINs pass
simultaneous() {
	local client
	rm -f "$dir/close"
	actor_serve "$1" "$2" line text:bye close
	fins_lost on
	actor_connect "$A4" "$2" $count --together text:hello recv:4 "fate:$dir/close" close \
		>"$dir/$1.out" &
	client=$!
	waiting() {
		[ "$(in_ns a ss -Htan state fin-wait-1 "sport = :$2" | wc -l)" = "$count" ]
	}
	wait_for 10 waiting "$1" "$2" || note "$1: $(in_ns a ss -tan "sport = :$2" | head -n3)"
	touch "$dir/close"
	wait "$client"
	fins_lost off
	# A's FINs go out again
	settled() {
		[ -z "$(in_ns a ss -Htan state closing state fin-wait-1 "sport = :$2")" ]
	}
	wait_for 10 settled "$1" "$2" || note "$1: $(in_ns a ss -tan "sport = :$2" | head -n3)"
	capture_section a "$1" $count
	note "$1: of $count, crossing FINs in $(conns_count "$dir/$1.conns" crossed)"
}

all_entered() {
	[ "$(conns_count "$dir/$1.conns" crossed)" = "$count" ]
}

none_left() {
	[ "$(time_wait_among a "$dir/$1.conns")" = 0 ]
}

simultaneous plain 8000
check "plain: the FINs cross" all_entered plain
plain_left=$(time_wait_among a "$dir/plain.conns")
note "plain: TIME_WAIT at the server: $plain_left"
at_least $((count * 9 / 10)) "$plain_left" "plain: the server is left with TIME_WAIT"

daemon_start a <<<"$policies"
steer a
simultaneous retired 8001
check "with CAP_NET_ADMIN: the FINs cross" all_entered retired
note "with CAP_NET_ADMIN: TIME_WAIT at first $(time_wait_among a "$dir/retired.conns")"
check "with CAP_NET_ADMIN: every TIME_WAIT is retired" wait_for 10 none_left retired
note "retire: $(ctl a status retire)"
at_least 1 "$(ctl a status retire.retired)" "with CAP_NET_ADMIN: they are counted as retired"
stop closesided-a

# Without: the same daemon, with every capability but that one.
if have setpriv; then
	as_it_was=$closesided
	cat >"$dir/unprivileged" <<-END
		#!/bin/sh
		exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$as_it_was" "\$@"
	END
	chmod 755 "$dir/unprivileged"
	closesided=$dir/unprivileged
	daemon_start a b <<<"$policies"
	steer b
	simultaneous kept 8002
	check "without: the FINs cross" all_entered kept
	left=$(time_wait_among a "$dir/kept.conns")
	note "without: TIME_WAIT at the server: $left; retire: $(ctl b status retire)"
	at_least $((count * 9 / 10)) "$left" "without: TIME_WAIT is left"
	check "without: they are counted as left" wait_for 10 ctl_least b status retire.left "$left"
	note "without, it says: $(ctl b status missing)"
	check "without: the daemon says what it lacks" grep -q CAP_NET_ADMIN \
		<(ctl b status missing; cat "$dir/closesided-b.log")
else
	skip "without CAP_NET_ADMIN" "setpriv is not installed"
fi

finish
