#!/bin/bash
# SPDX-License-Identifier: MIT
# `ps` and ss agree, state by state, while connections are on a random walk, half of them of a program
# under the shim, half of one that is not: what `ps` says lies between what ss says before and after,
# and is at most 10 and 2 % beyond; one sample in 20 may be farther off, for on a busy machine much
# happens between the three. Only SYN_SENT may be 1 % of all beyond: what was opened a moment ago is
# still what connect() said of it.
# AGREEMENT_N, AGREEMENT_SAMPLES, AGREEMENT_SEED: other numbers (10,000 and 100 are the figure).
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=${AGREEMENT_N:-2000} samples=${AGREEMENT_SAMPLES:-20} seed=${AGREEMENT_SEED:-$RANDOM}
seconds=$((count / 200 < 8 ? 8 : count / 200))

wire_init
[ -z "$wire_plain" ] || skip_all "nothing to say without closeside"
have nft || skip_all "nft is not installed"
for ns in a b; do
	in_ns $ns sysctl -qw net.ipv4.ip_local_port_range="10000 65535" net.core.somaxconn=4096
done
in_ns a nft -f - <<-END || skip_all "nft cannot filter here"
	table inet closeside {
		chain input {
			type filter hook input priority 0;
			tcp dport { 9001, 9101 } tcp flags & (syn | ack) == syn drop
			tcp sport { 9002, 9102 } tcp flags & (syn | ack) == (syn | ack) drop
			tcp sport { 9003, 9103 } tcp flags & fin == fin drop
		}
	}
END
daemon_start a <<<'limits { namespaces = 1 }
policy none { program = nobody-has-this }'
walking() {
	grep -q "^$2" "$dir/$1.log"
}
steer a
start a shimmed "${STEER[@]}" "$python" "$wire_dir/walk.py" 9000 $((count / 2)) "$seconds" "$seed"
plain
start a stranger "$python" "$wire_dir/walk.py" 9100 $((count / 2)) "$seconds" $((seed + 1))
check "both walk" wait_for 20 eval 'walking shimmed walking && walking stranger walking'

# ss_states: STATE COUNT, in the kernel's words
ss_states() {
	in_ns a ss -Htan | awk '
		BEGIN { split("ESTAB ESTABLISHED SYN-SENT SYN_SENT SYN-RECV SYN_RECV FIN-WAIT-1 FIN_WAIT1 " \
			"FIN-WAIT-2 FIN_WAIT2 TIME-WAIT TIME_WAIT UNCONN CLOSE CLOSE-WAIT CLOSE_WAIT " \
			"LAST-ACK LAST_ACK LISTEN LISTEN CLOSING CLOSING", word)
			for (i = 1; i in word; i += 2) name[word[i]] = word[i + 1] }
		{ n[name[$1]]++ }
		END { for (state in n) print state, n[state] }'
}
for ((sample = 1; sample <= samples; sample++)); do
	ss_states | sed "s/^/$sample before /"
	ctl a ps | jq -r --arg s "$sample" 'select(.type == "total") | .states | to_entries[] |
		"\($s) ps \(.key) \(.value)"'
	ss_states | sed "s/^/$sample after /"
	sleep "$(awk "BEGIN { print $seconds / $samples / 2 }")"
done >"$dir/samples"
note "seed $seed; load $(cut -d' ' -f1-3 /proc/loadavg)"
awk '
	{ n[$1, $2, $3] = $4; if ($1 > samples) samples = $1
		if ($2 == "before") all[$1] += $4
		if ($2 != "after") states[$3] = 1 }
	END {
		for (state in states) {
			beyond = worst = most = met = 0
			for (i = 1; i <= samples; i++) {
				low = n[i, "before", state] + 0; high = n[i, "after", state] + 0
				if (low > high) { t = low; low = high; high = t }
				ps = n[i, "ps", state] + 0
				off = ps < low ? low - ps : ps > high ? ps - high : 0
				if (off > worst) worst = off
				if (high > most) most = high
				if (high) met++
				slack = 10 + high * 0.02
				if (state == "SYN_SENT") slack += all[i] * 0.01
				if (off > slack) beyond++
			}
			print state, beyond, worst, most, met
		}
	}' "$dir/samples" | sort >"$dir/verdict"
is "$samples" "$(grep -c ' ps ESTABLISHED' "$dir/samples")" "so many samples were taken"
while read -r state beyond worst most met; do
	[ "$most" -gt 0 ] || continue
	at_most $((samples / 20)) "$beyond" "$state agrees: at most $worst off of up to $most, in $met samples"
done <"$dir/verdict"
for state in ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE_WAIT LAST_ACK CLOSING LISTEN; do
	at_least 1 "$(awk -v s="$state" '$1 == s { print $4 }' "$dir/verdict")" "there was $state"
done
at_least 100 "$(ctl a status records.open)" "the shim was active"
is 0 "$(ctl a status lost)" "no record was lost"
finish
