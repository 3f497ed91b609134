#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# exitwalk run: guests that must be ended from outside, and recordings that are closed all the same.
# not in vmx: its guests run for as long as they can, and Bochs with them.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
endless="outloop=4000000000"

meta() { query "$1" "SELECT value FROM v_meta WHERE key = '$2'"; }
whole() { # the recording was finished and ends with the machine's stop
	[ "$(query "$1" "SELECT k.name FROM event e JOIN event_kind k ON k.id = e.kind ORDER BY e.id DESC
		LIMIT 1")" = machine_stop ] && [ "$(query "$1" "SELECT count(*) > 0 FROM seal")" = 1 ]
}

timeout_ends() {
	"$EXITWALK" run -q --timeout 1 --append "$endless" -o "$TMP/t.exw" 2>"$TMP/err"
	[ $? -eq 1 ] && tail -1 "$TMP/err" | grep -q 'within 1 s' &&
		[ "$(meta "$TMP/t.exw" stop_reason)" = "--timeout ran out" ] && whole "$TMP/t.exw"
}
check "--timeout ends a guest that hangs" timeout_ends
where() { # and says where: registers, the code at rip, the last exits. On a slow host it takes the guest
	# more than a second to get there.
	local s
	for s in 1 5 25 125; do
		"$EXITWALK" run -q --timeout $s --no-record --append "$endless" -d "$TMP/w.img" 2>"$TMP/err"
		grep -q '  rip    ffffffff8' "$TMP/err" &&
			grep -qE 'out 0x80, al|dec rdi|jnz 0x' "$TMP/err" &&
			[ "$(grep -c 'KVM_EXIT_IO write to port 0x80, 1 byte' "$TMP/err")" -ge 8 ] && return
	done
	cat "$TMP/err"
	return 1
}
check "it says where the guest was" where
unrecorded() {
	"$EXITWALK" run -q --timeout 1 --no-record --append "$endless" 2>"$TMP/err" -d "$TMP/u.img"
	[ $? -eq 1 ] && grep -q 'within 1 s' "$TMP/err"
}
check "--timeout ends it unrecorded too" unrecorded

# Waits until the recording in FILE has exits: the guest runs.
runs() { timeout 60 bash -c 'until [ "$(sqlite3 -readonly "$1" "SELECT count(*) FROM (SELECT 1 FROM
	vm_exit LIMIT 1)" 2>/dev/null)" = 1 ]; do :; done' _ "$1"; }
ended_by() { # SIGNALS…: sent one after the other while the guest runs
	rm -f "$TMP/s.exw"
	"$EXITWALK" run -q --timeout 0 --append "$endless" -o "$TMP/s.exw" 2>"$TMP/err" &
	local pid=$! status
	runs "$TMP/s.exw" || { kill -9 $pid && return 1; }
	for s in "$@"; do kill "-$s" $pid 2>/dev/null; done
	wait $pid
	status=$?
	[ $status -eq 1 ] && grep -q 'interrupted by the user' "$TMP/err" &&
		[ "$(meta "$TMP/s.exw" stop_reason)" = "interrupted by the user" ] && whole "$TMP/s.exw"
}
check "Ctrl-C ends the guest and closes the recording" ended_by INT
check "SIGTERM does" ended_by TERM
check "a closed terminal does" ended_by HUP
check "a second and a third Ctrl-C do not lose the recording" ended_by INT INT TERM

closed_pipe() { # nobody reads the summary: the recording is closed all the same
	"$EXITWALK" run -o "$TMP/p.exw" --repeat 5 | true
	whole "$TMP/p.exw"
}
check "a reader that goes away does not end the run" closed_pipe

full_disk() ( # files may have 2 MiB: the recorder cannot go on
	ulimit -f 2048
	"$EXITWALK" run -q --timeout 120 --append "$endless" -o "$TMP/f.exw" 2>"$TMP/err"
	status=$?
	cat "$TMP/err"
	[ $status -eq 1 ] && [ "$(grep -c '^exitwalk run: ' "$TMP/err")" -eq 1 ] &&
		[ "$(query "$TMP/f.exw" 'SELECT count(*) > 1000 FROM vm_exit')" = 1 ]
)
check "a full disk ends the run with a sentence, and what was recorded stays" full_disk
done_testing
