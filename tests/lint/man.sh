#!/bin/bash
# SPDX-License-Identifier: MIT
# Every man page is there and mandoc finds no error or warning in it.
. "${top_srcdir:?}/tests/lint/lib.sh"
need mandoc

for page in closeside.1 closesided.8 closeside.conf.5 libcloseside.7; do
	expect_silence "mandoc man/$page" mandoc -T lint -W warning "man/$page"
done
finish
