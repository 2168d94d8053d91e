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
finish
