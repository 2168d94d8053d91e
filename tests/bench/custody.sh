#!/bin/bash
# SPDX-License-Identifier: MIT
# The daemon: how many sockets it holds, how fast it takes them, what it costs to follow so many. Rows
# for the report; BENCH_SIZE=quick takes half a minute, full four.
set -u
here=$(cd "$(dirname "$0")" && pwd)
status=0
for part in held rate scale; do
	echo "# --- $part ---"
	bash "$here/custody-$part.sh" || status=1
done
exit $status
