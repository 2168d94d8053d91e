# Checks of the sources themselves; they need the repository, so they are not in make check.
LINT_TESTS += \
	tests/lint/format.sh \
	tests/lint/static.sh \
	tests/lint/shell.sh \
	tests/lint/man.sh \
	tests/lint/documented.sh \
	tests/lint/exports.sh \
	tests/lint/limits.sh \
	tests/lint/lists.sh
EXTRA_DIST += tests/lint/lib.sh tests/lint/cppcheck.h
