#!/bin/bash
# SPDX-License-Identifier: MIT
# `closeside run --verify`: a load of every way to close, under every policy, in both roles. What the
# daemon says of each connection is what its capture says, or the difference is explained; and what
# its capture says is what tcpdump's says, read by another program.
#
#   LONG=1            10,000 connections, and 99.9 % of them must agree
#   VERIFY_SEED=N     what a run before has printed
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
seed=${VERIFY_SEED:-$RANDOM}
count=$([ -n "${LONG:-}" ] && echo 5000 || echo 400) # both ends of each are the command's
ports=10
in_ns a sysctl -qw net.ipv4.ip_local_port_range="10000 60999"
note "seed $seed: VERIFY_SEED=$seed draws the same plans again"
cat >"$dir/mix.conf" <<-END
	limits { namespaces = 1 }
	defaults { keepalive = "60s/10s/5" }
	policy app    { role = server  local-port = 8000 }
	policy peer   { role = server  local-port = 8001  close-first = peer  grace = 300ms  grace-learn = no }
	policy learn  { role = server  local-port = 8002  close-first = peer }
	policy self   { role = server  local-port = 8003  close-first = self }
	policy none   { role = server  local-port = 8004  time-wait = none }
	policy some   { role = server  local-port = 8005  time-wait = 2s }
	policy half   { role = server  local-port = 8006  close-first = peer  half-close = defer  grace = 200ms
	                time-wait = none }
	policy ptw    { role = server  local-port = 8007  close-first = peer  peer-time-wait = none  grace = 200ms }
	policy abort  { role = server  local-port = 8008  linger = abort  allow-data-loss = yes }
	policy cpeer  { role = client  remote-port = 8000  close-first = peer  grace = 100ms }
	policy cself  { role = client  remote-port = 8003  close-first = self }
	policy cnone  { role = client  remote-port = {8001, 8009}  time-wait = none }
	policy cptw   { role = client  remote-port = 8005  peer-time-wait = none }
END

# verified NAME ARGUMENTS...: a run in A, with its own daemon; its exit status
verified() {
	local name=$1
	shift
	in_ns a "$closeside" run -s "$dir/none.socket" -c "$dir/mix.conf" --verify --report \
		--verdicts "$dir/$name.verdicts" -- "$@" >"$dir/$name.log" 2>&1
}

# of NAME CONDITION: how many verdicts
of() {
	lines_count "$dir/$1.verdicts" "$2"
}

# judged NAME LEAST PER-MILLE: the verdicts of a run
judged() {
	local name=$1 all differ
	all=$(of "$name" '.verdict != "unjudged"')
	differ=$(of "$name" '.verdict == "differs"')
	note "$name: $((all - differ)) of $all agree:" \
		"$(jq -r '.claim + " " + .wire + " " + .why' "$dir/$name.verdicts" | sort | uniq -c | tr -s ' \n' ' ;')"
	at_least "$2" "$all" "$name: the connections are judged"
	at_most 0 "$(of "$name" '.why == "unexplained"')" "$name: every difference is explained"
	at_least "$3" "$(((all - differ) * 1000 / (all ? all : 1)))" "$name: of 1000, so many agree"
}

tcpdump_begin() {
	start a "dump-$1" tcpdump -i "$2" -s 128 -B 16384 -U -w "$dir/$1.pcap" \
		'tcp[13] & 7 != 0 or (ip6 and ip6[6] == 6 and ip6[53] & 7 != 0)'
	wait_for 20 grep -q 'listening on' "$dir/dump-$1.log"
}

# compared NAME: with what tcpdump has seen
compared() {
	local said
	sleep 0.5
	stop "dump-$1" INT
	said=$("$python" "$wire_dir/verdicts.py" "$dir/$1.pcap" "$dir/$1.verdicts")
	note "$1: $said"
	is "$(wc -l <"$dir/$1.verdicts") same, 0 other, 0 missing" "$(head -n1 <<<"$said")" \
		"$1: tcpdump's capture, read by itself, says the same of every connection"
}

mix=("$python" "$wire_dir/mix.py")

# --- both ends are the command's ---
tcpdump_begin mix lo
verified mix "${mix[@]}" 127.0.0.1 8000 $ports "$count" "$seed"
is 0 $? "mix: it exits as its command does"
sed -n '/^closeside: .*\(agree\|differ\|judged\|waited\|first closer\)/p' "$dir/mix.log" | sed 's/^/# /'
judged mix $((count * 2 * 99 / 100)) "$([ -n "${LONG:-}" ] && echo 999 || echo 985)"
check "mix: custody was active" grep -qE 'waited for the peer: it closed ([1-9]|0, grace ended [1-9])' "$dir/mix.log"
check "mix: and TIME_WAITs were avoided" grep -q 'left here, [1-9][0-9]* avoided' "$dir/mix.log"
compared mix

