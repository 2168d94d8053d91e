#!/bin/bash
# SPDX-License-Identifier: MIT
# A request body still arrives, for two seconds, when the server has answered 413 and closed: in
# custody it is drained, so the peer is not reset before it has read the answer, whatever the grace.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

body=2000

wire_init
capture_start a

# The server reads the head alone, answers and closes; the client sends on, then reads.
runs() {
	actor_connect "$A4" "$2" "$3" --together text:POST trickle:2000 "recv:$body" eof close >"$dir/$1.out"
	whole=$(lines_count "$dir/$1.out" ".got >= $body and .error == null and .eof")
	note "$1: read the whole answer $whole of $3; $(jq -r '.error // "no error"' "$dir/$1.out" |
		sort | uniq -c | tr '\n' ' ')"
}

actor_serve plain 8000 line sleep:50 "send:$body" close
runs plain 8000 5
at_most 1 "$whole" "plain: the answer is lost"

# And one that closes without a word.
without_a_word() {
	actor_connect "$A4" "$2" 5 --together text:POST trickle:2000 close >"$dir/$1.out"
	is 5 "$(lines_count "$dir/$1.out" '.error != null')" \
		"$1: the server closes without a word, so who sends on is told that nobody reads"
}

actor_serve plain-mute 7999 line sleep:50 close
without_a_word plain-mute 7999

daemon_start a <<-END
	defaults { close-first = peer  grace-learn = no }
	policy short { local-port = 8001  grace = 50ms }
	policy usual { local-port = 8002  grace = 500ms }
	policy long  { local-port = 8003  grace = 4s }
	policy none  { local-port = 8004  grace = 100ms  time-wait = none }
	policy bound { local-port = 8005  grace = 100ms  drain-max = 700ms }
	policy mute  { local-port = 8006  grace = 20s }
	policy defer { local-port = 8007  grace = 20s  half-close = defer }
END
steer a
runners=()
port=8000
for name in short usual long none; do
	port=$((port + 1))
	actor_serve $name $port line sleep:50 "send:$body" close
	{
		runs $name $port 5
		echo "$whole" >"$dir/$name.whole"
	} &
	runners+=("$!")
done
wait "${runners[@]}"
for name in short usual long none; do
	is 5 "$(cat "$dir/$name.whole")" "grace $name: the peer reads the whole answer"
done
capture_mark a

at_least 1 "$(ctl a status custody.drained_bytes)" "what was drained is counted"
note "drained: $(ctl a status custody.drained_bytes) bytes"

actor_serve mute 8006 line sleep:50 close
without_a_word mute 8006
actor_serve defer 8007 line sleep:50 shut_rdwr close
without_a_word defer 8007
capture_mark a

# drain-max bounds it.
actor_serve bound 8005 line sleep:50 "send:$body" close
runs bound 8005 3
capture_section a bound 3
is 3 "$(conns_count "$dir/bound.conns" rst_a)" "drain-max: who sends on past it is reset"

finish
