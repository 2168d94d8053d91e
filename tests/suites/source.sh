# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sources of Debian packages, for suites that a package does not install. They come through a list,
# index and cache of apt's of our own, below $top_builddir/suites: apt's configuration on this
# machine stays as it is, and nobody needs to be root.
#
#   source_unpack curl DIR    the upstream source of Debian's package, with Debian's patches
#
# Status 77, with the reason on stdout, if they can't be had.

suites_cache=${top_builddir:?}/suites

source_apt()
{
	local dir=$suites_cache/apt

	apt-get -q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts="$dir/parts" \
		-o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User= "$@"
}

# The places that this machine gets Debian's packages from have their sources as well.
source_list()
{
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg option=''

	[ ! -e $keys ] || option="[signed-by=$keys] "
	# shellcheck disable=SC2016 # apt-get expands them
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
		awk -v option="$option" '($4 == "Debian" || $1 ~ "/debian") && !seen[$1, $2, $3]++ {
			print "deb-src " option $1 " " $2 " " $3 }'
}

source_index()
{
	local dir=$suites_cache/apt

	[ ! -e "$dir/done" ] || return 0
	mkdir -p "$dir/parts" "$dir/lists/partial" "$dir/cache/archives/partial"
	source_list >"$dir/sources.list"
	[ -s "$dir/sources.list" ] || {
		echo "apt knows no place for Debian's packages"
		return 77
	}
	source_apt update >"$dir/log" 2>&1 || {
		tail -n 1 "$dir/log"
		return 77
	}
	touch "$dir/done"
}

# source_unpack PACKAGE DIR: at once or not at all; what is there already is taken
source_unpack()
{
	local package=$1 dir=$2 tmp

	[ ! -e "$dir" ] || return 0
	source_index || return
	tmp=$suites_cache/unpack.$package
	rm -rf "$tmp"
	mkdir -p "$tmp"
	if ! (cd "$tmp" && source_apt source --only-source "$package") >"$tmp/log" 2>&1 </dev/null; then
		tail -n 1 "$tmp/log"
		return 77
	fi
	mv "$tmp"/*/ "$dir" && rm -rf "$tmp"
}

# source_need PROGRAM[:PACKAGE]...
source_need()
{
	local entry

	for entry; do
		command -v "${entry%%:*}" >/dev/null || {
			echo "${entry%%:*} is not installed (Debian: ${entry#*:})"
			return 77
		}
	done
}

# source_build NAME MARK COMMAND...: in a shell of its own, its output in NAME.log; then makes MARK
source_build()
{
	local log=$suites_cache/$1.log mark=$2

	echo "# building $1 in $suites_cache" >&2
	shift 2
	if ! ("$@") >"$log" 2>&1 </dev/null; then
		tail -n 3 "$log"
		return 77
	fi
	touch "$mark"
}
