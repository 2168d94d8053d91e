#!/bin/bash
# SPDX-License-Identifier: MIT
# A hostile user forges records: other users' connections, random numbers, lessons for the
# patience of others; and scribbles over its page.
# shellcheck disable=SC2154 # of the libraries
# shellcheck source=tests/wire/hostile-lib.sh
. "$(dirname "$0")/hostile-lib.sh"

hostile_init 'policy web { local-port = 8001  close-first = peer  grace = 20s }'

# With the numbers of policy_id() in common/policy.c.
policy_id=$("$python" - <<-'END'
	h = 2166136261
	for c in b"web":
	    h = (h ^ c) * 16777619 & 0xffffffff
	print(h or 1)
	END
)

# A second user's server teaches first what is true; it is learned within a few closes.
attack "nothing" $hostile connects 0
said_before=$(said $hostile)

attack "lessons for others" $hostile poison "$policy_id" 8001
at_least 50 "$(jq '.did[0]' <<<"$did")" "lessons for others: by its own connections to that port"
at_least 50 "$(jq '.did[1]' <<<"$did")" "lessons for others: from that port elsewhere"

attack "others' connections" $hostile cookies_around
is true "$(jq .alive <<<"$did")" "others' connections: the session goes on"
at_least 1000 "$(jq .did <<<"$did")" "others' connections: it claimed many"
# What it claimed before its time is its owner's once that speaks of it.
# shellcheck disable=SC2046
begin claim a setpriv --reuid $hostile --regid $hostile --clear-groups -- \
	$(attack_py) "$dir/a.socket" cookies_around
actor_serve web2 8002 line hold || not_ok "another server serves"
start b held "$python" "$ctl_dir/actor.py" connect "$A4" 8002 20 --together text:x hold
booked() {
	[ "$(ctl a conns | jq -c "select(.local == \"$A4:8002\" and .pid == ${pid_of[web2]})" | wc -l)" = 20 ]
}
check "others' connections: they are booked under their own process" wait_for 20 booked
stop held
end claim

attack "scribbling" $hostile scribble
is true "$(jq .alive <<<"$did")" "scribbling: the session goes on"
is '["truncate","grow","seal","fallocate",".policy",".off",".control","rename"]' \
	"$(jq -c .refused <<<"$did")" "scribbling: more than to write into it is not to be had"

bad=$(ctl a status bad_messages)
attack "random numbers" $hostile noise 20000
is 100 "$(jq .alive <<<"$did")" "random numbers: the sessions go on"
is 0 $(($(ctl a status bad_messages) - bad)) "random numbers: none was refused at the door"
# Its 100 tags are not all that there are.
in_ns a "${STEER[@]}" true
steer a "tag=mine"
in_ns a "${STEER[@]}" "$python" -c 'import socket; socket.create_connection(("10.77.0.1", 8001)).close()'
is mine "$(ctl a report tag=mine tag)" "random numbers: another user has a tag"

at_most $((said_before + 8)) "$(said $hostile)" "the user is named once for each cause"
finish
