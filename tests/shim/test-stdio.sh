#!/bin/bash
# SPDX-License-Identifier: MIT
# Connections in stdio's hands at the end of a process, and before main() and after exit()'s handlers.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in stdio-exit stdio-quick_exit stdio-_exit stdio-fclose stdio-fclose-of-copy stdio-freopen \
	stdio-freopen-fails stdio-fcloseall stdio-closed-below; do
	same "exits $how" 2 "$cases/exits" $how
done
# A program that was started has it too.
same "exits stdio-popen" 0 "$cases/exits" stdio-popen

# In the program and in a library, which is preloaded before ours or after.
library=$top_builddir/tests/shim/.libs/early_late.so
# shellcheck disable=SC2016 # sh expands them
{
	same "early_late, library first" 7 sh -c 'LD_PRELOAD="$1 $LD_PRELOAD" exec "$2"' sh \
		"$library" "$cases/early_late"
	same "early_late, library last" 7 sh -c 'LD_PRELOAD="$LD_PRELOAD $1" exec "$2"' sh \
		"$library" "$cases/early_late"
}
finish
