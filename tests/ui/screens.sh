#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Whole screens, compared with tests/ui/expected. After a change that is meant:
#   BLESS=1 tests/ui/screens.sh    (with EXITWALK, UI_DRIVE, UI_FIXTURE and TMP set), then git diff
set -eu
cd "$(dirname "$0")/../.."
"$UI_FIXTURE" normal "$TMP/normal.exw"
expected=$PWD/tests/ui/expected
status=0

for size in 80x24 120x40 200x60; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name $size
		size ${size/x/ }
		run $EXITWALK view $TMP/normal.exw
		screen $expected/path-$size.txt
		reverse
		colour
		keys x
		screen $expected/exit-$size.txt
		keys 6 Tab
		screen $expected/host-write-rings-$size.txt
		keys t
		screen $expected/timeline-$size.txt
		keys r
		screen $expected/requests-$size.txt
		keys q
		exit 0
	SCRIPT
done

"$UI_FIXTURE" threads "$TMP/threads.exw"
for size in 80x24 120x40; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name threads $size
		size ${size/x/ }
		run $EXITWALK view $TMP/threads.exw
		keys 5 Right Right Right Right Right Right
		row hand-over: vCPU 0 told I/O thread
		screen $expected/handover-$size.txt
		keys Right Right
		row queue 0: pop head
		expect vCPU 0
		expect I/O thread
		keys 9 Right
		screen $expected/other-vcpu-$size.txt
		keys t
		expect request 1/2
		keys q
		exit 0
	SCRIPT
done

"$UI_FIXTURE" asides "$TMP/asides.exw"
for size in 80x24 120x40; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name asides $size
		size ${size/x/ }
		run $EXITWALK view $TMP/asides.exw
		keys 2 Left
		row aside: 3 exits
		screen $expected/aside-$size.txt
		keys Left
		row KVM_RUN
		keys Right a
		row KVM_RUN returns
		screen $expected/aside-steps-$size.txt
		keys Right a
		row aside: 3 exits
		keys / P O S T Space c Enter
		row POST code port
		expect Aside: nothing
		keys a
		row aside: 3 exits
		keys / P O S T Space c Esc
		row aside: 3 exits
		keys A
		expect A folds them
		keys A g
		keys q
		exit 0
	SCRIPT
done

"$UI_DRIVE" <<-SCRIPT || status=1
	name panes
	size 80 24
	run $EXITWALK view $TMP/normal.exw
	keys x Tab Tab
	screen $expected/registers-80x24.txt
	keys Tab
	screen $expected/stack-80x24.txt
	keys Tab
	screen $expected/code-80x24.txt
	keys Tab z
	screen $expected/budget-zoomed-80x24.txt
	keys Esc ?
	screen $expected/help-80x24.txt
	keys q
	expect step
	keys q
	exit 0
	name ascii
	run $EXITWALK view --ascii $TMP/normal.exw
	keys x
	ascii
	screen $expected/ascii-80x24.txt
	keys Tab
	ascii
	keys t
	ascii
	keys ?
	ascii
	keys q q
	exit 0
SCRIPT

"$UI_DRIVE" <<-SCRIPT || status=1
	name a locale without UTF-8
	env LC_ALL=C
	run $EXITWALK view $TMP/normal.exw
	ascii
	keys q
	exit 0
	name --mono
	env LC_ALL=C.UTF-8
	run $EXITWALK view --mono $TMP/normal.exw
	mono
	reverse
	keys q
	name NO_COLOR
	env NO_COLOR=1
	run $EXITWALK view $TMP/normal.exw
	mono
	screen $expected/path-80x24.txt
	keys q
	name a terminal with no colours
	env NO_COLOR=
	env TERM=vt100
	run $EXITWALK view $TMP/normal.exw
	mono
	expect request 1/4
	keys q
	exit 0
SCRIPT
exit $status
