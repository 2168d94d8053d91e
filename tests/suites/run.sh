#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Whole test suites that were not written for us, with and without the shim, result by result:
#
#   run.sh [-m MODES] [-o FOLDER] [-j JOBS] [-w] [-u USER] [SUITE[:UNIT,UNIT...]...]
#
# without a SUITE all that there are; -w adds the units of a suite's wider list. Each unit runs once
# without closeside and once in each mode (`watch peer`; see one.sh). What differs is run again,
# alone, three times without and three times in that mode. A difference passes each of the three
# without, and fails two of the three with. An inert shim would pass all of this: so the daemon's
# counters are held against the kernel's. Prints TAP, then a table; FOLDER keeps everything.
#
# SUITE.sh is sourced and defines
#   suite_prepare        says on stdout what is missing, and returns 77; or makes ready
#   suite_list           the names of the units that run by default, on stdout
#   suite_run OUT UNIT.. runs them under "${STEER[@]}"; one line for each test goes to OUT:
#                        UNIT::TEST ok|fail|skip|error
# and may define
#   suite_list_wider     more units
#   suite_run_test OUT UNIT TEST   one test alone; without it the unit is run
#   suite_user=NAME      whom to run as, if not as root
#   suite_together=yes   all units in one run, not one for each
set -u
suites_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modes="watch peer" folder='' jobs=2 wider='' as=''
python=${PYTHON:-/usr/bin/python3}
export python suites_dir

while getopts m:o:j:u:w option; do
	case $option in
	m) modes=$OPTARG ;;
	o) folder=$OPTARG ;;
	j) jobs=$OPTARG ;;
	u) as=$OPTARG ;;
	w) wider=yes ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
if [ -z "$folder" ]; then
	folder=$(mktemp -d "${TMPDIR:-/tmp}/closeside-suites.XXXXXX")
	trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder" || exit
