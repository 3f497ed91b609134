#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Importing a trace of N events (10^6) against trace-cmd report of the same file, in turn: medians of wall and of
# processor time (of both of import's processes); import's peak memory; and what a statement of SQLite's per row
# would cost alone.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=${1:-${EVENTS:-1000000}}
rounds=${ROUNDS:-7}
command -v trace-cmd >/dev/null || { echo "bench_import: trace-cmd is not installed" && exit 0; }
"${BUILD:-build}/tests/bench/gen_trace" "$dir/t.dat" "$n" >/dev/null
import=("$EXITWALK" import "$dir/t.dat" -o "$dir/t.exw")

TIMEFORMAT='%R %U %S'
timed() { # COMMAND…: wall seconds, processor seconds
	{ time "$@" >/dev/null 2>&1; } 2>&1 | awk '{ print $1, $2 + $3 }'
}
for ((i = 0; i < rounds; i++)); do
	timed trace-cmd report "$dir/t.dat" >>"$dir/report"
	timed "${import[@]}" >>"$dir/import"
	"${BUILD:-build}/tests/bench/insert_floor" "$dir/floor.db" "$n" >>"$dir/floor"
	rm -f "$dir/floor.db"
done
median() { # FILE COLUMN
	awk -v c="$2" '{ print $c }' "$dir/$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
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
		sleep 0.01
	done
	wait "$pid"
	echo "$max"
}

awk -v n="$n" -v rounds="$rounds" -v kb="$(peak)" -v rw="$(median report 1)" -v rc="$(median report 2)" \
	-v iw="$(median import 1)" -v ic="$(median import 2)" -v f="$(median floor 1)" 'BEGIN {
	printf "import of %d events, %d rounds, medians\n", n, rounds
	printf "  wall        import %6.2f s   trace-cmd report %6.2f s   report / import = %.2f   (goal: at least 3)\n", iw, rw, rw / iw
	printf "  processor   import %6.2f s   trace-cmd report %6.2f s   report / import = %.2f\n", ic, rc, rc / ic
	printf "  as many INSERTs of ten integers alone, processor   %6.2f s\n", f
	printf "  peak memory of import %d MiB\n", kb / 1024 }'
