#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The UI on a large recording: first frame, key to frame, memory.   EVENTS=10000000  RECORDING=FILE
set -eu
build=${BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
recording=${RECORDING-}
if [ -z "$recording" ]; then
	recording=$dir/large.exw
	echo "ui: making a recording of ${EVENTS:-10000000} events"
	"$build/tests/bench/gen_recording" "$recording" "${EVENTS:-10000000}"
fi
"$build/tests/bench/bench_ui" "${EXITWALK:-build/exitwalk}" "$recording"
