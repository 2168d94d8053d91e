#!/bin/bash
# SPDX-License-Identifier: MIT
# Signal handlers and threads that open, close and shut down connections, and are cancelled in it.
# Where thousands are opened at once, a busy machine's daemon cannot take them all (they are counted
# as lost): the least numbers here are far below those of a quiet one.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
same "signals: serve" 1000 "$cases/signals" serve
same "signals: first" 100 "$cases/signals" first
same "signals: close-twice" 500 "$cases/signals" close-twice
same "signals: jump-accept" 2 "$cases/signals" jump-accept
for how in jump-recvmsg jump-connect; do
	same "signals: $how" 1 "$cases/signals" $how
done
same "threads: accept-and-close" 2000 "$cases/threads" accept-and-close
same "threads: fork" 30 "$cases/threads" fork
# The connection that a closed listener still brings is not seen.
same "threads: listener-closed" 0 "$cases/threads" listener-closed
for how in listener-shut reader-shut; do
	same "threads: $how" 5 "$cases/threads" $how
done
same "threads: double-close" 500 "$cases/threads" double-close
for how in reader-half-shut at-thread-end; do
	same "threads: $how" 3 "$cases/threads" $how
done
same "threads: loaded" 4 "$cases/threads" loaded
for how in unshared unshared-range unshared-first; do
	same "threads: $how" 50 "$cases/threads" $how
done
same "threads: unshared-alone" 2 "$cases/threads" unshared-alone
for how in deferred asynchronous; do
	same "cancel: $how" 6 "$cases/cancel" $how
done
same "cancel: before-close" 6 "$cases/cancel" before-close
finish
