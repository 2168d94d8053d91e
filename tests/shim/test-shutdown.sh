#!/bin/bash
# SPDX-License-Identifier: MIT
# A deferred shutdown is a shutdown to the program that called it.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

cases_init
same "writing after shutdown" 2 "$cases/shut_write"
finish
