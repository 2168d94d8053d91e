#!/bin/bash
# SPDX-License-Identifier: MIT
# How a process ends with connections: what it had to say arrives.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in return exit _exit _Exit quick_exit exit-in-a-thread pthread_exit atexit-use atexit-close \
	at_quick_exit destructor; do
	same "exits $how" 2 "$cases/exits" $how
done
# Nobody is asked.
for how in exit-by-number raw-exit kill abort; do
	same "exits $how" 0 "$cases/exits" $how
done
finish
