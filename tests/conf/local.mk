# Golden tests of the configuration.
CONF_TESTS += \
	tests/conf/golden.sh \
	tests/conf/cli.sh
EXTRA_DIST += tests/conf/bad tests/conf/good
