#!/bin/bash
# SPDX-License-Identifier: MIT
# A hostile user and the session socket: floods of connects, crowds of sessions, of one user and of
# two; the server of another user does not notice.
# shellcheck disable=SC2154 # of the libraries
# shellcheck source=tests/wire/hostile-lib.sh
. "$(dirname "$0")/hostile-lib.sh"

hostile_init 'limits { sessions = 200 }
policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }'

attack "a flood of connects" $hostile connects 4
at_least 100 "$(jq .did <<<"$did")" "a flood of connects: it was one"
at_most 100 "$(fds_of_loop)" "a flood of connects: nothing stays"

attack "1,000 that say nothing" $hostile crowd 1000 0
at_most 500 "$files" "1,000 that say nothing: half of the sessions are the most that one user has"
is 1 "$(grep -c "uid $hostile.*limit reached: 100 of 200 sessions" "$dir/closesided-a.log")" \
	"1,000 that say nothing: the user is named, once"

attack "1,000 that do not read their welcome" $hostile crowd 1000 1
at_most 500 "$files" "1,000 that do not read their welcome: no more of them are served"

# Two take all; a third user's process comes after them.
# shellcheck disable=SC2046
as_user_crowd() {
	begin "$1" a setpriv --reuid "$2" --regid "$2" --clear-groups -- \
		$(attack_py) "$dir/a.socket" crowd 400 1
}
as_user_crowd first $hostile
as_user_crowd second $hostile2
at_least 150 "$(ctl a status sessions)" "two users at their limit"
actor_serve web2 8002 line send:1000 close || not_ok "another server serves"
opened() {
	[ "$(ctl a conns | jq -c 'select(.local == "'"$A4:8002"'" and .program != null)' | wc -l)" -ge 1 ]
}
start b held "$python" "$ctl_dir/actor.py" connect "$A4" 8002 1 hold
check "two users have all sessions: a third is served all the same" wait_for 20 opened
stop held
end first
end second

# Who says nothing is ended after a while.
# shellcheck disable=SC2046
begin silent a setpriv --reuid $hostile --regid $hostile --clear-groups -- \
	$(attack_py) "$dir/a.socket" crowd 80 0
check "no hello: the session is ended" \
	wait_for 30 grep -q "uid $hostile.*a session without a hello" "$dir/closesided-a.log"
end silent

# Its credentials are those of its connect; what one session may have is bounded all the same.
victim_begin
# shellcheck disable=SC2046
begin fallen a $(attack_py) "$dir/a.socket" dropped_rights $hostile
end fallen
is true "$(jq .alive <<<"$told")" "a process that gave up its rights keeps its session"
victim_end "a process that gave up its rights"

# A name in the log is a name, and each of them was there a few times at most.
at_most 6 "$(said $hostile)" "the log names the user a few times, not for each of its deeds"
at_most 6 "$(said $hostile2)" "and so the other one"
finish
