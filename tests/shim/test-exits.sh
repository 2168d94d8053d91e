#!/bin/bash
# SPDX-License-Identifier: MIT
# How a process begins and ends with connections: what it had to say arrives.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in return exit _exit _Exit quick_exit exit-in-a-thread pthread_exit atexit-use atexit-close \
	at_quick_exit destructor stdio-exit stdio-fclose stdio-fclose-of-copy stdio-freopen \
	stdio-freopen-fails stdio-fcloseall stdio-closed-below; do
	same "exits $how" 2 "$cases/exits" $how
done
# Nobody is asked, or a program that was started has it too.
for how in exit-by-number raw-exit kill abort stdio-popen; do
	same "exits $how" 0 "$cases/exits" $how
done

# Before main(), and after the handlers of exit(); in the program and in a library, which is
# preloaded before ours or after.
library=$top_builddir/tests/shim/.libs/early_late.so
# shellcheck disable=SC2016 # sh expands them
{
	same "early_late, library first" 7 sh -c 'LD_PRELOAD="$1 $LD_PRELOAD" exec "$2"' sh \
		"$library" "$cases/early_late"
	same "early_late, library last" 7 sh -c 'LD_PRELOAD="$LD_PRELOAD $1" exec "$2"' sh \
		"$library" "$cases/early_late"
}
finish
