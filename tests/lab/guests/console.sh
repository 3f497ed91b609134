#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: somebody types at the console of a Linux guest, through a pipe and on a
# terminal. $LINUX is the folder that tests.bash made.
# not in vmx: a serial port is the same there, and two more boots of Linux take minutes
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
w=$TMP/console.exw disk=$TMP/console.img
words="ew_modes=none ew_then=shell"
new_disk "$disk"

piped() {
	printf '%s\n' 'echo $((6*7))' 'echo line 2 of input' 'poweroff -f' |
		run_linux -w "$words" -d "$disk" -o "$w" --console >"$TMP/out" 2>&1
	local status=$?
	cat "$TMP/out"
	[ $status -eq 0 ] && grep -qx 'guest: 42' "$TMP/out" && grep -qx 'guest: line 2 of input' "$TMP/out" &&
		grep -q 'reboot: Power down' "$TMP/out"
}
check "a shell takes its commands from a pipe and powers off" piped
check "the recording is whole" whole "$w"

if [ ! -x "${UI_DRIVE-}" ]; then
	skip "a shell on a terminal" "no driver program"
	done_testing
fi
cat >"$TMP/run.sh" <<-SCRIPT
	. tests/lib/lab.sh
	run_linux -w "$words" -d $disk -o $w --watchdog 2
SCRIPT
"$UI_DRIVE" >"$TMP/drive" <<-SCRIPT
	name a shell on a terminal
	size 80 24
	run /bin/bash $TMP/run.sh
	raw
	await / #
	await exitwalk run: no exit and nothing printed for 2 s
	await : halted, it waits for an interrupt
	keys echo Space \$((6*7)) Space C-a C-a Enter
	await 42
	keys echo Space slee''ping; Space sleep Space 1000 Enter
	await sleeping
	keys C-c
	await ^C
	keys printf Space '\033[31mr\145d\033[0m\033]0;owned\007\033[6n' Enter
	await red
	colour
	quiet
	keys poweroff Space -f Enter
	end
	exit 0
	restored
SCRIPT
failed() { cat "$TMP/drive" && return 1; }
while IFS= read -r line; do # its results become ours
	case $line in
	ok*) check "${line#*- }" true ;;
	'not ok'* | 'Bail out!'*) check "${line#*- }" failed ;;
	esac
done <"$TMP/drive"
interrupts() { # of the keys: COM1's line, raised by the thread that reads, one for all keys that came together
	[ "$(query "$w" "SELECT count(*) >= 2 FROM v_event WHERE kind = 'irq_line' AND track =
		(SELECT id FROM track WHERE name = 'console') AND text LIKE '%irq 4 level 1'")" = 1 ]
}
check "the interrupts that the keys raised are recorded" interrupts
check "this recording is whole too" whole "$w"
done_testing
