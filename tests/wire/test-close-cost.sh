#!/bin/bash
# SPDX-License-Identifier: MIT
# What a close() costs whose descriptor is not TCP: the shim's own instructions, under 30.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
closes=$top_builddir/tests/wire/closes
have callgrind_annotate || skip_all "valgrind is not installed"
[ -z "${sanitizers:-}" ] || skip_all "a build with sanitizers counts otherwise"
[ -x "$closes" ] || skip_all "$closes is not built"

daemon_start a <<<'policy all { close-first = peer }'
steer a

# instructions N HOW: the shim's own in all
instructions() {
	in_ns a valgrind --tool=callgrind --callgrind-out-file="$dir/out.$1.$2" --trace-children=yes \
		"${STEER[@]}" "$closes" "$1" "$2" >"$dir/valgrind.log" 2>&1
	# what --trace-children leaves of env is overwritten by the last, the program
	callgrind_annotate --threshold=100 --show=Ir "$dir/out.$1.$2" |
		awk '/libcloseside\.so/ { gsub(/,/, "", $1); sum += $1 } END { print sum + 0 }'
}

for how in no tcp; do
	few=$(instructions 1000 $how)
	many=$(instructions 3000 $how)
	each=$(awk "BEGIN { printf \"%.1f\", ($many - $few) / 2000 }")
	case $how in
	no) what="in a program that never used TCP" ;;
	tcp) what="in a program that uses TCP" ;;
	esac
	note "$what: $each instructions of the shim in each close()"
	if [ "$many" -gt 0 ]; then
		at_most 30 "$(awk "BEGIN { printf \"%d\", $each + 0.999 }")" "close() of what is not TCP, $what"
	else
		not_ok "close() of what is not TCP, $what" "$(tail -n3 "$dir/valgrind.log")"
	fi
done
finish
