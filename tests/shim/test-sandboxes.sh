#!/bin/bash
# SPDX-License-Identifier: MIT
# What programs do to themselves before they work: other users, roots, namespaces, limits, filters.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in drop to-and-fro no-capabilities chroot pivot mounts no-proc hide-proc landlock network \
	network-and-back user processes memory data lock-memory few-descriptors; do
	same "$how" 4 "$cases/sandbox" $how
done
# stdout may not be a file here
# shellcheck disable=SC2016 # sh expands it
same limits 4 sh -c '"$0" limits | cat' "$cases/sandbox"
same "no descriptors" 1 "$cases/sandbox" no-descriptors

# The same before the first connection.
for how in drop to-and-fro no-capabilities mounts hide-proc network network-and-back user processes \
	memory data lock-memory; do
	same "first $how" 3 "$cases/sandbox" first $how
done
# shellcheck disable=SC2016 # sh expands it
same "first limits" 3 sh -c '"$0" first limits | cat' "$cases/sandbox"
# Where it finds no daemon, no place, or not what it needs to know, it is inert.
for how in chroot pivot no-proc landlock few-descriptors; do
	same "first $how" inert "$cases/sandbox" first $how
done
finish
