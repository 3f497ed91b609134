# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC1091
# Runs tests/lab/suite.sh in the lab $1 (svm, vmx), whose KVM module is $2, and prints its TAP. Where the
# lab's packages cannot be had, all of it is one skipped test.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

out=${BUILD:-build}/lab/$1
mkdir -p "$out"
files=(tests/lib tests/lab/suite.sh tests/guest/run.sh)
# Its guests run for as long as they can, and Bochs with them.
[ "$1" = vmx ] || files+=(tests/guest/run_ends.sh)
programs=(sqlite3 perl)
args=()
for p in "${programs[@]}"; do args+=(-f "$(command -v "$p")"); done
for f in "${files[@]}"; do args+=(-f "$f"); done

bash tests/lab/lab.sh -x "$EXITWALK" "${args[@]}" -o "$out" -k "$out/kernel.log" -t 540 "$1" \
	"export EXITWALK=/lab/exitwalk BACKEND=$2 TMP=/tmp; bash tests/lab/suite.sh" 2>"$TMP/err"
status=$?
if [ $status -eq 69 ]; then
	skip "the $1 lab" "$(tail -n 1 "$TMP/err")"
	done_testing
fi
cat "$TMP/err"
exit $status
