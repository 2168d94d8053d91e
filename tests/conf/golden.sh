#!/bin/bash
# SPDX-License-Identifier: MIT
# What is read from each file of good/ (NAME.dump) and said of each of bad/ (NAME.error), by the CLI and
# by the daemon; and of what is no file. To write the expectations anew: UPDATE=1 in the sources.
set -u
tests=0 failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
closeside=${top_builddir:?}/closeside
closesided=$top_builddir/closesided
conf=${top_srcdir:?}/tests/conf

# same WHAT EXPECTED-FILE ACTUAL-FILE
same()
{
	tests=$((tests + 1))
	[ -z "${UPDATE-}" ] || cp "$3" "$2"
	if diff -u "$2" "$3" >"$work/diff" 2>&1; then
		echo "ok $tests - $1"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $1"
		sed 's/^/# /' "$work/diff"
	fi
}

# says WHAT TEXT: the text is in $work/out, and $status is 1
says()
{
	tests=$((tests + 1))
	if [ "$status" -eq 1 ] && grep -qxF -- "$2" "$work/out"; then
		echo "ok $tests - $1"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $1"
		echo "# exit status $status, expected 1 and: $2"
		sed 's/^/# /' "$work/out"
	fi
}

skip()
{
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

# What depends on the machine: its groups and its kernel.
without_machine()
{
	grep -vE '^[^ ]+: sound, |warning: (group|local-ports): '
}

check() # FILE [AS-USER...]: status and $work/out, stdout and stderr
{
	"${@:2}" "$closeside" policy check -v "$1" >"$work/out" 2>&1
	status=$?
}

cd "$conf/good" || exit
for file in *.conf; do
	name=${file%.conf}
	check "$file"
	without_machine <"$work/out" >"$work/dump"
	same "$name: what is understood" "$name.dump" "$work/dump"

	grep -v 'warning: ' "$work/dump" >"$work/again.conf"
	check "$work/again.conf"
	without_machine <"$work/out" | grep -v 'warning: ' >"$work/again.dump"
	same "$name: the dump is a config of the same meaning" "$work/again.conf" "$work/again.dump"
done

cd "$conf/bad" || exit
for file in *.conf; do
	name=${file%.conf}
	check "$file"
	tests_before=$failures
	same "$name: the message" "$name.error" "$work/out"
	[ "$failures" -eq "$tests_before" ] || continue
	says "$name: exit status 1" "$(cat "$name.error")"
done

cd "$work" || exit
mkdir directory
check directory
says "a directory" "directory: is a directory, expected a file"
check nothing-here
says "a file that is not there" "nothing-here: cannot be read: No such file or directory"
mkfifo fifo
check fifo
says "a FIFO does not block" "fifo: is not a file, expected one"
printf 'policy a {\n\0}\n' >nul
check nul
says "a NUL byte" "nul:1: a NUL byte, expected text"
head -c 1100000 /dev/zero | tr '\0' '#' >large
check large
says "a huge file" "large: is larger than a config can be, expected at most 1 MiB"

chmod 711 "$work"
echo 'limits { }' >unreadable && chmod 0 unreadable
if [ "$(id -u)" -ne 0 ]; then
	check unreadable
	says "an unreadable file" "unreadable: cannot be read: Permission denied"
elif setpriv --reuid=65534 --clear-groups --inh-caps=-all test -x "$closeside"; then
	check "$work/unreadable" setpriv --reuid=65534 --clear-groups --inh-caps=-all
	says "an unreadable file" "$work/unreadable: cannot be read: Permission denied"
else
	skip "an unreadable file" "another user cannot reach the build"
fi

# The daemon says the same, for it reads with the same function: one of each kind.
if [ -x "$closesided" ]; then
	cd "$conf/bad" || exit
	"$closesided" -n -c unknown-key.conf >"$work/out" 2>&1
	status=$?
	grep -qF -- "$(cat unknown-key.error)" "$work/out" && cp unknown-key.error "$work/out"
	says "closesided -n: a bad file" "$(cat unknown-key.error)"
	cd "$conf/good" || exit
	"$closesided" -n -v -c every-key.conf 2>&1 | grep -vE 'warning: |sound' >"$work/dump"
	grep -v 'warning: ' every-key.dump >"$work/expected"
	same "closesided -n -v: a good file" "$work/expected" "$work/dump"
fi

for file in "$top_srcdir"/conf/closeside.conf "$top_srcdir"/conf/examples/*.conf; do
	check "$file"
	tests=$((tests + 1))
	if [ "$status" -eq 0 ]; then
		echo "ok $tests - ${file##*/} is sound"
	else
		failures=$((failures + 1))
		echo "not ok $tests - ${file##*/} is sound"
		sed 's/^/# /' "$work/out"
	fi
done

echo "1..$tests"
[ "$failures" -eq 0 ]
