#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds closeside in every way and runs every test: `./bootstrap check`. Logs stay in build-check/.
#
# A build is one test; a step that runs tests counts each of them. A step that could not run is
# failed. Exit status 0 if something passed and nothing failed.
set -u
cd "$(dirname "$0")/.." || exit
src=$PWD
out=$src/build-check
passed=0 failed=0 skipped=0
jobs=$(nproc)
waiting=$((jobs + 1)) # of scripts that mostly wait
only=()
declare -A behind_of=()

say() # RESULT WHAT SECONDS
{
	printf '%-5s %s (%d s)\n' "$1" "$2" "$3"
}

show_log() # FILE
{
	echo "      the end of ${1#"$src"/}:"
	tail -n 30 "$1" | cut -c 1-300 | sed 's/^/      | /'
}

# build_step NAME COMMAND...: one test
build_step()
{
	local name=$1 start=$SECONDS log="$out/log/${1// /-}.log"

	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		say ok "$name" $((SECONDS - start))
		passed=$((passed + 1))
		return 0
	fi
	say FAIL "$name" $((SECONDS - start))
	show_log "$log"
	failed=$((failed + 1))
	return 1
}

# results FOLDER TEST...: the files with their results, those that there are
results()
{
	local dir=$1 test

	for test in "${@:2}"; do
		[ ! -e "$dir/${test%.sh}.trs" ] || echo "$dir/${test%.sh}.trs"
	done
}

# failed_in FOLDER TEST...: the results with a failure
failed_in()
{
	results "$@" | xargs -r grep -l '^:test-result: FAIL '
}

