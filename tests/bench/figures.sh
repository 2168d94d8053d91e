#!/bin/bash
# SPDX-License-Identifier: MIT
# The wire tests of the model at the size that its figures are of: 100,000 TIME_WAITs of three
# programs, a random walk of 10,000 connections sampled 100 times, 15,000 transitions a second.
set -u
wire=${top_srcdir:?}/tests/wire
status=0
echo "# whose 100,000 TIME_WAITs are"
ATTRIBUTION_N=100000 bash "$wire/test-attribution.sh" || status=1
echo "# ps and ss, 100 samples of 10,000 connections"
AGREEMENT_N=10000 AGREEMENT_SAMPLES=100 bash "$wire/test-agreement.sh" || status=1
echo "# watch"
WATCH_SECONDS=10 bash "$wire/test-watch-rate.sh" || status=1
exit $status
