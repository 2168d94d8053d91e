#!/bin/bash
# SPDX-License-Identifier: MIT
# explain: its words, and how many there are, with and without a daemon.
. "${top_srcdir:?}/tests/cli/lib.sh"

# --- without a daemon ---

run explain time-wait
is "no daemon: exit status" 0 "$status"
has "it is explained" '^TIME_WAIT: we closed first' "$work/out"
has "and said why the count is missing" 'only a daemon knows, and' "$work/out"
is_empty "nothing on standard error" "$work/err"
is "no line is longer than 80 columns" "" "$(awk 'length > 80' "$work/out")"
run explain
is "alone: exit status" 0 "$status"
for word in TIME_WAIT ECONNRESET close-wait-leak; do
	has "alone, it lists $word" "^  $word  " "$work/out"
done
count=$(grep -c '^  ' "$work/out")
run explain -f jsonl
is "-f jsonl lists as many" "$count" "$(jq -s length <<<"$out")"
is "and each has all its members" "$count" "$(jq -c 'select(.type == "explanation" and (.kind | test("^(state|error|verdict)$")) and
	([.word, .summary, .what, .why, .do] | all(type == "string")) and has("see") and has("errno") and has("states"))' <<<"$out" | wc -l)"
for word in $(jq -r .word <<<"$out"); do
	run explain "$word"
	[ "$status" = 0 ] && [[ $out == "$word: "* ]] || not_ok "explain $word" "$status: $out"
done
ok "each of them is explained"
run explain connection reset by peer
has "several words may be one" '^ECONNRESET: ' "$work/out"
has "an error has its number" 'errno 104, "Connection reset by peer"' "$work/out"
run explain CLOSE_WAIT EPIPE
is "or several" "CLOSE_WAIT EPIPE" "$(grep -oE '^[A-Z_]+: ' "$work/out" | tr -d ':\n' | sed 's/ $//')"

run explain tme-wait
is "a misspelt word: exit status" 2 "$status"
is "is suggested" "closeside: explain: there is no word 'tme-wait': did you mean 'TIME_WAIT'?" "$err"
run explain frobnicate
is "an unknown word: exit status" 2 "$status"
has "says where they are" '`closeside explain` lists them' "$work/err"
run explain TIME_WAIT frobnicate
is "one of two is unknown: exit status" 2 "$status"
is_empty "and nothing is printed" "$work/out"

# --- with one that counts ---

states='"ESTABLISHED":5,"SYN_SENT":0,"SYN_RECV":2,"FIN_WAIT1":0,"FIN_WAIT2":0,"TIME_WAIT":%d,"CLOSE":0,"CLOSE_WAIT":%d,"LAST_ACK":0,"LISTEN":1,"CLOSING":0,"NEW_SYN_RECV":3'
# shellcheck disable=SC2059 # a format it is
{
	printf '{"type":"process","pid":7,"program":"nginx","states":{'"$states"'}}\n' 27900 1
	printf '{"type":"process","pid":8,"program":"curl","states":{'"$states"'}}\n' 12 4
	printf '{"type":"process","pid":null,"program":null,"states":{'"$states"'}}\n' 90000 9
	printf '{"type":"total","schema":1,"states":{'"$states"'}}\n' 28012 5
} >"$answers/ps.jsonl"
serve
run explain time-wait
has "how many, and whose" '^here  28012 now; most of one process: 27900, nginx$' "$work/out"
run explain close-wait-leak
has "of a verdict, the states" '^here  CLOSE_WAIT: 5 now; most of one process: 4, curl$' "$work/out"
run explain last-ack
has "none" '^here  none now$' "$work/out"
run explain -f json time-wait
is "as JSON" '{"TIME_WAIT":28012}' "$(jq -c '.explanations[0].states' <<<"$out")"
run explain syn-recv -f jsonl
is "both kinds of it, and an option after the word" '{"SYN_RECV":2,"NEW_SYN_RECV":3}' "$(jq -c .states <<<"$out")"
run explain EPIPE
is "an error is not counted" 0 "$(grep -c '^here' "$work/out")"
rm "$answers/ps.jsonl"
run explain time-wait
is "a daemon that cannot say: exit status" 0 "$status"
has "it is said" '^here  the daemon does not say how many there are: unknown' "$work/out"
finish
