#!/bin/bash
# SPDX-License-Identifier: MIT
# What closeside sets for nobody: the descriptors of a process, and connection tracking. Named, with the
# line that mends it; that line is run, as it is printed, and the sheet sees it mended.
#
# What is known of Linux 6.18: nf_conntrack_max is one for the machine, and can be read only (0444) in
# other network namespaces than the first; nf_conntrack_count and the timeouts are the namespace's.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/tune-lib.sh
. "$wire_dir/tune-lib.sh"

wire_init
tune_start a <<<'tune { mode = advise }'

# id_of RESOURCE: that is near or over
id_of() {
	jq -r "select(.type == \"resource\" and .resource == \"$1\" and .level != \"fine\") | .id" \
		"$dir/sheet.jsonl" | head -n1
}
wants() {
	sheet a
	[ -n "$(id_of "$1")" ]
}
wants_not() {
	sheet a && [ -s "$dir/sheet.jsonl" ] && [ -z "$(id_of "$1")" ]
}

# --- descriptors: a quarter more connections than there may be ---
limit=$(by_length 100 1024)
steer a
start_listening a web 8001 prlimit "--nofile=$limit:$((limit * 4))" "${STEER[@]}" "$churn" -l "$A4:8001"
plain
churn_load many 8001 $((limit * 5 / 8)) 2 --close never --stay 600 --timeout 600
check "descriptors: wanting" wait_for 60 wants descriptors
id=$(id_of descriptors)
note "$(told "$id")"
is "$id" "$(in_want | head -n1)" "descriptors: come first"
is churn "$(resource "$id" .program)" "descriptors: the program is named"
is "${pid_of[web]}" "$(resource "$id" .pid)" "descriptors: so is the process"
is "$limit" "$(resource "$id" .capacity)" "descriptors: their limit"
is "line" "$(advice "$id/nofile" .kind)" "descriptors: closeside sets it for nobody"
apply a "$id/nofile"
is 1 $? "descriptors: tune apply says so"
open_of() {
	find "/proc/${pid_of[web]}/fd" -mindepth 1 2>/dev/null | wc -l
}
at_most $((limit + 1)) "$(open_of)" "descriptors: the process has no more"
is 1 "$(advice "$id/nofile" '.lines[]' | grep -cE '^prlimit ')" "descriptors: a line for the process as it runs"
check "descriptors: and one for the next" grep -qE 'LimitNOFILE|ulimit|limits.conf' <<<"$(advice "$id/nofile" '.lines[]')"
advice "$id/nofile" '.lines[]' | grep -E '^prlimit ' >"$dir/paste"
note "pasted: $(cat "$dir/paste")"
check "descriptors: it can be pasted" in_ns a bash -e "$dir/paste"
more_open() {
	[ "$(open_of)" -gt "$limit" ]
}
check "descriptors: those that waited are served" wait_for 30 more_open
check "descriptors: nothing is wanting any more" wait_for 60 wants_not descriptors
stop many
stop web

# It takes half a million SYNs: what the sheet makes of it is in test_balance, the real thing here.
[ -n "$long" ] || finish

# --- connection tracking: SYNs of ever other connections ---
in_ns a nft -f - <<-END || skip_tracking=1
	table ip watched {
		chain in { type filter hook input priority 0; ct state invalid counter; }
	}
END
# Those that answer are not to fill anything else, and nobody is to answer them.
in_ns b nft -f - <<-END
	table ip silent {
		chain in { type filter hook input priority 0; tcp sport 8101 drop; }
	}
END
sources=("$B4")
for i in 3 4 5 6 7; do
	ip -n "$ns_b" addr add "10.77.0.$i/24" dev veth0
	sources+=("10.77.0.$i")
done
most=$(in_ns a cat /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null)
count() {
	in_ns a cat /proc/sys/net/netfilter/nf_conntrack_count
}
if [ -z "${skip_tracking:-}" ] && [ "${most:-0}" -gt 0 ] && [ "$most" -le 360000 ]; then
	is 444 "$(in_ns a stat -c %a /proc/sys/net/netfilter/nf_conntrack_max)" "nf_conntrack_max is not this namespace's"
	# handshakes that stay half open are forgotten sooner than after a minute
	in_ns a sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_syn_recv="$(by_length 15 60)"
	churn_serve tracked 8101 --backlog 16
	flood() {
		in_ns b "$python" "$wire_dir/syn_flood.py" "$A4" 8101 "$1" "${sources[@]}"
	}
	note "$(flood $((most * 8 / 10))) SYNs: $(count) of $most are tracked"
	check "conntrack: wanting" wait_for 60 wants conntrack
	id=$(id_of conntrack)
	note "$(told "$id")"
	note "levers: $(levers "$id")"
	is "$most" "$(resource "$id" .capacity)" "conntrack: the limit"
	check "conntrack: where the limit cannot be written it is not proposed alone" \
		grep -qw notrack <<<"$(levers "$id")"
	paste a "$id/notrack"
	forgotten() {
		[ "$(count)" -lt $((most / 10)) ]
	}
	wait_for 150 forgotten
	flood $((most * 8 / 10)) >/dev/null
	at_most $((most / 10)) "$(count)" "conntrack: with the line, the same flood is not tracked"
	check "conntrack: nothing is wanting any more" wait_for 150 wants_not conntrack
	note "$(count) of $most are tracked"
else
	skip "connection tracking" "not in namespaces here, or its limit (${most:-none}) is too high for a test"
fi
finish
