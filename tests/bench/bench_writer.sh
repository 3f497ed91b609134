#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Rows per second of the writer, against a bare loop of prepared INSERTs.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${BUILD:-build}/tests/bench/bench_writer" "$dir" "$@"
