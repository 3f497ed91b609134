#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What deriving requests takes when many are in flight, and twice as many.   bench_derive.sh [REQUESTS]
set -eu
"${BUILD:-build}/tests/bench/bench_derive" "$@"
