# The command against a control server that says what the test wants.
CLI_TESTS += \
	tests/cli/test-watch.sh \
	tests/cli/test-completion.sh \
	tests/cli/test-bench-report.sh \
	tests/cli/test-conns.sh \
	tests/cli/test-history.sh \
	tests/cli/test-enable.sh \
	tests/cli/test-explain.sh \
	tests/cli/test-tune.sh
EXTRA_DIST += tests/cli/lib.sh tests/cli/control.py tests/cli/terminal.py \
	tests/cli/complete.bash tests/cli/complete.zsh
