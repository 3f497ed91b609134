#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The binary is hardened: PIE, full RELRO, stack protector, FORTIFY, CET, no executable stack.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
bin=$EXITWALK

has() { # PATTERN COMMAND…: the command's output has a line that matches
	local pattern=$1
	shift
	"$@" 2>/dev/null | grep -Eq "$pattern"
}

check "position-independent executable" has 'Type:.*DYN' readelf -h "$bin"
check "RELRO segment" has 'GNU_RELRO' readelf -lW "$bin"
check "all symbols bound at start" has 'BIND_NOW|FLAGS_1.*NOW' readelf -dW "$bin"
stack_rw() { readelf -lW "$bin" | awk '/GNU_STACK/ { bad = /RWE/; seen = 1 } END { exit !seen || bad }'; }
check "stack is not executable" stack_rw
check "stack protector" has '__stack_chk_fail' readelf -sW "$bin"
if [ -n "${SAN-}" ]; then
	skip "FORTIFY" "the sanitizers replace the checked functions"
else
	check "FORTIFY" has '__[a-z]+_chk' readelf -sW "$bin"
fi
check "CET: shadow stack in the properties" has 'x86 feature:.*SHSTK' readelf -nW "$bin"
check "CET: main() begins with endbr64" has 'endbr64' \
	objdump -d --no-show-raw-insn --disassemble=main "$bin"
done_testing
