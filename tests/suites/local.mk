# Whole foreign test suites with and without the shim: `make check-suites`, a sample in check.
SUITE_TESTS += tests/suites/sample.sh

EXTRA_DIST += \
	tests/suites/run.sh tests/suites/one.sh tests/suites/inside.sh \
	tests/suites/compare.py tests/suites/capture.py tests/suites/allowed \
	tests/suites/cpython.sh tests/suites/cpython.py \
	tests/suites/source.sh tests/suites/curl.sh tests/suites/libevent.sh tests/suites/libuv.sh

# SUITES='cpython:test_ssl,test_socket curl', SUITE_OPTIONS='-w -o FOLDER': see tests/suites/run.sh
check-suites: all
	top_srcdir=$$(cd $(top_srcdir) && pwd) top_builddir=$$(pwd) \
		bash $(top_srcdir)/tests/suites/run.sh $(SUITE_OPTIONS) $(SUITES)

.PHONY: check-suites
