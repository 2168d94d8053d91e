#!/bin/bash
# SPDX-License-Identifier: MIT
# The whole bench: every part, one after the other, and the report: `make bench`, `make bench-quick`. What
# it writes goes to $BENCH_OUT, bench-out/ in the build folder. It fails if a part does, or the report.
set -u
here=$(cd "$(dirname "$0")" && pwd)
export BENCH_SIZE=${BENCH_SIZE:-full}
[ "$(id -u)" = 0 ] || {
	echo "bench: needs root, for network namespaces" >&2
	exit 1
}
mkdir -p "${BENCH_OUT:=bench-out}" || exit
BENCH_OUT=$(cd "$BENCH_OUT" && pwd)
export BENCH_OUT
rm -f "$BENCH_OUT"/{rows.jsonl,bench.json,bench.md,*.svg,*.png}
cut -d' ' -f1 /proc/loadavg >"$BENCH_OUT/load-before"
began=$SECONDS
status=0
case $BENCH_SIZE in
quick) echo "bench: about three minutes; what else this machine does shows in the figures" ;;
*) echo "bench: about half an hour; what else this machine does shows in the figures" ;;
esac
for part in compare pairs custody; do
	echo "bench: $part"
	bash "$here/$part.sh" >"$BENCH_OUT/$part.log" 2>&1 || {
		echo "bench: $part failed; see $BENCH_OUT/$part.log" >&2
		status=1
	}
	grep '# SKIP' "$BENCH_OUT/$part.log" >&2 && status=1
done
bash "$here/report.sh" || status=1
echo "bench: $((SECONDS - began)) s; the table is $BENCH_OUT/bench.md, for programs bench.json, the pictures are beside it"
sed -n '/^## What is wanted/,/^Ratios/p' "$BENCH_OUT/bench.md" | grep '^|'
exit $status
