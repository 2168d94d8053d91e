# Golden tests of the configuration.
CONF_TESTS += \
	tests/conf/golden.sh \
	tests/conf/cli.sh \
	tests/conf/ps.sh \
	tests/conf/top.sh \
	tests/conf/top-ends.sh
EXTRA_DIST += tests/conf/bad tests/conf/good tests/conf/fake-lib.sh tests/conf/top-lib.sh
