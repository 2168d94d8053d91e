# SPDX-License-Identifier: MIT
"""Runs a module of CPython's own tests: cpython.py OUT MODULE[::TEST]

By regrtest, as its developers do; but each result also becomes a line of OUT at once, so that what
ran before a crash is known: MODULE::TEST ok|fail|skip|error. The last line, MODULE::-module-, is
regrtest's word on the whole (it also minds what tests leave behind)."""
import os
import sys

# The network is there, but leads nowhere: what needs the Internet skips or fails, as without us.
# VSOCK ports are no namespace's, and the two ends may be different machines.
IGNORED = "ThreadedVSOCKSocketStreamTest"
RESOURCES = "all,-largefile,-gui,-audio,-curses,-tzdata"


class Lines:
    """Opened for each line: no descriptor of ours is there for the tests to find."""

    def __init__(self, path, module):
        self.path = os.path.abspath(path)
        self.module = module
        self.pid = os.getpid()
        self.last = None
        self.failed = False

    def add(self, test, result):
        # A forked child that goes on in the test runner has no say; one word for each test.
        if os.getpid() != self.pid or self.last is test:
            return
        self.last = test
        self.failed |= result in ("fail", "error")
        name = test if isinstance(test, str) else test.id()
        name = "_".join(name.split()).removeprefix("test.")
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{self.module}::{name} {result}\n")


def recording(base, lines):
    """The result class, which also writes lines."""

    class Recording(base):
        def addSuccess(self, test):
            lines.add(test, "ok")
            super().addSuccess(test)

        def addExpectedFailure(self, test, err):
            lines.add(test, "ok")
            super().addExpectedFailure(test, err)

        def addUnexpectedSuccess(self, test):
            lines.add(test, "fail")
            super().addUnexpectedSuccess(test)

        def addSkip(self, test, reason):
            if not hasattr(test, "test_case"):  # not of a subtest
                lines.add(test, "skip")
            super().addSkip(test, reason)

        def addFailure(self, test, err):
            lines.add(test, "fail")
            super().addFailure(test, err)

        def addError(self, test, err):
            lines.add(test, "error")
            super().addError(test, err)

        def addSubTest(self, test, subtest, err):
            if err is not None:
                lines.add(test, "fail")
            super().addSubTest(test, subtest, err)

    return Recording


def shim_is_loaded():
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        return "libcloseside.so" in maps.read()


def main():
    out, unit = sys.argv[1:]
    # What makes no connection is nowhere in the daemon's counters.
    if shim_is_loaded() != ("libcloseside.so" in os.environ.get("LD_PRELOAD", "")):
        sys.exit("the shim is not where it should be")
    module, _, name = unit.partition("::")
    lines = Lines(out, module)
    arguments = ["-v", "-u", RESOURCES, "--fail-env-changed", "--timeout", "2700",
                 "-i", IGNORED]
    if name and name != "-module-":
        arguments += ["-m", "test." + name]

    from test.support import testresult

    testresult.RegressionTestResult = recording(testresult.RegressionTestResult, lines)
    import test.libregrtest

    sys.argv[1:] = arguments + [module]
    status = 0
    try:
        test.libregrtest.main()
    except SystemExit as end:
        status = end.code or 0
    # 2: tests failed, which they have said themselves; or the module could not be run.
    fine = status == 0 or (status == 2 and lines.failed)
    lines.add("-module-", "ok" if fine else "fail")
    sys.exit(status)


if __name__ == "__main__":  # multiprocessing imports it again
    main()
