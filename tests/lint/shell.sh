#!/bin/bash
# SPDX-License-Identifier: MIT
# Every shell script passes shellcheck.
. "${top_srcdir:?}/tests/lint/lib.sh"
need shellcheck

for file in $(sources '*.sh' bootstrap .ci/run tests/driver); do
	expect_silence "shellcheck $file" shellcheck --shell=bash --severity=warning \
		--external-sources --source-path=SCRIPTDIR --exclude=SC1090,SC1091 "$file"
done
finish
