#!/bin/bash
# SPDX-License-Identifier: MIT
# A hostile user hands over descriptors of every kind, and hundreds at once, to a daemon that has
# few files; the server of another user does not notice, and nothing stays with the daemon.
# shellcheck disable=SC2154 # of the libraries
# shellcheck source=tests/wire/hostile-lib.sh
. "$(dirname "$0")/hostile-lib.sh"

# 4096 files at most
hostile_daemon() {
	printf '#!/bin/sh\nexec prlimit --nofile=4096:4096 "%s" "$@"\n' "$closesided" >"$dir/few-files"
	chmod 755 "$dir/few-files"
	closesided=$dir/few-files
	daemon_start a
}
hostile_init 'policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }'
usual=$(fds_of_loop)

refused=$(ctl a status custody.refused)
attack "every kind" $hostile kinds 5
is true "$(jq .alive <<<"$did")" "every kind: the session goes on"
at_least 20 "$(jq .kinds <<<"$did")" "every kind: they are many"
is true "$(jq .away <<<"$did")" "every kind: also a connection of another network namespace"
at_least 300 $(($(ctl a status custody.refused) - refused)) "every kind: they are refused"
check "every kind: none stays" wait_for 20 fds_at_most $((usual + 4))
at_most 3 "$(said $hostile)" "every kind: the user is named once for each cause"

attack "253 in a message" $hostile2 stuffed 253
at_least 50 "$(jq .did <<<"$did")" "253 in a message: again and again"
check "253 in a message: none stays" wait_for 20 fds_at_most $((usual + 4))
is 0 "$(ctl a status lost)" "253 in a message: nobody's descriptor is lost"
is 1 "$(said $hostile2)" "253 in a message: the user is named once"

attack "2 in a message" $hostile2 stuffed 2
check "2 in a message: none stays" wait_for 20 fds_at_most $((usual + 4))

attack "lingering descriptors where none belongs" $hostile in_queue 4
check "lingering descriptors: none stays" wait_for 20 fds_at_most $((usual + 4))
at_most 5 "$(said $hostile)" "lingering descriptors: the user is named once for each cause"
finish
