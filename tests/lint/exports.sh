#!/bin/bash
# SPDX-License-Identifier: MIT
# What libcloseside.so exports is what shim/calls.h lists, and nothing else.
# shellcheck source=tests/lint/lib.sh
. "${top_srcdir:?}/tests/lint/lib.sh"
need nm

library=${top_builddir:?}/.libs/libcloseside.so
listed=$(sed -n '/^#define SHIM_CALLS/,/^$/p' shim/calls.h |
	grep -oE '\b((SYS|LIB|OPT)\([^,]+, *\w+|ODD\(\w+)' | sed -E 's/.*[ (](\w+)$/\1/' | sort)
exported=$(nm -D --defined-only "$library" | awk '$3 != "libcloseside_first" { print $3 }' | sort)
if [ -n "$listed" ] && [ "$listed" = "$exported" ]; then
	ok "libcloseside.so exports the $(wc -l <<<"$listed") functions of shim/calls.h"
else
	diff <(echo "$listed") <(echo "$exported") |
		not_ok "libcloseside.so exports the functions of shim/calls.h"
fi
expect_silence "libcloseside.so needs libc alone" bash -c \
	"readelf -d '$library' | grep NEEDED | grep -vE 'libc\.so|ld-linux|libasan|libubsan|libtsan'; true"
# Else a program of another libc that inherits LD_PRELOAD does not start.
expect_silence "libcloseside.so needs nothing that is glibc's own" bash -c \
	"nm -D --undefined-only '$library' | grep -E ' U __' | grep -vE '__errno_location|__(asan|ubsan|tsan)'; true"
finish
