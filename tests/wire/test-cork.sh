#!/bin/bash
# SPDX-License-Identifier: MIT
# The last bytes before a close, written under TCP_CORK, MSG_MORE or Nagle, leave at once, as with
# plain close(), though the FIN is held back.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

count=21
grace=2000

wire_init
capture_start a 'tcp'
daemon_start a <<-END
	policy peer { local-port = {8000-8999}  close-first = peer  half-close = defer
	              grace = ${grace}ms  grace-learn = no }
END

declare -A ending=([cork]="cork send:6 close" [more]="more:6 close" [nagle]="nagle send:6 send:6 close"
	[cork_shut]="cork send:6 shut_wr close" [more_big]="more:2000 close")
declare -A bytes=([cork]=6 [more]=6 [nagle]=12 [cork_shut]=6 [more_big]=2000)

# run NAME PORT KIND: the median time from the question to the last byte of the answer
run() {
	# shellcheck disable=SC2086 # steps are words
	actor_serve "$1" "$2" line ${ending[$3]}
	actor_connect "$A4" "$2" $count text:hello "recv:${bytes[$3]}" close >"$dir/$1.out"
	median=$(jq .ms.recv "$dir/$1.out" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
	all=$(lines_count "$dir/$1.out" ".got == ${bytes[$3]} and .error == null")
}

port=8000
for kind in cork more nagle cork_shut more_big; do
	port=$((port + 1))
	plain
	run "plain-$kind" $((port + 1000)) $kind
	plain_median=$median
	steer a
	run "steered-$kind" $port $kind
	note "$kind: question to last byte, median of $count: plain $plain_median ms, steered $median ms"
	is $count "$all" "$kind: all bytes arrive"
	# A cork is pulled by a timer after 200 ms, Nagle waits for an ACK delayed by 40: half of that
	# is far above what it takes, and far below what it would.
	limit=20
	[ "$kind" = nagle ] || limit=100
	at_most $limit "${median%.*}" "$kind: the last bytes do not wait for a timer"
done

# And the FIN does wait: the client's is first.
capture_mark a
capture_conns a 0 | grep -E '\.800[1-5] ' >"$dir/steered.conns"
total=$(wc -l <"$dir/steered.conns")
is "$total" "$(conns_count "$dir/steered.conns" 'first == "b"')" "all of them were held: the client's FIN first"
is $((count * 5)) "$total" "and all were seen"

# What a client that stays sees: data well before the FIN, in the capture.
actor_connect "$A4" 8001 3 --together text:hello recv:6 eof close >"$dir/stay.out"
capture_section a stay 3
# no data segment of the server within the last half of the grace before its FIN
late=$(awk '
	$6 == "Flags" && $3 ~ /\.8001$/ {
		client = $5
		n = $NF
		if (n + 0 > 0)
			data[client] = $1
		if ($7 ~ /F/)
			fin[client] = $1
	}
	END {
		for (c in fin)
			if (c in data && fin[c] - data[c] > 1)
				held++
		print held + 0
	}' "$dir/a.cap")
is 3 "$late" "a client that stays: the FIN comes with the end of the grace, long after the data"

finish