# again FOLDER LOG TESTS [VARIABLE=VALUE...]: scripts of real programs that failed beside others run once
# more, by themselves, if they are few: a busy machine can starve a peer of half a second. It is said,
# and the first log stays as NAME.log.first.
# shellcheck disable=SC2086 # a list of names without blanks
again()
{
	local dir=$1 log=$2 tests=$3 trs scripts=()

	shift 3
	while read -r trs; do
		trs=${trs#"$dir"/}
		[ -e "$src/${trs%.trs}.sh" ] && scripts+=("${trs%.trs}.sh")
		cp "$dir/${trs%.trs}.log" "$dir/${trs%.trs}.log.first"
	done < <(failed_in "$dir" $tests)
	[ ${#scripts[@]} -gt 0 ] && [ ${#scripts[@]} -le 5 ] || return
	echo "      AGAIN by themselves: ${scripts[*]}"
	env "$@" make -C "$dir" -k check TESTS="${scripts[*]}" TEST_SUITE_LOG="${log##*/}.suite.log" 2>&1 </dev/null | tee -a "$log" |
		grep --line-buffered -E '^(FAIL|SKIP) |^[0-9]+ passed: ' | sed -u 's/^/      /'
	return "${PIPESTATUS[0]}"
}

could_not_run() # NAME WHY
{
	echo "FAIL  $1 (not run: $2)"
	failed=$((failed + 1))
}

# test_step NAME FOLDER LISTS [VARIABLE=VALUE...]: the tests of make's lists, each counted
# shellcheck disable=SC2086 # a list of names without blanks
test_step()
{
	local name=$1 dir=$out/$2 lists=$3 start=$SECONDS log="$out/log/${1// /-}.log"
	local tests list p f s status at_once

	shift 3
	tests=$(for list in $lists; do make -s -C "$dir" "print-$list"; done 2>/dev/null | tr '\n' ' ')
	if [ -z "${tests// /}" ]; then
		could_not_run "$name" "no tests in $lists"
		return 1
	fi
	results "$dir" $tests | xargs -r rm
	case $lists in *WIRE* | *SHIM*) at_once=$waiting ;; *) at_once=$jobs ;; esac
	env "$@" make -C "$dir" -k -j "$at_once" check TESTS="$tests" TEST_SUITE_LOG="${log##*/}.suite.log" 2>&1 </dev/null | tee "$log" |
		grep --line-buffered -E '^(FAIL|SKIP) |^[0-9]+ passed: ' | sed -u 's/^/      /'
	status=${PIPESTATUS[0]}
	if [ "$status" -ne 0 ]; then
		again "$dir" "$log" "$tests" "$@" && status=0
	fi

	count() { results "$dir" $tests | xargs -r cat | grep -c "^:test-result: $1 "; }
	p=$(count PASS) f=$(count FAIL) s=$(count SKIP)
	if [ "$(results "$dir" $tests | wc -l)" -ne "$(wc -w <<<"$tests")" ] ||
		{ [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; } || [ $((p + s)) -eq 0 ]; then
		f=$((f + 1))
		show_log "$log"
	fi
	failed_in "$dir" $tests | while read -r trs; do
		show_log "${trs%.trs}.log"
	done
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	say "$([ "$f" -eq 0 ] && echo ok || echo FAIL)" \
		"$name: $p passed, $f failed, $s skipped" $((SECONDS - start))
	[ "$f" -eq 0 ]
}

# behind NAME COMMAND...: a step like build_step, behind the others: they mostly wait. Its result is for
# joined. They go one after the other, as they were asked for.
# shellcheck disable=SC2030 # the counts are told by a file
behind()
{
	local before=${behind_pid-}

	(
		name=$1 said="$out/log/${1// /-}.said" status=0
		shift
		[ -z "$before" ] || tail --pid="$before" -f /dev/null
		start=$SECONDS passed=0 failed=0 skipped=0
		renice -n 19 "$BASHPID" >/dev/null
		"$@" >"$said" 2>&1 </dev/null || status=$?
		echo "$status $((SECONDS - start)) $passed $failed $skipped" >"$said.ended"
	) &
	behind_pid=$!
	behind_of[$1]=$behind_pid
}

# behind_tests NAME FOLDER LISTS [VARIABLE=VALUE...]: a test_step behind the others
behind_tests()
{
	behind "$1" test_step "$@"
}

# joined NAME: waits for it, and counts its tests; a build is one
# shellcheck disable=SC2031
joined()
{
	local said="$out/log/${1// /-}.said" status=1 seconds=0 p=0 f=0 s=0

	wait "${behind_of[$1]}"
	[ ! -e "$said.ended" ] || read -r status seconds p f s <"$said.ended"
	if [ $((p + f + s)) -gt 0 ]; then
		cat "$said"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	elif [ "$status" -eq 0 ]; then
		say ok "$1, behind the others" "$seconds"
		passed=$((passed + 1))
	else
		say FAIL "$1" "$seconds"
		show_log "$said"
		failed=$((failed + 1))
	fi
	return "$status"
}

# build FOLDER CONFIGURE-ARGUMENTS...
build()
{
	local dir=$out/$1

	shift
	mkdir -p "$dir" && cd "$dir" && "$src/configure" --disable-dependency-tracking "$@" &&
		make -j "$jobs" all && make -j "$jobs" check TESTS= "${only[@]}"
}

# build_units: the same, of the tests' programs only those of the unit tests
build_units()
{
	# shellcheck disable=SC2016 # make expands it
	local only=('check_PROGRAMS=$(UNIT_TESTS)' check_LTLIBRARIES=)

	build "$@"
}

# make distcheck, and nothing that git knows is missing in the tarball.
distcheck()
{
	local tarball

	cd "$out/gcc" || return
	# What optimizing finds, the other builds do.
	make -j "$jobs" distcheck DISTCHECK_CONFIGURE_FLAGS=CFLAGS=-O0 || return
	tarball=$(ls closeside-*.tar.xz) || return
	diff <(git -C "$src" ls-files | grep -vE '^(\.|(.*/)?local\.mk$)' | sort) \
		<(tar -tf "$tarball" | sed 's|^[^/]*/||' | sort) | grep '^<' || return 0
	echo "these files are in git, but not in $tarball"
	return 1
}

if [ -e "$src/config.status" ]; then
	echo "check: this folder holds a build of its own, and others cannot be made beside it;" \
		"type make distclean first" >&2
	exit 1
fi
if [ -e "$out" ]; then
	chmod -R u+w "$out" && rm -rf "$out"
fi
mkdir -p "$out/log"

export TEST_TIMEOUT=${TEST_TIMEOUT:-300}
# In a preloaded library the sanitizer is not the first to be loaded, and programs of others leak.
export ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1

without() # BUILD STEP...: these cannot run then
{
	local step

	for step in "${@:2}"; do
		could_not_run "$step" "no build with $1"
	done
}

# The quick ones first; then what takes a processor goes on behind what mostly waits.
if build_step "build with gcc" build gcc --enable-werror CC=gcc; then
	test_step "unit tests" gcc UNIT_TESTS
	behind "build with address and undefined sanitizers" build asan --enable-sanitizers "CFLAGS=-g -O1"
	behind "build with thread sanitizer" build_units tsan --enable-sanitizers=thread "CFLAGS=-g -O1"
	behind "build with clang" build clang --enable-werror CC=clang "CFLAGS=-g -O1"
	behind_tests "lint" gcc LINT_TESTS
	behind "make distcheck" distcheck
	behind_tests "unit tests under thread sanitizer" tsan UNIT_TESTS RACE_ROUNDS=100000 \
		TEST_TIMEOUT=900
	behind_tests "unit, config, command and fuzz seed tests under sanitizers" asan \
		"UNIT_TESTS CONF_TESTS CLI_TESTS FUZZ_TESTS" \
		ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 TEST_TIMEOUT=900
	test_step "config tests" gcc CONF_TESTS
	test_step "tests of the command" gcc CLI_TESTS
	test_step "wire tests" gcc WIRE_TESTS
	test_step "programs with and without the shim, and a sample of their own test suites" gcc \
		"SHIM_TESTS SUITE_TESTS"
	for step in "build with clang" "build with thread sanitizer"; do
		joined "$step"
	done
	if joined "build with address and undefined sanitizers"; then
		test_step "floods, the daemon under sanitizers" gcc WIRE_SAMPLE \
			CLOSESIDED="$out/asan/closesided"
		test_step "most wire tests, daemon, shim and command under sanitizers" asan WIRE_SANITIZED
	else
		without sanitizers "floods, the daemon under sanitizers" \
			"most wire tests, daemon, shim and command under sanitizers"
	fi
	for step in "lint" "make distcheck" "unit tests under thread sanitizer" \
		"unit, config, command and fuzz seed tests under sanitizers"; do
		joined "$step"
	done
else
	without gcc "all tests" "all other builds"
fi

echo "logs are in ${out#"$src"/}/log, results in ${out#"$src"/}/*/tests; it took $SECONDS s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
