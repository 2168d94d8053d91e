#!/bin/bash
# SPDX-License-Identifier: MIT
# Connections that a child has as well: the ways to fork, to clone and to start a program.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in fork _Fork forkpty fork-by-number clone clone-by-number clone3-by-number; do
	same "forks $how" 7 "$cases/forks" $how
done
# Nobody can count the first, and a process in our memory is never told apart from its parent.
for how in raw-clone clone-vm; do
	same "forks $how" 1 "$cases/forks" $how
done
same "forks one-table" 1 "$cases/forks" one-table

# What a started program keeps is shared for good; what is close-on-exec is steered as before.
for how in posix-spawn shells vfork-exec vfork-exit vfork-close vfork-close-exec vfork-dup-exec \
	vfork-nested vfork-filter vfork-by-number vfork-first-tcp vfork-first-filter; do
	same "spawns $how" 2 "$cases/spawns" $how
done

# Descriptors that travel. What was cut off or never received counts as held for good.
for how in self several mmsg peek refused child; do
	same "rights $how" 4 "$cases/rights" $how
done
for how in cut never stranger; do
	same "rights $how" 2 "$cases/rights" $how
done
finish
