#!/bin/bash
# SPDX-License-Identifier: MIT
# Everything at once, for a while: servers of every kind with every policy, clients with policies of
# their own, random payloads, half-closes, aborts, forks, descriptors handed over; while the daemons
# are killed, stopped, started again, reloaded, switched off and on, and flooded. Every byte that was
# not deliberately thrown away arrives, then the end of file; nothing hangs; nobody leaks.
#
#   SOAK_SECONDS=60       how long, from the end of the warm-up
#   SOAK_CONNECTIONS=N    or how many connections
#   SOAK_SEED=N           what a run before has printed: the same plans
#   SOAK_CLIENTS=12       threads of each client
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/../wire/lib.sh"
# shellcheck source=tests/soak/soak.sh
. "$(dirname "$0")/soak.sh"

wire_init
soak_init
note "seed ${seed:?}: SOAK_SEED=$seed draws the same plans again"
daemons_start
servers_start
clients_start

# --- warm-up: every place is touched once, also what a restart of a daemon touches ---
board limit 1500
check "the first connections are done" wait_for 120 rested
for one in a b; do
	disturb_kill $one
done
board limit 3000
check "and some more" wait_for 120 rested
wait_for 20 custody_empty
measure before

# --- the run ---
begin=$(now_ms)
board limit $((connections * 70 / 100))
until over 70; do
	calm
	disturb kill term loop_stopped both_stopped pause loop reload off flood
done
check "all connections that were begun are done" rest
# The last life of the daemons, from its youth on, is to be a longer one.
board limit $(($(board started) + 1500))
check "some more, of a new life" wait_for 120 rested
wait_for 20 custody_empty
measure between
board limit "$connections"
until over 100; do
	calm
	disturb pause reload off flood
done
check "and all the others" rest
took=$(($(now_ms) - begin))
life_ends a
life_ends b
note "$(board ended) connections, $disturbances disturbances in $((took / 1000)) s:" \
	"$((($(board ended) - 3000) * 1000 / took)) connections a second," \
	"$(($(board bytes_up) / 1048576)) MB up, $(($(board bytes_down) / 1048576)) MB down"

# --- nothing lost, nothing hung ---
failures=$(cat "$dir"/serve-*.log "$dir"/client-*.log 2>/dev/null)
is 0 "$(board lost)" "every answer arrived whole"
is 0 "$(board lost_up)" "everything that clients sent arrived whole"
is 0 "$(board not_ended)" "and then the end of file"
is 0 "$(board hung)" "no connection stood still for 30 s"
is 0 "$(board unopened)" "every connect succeeded"
is 0 "$(board stale)" "no event of a closed connection"
is 0 "$(board odd)" "no call failed that should not"
is "$(board forgotten)" "$(board heard)" "what was sent by who did not stay for an answer arrived whole"
at_most "$(board aborted)" "$(board unordered)" "no connection ended before its order was there, but aborted ones"
is "$(board ended)" "$(($(board whole) + $(board cut) + $(board aborted) + $(board forgotten)))" \
	"each connection is accounted for"
[ -z "$failures" ] || note "$failures"
note "$(board whole) answers whole, $(board cut) cut short as ordered, $(board aborted) aborted," \
	"$(board forgotten) forgotten, $(board late) times the server gave up a deferred shutdown"

# --- the shim was active ---
check_steered
check_activity

# --- nobody leaks ---
check "no daemon ended otherwise than it was made to" daemons_sound
check "the daemons hold nothing any more" wait_for 20 custody_empty
check "and know of no connection any more" wait_for 60 forgotten
forgotten || show_remembered
measure after
check_leaks
board stop 1
check "all programs end by themselves" wait_for 60 all_programs_gone
finish
