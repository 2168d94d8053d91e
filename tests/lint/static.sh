#!/bin/bash
# SPDX-License-Identifier: MIT
# cppcheck finds nothing in the programs, and every file names its licence.
. "${top_srcdir:?}/tests/lint/lib.sh"
need cppcheck

# Not asked: whether something is uninitialized (it knows neither raw system calls nor utlist's
# loops; the compilers warn), and whether a mapping's address may look like an error number.
for file in $(sources 'common/*.c' 'shim/*.c' 'daemon/*.c'); do
	expect_silence "cppcheck $file" cppcheck --quiet --error-exitcode=1 --std=c11 \
		--enable=warning,performance,portability --inline-suppr \
		--suppress=missingInclude --suppress=missingIncludeSystem \
		--suppress=uninitvar --suppress=nullPointerRedundantCheck \
		--include=tests/lint/cppcheck.h \
		--template='{file}:{line}: {message} [{id}]' -I. -D__x86_64__ "$file"
done

no_licence()
{
	sources '*.c' '*.h' '*.sh' bootstrap .ci/run tests/driver |
		xargs grep -L 'SPDX-License-Identifier: MIT'
	:
}
expect_silence "every file names its licence" no_licence
finish
