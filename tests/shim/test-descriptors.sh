#!/bin/bash
# SPDX-License-Identifier: MIT
# What programs do to descriptor numbers, beside close().
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in closefrom close_range unshare cloexec loop walk holes beyond daemon double-fork-daemon; do
	same "close_all $how" 3 "$cases/close_all" $how
done

# They want the number that our channel has, and have it; the channel goes on elsewhere, or anew.
for how in dup2 dup3 dupfd dupfd-cloexec dup3-by-number open close close-by-number use; do
	same "channel_number $how" 6 "$cases/channel_number" $how
done
# What no wrapper sees costs the channel; a second later there is another.
for how in raw-close raw-dup3; do
	same "channel_number $how" 2 "$cases/channel_number" $how
done

for how in dup dup2 dup3 dupfd dupfd-cloexec dup-by-number dup3-by-number dupfd-by-number over many; do
	same "duplicates $how" 2 "$cases/duplicates" $how
done
same "duplicates not-at-all" 1 "$cases/duplicates" not-at-all
same "duplicates commands" 1 "$cases/duplicates" commands

same "bad_pointers" 3 "$cases/bad_pointers"

# RLIMIT_NOFILE lowered, to nothing, and raised far; a program that is started with few descriptors
# is left alone.
for number in 0 16 40 1000000; do
	same "limits $number" 3 "$cases/limits" $number
done
for number in 64 100 1000000; do
	same "limits $number, exec" 3 "$cases/limits" $number exec
done
same "limits 30, exec" inert "$cases/limits" 30 exec
finish
