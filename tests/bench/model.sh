#!/bin/bash
# SPDX-License-Identifier: MIT
# A million connections in the model: bytes, `ps`, `conns`, and for how long custody waits meanwhile.
set -u
echo "# load $(cut -d' ' -f1-3 /proc/loadavg)"
"${top_builddir:?}/tests/bench/model" "${BENCH_CONNECTIONS:-1000000}"
