#!/bin/bash
# SPDX-License-Identifier: MIT
# Sockets with options that make a close special, and calls in every order.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
for how in async async-ioctl linger linger-reset linger-listener peer-first peer-resets repair; do
	same "socket: $how" 0 "$cases/sock_kinds" $how
done
for how in async-off async-late linger-off cork more zerocopy sendfile out-of-band unread fastopen \
	fastopen-send defer-accept reuse-port v6 mapped mptcp mptcp-falls-back sctp smc others \
	unknown-ulp; do
	same "socket: $how" 3 "$cases/sock_kinds" $how
done
modprobe tls 2>/dev/null
if grep -qw tls /proc/sys/net/ipv4/tcp_available_ulp; then
	same "socket: tls" 0 "$cases/sock_kinds" tls
else
	skip "socket: tls" "this kernel has no kTLS (CONFIG_TLS)"
fi
for how in not-connected half-close half-close-both shut-read shut-write-seen close-ways errno \
	bad-pointers; do
	same "calls: $how" 3 "$cases/sock_calls" $how
done
same "calls: listen-again" 6 "$cases/sock_calls" listen-again
same "calls: accept-ways" 12 "$cases/sock_calls" accept-ways
# While a shutdown is deferred, poll() cannot show POLLHUP: libcloseside(7), BUGS.
case_options[peer]=local-port=8000-8999,close-first=peer,half-close=pass,grace=2s,grace-learn=no
same "calls: shut-both-seen, not deferred" 0 "$cases/sock_calls" shut-both-seen
case_options[peer]=role=client,remote-port=8000-8999,close-first=peer,half-close=defer,grace=300ms,grace-learn=no
for how in not-completed in-progress refused refused-later twice dissolved \
	dissolved-after-shutdown dissolved-listener interrupted bad-addresses; do
	same "calls: connect-$how" 3 "$cases/sock_calls" connect-$how
done
case_opens=12
same "calls: connect-dissolved-away" 0 "$cases/sock_calls" connect-dissolved-away
finish
