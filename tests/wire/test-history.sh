#!/bin/bash
# SPDX-License-Identifier: MIT
# The history, with the real ten seconds: after a load its sums are what the daemon's status says, in
# all and per program; it outlives the daemon's restarts, orderly or not; what was not watched is a
# gap; and where there is no room for its file it is in memory.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing is kept without a daemon"
have nginx || skip_all "nginx is not installed"

daemon_start a <<-END
	policy peer  { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }
	policy grace { local-port = 8002  close-first = peer  grace = 20ms  grace-learn = no  time-wait = none }
	policy app   { local-port = 8003 }
END
steer a
server_nginx 8001
server_nginx 8002
actor_serve app 8003 line text:bye close

# rows ARGUMENT...: of the history, as JSON lines
rows() {
	"$closeside" -s "$dir/a.socket" history -f jsonl "$@"
}

# sums ARGUMENT...: opens, closes by side, outcomes of custody, of all samples
sums() {
	rows "$@" | jq -s -c 'map(select(.type == "sample"))
		| [(map(.opens) | add), (map(.closes | to_entries[]) | group_by(.key)
			| map({(.[0].key): (map(.value) | add)}) | add),
		  (map(.custody | to_entries[]) | group_by(.key) | map({(.[0].key): (map(.value) | add)}) | add)]'
}

# The same, as status has it; a listener is opened by a record as well, so opens are the policies'.
status_sums() {
	"$closeside" -s "$dir/a.socket" status -f json |
		jq -c --sort-keys --argjson opens "$(ctl a policies | jq -s 'map(.opens // 0) | add')" \
			'[$opens, .closes, (.custody | {peer, grace, reset, early, not_waited})]'
}

agree() {
	[ "$(sums | jq -cS .)" = "$(status_sums)" ]
}

# --- a load ---

# What it finds at its first look was there before it, and is not opened.
wait_for 20 ctl_least a status costs.surveys 1
rm -f "$dir/stop"
start b closer "$python" "$wire_dir/load.py" closer "$A4" 8001 2 "$dir/stop" 5
start b reader "$python" "$wire_dir/load.py" reader "$A4" 8002 2 "$dir/stop" 5
actor_connect "$A4" 8003 50 text:hello eof close >"$dir/app.out"
wait_for 20 ctl_least a status custody.peer 300
wait_for 20 ctl_least a status custody.grace 50
at_least 300 "$(ctl a status custody.peer)" "the peer closed first in custody"
at_least 50 "$(ctl a status custody.grace)" "the grace of others ended"
touch "$dir/stop"
rest() { ! running closer && ! running reader; }
wait_for 20 rest
unset "pid_of[closer]" "pid_of[reader]"
wait_for 20 ctl_is a status custody.held 0
ctl a off >/dev/null
ctl a on >/dev/null
signal closesided-a HUP
if wait_for 30 agree; then
	ok "the sums of the history are what status says"
else
	not_ok "the sums of the history are what status says" \
		"$(sums | jq -cS .) is not $(status_sums)"
