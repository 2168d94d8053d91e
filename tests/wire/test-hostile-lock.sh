#!/bin/bash
# SPDX-License-Identifier: MIT
# A socket whose lock a user keeps for as long as it likes stops the loop, and not even SIGKILL ends
# it. Another one takes its place; the server of another user is served again.
# shellcheck disable=SC2154 # of the libraries
# shellcheck source=tests/wire/hostile-lib.sh
. "$(dirname "$0")/hostile-lib.sh"

hostile_init 'policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }'

another_loop() {
	local now
	now=$(ctl a status pid) && [ -n "$now" ] && [ "$now" != "$loop" ]
}

# shellcheck disable=SC2046 # words
begin lock a $(attack_py) "$dir/a.socket" locked
if ! wait_for 20 grep -q 'has not moved' "$dir/closesided-a.log"; then
	end lock
	[ "$(jq .locked <<<"$told")" = false ] && skip_all "no userfaultfd here"
	not_ok "the loop stands still"
	finish
fi
check "another loop serves" wait_for 30 another_loop
old=$loop
loop=$(ctl a status pid)
victim_begin
sleep 2 # this long it is asked; nothing hangs on it
victim_end "while the lock is kept"
is 1 "$(grep -c 'cannot be killed' "$dir/closesided-a.log")" "it is said, once"
end lock
is true "$(jq .locked <<<"$told")" "the lock was kept all the while"
check "the old loop ends with the lock" wait_for 20 pid_gone "$old"
finish
