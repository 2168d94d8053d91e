#!/bin/bash
# SPDX-License-Identifier: MIT
# cppcheck finds nothing in the programs, and every file names its licence.
. "${top_srcdir:?}/tests/lint/lib.sh"
need cppcheck

for file in $(sources 'common/*.c' 'shim/*.c' 'daemon/*.c'); do
	expect_silence "cppcheck $file" cppcheck --quiet --error-exitcode=1 --std=c11 \
		--enable=warning,performance,portability --inline-suppr \
		--suppress=missingInclude --suppress=missingIncludeSystem \
		-D'json_array_foreach(a,i,v)=for (i = 0; (v = json_array_get(a, i)); i++)' \
		-D'json_object_foreach(o,k,v)=for (k = key_of(o); (v = json_object_get(o, k)); k = key_of(o))' \
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