if [ $# -eq 0 ]; then
	for suite in cpython curl; do
		[ ! -e "$suites_dir/$suite.sh" ] || set -- "$@" "$suite"
	done
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP needs root, for network namespaces"
	exit 0
fi

AGAIN_MAX=12 # tests of a unit that are run again one by one
count=0 failed=0
tap() # ok|not_ok NAME [REASONS on stdin]
{
	count=$((count + 1))
	if [ "$1" = ok ]; then
		echo "ok $count - $2"
	else
		failed=$((failed + 1))
		echo "not ok $count - $2"
	fi
	sed 's/^/# /'
}

compare()
{
	"$python" "$suites_dir/compare.py" "$@"
}

# The process groups of what runs; ended with us.
running=()
trap 'for group in "${running[@]}"; do kill -TERM -- "-$group" 2>/dev/null; done; wait; exit 130' \
	INT TERM HUP

# spawn COMMAND...: in the background, when one of `jobs` places is free
spawn()
{
	local still=() pid

	while :; do
		still=()
		for pid in "${running[@]}"; do
			! kill -0 "$pid" 2>/dev/null || still+=("$pid")
		done
		running=("${still[@]}")
		[ ${#running[@]} -ge "$jobs" ] || break
		wait -n
	done
	set -m
	"$@" </dev/null &
	running+=($!)
	set +m
}

one() # MODE OUT UNIT...
{
	local mode=$1 out=$2

	shift 2
	bash "$suites_dir/one.sh" "$mode" "$suite" "$out" "$@" >"$out.one" 2>&1
}

file_name() # UNIT::TEST
{
	tr -c 'A-Za-z0-9_.\n-' _ <<<"$1" | cut -c 1-150
}

# again MODE LABEL UNIT[::TEST]...: alone, three times without and three times with
again()
{
	local mode=$1 out i

	out=$folder/$suite/again/$(file_name "$2").$mode
	shift 2
	for i in 1 2 3; do
		one plain "$out.plain$i" "$@"
		one "$mode" "$out.shim$i" "$@"
	done
}

# judge MODE NAME [LABEL]: the test, of what again() ran
judge()
{
	local out

	out=$folder/$suite/again/$(file_name "${3:-$2}").$1
	compare judge "$2" "$1" "$suites_dir/allowed" "$out".plain{1,2,3}.res -- "$out".shim{1,2,3}.res
}

# captured MODE NAME: an allowed difference is shown by what passed on the wire
captured()
{
	local out

	out=$folder/$suite/again/$(file_name "$2").$1.captured
	SUITE_CAPTURE=1 one "$1" "$out" "$2"
	"$python" "$suites_dir/capture.py" "$out.cap" >"$out.shown" 2>&1
}

# What a group runs: itself, or if the suite's units run together, all.
units_of()
{
	if [ "${suite_together:-}" = yes ]; then
		echo "${units[@]}"
	else
		echo "$1"
	fi
}

# judge_mode MODE: its differences, and what the counters say
judge_mode()
{
	local mode=$1 group out name names verdict bad facts whole claim active

	for group in "${groups[@]}"; do
		out=$folder/$suite/$group
		names=$(compare differ "$out.plain.res" "$out.$mode.res" | cut -d' ' -f1)
		: >"$out.$mode.verdicts"
		# If the unit broke off in one of them, it is the unit that is run again.
		whole=''
		[ "$(wc -w <<<"$names")" -le $AGAIN_MAX ] || whole=$group
		# shellcheck disable=SC2046 # words
		[ -z "$whole" ] || again "$mode" "$whole" $(units_of "$whole")
		for name in $names; do
			[ -n "$whole" ] || again "$mode" "$name" "$name"
			verdict=$(judge "$mode" "$name" "$whole")
			if [[ $verdict = allowed* ]] && ! captured "$mode" "$name"; then
				verdict="DIFFERENCE, and no capture shows it: $verdict"
			fi
			echo "$name: $verdict" >>"$out.$mode.verdicts"
		done
		bad=$(grep -c DIFFERENCE "$out.$mode.verdicts")
		read -r tests passed skipped failures < <(compare count "$out.plain.res")
		if [ "$bad" -eq 0 ] && [ "${passed:-0}" -gt 0 ]; then
			tap ok "$suite $group, $mode: $tests tests end as without the shim" \
				<"$out.$mode.verdicts"
		else
			tap not_ok "$suite $group, $mode: tests end as without the shim ($bad do not)" \
				<"$out.$mode.verdicts"
		fi
		claim="the shim was active"
		active=not_ok
		! compare proof "$mode" "$out.$mode" >"$out.$mode.proof" 2>&1 || active=ok
		! grep -q ' ends=0 ' "$out.$mode.proof" ||
			claim="no connection was made, nor seen"
		tap $active "$suite $group, $mode: $claim" <"$out.$mode.proof"
		facts=$(head -n 1 "$out.$mode.proof")
		echo "$suite $group $mode $tests $passed $skipped $failures" \
			"$(compare count "$out.$mode.res" | cut -d' ' -f1) $bad" \
			"$(grep -c : "$out.$mode.verdicts") $facts" >>"$folder/table"
	done
}

run_suite() # SUITE[:UNIT,UNIT...]
{
	local suite=${1%%:*} mode unit reason
	local units=() groups=()

	unset -f suite_list_wider suite_run_test
	unset suite_user suite_together
	# shellcheck disable=SC1090
	. "$suites_dir/$suite.sh"
	if ! reason=$(suite_prepare); then
		count=$((count + 1))
		echo "ok $count - suite $suite # SKIP $reason"
		return
	fi
	if [ "$1" != "$suite" ]; then
		IFS=, read -r -a units <<<"${1#*:}"
	else
		mapfile -t units < <(suite_list && [ -n "$wider" ] && declare -F suite_list_wider >/dev/null &&
			suite_list_wider)
	fi
	export SUITE_USER=${as:-${suite_user:-root}}
	mkdir -p "$folder/$suite/again"
	if [ "${suite_together:-}" = yes ]; then
		groups=(all)
	else
		groups=("${units[@]}")
	fi
	for unit in "${groups[@]}"; do
		for mode in plain $modes; do
			# shellcheck disable=SC2046 # words
			spawn one "$mode" "$folder/$suite/$unit.$mode" $(units_of "$unit")
		done
	done
	wait
	reason=$(cat "$folder/$suite"/*.one | sed -n 's/^1\.\.0 # SKIP //p' | head -n 1)
	if [ -n "$reason" ]; then
		count=$((count + 1))
		echo "ok $count - suite $suite # SKIP $reason"
		return
	fi
	for mode in $modes; do
		judge_mode "$mode"
	done
}

: >"$folder/table"
for suite in "$@"; do
	run_suite "$suite"
done
echo "1..$count"
awk '
	BEGIN { format = "# %-10s %-34s %-6s %6s %5s %5s %6s %5s %5s %5s\n"
		printf format, "suite", "unit", "mode", "tests", "skip", "fail", "ran", "again", "differ", "counters" }
	{ facts = ""; for (i = 11; i <= NF; i++) facts = facts " " $i
	  printf format, $1, $2, $3, $4, $6, $7, $8, $10, $9, facts }' "$folder/table"
[ "$failed" -eq 0 ]
