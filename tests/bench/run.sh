#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make bench: every benchmark, ratios only compared within one run.
set -eu
cd "$(dirname "$0")/../.."
for b in tests/bench/bench_*.sh; do
	bash "$b"
done
bash tests/bench/record.sh
