#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The part of record.sh that runs in the lab.
set -u
cd "$(dirname "$0")/../.." || exit 1

guest() { "$EXITWALK" run -q --timeout 0 --append "outloop=$EXITS" "$@"; }
way_unrecorded() { guest --no-record; }
way_default() { guest -o "$TMP/x.exw"; }
way_host_trace() { guest --host-trace on -o "$TMP/h.exw"; }
way_trace_cmd() { trace-cmd record -q -e kvm -o "$TMP/t.dat" "$EXITWALK" run -q --timeout 0 --append "outloop=$EXITS" --no-record; }
ways=(unrecorded default host_trace trace_cmd)

# Prints WAY, ns for each exit: of vCPU 0's thread, of all while the guest runs, and of all until the command's end.
measure() { # WAY
	local begin end
	begin=${EPOCHREALTIME/./}
	"way_$1" >"$TMP/out" 2>"$TMP/err" || { cat "$TMP/out" "$TMP/err" >&2 && exit 1; }
	end=${EPOCHREALTIME/./}
	awk -v way="$1" -v us=$((end - begin)) '/ exits in / { n = $1; wall = $4 } /^processor / { cpu = $2 }
		END { if (!cpu) exit 1; printf "%s %.0f %.0f %.0f\n", way, cpu / n * 1e9, wall / n * 1e9, us * 1e3 / n }' "$TMP/out"
}
for w in "${ways[@]}"; do measure "$w" >/dev/null || exit; done # files come into memory
for round in $(seq "$ROUNDS"); do
	for w in "${ways[@]}"; do measure "$w"; done >"$TMP/round.$round"
done

median() { # WAY COLUMN
	awk -v w="$1" -v c="$2" '$1 == w { print $c }' "$TMP"/round.* | sort -n |
		awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}
cost() { # WAY COLUMN: what it adds to each exit
	awk -v a="$(median "$1" "$2")" -v b="$(median unrecorded "$2")" 'BEGIN { printf "%.0f", a - b }'
}
echo "record: medians of $ROUNDS rounds of $EXITS exits; the clock counts instructions, 1 ns each; unrecorded an exit takes" \
	"$(median unrecorded 2)"
printf 'record: %-12s %22s %12s %26s %12s %26s %12s\n' 'per exit' "vCPU's thread, ns" ': trace-cmd' 'all, while it runs' \
	': trace-cmd' "all, to the command's end" ': trace-cmd'
for w in default host_trace trace_cmd; do
	printf 'record: %-12s' "$w"
	for c in 2 3 4; do
		awk -v c="$(cost "$w" $c)" -v t="$(cost trace_cmd $c)" -v wide=$((c == 2 ? 22 : 26)) \
			'BEGIN { printf " %" wide "d %12.2f", c, c / t }'
	done
	echo
done
echo "record: one processor: 'all' is what recording adds on every thread, readers and writers included"
awk -v c="$(cost default 2)" -v t="$(cost trace_cmd 2)" 'BEGIN { printf "record: goal 0.50, on the vCPU'"'"'s thread: %s\n", c <= t / 2 ? "met" : "missed" }'
says() { sqlite3 -readonly "$1" "SELECT key, value FROM v_meta WHERE key GLOB 'exit_cost.*'" | sed "s/^/record: $2 says /; s/|/ /"; }
says "$TMP/x.exw" default
says "$TMP/h.exw" host_trace
trace-cmd report "$TMP/t.dat" 2>/dev/null | awk 'match($0, / kvm_[a-z_]+:/) { n[substr($0, RSTART + 1, RLENGTH - 2)]++ }
	END { printf "record: trace-cmd has"; for (k in n) printf " %d %s,", n[k], k; print " in its last round" }'
