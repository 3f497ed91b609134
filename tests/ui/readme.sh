#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The README's screen is what its command shows of the shipped recording. After a change that is meant:
#   BLESS=1 tests/ui/readme.sh, with UI_DRIVE, EXITWALK and TMP set, prints what belongs there
set -eu
cd "$(dirname "$0")/../.."
command=$(sed -n 's/^`exitwalk \(view -r [0-9.]* samples[^ ]*\)` in a terminal.*/\1/p' README.md)
[ -n "$command" ] || { echo "not ok 1 - the README names the command of its screen" && exit 1; }
# The block that begins with the recording's name in the breadcrumb.
awk '/^```/ { inside = !inside; next } inside && / ▸ vCPU/ { show = 1 } !inside { show = 0 } show' README.md >"$TMP/screen"
[ -z "${BLESS-}" ] || : >"$TMP/screen"
"$UI_DRIVE" <<-SCRIPT
	name README
	size 108 $(sed -n 's/.*in a terminal of 108×\([0-9]*\).*/\1/p' README.md)
	run $EXITWALK $command
	screen $TMP/screen
	keys q
SCRIPT
[ -z "${BLESS-}" ] || cat "$TMP/screen"
