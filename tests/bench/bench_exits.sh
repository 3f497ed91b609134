#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What recording costs per exit: a tight loop of OUT, unrecorded and recorded in turn, so that what
# else happens on the machine hits both. Prints the median ns per exit and the median of the pairs' ratios.
#   PAIRS=15 EXITS=100000
set -eu
PAIRS=${PAIRS:-15} EXITS=${EXITS:-100000}
EXITWALK=${EXITWALK:-build/exitwalk}
if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	echo "exits: skipped, /dev/kvm is not there or may not be opened"
	exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

measure() { # NAME OPTIONS…: one line "NAME ns"
	local name=$1 ns
	shift
	ns=$("$EXITWALK" run -q --timeout 0 --append "outloop=$EXITS" -o "$tmp/x.exw" "$@" |
		awk '/ exits in / { printf "%.1f", $4 / $1 * 1e9 }')
	echo "$name $ns"
}
lost() { sqlite3 -readonly "$tmp/x.exw" "SELECT coalesce(sum(n), 0) FROM v_loss"; }

measure warm-up >/dev/null
for _ in $(seq "$PAIRS"); do
	measure unrecorded --no-record
	measure recorded
done >"$tmp/times"

own=$(sqlite3 -readonly "$tmp/x.exw" "SELECT (SELECT value FROM v_meta WHERE key = 'recorder.cost_ns') * 1.0 /
	(SELECT max(id) FROM v_exit)")
# The control: unrecorded too, but with another processor busy, as the writer's thread keeps it.
(while :; do :; done) &
spin=$!
trap 'kill $spin 2>/dev/null; rm -rf "$tmp"' EXIT
for _ in 1 2 3 4 5; do measure busy --no-record; done >>"$tmp/times"
kill $spin

median() { awk -v n="$1" '$1 == n { print $2 }' "$tmp/times" | sort -n |
	awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
# Each pair's ratio, since the machine's speed may drift over the run.
pair_ratios() { awk '$1 == "unrecorded" { u = $2 } $1 == "recorded" { print $2 / u }' "$tmp/times" |
	sort -n | awk '{ v[NR] = $1 } END { print v[1], v[int((NR + 1) / 2)], v[NR] }'; }
read -r low mid high < <(pair_ratios)
awk -v u="$(median unrecorded)" -v r="$(median recorded)" -v b="$(median busy)" -v own="$own" -v low="$low" -v mid="$mid" -v high="$high" \
	-v pairs="$PAIRS" -v exits="$EXITS" -v lost="$(lost)" 'BEGIN {
	printf "exits: unrecorded %.0f ns, recorded %.0f ns each; ratio recorded : unrecorded %.3f ", u, r, mid
	printf "(median of %d pairs of %d exits; single pairs %.3f to %.3f; %d records lost in the last)\n",
		pairs, exits, low, high, lost
	printf "       the records themselves cost the vCPU thread %.0f ns per exit (%.1f %%); ", own, own / u * 100
	printf "unrecorded beside a busy loop: %.0f ns (%.3f)\n", b, b / u
	printf "       goal 1.02, at worst 1.10: %s\n", mid <= 1.02 ? "met" : mid <= 1.10 ? "within the worst" : "missed"
}'
