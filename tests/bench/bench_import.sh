#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Importing a trace of N events (10^6), against trace-cmd report of the same file, and its peak memory.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=${1:-1000000}
command -v trace-cmd >/dev/null || { echo "bench_import: trace-cmd is not installed" && exit 0; }
"${BUILD:-build}/tests/bench/gen_trace" "$dir/t.dat" "$n"

seconds() { # COMMAND…: wall seconds
	local t0=$EPOCHREALTIME
	"$@" >/dev/null 2>&1
	awk -v a="$t0" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'
}
best() { # of three
	for _ in 1 2 3; do
		seconds "$@"
		echo
	done | sort -n | head -1
}
report=$(best trace-cmd report "$dir/t.dat")
import=$(best "$EXITWALK" import "$dir/t.dat" -o "$dir/t.exw")
# VmHWM of both processes, by what getrusage() says of the children of a shell.
peak=$(bash -c '"$0" import "$1" -o "$2" >/dev/null & wait $!; cat /dev/null' "$EXITWALK" "$dir/t.dat" "$dir/p.exw"
	/usr/bin/env -i "$EXITWALK" --version >/dev/null
	for _ in 1; do
		"$EXITWALK" import "$dir/t.dat" -o "$dir/p.exw" >/dev/null &
		pid=$! max=0
		while [ -e "/proc/$pid/status" ]; do
			sum=0
			for p in $pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
				kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$p/status" 2>/dev/null || true)
				sum=$((sum + ${kb:-0}))
			done
			[ "$sum" -gt "$max" ] && max=$sum
			sleep 0.02
		done
		wait "$pid"
		echo "$max"
	done)
awk -v r="$report" -v i="$import" -v n="$n" -v kb="$peak" 'BEGIN {
	printf "import of %d events: %.2f s, trace-cmd report: %.2f s; report / import = %.2f; peak memory %d MB\n",
		n, i, r, r / i, kb / 1024 }'
