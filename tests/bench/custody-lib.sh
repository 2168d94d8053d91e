# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034 # variables are hold-lib.sh's
#
# What the parts of custody.sh share. Each writes its rows to $BENCH_OUT/rows.jsonl.
#
#   by_size QUICK FULL
#   row WHAT VALUE UNIT TARGET MET    MET: an expression of jq, or null
#   scale_row TRACKED US HOW BYTES
# shellcheck source=tests/wire/lib.sh
. "${top_srcdir:-$(dirname "${BASH_SOURCE[0]}")/../..}/tests/wire/lib.sh"
# shellcheck source=tests/wire/hold-lib.sh
. "$wire_dir/hold-lib.sh"
bench_out=${BENCH_OUT:-$top_builddir/bench-out}

by_size() {
	if [ "${BENCH_SIZE:-full}" = quick ]; then echo "$1"; else echo "$2"; fi
}

append() {
	mkdir -p "$bench_out"
	tee -a "$bench_out/rows.jsonl" | sed 's/^/# /'
}

row() {
	jq -cn --arg what "$1" --argjson value "$2" --arg unit "$3" --arg target "$4" \
		"{bench: \"custody\", what: \$what, value: \$value, unit: \$unit, target: \$target, met: ($5)}" | append
}

scale_row() {
	jq -cn --argjson tracked "$1" --argjson us "$2" --arg how "$3" --argjson bytes "$4" \
		'{bench: "scale", tracked: $tracked, us_per_connection: $us, how: $how, bytes_each: $bytes}' | append
}

custody_init() {
	wire_init
	hold_limits
}
