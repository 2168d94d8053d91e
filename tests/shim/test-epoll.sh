#!/bin/bash
# SPDX-License-Identifier: MIT
# Connections that are closed while they are in epoll sets, or are being polled.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in level edge one-shot exclusive by-number changed refused two nested replaced; do
	same "epoll $how" 3 "$cases/epoll_sets" $how
done
same "epoll many" 50 "$cases/epoll_sets" many
# Where it is not certain that the connection can be taken out of all sets.
for how in four set-closed set-moved copy-outlives fork-both child-inherits; do
	same "epoll $how" 0 "$cases/epoll_sets" $how
done
for how in copy-closed bystander child-accepts child-accepts-_exit; do
	same "epoll $how" 1 "$cases/epoll_sets" $how
done
for how in epoll poll select read; do
	same "epoll_threads $how" 5 "$cases/epoll_threads" $how
done
same "epoll_threads race" 500 "$cases/epoll_threads" race
finish
