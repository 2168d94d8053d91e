#!/bin/bash
# SPDX-License-Identifier: MIT
# What programs do to descriptor numbers, beside close().
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in closefrom close_range cloexec loop; do
	same "close_all $how" 3 "$cases/close_all" $how
done
# The copies of other threads remain: no close of a connection as far as anyone can tell.
same "close_all unshare" 0 "$cases/close_all" unshare
finish
