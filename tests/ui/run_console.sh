#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The guest's console on a terminal: raw mode, its keys, and that the terminal is given back however the
# run ends. The built-in guest sits behind it, which reads nothing: tests/lab/console.sh types to a shell.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
status=0
endless="--append outloop=4000000000 --timeout 0 --console"

"$UI_DRIVE" <<-SCRIPT || status=1
	name keys
	size 80 24
	run $EXITWALK run -o $TMP/k.exw $endless
	expect Ctrl-A x ends it
	raw
	keys C-a h
	expect Ctrl-A Ctrl-A  types Ctrl-A
	keys C-c C-z y C-a z C-a C-a x
	raw
	keys C-a x
	end
	exit 1
	expect exitwalk run: interrupted by the user
	restored
SCRIPT
whole() { # STOP_REASON: the recording was closed, and says why the run ended
	[ "$(query "$TMP/$1.exw" "SELECT value FROM v_meta WHERE key = 'stop_reason'")" = "$2" ] &&
		"$EXITWALK" check "$TMP/$1.exw"
}
check "Ctrl-A x: the recording is whole" whole k "interrupted by the user"

# More than the guest takes and the buffer holds: the keys still work.
flood=$(printf 'x%.0s' {1..900})
"$UI_DRIVE" <<-SCRIPT || status=1
	name a guest that takes nothing
	run $EXITWALK run --no-record -d $TMP/f.img $endless
	keys $flood
	keys $flood
	keys $flood
	keys $flood
	keys $flood
	raw
	keys C-a x
	end
	exit 1
	restored
SCRIPT

for signal in INT TERM HUP; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name SIG$signal
		run $EXITWALK run -o $TMP/$signal.exw $endless
		raw
		signal $signal
		exit 1
		restored
	SCRIPT
	check "SIG$signal: the recording is whole" whole $signal "interrupted by the user"
done

# A crash gives the terminal back and then is what it was: with the sanitizers, their report and status.
segv=139 abrt=134
[ -n "${SAN-}" ] && segv=1
for crash in SEGV:$segv ABRT:$abrt QUIT:131; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name SIG${crash%:*}
		run $EXITWALK run --no-record -d $TMP/c.img $endless
		raw
		signal ${crash%:*}
		restored
		exit ${crash#*:}
	SCRIPT
done

"$UI_DRIVE" <<-SCRIPT || status=1
	name stop and go on
	run $EXITWALK run --no-record -d $TMP/s.img $endless
	signal TSTP
	stopped
	signal CONT
	raw
	signal TSTP
	stopped
	signal CONT
	raw
	keys C-a x
	end
	exit 1
	restored
	name the guest ends
	run $EXITWALK run --no-record -d $TMP/e.img --console
	end
	exit 0
	restored
	name the time is over
	run $EXITWALK run --no-record -d $TMP/o.img --append outloop=4000000000 --console --timeout 1
	end
	exit 1
	expect the guest did not end within 1 s
	restored
	name a guest that fails
	run $EXITWALK run --no-record -d $TMP/e.img,ro --console
	end
	exit 1
	expect exitwalk run: the guest ended with status 1
	restored
	name the file that may not grow
	run /usr/bin/env bash -c ulimit\${IFS}-f\${IFS}2048;exec\${IFS}$EXITWALK\${IFS}run\${IFS}-o\${IFS}$TMP/u.exw\${IFS}--console\${IFS}--append\${IFS}outloop=4000000000
	end
	exit 1
	restored
	name --no-console
	run $EXITWALK run --no-record -d $TMP/n.img --append outloop=200000 --no-console
	end
	exit 0
	restored
	name standard input is not read
	run $EXITWALK run --no-record -d $TMP/n.img
	end
	exit 0
	restored
	name a wrong EXITWALK_IDLE_FD
	run /usr/bin/env EXITWALK_IDLE_FD=x $EXITWALK run --no-record -d $TMP/n.img --console
	expect exitwalk run: EXITWALK_IDLE_FD
	exit 1
	restored
SCRIPT

# Without a terminal.
piped() { printf 'some\001xinput' | "$EXITWALK" run -o "$TMP/p.exw" --console >"$TMP/out" && "$EXITWALK" check "$TMP/p.exw"; }
check "--console reads a pipe, in which Ctrl-A has no meaning" piped
more() { head -c 1000000 /dev/zero | "$EXITWALK" run --no-record -d "$TMP/m.img" --console >"$TMP/out"; }
check "a pipe with more than the guest takes does not hold up the run" more
untouched() { # the shell's next command gets what stands in the pipe
	[ "$(echo word | { "$EXITWALK" run -q --no-record -d "$TMP/m.img" >/dev/null && cat; })" = word ]
}
check "without --console a pipe is not read" untouched
closed() { "$EXITWALK" run -q --no-record -d "$TMP/m.img" --console <&-; }
check "a closed standard input is an end of file" closed
[ "$TAP_FAILED" -eq 0 ] || status=1
echo "1..$TAP_N"
exit $status
