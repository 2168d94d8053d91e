# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The suite libuv: libuv's own tests, from the source of Debian's package, built once in
# $top_builddir/suites. They want no root. The one unit, all, is all of them.
#
# shutdown_eof gives the peer 100 ms to answer its half-close, and the policy's grace is longer. So
# this suite runs on request only.
. "$(dirname "${BASH_SOURCE[0]}")/source.sh"

libuv_src=$suites_cache/libuv-src
libuv_built=$suites_cache/libuv.built
# shellcheck disable=SC2034 # for run.sh
suite_user=nobody

libuv_build()
{
	cd "$libuv_src" || return
	./autogen.sh && ./configure -q --disable-shared && make -s -j2 check TESTS=
}

suite_prepare()
{
	[ ! -e "$libuv_built" ] || return 0
	source_need dpkg-source:dpkg-dev gcc make autoreconf:autoconf libtoolize:libtool || return
	source_unpack libuv1 "$libuv_src" || return
	source_build libuv "$libuv_built" libuv_build
}

suite_list()
{
	echo all
}

# Its tests write beside themselves, and an ordinary user does not reach the build.
libuv_place()
{
	place=${TMPDIR:-/tmp}/libuv.$$
	mkdir -p "$place/test" && cp "$libuv_src/test/run-tests" "$place" &&
		cp -r "$libuv_src/test/fixtures" "$place/test" || return
}

# suite_run OUT all: TAP, "ok 12 - name # SKIP why"
suite_run()
{
	local out=$1 place

	libuv_place || return
	(cd "$place" && timeout -k 10 "${SUITE_TIMEOUT:-900}" "${STEER[@]}" ./run-tests) </dev/null |
		tee "$place/log"
	awk '/^(not )?ok [0-9]+ - / {
			result = $1 == "not" ? "fail" : /# SKIP/ ? "skip" : "ok"
			sub(/^(not )?ok [0-9]+ - /, "")
			print "all::" $1, result
		}' "$place/log" >>"$out"
	rm -rf "$place"
}

# suite_run_test OUT all TEST: the runner's exit status says how it went
suite_run_test()
{
	local out=$1 place status=0 word=fail

	libuv_place || return
	(cd "$place" && timeout -k 10 "${SUITE_TIMEOUT:-120}" "${STEER[@]}" ./run-tests "$3") </dev/null ||
		status=$?
	case $status in
	0) word=ok ;;
	7) word=skip ;;
	esac
	echo "all::$3 $word" >>"$out"
	rm -rf "$place"
}
