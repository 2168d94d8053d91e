#!/bin/bash
# SPDX-License-Identifier: MIT
# Servers in other languages, with many connections that they close first; nine tenths of those are to
# be handed over.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
check "a certificate" openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 \
	-keyout "$dir/key" -out "$dir/cert" 2>/dev/null
cat "$dir/key" "$dir/cert" >"$dir/both"
sources=$top_srcdir/tests/shim

case_opens=80
for section in threads forks asyncio tls http processes; do
	same "Python, $section" 36 "$python" "$sources/speak.py" "$dir/both" subprocess $section popen
done
same Perl 72 perl "$sources/speak.pl"
same Ruby 108 ruby "$sources/speak.rb"
# Its cluster passes connections to processes that are no relatives: nobody counts them.
same Node 72 node "$sources/speak.mjs"
check "the class" javac -d "$dir" "$sources/Speak.java"
same Java 72 java -XX:TieredStopAtLevel=1 -cp "$dir" Speak
finish
