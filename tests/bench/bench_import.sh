#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Importing a trace of N events (10^6), against trace-cmd report of the same file; its peak memory.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=${1:-${EVENTS:-1000000}}
command -v trace-cmd >/dev/null || { echo "bench_import: trace-cmd is not installed" && exit 0; }
"${BUILD:-build}/tests/bench/gen_trace" "$dir/t.dat" "$n"
import=("$EXITWALK" import "$dir/t.dat" -o "$dir/t.exw")
report=(trace-cmd report "$dir/t.dat")

best() { # COMMAND…: wall seconds, the best of three
	for _ in 1 2 3; do
		t0=$EPOCHREALTIME
		"$@" >/dev/null 2>&1
		awk -v a="$t0" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", b - a }'
	done | sort -n | head -1
}

# The highest sum of both processes' resident memory that was seen, in KiB.
peak() {
	"${import[@]}" >/dev/null &
	local pid=$! max=0 sum p kb
	while [ -e "/proc/$pid/status" ]; do
		sum=0
		for p in "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
			kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$p/status" 2>/dev/null || true)
			sum=$((sum + ${kb:-0}))
		done
		[ "$sum" -le "$max" ] || max=$sum
		sleep 0.02
	done
	wait "$pid"
	echo "$max"
}

awk -v r="$(best "${report[@]}")" -v i="$(best "${import[@]}")" -v n="$n" -v kb="$(peak)" 'BEGIN {
	printf "import of %d events: %.2f s, trace-cmd report: %.2f s; report / import = %.2f; peak memory %d MiB\n",
		n, i, r, r / i, kb / 1024 }'
