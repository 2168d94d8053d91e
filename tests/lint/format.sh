#!/bin/bash
# SPDX-License-Identifier: MIT
# Every C file is as clang-format has it.
. "${top_srcdir:?}/tests/lint/lib.sh"
need clang-format

for file in $(sources '*.c' '*.h'); do
	expect_silence "format $file" clang-format --dry-run --Werror "$file"
done
finish
