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

# Prints WAY, ns for each exit while the guest runs, and ns for each until the command has ended.
measure() { # WAY
	local begin end
	begin=${EPOCHREALTIME/./}
	"way_$1" >"$TMP/out" 2>"$TMP/err" || { cat "$TMP/out" "$TMP/err" >&2 && exit 1; }
	end=${EPOCHREALTIME/./}
	awk -v way="$1" -v us=$((end - begin)) '/ exits in / { printf "%s %.0f %.0f\n", way, $4 / $1 * 1e9, us * 1e3 / $1; n = 1 }
		END { exit !n }' "$TMP/out"
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
echo "record: medians of $ROUNDS rounds of $EXITS exits; an exit of the unrecorded guest takes $(median unrecorded 2) instructions"
echo "record: one processor, 1 ns an instruction: what other threads do adds to the guest's time"
printf 'record: %-12s %26s %12s %30s %12s\n' '' 'while it runs, ns per exit' ': trace-cmd' "to the command's end, per exit" ': trace-cmd'
for w in default host_trace trace_cmd; do
	printf 'record: %-12s' "$w"
	for c in 2 3; do
		awk -v c="$(cost "$w" $c)" -v t="$(cost trace_cmd $c)" -v wide=$((c == 2 ? 26 : 30)) \
			'BEGIN { printf " %" wide "d %12.2f", c, c / t }'
	done
	echo
done
awk -v c="$(cost default 2)" -v t="$(cost trace_cmd 2)" 'BEGIN { printf "record: goal 0.50 while it runs: %s\n", c <= t / 2 ? "met" : "missed" }'
says() { sqlite3 -readonly "$1" "SELECT key, value FROM v_meta WHERE key GLOB 'exit_cost.*'" | sed "s/^/record: $2 says /; s/|/ /"; }
says "$TMP/x.exw" default
says "$TMP/h.exw" host_trace
trace-cmd report "$TMP/t.dat" 2>/dev/null | awk 'match($0, / kvm_[a-z_]+:/) { n[substr($0, RSTART + 1, RLENGTH - 2)]++ }
	END { printf "record: trace-cmd has"; for (k in n) printf " %d %s,", n[k], k; print " in its last round" }'
