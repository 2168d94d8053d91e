#!/bin/bash
# SPDX-License-Identifier: MIT
# What the shim adds to a fork, an exec and a spawn: system calls of parent and child together, and
# its own instructions in the parent. Counted, so the same on every machine.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

for tool in strace valgrind callgrind_annotate; do
	have "$tool" || skip_all "$tool is not installed"
done
[ -z "${sanitizers:-}" ] || skip_all "a build with sanitizers counts otherwise"
cases_init

# calls KIND HOW COUNT [tcp]: system calls in all
calls() {
	local kind=$1
	shift
	rm -f "$dir/strace.out"
	STEER=()
	[ "$kind" = plain ] || steer cases
	in_ns a "${STEER[@]}" strace -f -c -o "$dir/strace.out" "$cases/spawner" "$@" >/dev/null 2>&1
	awk '$NF == "total" { print $4 }' "$dir/strace.out"
}

# instructions HOW COUNT [tcp]: the shim's own in the parent
instructions() {
	steer cases
	rm -f "$dir"/callgrind.*
	in_ns a "${STEER[@]}" valgrind --tool=callgrind --trace-children=no \
		--callgrind-out-file="$dir/callgrind.%p" "$cases/spawner" "$@" >/dev/null 2>&1
	# forked children write files of their own: the parent's is the first
	callgrind_annotate --threshold=100 --show=Ir "$(find "$dir" -name 'callgrind.*' | sort -V | head -n1)" |
		awk '/libcloseside\.so/ { gsub(/,/, "", $1); sum += $1 } END { print sum + 0 }'
}

# added HOW [tcp]: system calls for each child, rounded up
added() {
	local how=$1 few many plain_few plain_many
	shift
	plain_few=$(calls plain "$how" 10 "$@") plain_many=$(calls plain "$how" 30 "$@")
	few=$(calls shim "$how" 10 "$@") many=$(calls shim "$how" 30 "$@")
	awk "BEGIN { n = ($many - $few - $plain_many + $plain_few) / 20; printf \"%d\", n < 0 ? 0 : n + 0.95 }"
}

# bound HOW CALLS INSTRUCTIONS [tcp]: at most so many for each child
bound() {
	local how=$1 most=$2 most_ir=$3 n few many what
	shift 3
	what=${1:+ with a connection}
	n=$(added "$how" "$@")
	few=$(instructions "$how" 10 "$@") many=$(instructions "$how" 30 "$@")
	at_most "$most" "$n" "$how$what: at most $most system calls more"
	[ "$many" -gt 0 ] || not_ok "$how$what: the shim was there"
	at_most "$most_ir" $(((many - few) / 20)) "$how$what: at most $most_ir instructions more"
	note "$how$what: $n system calls, $(((many - few) / 20)) instructions"
}

# To load the library at all is 13 calls of the dynamic loader; a fork child that inherits a
# connection has a channel of its own.
bound fork 0 200
bound fork-exec 16 200
bound vfork 0 300
bound spawn 16 200
bound fork 30 1200 tcp
bound fork-exec 36 1200 tcp
bound vfork 8 1200 tcp
bound spawn 20 1200 tcp
finish
