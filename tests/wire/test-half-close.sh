#!/bin/bash
# SPDX-License-Identifier: MIT
# Half-close is kept whole: who shuts down its writing half and reads on gets every byte, with
# half-close = pass and with defer, also when the peer waits for EOF before it answers.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

body=300000
grace=400
sha=$("$python" "$wire_dir/actor.py" hash $body)

wire_init
capture_start a
daemon_start a <<-END
	defaults { grace = ${grace}ms  grace-learn = no }
	policy server-pass  { role = server  local-port = 8001  close-first = peer  half-close = pass }
	policy server-defer { role = server  local-port = 8002  close-first = peer  half-close = defer }
	policy client-pass  { role = client  remote-port = 8003  close-first = peer  half-close = pass }
	policy client-defer { role = client  remote-port = 8004  close-first = peer  half-close = defer }
	policy client-both  { role = client  remote-port = 8005  close-first = peer  half-close = defer }
END

# Whoever answers does so only after EOF; 8000 is without us.
actor_serve s8000 8000 eof "send:$body" close
steer a
actor_serve s8001 8001 eof "send:$body" close
actor_serve s8002 8002 eof "send:$body" shut_wr close
plain
actor_serve s8003 8003 eof "send:$body" close
actor_serve s8004 8004 eof "send:$body" close
# one that ends its answer first, and then reads: the daemon's FIN answers its own
actor_serve s8005 8005 line "send:$body" shut_wr eof close

answer() {
	sha256sum | cut -d' ' -f1
}

# The questioner steered or not, by port.
client_steer_for() {
	plain
	case $1 in 8003 | 8004 | 8005) steer a ;; esac
	CLIENT_STEER=("${STEER[@]}")
}

declare -A what=([8000]="plain" [8001]="server, pass" [8002]="server, defer" [8003]="client, pass"
	[8004]="client, defer")
for port in 8000 8001 8002 8003 8004; do
	client_steer_for $port
	for ((i = 0; i < 5; i++)); do
		actor_connect "$A4" $port 1 send:1000 shut_wr eof close
	done >"$dir/$port.out"
	is 5 "$(lines_count "$dir/$port.out" ".eof and .error == null and .sha == \"$sha\"")" \
		"${what[$port]}: who half-closes reads every byte and EOF"
	is 5 "$(lines_count "$dir/s$port.log" '.got == 1000')" \
		"${what[$port]}: and its peer reads every byte of the question"
	note "${what[$port]}: from half-close to EOF, median $(lines_median "$dir/$port.out" .ms.eof) ms," \
		"most $(lines_max "$dir/$port.out" .ms.eof) ms (grace $grace ms)"

	if have nc; then
		good=0
		for ((i = 0; i < 3; i++)); do
			got=$(echo question | in_ns b "${CLIENT_STEER[@]}" timeout 20 nc -N "$A4" $port | answer)
			[ "$got" = "$sha" ] && good=$((good + 1))
		done
		is 3 $good "${what[$port]}: nc -N reads every byte"
	else
		skip "${what[$port]}: nc -N" "nc is not installed"
	fi
done

# structure: with pass the FIN goes out at once; with defer no later than the grace, generously
at_most $((grace / 2)) "$(lines_median "$dir/8003.out" .ms.eof)" "client, pass: nobody waits"
at_least $((grace / 2)) "$(lines_median "$dir/8004.out" .ms.eof)" \
	"client, defer: the shutdown is held back"
at_most $((grace * 3)) "$(lines_median "$dir/8004.out" .ms.eof)" \
	"client, defer: at most the grace late"
capture_mark a

# A client whose shutdown is deferred, and whose peer closes in time: the peer was first.
client_steer_for 8005
actor_connect "$A4" 8005 10 text:question shut_wr eof close >"$dir/8005.out"
capture_section a 8005 10
is 10 "$(lines_count "$dir/8005.out" ".eof and .error == null and .sha == \"$sha\"")" \
	"client, defer, the peer ends first: every byte and EOF"
is 10 "$(conns_count "$dir/8005.conns" 'first == "a" && kind == "FIN" && rst_b == 0')" \
	"client, defer, the peer ends first: its FIN was first"
is 0 "$(time_wait_among b "$dir/8005.conns")" "client, defer, the peer ends first: no TIME_WAIT here"
is 10 "$(lines_count "$dir/s8005.log" '.eof and .error == null')" \
	"client, defer, the peer ends first: it gets its EOF"
at_most $((grace * 3 / 4)) "$(lines_median "$dir/s8005.log" .ms.eof)" \
	"client, defer, the peer ends first: at once, not after the grace"

finish