# --- both ends held, with graces that end in the same moment ---
in_ns a "$closeside" run -s "$dir/none.socket" --verify --verdicts "$dir/held.verdicts" -o close-first=peer \
	-o grace=200ms -o grace-learn=no -- "${mix[@]}" 127.0.0.1 8000 1 160 "$seed" here both >"$dir/held.log" 2>&1
judged held 316 950
at_most 0 "$(of held '.claim == "us" and .wire == "peer"')" "held: not both ends claim to be the first"

# --- IPv6, and IPv4 by mapped addresses ---
tcpdump_begin six lo
verified six "${mix[@]}" ::1 8000 $ports 60 "$seed"
judged six 110 950
compared six
actor=("$python" "$wire_dir/actor.py")
start_listening a mapped-server 8100 "${actor[@]}" serve 8100 --dual line text:hello eof close
in_ns a "$closeside" run -s "$dir/none.socket" --verify --verdicts "$dir/mapped.verdicts" -- \
	"${actor[@]}" connect ::ffff:$A4 8100 5 text:hello recv:5 close >"$dir/mapped.log" 2>&1
stop mapped-server
judged mapped 5 1000

# --- over veth: one end each, two interfaces ---
tcpdump_begin veth veth0
start_listening a server 8000 "$closeside" run -s "$dir/none.socket" -c "$dir/mix.conf" --verify --report \
	--verdicts "$dir/veth.verdicts" -- "${mix[@]}" 0.0.0.0 8000 $ports 0 "$seed" serve
in_ns b "${mix[@]}" $A4 8000 $ports 100 "$seed" connect
stop server
judged veth 98 950
compared veth

# --- a ladder ---
in_ns a "$closeside" run -s "$dir/none.socket" --ladder='sport != :8000#2' -- \
	"${mix[@]}" 127.0.0.1 8000 1 4 1 >"$dir/ladder.log" 2>&1
sed 's/^/# /' "$dir/ladder.log"
for word in syn-sent established SYN 'ack 1' 'closeside:'; do
	check "ladder: has $word" grep -q -- "$word" "$dir/ladder.log"
done
at_most 80 "$(awk '{ if (length($0) > most) most = length($0) } END { print most + 0 }' "$dir/ladder.log")" \
	"ladder: 80 columns"

# --- what may be wrong ---
in_ns a setpriv --bounding-set=-net_raw --inh-caps=-net_raw "$closeside" run -s "$dir/none.socket" --verify true \
	>"$dir/raw.log" 2>&1
is 125 $? "without CAP_NET_RAW: 125"
check "without CAP_NET_RAW: it says so" grep -q CAP_NET_RAW "$dir/raw.log"
verified absent /nonexistent/command
is 127 $? "no such command: 127"
verified seven sh -c 'exit 7'
is 7 $? "the command's exit status is ours"
check "no connection: that is said" grep -q '0 of 0 connections agree' "$dir/seven.log"
unshare -rn bash -c 'ip link set lo up && exec "$@"' - "$closeside" run -s "$dir/none.socket" --verify -- \
	"${mix[@]}" 127.0.0.1 8000 2 10 1 >"$dir/user.log" 2>&1
check "a user namespace with a network of its own" grep -q 'of 20 connections agree' "$dir/user.log"

# A ring that is too small, and nobody who reads it.
start a tiny env CLOSESIDE_CAPTURE_BLOCKS=1 "$closeside" run -s "$dir/none.socket" --verify \
	--verdicts "$dir/tiny.verdicts" -- \
	bash -c "kill -STOP \$PPID; '${mix[0]}' '${mix[1]}' 127.0.0.1 8000 4 400 $seed; kill -CONT \$PPID"
wait_for 60 grep -q 'connections agree' "$dir/tiny.log"
wait_for 20 pid_gone "${pid_of[tiny]}"
check "lost segments: counted, and said" grep -q 'the capture has lost [1-9]' "$dir/tiny.log"
at_least 1 "$(of tiny '.why == "lost"')" "lost segments: what they may concern is not judged"
at_most 0 "$(of tiny '.verdict == "differs"')" "lost segments: and no difference is made of them"

finish
