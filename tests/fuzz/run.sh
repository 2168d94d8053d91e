#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the fuzz targets with libFuzzer in fuzz-build/ of the build folder, and runs each for
# FUZZ_SECONDS (300): `make fuzz`. What it grows stays there in corpus/NAME; an input that crashes a
# target is in crashes/, and is to become a seed with the fix.
#
# FUZZ_TARGETS="config filter": these only. FUZZ_MERGE=1: adds to the seeds, in the source, the few
# inputs that reach what no seed reaches, instead of fuzzing.
set -u
seconds=${FUZZ_SECONDS:-300}
source=${top_srcdir:?}/tests/fuzz
build=${top_builddir:?}/fuzz-build
failed=0

if [ -z "${FUZZ_CC:-}" ]; then
	echo "fuzz: clang with libFuzzer is needed (Debian: clang and libclang-rt-dev)" >&2
	exit 1
fi

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:symbolize=1
export UBSAN_OPTIONS=print_stacktrace=1

make_targets() # TARGET...
{
	mkdir -p "$build/crashes" && cd "$build" || return
	[ -e Makefile ] || "$top_srcdir/configure" -q \
		--enable-fuzzing CC="$FUZZ_CC" || return
	make -s -j "$(nproc)" "$@"
}

# figure NAME LOG: a number of libFuzzer's last words
figure()
{
	awk -v name="stat::$1:" '$1 == name { print $2 }' "$2"
}

fuzz() # NAME
{
	local name=$1 log=$build/$1.log dictionary=$source/$1.dict options=()

	mkdir -p "$build/corpus/$name"
	[ ! -e "$dictionary" ] || options+=(-dict="$dictionary")
	"$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -print_final_stats=1 -timeout=20 \
		-rss_limit_mb=1024 -use_value_profile=1 \
		-artifact_prefix="$build/crashes/$name-" "${options[@]}" \
		"$build/corpus/$name" "$source/seeds/$name" >"$log" 2>&1 </dev/null || {
		failed=1
		echo "fuzz: $name: found something; the end of $log:"
		tail -n 40 "$log"
		return
	}
	echo "fuzz: $name: $(figure number_of_executed_units "$log") executions, $(
		grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [^ ]+' "$log" | tail -n 1
	), peak $(figure peak_rss_mb "$log") MB"
}

merge() # NAME
{
	"$build/tests/fuzz/fuzz_$1" -merge=1 -use_counters=0 "$source/seeds/$1" "$build/corpus/$1" \
		>"$build/$1-merge.log" 2>&1 || failed=1
	tail -n 1 "$build/$1-merge.log"
}

make_targets "$@" || exit
for program; do
	name=${program##*/fuzz_}
	if [ -n "${FUZZ_TARGETS:-}" ] && [[ " $FUZZ_TARGETS " != *" $name "* ]]; then
		continue
	fi
	if [ "${FUZZ_MERGE:-}" = 1 ]; then merge "$name"; else fuzz "$name"; fi
done
exit $failed
