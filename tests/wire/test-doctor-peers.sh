#!/bin/bash
# SPDX-License-Identifier: MIT
# The doctor finds who cuts his answers short, since data was unread when he closed; and peers that
# have vanished.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

wire_init
doctor_start </dev/null

# --- the head of a request is read, an answer sent, and closed, while the body still comes ---
# Once the server has 15,000 bytes, the other 5,000 are on their way: they are unread when it closes.
body=2000
serves() {
	actor_serve "$1" "$2" recv:15000 sleep:50 "send:$body" close
}
posts() {
	actor_connect "$A4" "$2" 6 --together text:POST send:20000 trickle:300 "recv:$body" eof close >"$dir/$1.out"
	whole=$(lines_count "$dir/$1.out" ".got >= $body and .error == null and .eof")
}
# posts_on NAME PORT: again and again, until there is a file; what is found is of late then
posts_on() {
	while [ -d "$dir" ] && [ ! -e "$dir/$1.stop" ]; do
		posts "$1" "$2"
	done
}
serves bare 8001
posts bare 8001
at_most 2 "$whole" "without the shim: most answers are lost"
posts_on bare 8001 2>/dev/null &
check "without the shim: it is seen" wait_for 30 finds answer-cut-short
is "0 info null" "$doctor_status $(verdict_of answer-cut-short '"\(.level) \(.pid)"')" \
	"without the shim: whose it is, is not guessed, and it is no fault"
touch "$dir/bare.stop"
wait
cured answer-cut-short

steer a
serves rude 8002
plain
posts rude 8002
at_most 2 "$whole" "with the shim: no policy changes that"
posts_on rude 8002 2>/dev/null &
judged answer-cut-short "$python_name" "${pid_of[rude]}" 3 'bytes were not read.*port 8002'
is fault "$(verdict_of answer-cut-short .level)" "answer-cut-short: a fault, for it is known whose"
paste_remedy answer-cut-short "^echo 'policy answer-cut-short-8002 " ' policy reload$'
check "the config is sound" in_ns a "$closeside" policy check "$dir/a.conf"
cured answer-cut-short # while it goes on
touch "$dir/rude.stop"
wait
# A peer that gets no processor for half a second is taken for silent: then once more.
for _ in 1 2 3; do
	posts rude 8002
	[ "$whole" != 6 ] || break
	cured answer-cut-short
done
is 6 "$whole" "the policy: each peer reads its whole answer"
check "the policy: nothing is found" finds_nothing

# --- data on its way, and nobody there any more ---
actor_serve gone 8003 line "fate:$dir/speak" "send:3000" hold
start b vanishing "$python" "$wire_dir/actor.py" connect "$A4" 8003 6 --together text:hello hold
all_are_there() {
	[ "$(in_ns a ss -Htn state established "sport = :8003" | wc -l)" = 6 ]
}
check "six connections" wait_for 20 all_are_there
in_ns b nft -f - <<-END
	table ip silent {
		chain in { type filter hook input priority 0; tcp sport 8003 drop; }
	}
END
touch "$dir/speak"
judged peer-vanished "$python_name" "${pid_of[gone]}" 3 '10\.77\.0\.2 \('
check "peer-vanished: bytes that have not arrived" grep -qE '^[0-9,]{5,} bytes have not been ack' \
	"$dir/evidence"
none_is_there() {
	[ -z "$(in_ns a ss -Htn "sport = :8003")" ]
}
paste_remedy peer-vanished '^ss -K'
check "ss -K: none is left" wait_for 20 none_is_there
cured peer-vanished
finish
