#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make bench-record: what recording costs for each exit, against trace-cmd record -e kvm on the same guest, on
# kvm-amd in the SVM lab, whose clock counts instructions. ROUNDS rounds of every way in turn; medians, ratios.
#   ROUNDS=5 EXITS=5000
set -eu
cd "$(dirname "$0")/../.."
. tests/lab/lib.bash
trace_cmd=$(command -v trace-cmd) || { echo "record: trace-cmd is not here" >&2 && exit 1; }
in_lab svm -f "$trace_cmd" -f tests/bench/record_in_lab.sh -i -t "${LIMIT:-2400}" \
	"export EXITWALK=/lab/exitwalk TMP=/tmp ROUNDS=${ROUNDS:-5} EXITS=${EXITS:-5000}
	bash tests/bench/record_in_lab.sh"
