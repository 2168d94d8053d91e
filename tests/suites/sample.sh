#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The quick ones of `make check-suites`, for check.
exec bash "$(dirname "${BASH_SOURCE[0]}")/run.sh" \
	cpython:test_httpservers,test_httplib,test_ftplib,test_socketserver,test_smtplib,test_selectors,test_epoll
