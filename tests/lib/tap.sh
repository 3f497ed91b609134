# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# TAP for shell tests: source it, call check/skip, end with done_testing.
TAP_N=0
TAP_FAILED=0

# check NAME COMMAND…: ok if the command succeeds; its output is shown only when it fails.
check() {
	local name=$1 out
	shift
	TAP_N=$((TAP_N + 1))
	if out=$("$@" 2>&1 </dev/null); then
		echo "ok $TAP_N - $name"
	else
		TAP_FAILED=$((TAP_FAILED + 1))
		echo "not ok $TAP_N - $name"
		printf '%s\n' "$out" | sed 's/^/# /'
	fi
}

# skip NAME REASON
skip() {
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N - $1 # SKIP $2"
}

done_testing() {
	echo "1..$TAP_N"
	[ "$TAP_FAILED" -eq 0 ]
	exit
}
