#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The terminal: sizes, signals, and that it is given back on every way out.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib/tap.sh
"$UI_FIXTURE" normal "$TMP/normal.exw"
status=0

"$UI_DRIVE" <<-SCRIPT || status=1
	name resize
	size 80 24
	run $EXITWALK view $TMP/normal.exw
	keys x
	remember
	resize 200 60
	expect hardware reason
	row KVM_RUN returns
	resize 120 40
	row KVM_RUN returns
	resize 40 10
	row KVM_RUN
	resize 20 5
	expect too small: 20x5
	keys Right Right ? ? t t Left Left
	resize 1 1
	resize 300 100
	row KVM_RUN returns
	resize 80 24
	same
	name resize in the help
	keys ?
	resize 100 30
	expect keys and signs
	keys Esc
	name resize while typing
	keys /pwrite
	resize 80 24
	expect search: pwrite
	keys Esc q
	exit 0
	restored
SCRIPT

"$UI_DRIVE" <<-SCRIPT || status=1
	name text is as wide as the terminal
	size 80 60
	run $EXITWALK path $TMP/normal.exw
	end
	expect KVM_RUN returns:           #
	size 140 60
	run $EXITWALK path $TMP/normal.exw
	end
	expect KVM_RUN returns: KVM_EXIT_IO, 4-byte write to port 0xb00
	exit 0
SCRIPT

for size in 40x10 41x13 79x23 109x19 110x20 159x33 160x20; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name at $size
		size ${size/x/ }
		run $EXITWALK view $TMP/normal.exw
		row write
		keys x Tab Tab Tab Tab Tab z z J J K t r ? Esc Enter
		keys 6
		row pwrite64
		keys q
		exit 0
		restored
	SCRIPT
done

for how in "signal TERM:143" "signal HUP:129" "signal INT:130" "signal QUIT:131" "keys C-c:130"; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name ${how%:*}
		run $EXITWALK view $TMP/normal.exw
		keys x
		${how%:*}
		exit ${how#*:}
		restored
	SCRIPT
done

# A crash gives the terminal back and then is what it was: with the sanitizers, their report and status.
segv=139 abrt=134
[ -n "${SAN-}" ] && segv=1
"$UI_DRIVE" <<-SCRIPT || status=1
	name a crash
	run $EXITWALK view $TMP/normal.exw
	signal SEGV
	restored
	exit $segv
	run $EXITWALK view $TMP/normal.exw
	signal ABRT
	restored
	exit $abrt
SCRIPT

"$UI_DRIVE" <<-SCRIPT || status=1
	name stop and go on
	run $EXITWALK view $TMP/normal.exw
	keys x
	remember
	signal TSTP
	stopped
	signal CONT
	same
	keys C-z
	stopped
	signal CONT
	same
	keys C-l
	same
	keys q
	exit 0
	restored
SCRIPT

cd "$TMP"
"$UI_DRIVE" <<-SCRIPT || status=1
	name saving the screen
	run $EXITWALK view $TMP/normal.exw
	keys S
	expect the screen is saved in normal.exw.screen-1.txt
	keys S
	expect normal.exw.screen-2.txt
	keys q
	exit 0
SCRIPT
saved() { grep -q 'write(3, 0x601000, 512)' normal.exw.screen-1.txt && [ -s normal.exw.screen-2.txt ]; }
check "the saved screen has what was on it" saved

says() { # STATUS PATTERN COMMAND…: that exit status, and one line on stderr that matches
	local want=$1 pattern=$2 err got=0
	shift 2
	err=$("$@" 2>&1 >/dev/null </dev/null) || got=$?
	echo "status $got: $err"
	[ "$got" -eq "$want" ] && [ "$(wc -l <<<"$err")" -eq 1 ] && grep -Eq "$pattern" <<<"$err"
}
check "no terminal: one sentence" says 1 '^exitwalk view: .*exitwalk path' \
	"$EXITWALK" view "$TMP/normal.exw"

"$UI_DRIVE" <<-SCRIPT || status=1
	name an unknown terminal type
	env TERM=no-such-terminal
	run $EXITWALK view $TMP/normal.exw
	expect exitwalk view: the terminal type 'no-such-terminal' can show no screen
	exit 1
	restored
	name a terminal type whose cursor cannot be moved
	env TERM=dumb
	run $EXITWALK view $TMP/normal.exw
	expect exitwalk view: the terminal type 'dumb' can show no screen
	exit 1
	restored
	name a wrong EXITWALK_IDLE_FD
	env TERM=xterm-256color
	run /usr/bin/env EXITWALK_IDLE_FD=x $EXITWALK view $TMP/normal.exw
	expect EXITWALK_IDLE_FD
	exit 1
	restored
SCRIPT
[ "$TAP_FAILED" -eq 0 ] || status=1
echo "1..$TAP_N"
exit $status
