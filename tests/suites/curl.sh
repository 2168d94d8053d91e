# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The suite curl: curl's own tests of HTTP and FTP, from the source of Debian's package: curl and
# its test servers are built once in $top_builddir/suites. A unit is the number of a test; all that
# are asked for run in goes of runtests.pl of a hundred, servers and curl both under "${STEER[@]}".
. "$(dirname "${BASH_SOURCE[0]}")/source.sh"

curl_src=$suites_cache/curl-src
curl_built=$suites_cache/curl.built
# shellcheck disable=SC2034 # for run.sh
suite_together=yes

# A debug build, for some tests need one. Left out is what curl can do besides (HTTP/2, LDAP, SSH).
# Static, so that a copy of the tree made of links will do.
curl_configure=(--enable-debug --disable-curldebug --with-openssl --disable-shared --disable-ldap --without-libssh2 --without-libpsl
	--without-nghttp2 --without-brotli --without-zstd --without-librtmp --without-ca-bundle
	--without-ca-path)

curl_build()
{
	cd "$curl_src" || return
	./configure -q "${curl_configure[@]}" && make -s -j2 && make -s -j2 -C tests
}

suite_prepare()
{
	[ ! -e "$curl_built" ] || return 0
	source_need dpkg-source:dpkg-dev gcc make perl stunnel4 || return
	source_unpack curl "$curl_src" || return
	source_build curl "$curl_built" curl_build
}

# Those with the keyword HTTP or FTP, without the ones that curl's authors have disabled.
suite_list()
{
	(cd "$curl_src/tests/data" && grep -lE '^(HTTP|FTP)[[:space:]]*$' test[0-9]*) | sed 's/^test//' |
		grep -vxFf <(awk '/^%if/ { other = 1 } !other && /^[0-9]+/ { print $1 } /^%endif/ { other = 0 }' \
			"$curl_src/tests/data/DISABLED") | sort -n
}

# What runtests.pl said of each: "test 0042...[name]" and then a line with " OK (", or nothing more
# for one that was skipped, and at the end which failed.
curl_results()
{
	awk -v wanted="$*" '
		/^test [0-9]+\.\.\./ { test = $2 + 0 }
		/^[-a-zA-Z]+ OK \([0-9]/ { result[test] = "ok" }
		/^TESTDONE:/ { done = 1 }
		/^TESTFAIL: These test cases failed:/ {
			for (i = 6; i <= NF; i++)
				result[$i + 0] = "fail"
		}
		END {
			n = split(wanted, tests, " ")
			for (i = 1; i <= n; i++) {
				test = tests[i]
				print test "::test" test, test in result ? result[test] : done ? "skip" : "error"
			}
		}'
}

# runtests.pl knows no time limit: once nothing was said for a minute, the test that runs is ended,
# and fails. It is the child whose output goes to log/stdoutNUMBER.
curl_watch() # PID-OF-TIMEOUT LOG
{
	local perl sh seen='' now quiet=0

	while kill -0 "$1" 2>/dev/null; do
		sleep 1
		now=$(stat -c %s "$2")
		quiet=$((quiet + 1))
		[ "$now" = "$seen" ] || quiet=0
		seen=$now
		[ $quiet -ge 60 ] || continue
		quiet=0
		for perl in $(pgrep -P "$1"); do
			for sh in $(pgrep -P "$perl" -f '>log/stdout'); do
				echo "ended: $(pgrep -a -P "$sh" | cut -c 1-100)"
				pgrep -P "$sh" | xargs -r kill -KILL
			done
		done
	done
}

# One go of runtests.pl
curl_go()
{
	local out=$1 place=$2 log=$2/runtests.out

	shift 2
	rm -rf "$place/tests/log"
	cd "$place/tests" || return
	timeout -k 10 "${SUITE_TIMEOUT:-$((240 + 12 * $#))}" "${STEER[@]}" \
		perl -I. ./runtests.pl -n -a "$@" >"$log" 2>&1 </dev/null &
	curl_watch $! "$log"
	wait $!
	cat "$log"
	curl_results "$@" <"$log" >>"$out"
}

# suite_run OUT UNIT...
suite_run()
{
	local out=$1 place=${TMPDIR:-/tmp}/curl.$$

	shift
	mkdir -p "$place" && cp -as "$curl_src/." "$place" || return
	while [ $# -gt 0 ]; do
		(curl_go "$out" "$place" "${@:1:100}")
		shift $(($# < 100 ? $# : 100))
	done
	rm -rf "$place"
}