fi
note "opens, closes, outcomes: $(status_sums)"
rows --programs >"$dir/rows"
is true "$(jq -s 'map(select(.type == "sample"))
	| all(.opens == ([.programs[].opens] | add // 0)
		and (.closes | add) == ([.programs[].closes | add] | add // 0)
		and (.custody | add) == ([.programs[].custody | add] | add // 0))' "$dir/rows")" \
	"programs add up to all"
is true "$(jq -s '[.[] | .programs[]? | select(.program == "nginx") | .custody.peer] | add >= 300' "$dir/rows")" \
	"custody is of the program that handed over"
is 50 "$(sums "$(basename "$(readlink -f "$python")")" | jq '.[1].us')" "closes are of the program that closed"
is "off on reload" "$(jq -r 'select(.event == "off" or .event == "on" or .event == "reload") | .event' "$dir/rows" |
	paste -sd' ')" "what was done is there, in its order"
is 0 "$(rows --since 2001-01-01 --until 2001-01-02 | jq -s 'map(select(.type == "sample")) | length')" \
	"a time of which there is nothing"
at_most 16000000 "$(stat -c %s "$dir/a.socket.history")" "bytes of the file"
at_most 16000 "$(($(stat -c %b "$dir/a.socket.history") * 512 / 1000))" "... on the disk, in thousands"
is 600 "$(stat -c %a "$dir/a.socket.history")" "which nobody else reads"

# --- the loop killed, the daemon stopped, the daemon killed ---

samples() {
	rows | jq -s 'map(select(.type == "sample")) | length'
}

before=$(sums | jq -c .)
kept=$(samples)
kill -KILL "$(child_of closesided-a)"
killed() { rows | jq -s -e 'any(.event == "killed")'; }
wait_for 20 killed
is "the loop was ended by signal 9" "$(rows | jq -r 'select(.event == "killed") | .text')" \
	"the loop is killed: that is said"
loop_is_another() { [ -n "$(child_of closesided-a)" ] && daemon_answers a; }
wait_for 10 loop_is_another
kill -STOP "$(child_of closesided-a)"
stalled() { rows | jq -s -e 'any(.text == "the loop had not moved for a second and was killed")'; }
check "the loop stands still: that is said" wait_for 20 stalled
stop closesided-a
stopped=$(now_ms)

# Meanwhile, in b: a daemon that has no room for it, and one of somebody's own.
cat >"$dir/b.conf" <<<'limits { namespaces = 1 }'
mkdir "$dir/small"
# shellcheck disable=SC2016 # sh expands them
start b small unshare -m sh -c 'mount -t tmpfs -o size=1m small "$1" && exec "$2" -c "$3" -s "$1/socket"' \
	sh "$dir/small" "$closesided" "$dir/b.conf"
in_small() { nsenter -m -t "${pid_of[small]}" "$closeside" -s "$dir/small/socket" "$@"; }
wait_for 10 in_small status
check "no room: it is in memory, and that is said once" \
	test "$(grep -c 'small/socket.history: No space left on device: the history is kept in memory' "$dir/small.log")" = 1
is false "$(in_small history -f jsonl | jq -r 'select(.type == "history") | .kept')" "no room: the command says so as well"
start b private "$closesided" -c "$dir/b.conf" -s "$dir/private.socket" --private $$
wait_for 10 test -S "$dir/private.socket.control"
"$closeside" -s "$dir/private.socket" history >/dev/null 2>&1
is 1 $? "one of somebody's own answers as well"
check "one of somebody's own has no file" test ! -e "$dir/private.socket.history"

over() { [ "$(now_ms)" -ge $((stopped + 6000)) ]; }
wait_for 20 over
daemon_restart a
stop closesided-a KILL
daemon_restart a
more() { [ "$(samples)" -gt $((kept + 2)) ]; }
wait_for 30 more
rows >"$dir/after"
is "$before" "$(jq -s -c --argjson kept "$kept" 'map(select(.type == "sample"))[:$kept]
	| [(map(.opens) | add), (map(.closes | to_entries[]) | group_by(.key)
		| map({(.[0].key): (map(.value) | add)}) | add),
	  (map(.custody | to_entries[]) | group_by(.key) | map({(.[0].key): (map(.value) | add)}) | add)]' "$dir/after")" \
	"the samples before are as they were"
is "start killed killed stop start start" "$(jq -r 'select(.event == "start" or .event == "stop" or .event == "killed") | .event' "$dir/after" |
	paste -sd' ')" "what happened to the daemon, in its order"
is true "$(jq -s 'any(.type == "gap" and .length_ms >= 5000)' "$dir/after")" "the time without a daemon is a gap"
is 0 "$(jq -s '[.[] | select(.type == "sample") | .opens, .closes[], .custody[], .states[] | select(. < 0)] | length' "$dir/after")" \
	"nothing is less than nothing"
is true "$(jq -s 'map(select(.type == "sample")) | .[-1].opens < 100' "$dir/after")" \
	"what was there before a restart is not opened by it"

# --- damaged ---

stop closesided-a
printf nonsense | dd of="$dir/a.socket.history" conv=notrunc status=none
daemon_restart a
check "damaged: it is put aside, and that is said once" \
	test "$(grep -c 'it is no history: put aside as' "$dir/closesided-a.log")" = 1
check "damaged: it is there still" test -s "$dir/a.socket.history.damaged"
check "damaged: another begins" test -s "$dir/a.socket.history"
finish
