# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # python and suites_dir are there
#
# The suite cpython: the tests of Debian's Python (package libpython3.11-testsuite), run by its own
# regrtest; a unit is a test module.

# What talks TCP or starts processes and descriptors of its own first, then whatever else touches
# sockets, descriptors or processes.
cpython_named="
	test_socket test_asyncio test_ssl test_httplib test_httpservers test_selectors test_epoll
	test_subprocess test_multiprocessing_spawn test_socketserver test_ftplib test_smtplib"
cpython_wider="
	test_asynchat test_asyncore test_concurrent_futures test_docxmlrpc test_eintr test_faulthandler
	test_fcntl test_file test_file_eintr test_fileio test_fork1 test_imaplib test_io test_ioctl
	test_kqueue test_logging test_mailbox test_mmap test_multiprocessing_fork
	test_multiprocessing_forkserver test_multiprocessing_main_handling test_nntplib test_openpty
	test_os test_poll test_popen test_poplib test_posix test_pty test_robotparser test_select
	test_signal test_smtpd test_support test_syslog test_telnetlib test_tempfile test_threading
	test_threadsignals test_timeout test_urllib test_urllib2 test_urllib2_localnet
	test_urllib_response test_wait3 test_wait4 test_wsgiref test_xmlrpc"

# Some tests refuse to run as root; as which others can be run with run.sh -u root.
# shellcheck disable=SC2034 # for run.sh
suite_user=nobody

suite_prepare() {
	"$python" -c 'import test.test_socket, test.libregrtest' 2>/dev/null || {
		echo "$python has no tests (Debian: libpython3.11-testsuite)"
		return 77
	}
}

suite_list() {
	# shellcheck disable=SC2086 # words
	printf '%s\n' $cpython_named
}

# suite_list_wider: units that run.sh -w adds
suite_list_wider() {
	# shellcheck disable=SC2086 # words
	printf '%s\n' $cpython_wider
}

cpython_run() {
	timeout -k 10 3000 "${STEER[@]}" "$python" "$suites_dir/cpython.py" "$@" || :
}

# suite_run OUT UNIT...
suite_run() {
	local out=$1 unit

	shift
	for unit; do
		cpython_run "$out" "$unit"
	done
}

# suite_run_test OUT UNIT TEST
suite_run_test() {
	cpython_run "$1" "$2::$3"
}
