#!/bin/bash
# SPDX-License-Identifier: MIT
# A hostile user goes on with what it has handed over: SO_LINGER again and again, so that close()
# lasts for hours, and everything else that a duplicate can do. The loop never waits.
# shellcheck disable=SC2154 # of the libraries
# shellcheck source=tests/wire/hostile-lib.sh
. "$(dirname "$0")/hostile-lib.sh"

hostile_init 'policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }'
usual=$(fds_of_loop)

attack_s=4
attack "SO_LINGER" $hostile linger 8
is true "$(jq .alive <<<"$did")" "SO_LINGER: the session goes on"
at_least 100 "$(jq .did <<<"$did")" "SO_LINGER: it was tried often"
check "SO_LINGER: what blocked was interrupted" wait_for 20 fds_at_most $((usual + 4))
at_most 2 "$(said $hostile)" "SO_LINGER: the user is named once"

attack "meddling" $hostile2 meddle
is true "$(jq .alive <<<"$did")" "meddling: the session goes on"
at_least 100 "$(jq .did <<<"$did")" "meddling: it was tried often"
check "meddling: none stays" wait_for 40 fds_at_most $((usual + 4))
at_most 3 "$(said $hostile2)" "meddling: the user is named once for each cause"
finish
