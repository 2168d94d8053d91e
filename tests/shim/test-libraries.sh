#!/bin/bash
# SPDX-License-Identifier: MIT
# Other libraries beside the shim: preloads before and after it, allocators, plugins, sanitizers,
# other libcs, loaders' ways, debuggers.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
sources=("$top_srcdir/tests/shim/pair.c" "-I$top_srcdir" -D_GNU_SOURCE -pthread)

# shellcheck disable=SC2317 # check calls it
not() {
	! "$@"
}

# made NAME COMPILER...: $dir/NAME from rounds.c
made() {
	"${@:2}" -o "$dir/$1" "$top_srcdir/tests/shim/rounds.c" "${sources[@]}" >"$dir/$1.log" 2>&1 &&
		return
	not_ok "$1: is built" "$(tail -n 5 "$dir/$1.log")"
	return 1
}

# rounds has eleven connections: one of them in a constructor, in which the shim may not be there yet
# (it has no policy for calls that come before its own).
rounds=$cases/rounds
same "no other" 9 "$rounds"

# --- preloads ---
# shellcheck disable=SC2016 # sh expands them
after=(sh -c 'export LD_PRELOAD="$LD_PRELOAD $0"; exec "$@"')
# shellcheck disable=SC2016
before=(sh -c 'export LD_PRELOAD="$0 $LD_PRELOAD"; exec "$@"')
case_modes="watch peer"
case_env=(FAKETIME_DONT_RESET=1 FAKETIME=+0 SOCKET_WRAPPER_DIR= NSS_WRAPPER_PASSWD=/etc/passwd
	NSS_WRAPPER_GROUP=/etc/group UID_WRAPPER=1 KEEPALIVE=on TORSOCKS_LOG_LEVEL=1)
libdir=$(dirname "$(ldconfig -p | awk '/libc\.so\.6 .*64/ { print $NF; exit }')")
[ -e "$libdir/libjemalloc.so.2" ] || libdir=/usr$libdir
for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libeatmydata.so faketime/libfaketime.so.1 \
	libfakeroot/libfakeroot-sysv.so libnss_wrapper.so libuid_wrapper.so ../libkeepalive.so; do
	check "$library is there" test -e "$libdir/$library"
	same "after it $library" 9 "${after[@]}" "$libdir/$library" "$rounds"
	same "before it $library" 9 "${before[@]}" "$libdir/$library" "$rounds"
done
case_env=()

# --- plugins ---
case_modes="watch peer none"
plugin=$dir/plugin.so
check "the plugin is built" gcc -shared -fPIC -o "$plugin" "$top_srcdir/tests/shim/plugin.c" "${sources[@]}"
# Eight hand-overs are what a process may do before the daemon has answered.
same "a plugin" 8 "$cases/plugins" open "$plugin"
# It closes the shim's channel as well, which is opened again a second later.
same "a plugin past the shim" 3 "$cases/plugins" deep "$plugin"
same "a plugin in a namespace of its own" 3 "$cases/plugins" far "$plugin"
same "a plugin that comes and goes" 25 "$cases/plugins" twice "$plugin"
same "close() behind ours" 3 "$cases/plugins" next -
same "close() of libc's handle" 3 "$cases/plugins" handle -
same "the shim is loaded as a plugin" 4 "$cases/plugins" load "$shim"
cp "$shim" "$dir/copy.so"
same "a copy of the shim is loaded as a plugin" 4 "$cases/plugins" load "$dir/copy.so"

# --- the same library twice ---
case_modes="watch peer"
same "twice the same" 9 "${after[@]}" "$shim" "$rounds"
same "a copy after it" 9 "${after[@]}" "$dir/copy.so" "$rounds"
same "a copy before it" 9 "${before[@]}" "$dir/copy.so" "$rounds"

# --- compilers and loaders ---
case_modes="watch peer none"
made asan gcc -fsanitize=address && case_env=(ASAN_OPTIONS=verify_asan_link_order=0) &&
	same "a program with the address sanitizer" 9 "$dir/asan"
case_env=()
# `closeside run` sees what it is, and says so to it.
run_asan() {
	in_ns a "$closeside" run -s "$dir/cases.socket" -- "$dir/asan" >"$dir/run.out" 2>&1
	is "$(cat "$dir/plain.out")" "$(cat "$dir/run.out")
exit status 3" "closeside run of a program with the address sanitizer"
}
[ ! -x "$dir/asan" ] || run_asan
made ubsan gcc -fsanitize=undefined && same "a program with the undefined sanitizer" 9 "$dir/ubsan"
made tsan gcc -fsanitize=thread && same "a program with the thread sanitizer" 9 "$dir/tsan"
made static gcc -static && same "a static program" inert "$dir/static"
made static-pie gcc -static-pie && same "a static PIE" inert "$dir/static-pie"
made nopie gcc -no-pie && same "a program that is no PIE" 9 "$dir/nopie"
made now gcc -Wl,-z,now && same "bound at its start" 9 "$dir/now"
made musl musl-gcc -Dstrerrorname_np=strerror && same "a program of another libc" inert "$dir/musl"
case_env=(LD_BIND_NOW=1)
same LD_BIND_NOW 9 "$rounds"
case_env=()
# The loader says that the shim is of another word size; `closeside run` leaves it out.
printf '#include <unistd.h>\nvoid _start(void) { _exit(7); }\n' >"$dir/small.c"
if gcc -m32 -nostartfiles -nodefaultlibs -fno-pie -no-pie -o "$dir/small" "$dir/small.c" -lc 2>"$dir/small.log"; then
	in_ns a "$closeside" run -s "$dir/cases.socket" -- "$dir/small" >"$dir/run.out" 2>&1
	is 7 $? "closeside run of a program of 32 bits: it runs"
	check "closeside run of a program of 32 bits: says so" grep -q 'word size' "$dir/run.out"
	check "closeside run of a program of 32 bits: the loader is silent" not grep -q 'ld.so' "$dir/run.out"
elif [ "$(uname -m)" = x86_64 ]; then
	not_ok "a program of 32 bits is built" "$(cat "$dir/small.log")"
fi
cat >"$dir/audit.c" <<<'unsigned int la_version(unsigned int v) { return v; }'
gcc -shared -fPIC -o "$dir/audit.so" "$dir/audit.c"
# shellcheck disable=SC2016 # sh expands them
same LD_AUDIT 9 sh -c 'LD_AUDIT=$0 exec "$@"' "$dir/audit.so" "$rounds"

# --- debuggers, without what they say of themselves ---
case_modes="watch peer"
same strace 9 strace -f -o /dev/null "$rounds"
same "strace with a filter" inert strace -f --seccomp-bpf -e trace=connect -o /dev/null "$rounds"
same valgrind 9 valgrind -q --error-exitcode=9 "$rounds"
# shellcheck disable=SC2016 # sh expands it
same gdb 9 sh -c 'gdb -nx -q -batch -ex "handle SIGUSR1 nostop noprint" -ex "run >$1" "$0" >/dev/null 2>&1; cat "$1"' \
	"$rounds" "$dir/gdb.out"
finish
