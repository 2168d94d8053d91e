#!/bin/bash
# SPDX-License-Identifier: MIT
echo "not yet"
