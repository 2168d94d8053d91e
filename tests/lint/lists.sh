#!/bin/bash
# SPDX-License-Identifier: MIT
# Every test is in the list that make check goes by.
. "${top_srcdir:?}/tests/lint/lib.sh"

# listed FOLDER FILE
listed()
{
	grep -qE "(^|[[:space:]])$2([[:space:]\\]|$)" "tests/$1/local.mk" ||
		echo "add $2 to tests/$1/local.mk"
}

for file in $(sources 'tests/unit/test_*.c'); do
	expect_silence "$file is in the list" listed unit "${file%.c}"
done
for file in $(sources 'tests/fuzz/fuzz_*.c'); do
	expect_silence "$file is in the list" listed fuzz "${file%.c}"
done
for folder in conf cli wire soak shim suites lint bench; do
	for file in $(sources "tests/$folder/*.sh"); do
		expect_silence "$file is in the list" listed "$folder" "$file"
	done
done
finish
