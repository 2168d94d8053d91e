# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The suite libevent: libevent's own regression tests, from the source of Debian's package, built
# once in $top_builddir/suites. A unit is BACKEND/GROUP: the tests of a group (http, bufferevent...)
# with one of epoll, poll and select.
#
# Two of its tests count on the reset that answers a body which the server does not read to the end
# (http: data_length_constraints, non_lingering_close); in custody such a body is drained, and the
# client reads the answer instead. So this suite runs on request only.
. "$(dirname "${BASH_SOURCE[0]}")/source.sh"

libevent_src=$suites_cache/libevent-src
libevent_built=$suites_cache/libevent.built
# shellcheck disable=SC2034 # for run.sh
suite_together=yes

libevent_build()
{
	cd "$libevent_src" || return
	autoreconf -fi && ./configure -q --disable-shared && make -s -j2
}

suite_prepare()
{
	[ ! -e "$libevent_built" ] || return 0
	source_need dpkg-source:dpkg-dev gcc make autoreconf:autoconf libtoolize:libtool || return
	source_unpack libevent "$libevent_src" || return
	source_build libevent "$libevent_built" libevent_build
}

suite_list()
{
	local backend

	for backend in epoll poll select; do
		"$libevent_src/test/regress" --list-tests 2>&1 | sed -n 's|^ *\([a-z_0-9]*\)/.*|\1|p' |
			sort -u | sed "s|^|$backend/|"
	done
}

# "http/basic: [forking] OK", or what failed on lines of its own and then "  [basic FAILED]"
libevent_results()
{
	awk -v unit="$1" '
		function say(word) { if (test != "") print unit "::" test, word; test = "" }
		/^[a-z_0-9]+\/[A-Za-z_0-9]+: / {
			say("error")
			test = $1
			sub(/.*\//, "", test)
			sub(/:$/, "", test)
		}
		/OK$/ { say("ok") }
		/(SKIPPED|DISABLED)$/ { say("skip") }
		/FAILED\]?$/ { say("fail") }
		END { say("error") }'
}

# suite_run OUT UNIT...
suite_run()
{
	local out=$1 unit log=${TMPDIR:-/tmp}/libevent.$$.out other environment

	shift
	for unit; do
		environment=()
		for other in EPOLL POLL SELECT; do
			[ "${unit%%/*}" = "${other,,}" ] || environment+=("EVENT_NO$other=yes")
		done
		timeout -k 10 "${SUITE_TIMEOUT:-600}" env "${environment[@]}" "${STEER[@]}" \
			"$libevent_src/test/regress" "${unit#*/}/.." >"$log" 2>&1 </dev/null
		cat "$log"
		libevent_results "$unit" <"$log" >>"$out"
	done
	rm -f "$log"
}
