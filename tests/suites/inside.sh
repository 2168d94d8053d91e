#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The inner half of one.sh, in its namespace and with its user's rights: inside.sh FOLDER SUITE UNIT[::TEST]...
suites_dir=$1 suite=$2
shift 2
STEER=()
mapfile -d '' -t STEER <"$suites_dir/steer"
# shellcheck disable=SC2034 # for the suite
[ -n "${STEER[0]:-}" ] || STEER=()
cd "$TMPDIR" || exit
# shellcheck disable=SC1090
. "$suites_dir/$suite.sh"
units=()
for unit; do
	if [[ $unit != *::* ]]; then
		units+=("$unit")
	elif declare -F suite_run_test >/dev/null; then
		suite_run_test "$suites_dir/res" "${unit%%::*}" "${unit#*::}"
	else
		suite_run "$suites_dir/res" "${unit%%::*}"
	fi
done
[ ${#units[@]} -eq 0 ] || suite_run "$suites_dir/res" "${units[@]}"
