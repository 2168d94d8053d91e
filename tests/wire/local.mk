# Real programs in network namespaces of their own; one or two of them run at a time. C programs
# that they need go to check_PROGRAMS, files that they read to EXTRA_DIST.
WIRE_TESTS +=
