#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# exitwalk run --cpus: several processors, each with a thread and a track. The sample guest starts only
# the first; the others wait for it to start them, and every way of ending the run must reach them.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
w=$TMP/smp.exw
endless="outloop=4000000000"

meta() { query "$1" "SELECT value FROM v_meta WHERE key = '$2'"; }
whole() { # FILE CPUS: complete, with a track for each; as many exits as KVM counted; one start, one stop
	"$EXITWALK" check "$1" >"$TMP/check" || { cat "$TMP/check" && return 1; }
	grep -q 'so many are recorded' "$TMP/check" && [ "$(meta "$1" vcpus)" = "$2" ] &&
		[ "$(query "$1" "SELECT count(*), count(DISTINCT vcpu) FROM track WHERE kind = 'vcpu'")" = \
			"$2|$2" ] &&
		[ "$(query "$1" "SELECT count(DISTINCT vcpu) FROM kvm_stat WHERE vcpu >= 0")" = "$2" ] &&
		[ "$(query "$1" "SELECT (SELECT count(*) FROM e_machine_start), count(*) FROM e_machine_stop")" = "1|1" ]
}

runs() { # long enough for the second thread to get a processor
	"$EXITWALK" run --cpus 2 --repeat 10 -o "$w" >"$TMP/out" && cat "$TMP/out" && whole "$w" 2 &&
		grep -qE '^vCPU 0 +[0-9]+ exits$' "$TMP/out"
}
check "--cpus 2: the sample guest runs, and its recording is whole" runs
expected_image 10 "$TMP/expected.img"
check "the bytes are on the disk" cmp "$TMP/smp.img" "$TMP/expected.img"
# It goes in, and comes out when all is over; only a signal of the host may get it out before.
waits() {
	[ "$(query "$w" "SELECT k.name FROM event e JOIN event_kind k ON k.id = e.kind JOIN track t ON
		t.id = e.track WHERE t.vcpu = 1 AND k.name LIKE 'run_%' ORDER BY e.id LIMIT 1")" = run_enter ] &&
		[ "$(query "$w" "SELECT DISTINCT kvm_reason_name FROM v_exit WHERE vcpu = 1")" = KVM_EXIT_INTR ] &&
		[ "$(query "$w" "SELECT count(*) < 10 FROM v_exit WHERE vcpu = 1")" = 1 ]
}
check "the second processor waits in KVM_RUN until the end" waits
numbered() { # together, without a gap
	[ "$(query "$w" 'SELECT min(id) = 1 AND max(id) = count(*) FROM vm_exit')" = 1 ] &&
		[ "$(meta "$w" exits)" = "$(query "$w" 'SELECT count(*) FROM vm_exit')" ]
}
check "exits are numbered over all processors" numbered

timeout_ends() {
	"$EXITWALK" run -q --cpus 3 --timeout 1 --append "$endless" -o "$TMP/t.exw" 2>"$TMP/err"
	[ $? -eq 1 ] && tail -1 "$TMP/err" | grep -q 'within 1 s' && whole "$TMP/t.exw" 3 &&
		[ "$(meta "$TMP/t.exw" stop_reason)" = "--timeout ran out" ]
}
check "--timeout ends all of them" timeout_ends
where() { # on a slow host it takes the guest more than a second to get there
	local s
	for s in 1 5 25 125; do
		[ $s = 1 ] || "$EXITWALK" run -q --cpus 3 --timeout $s --no-record --append "$endless" -d "$TMP/w.img" 2>"$TMP/err"
		grep -qx 'vCPU 0' "$TMP/err" && grep -qE 'dec rdi|out 0x80, al|jnz 0x' "$TMP/err" &&
			[ "$(grep -cx '  not started by the guest: it waits for INIT and SIPI' "$TMP/err")" = 2 ] && return
	done
	cat "$TMP/err"
	return 1
}
check "it says where each of them was" where
unrecorded() { timeout 60 "$EXITWALK" run -q --no-record --cpus 2 -d "$TMP/u.img"; }
check "unrecorded too" unrecorded

interrupted() {
	rm -f "$TMP/s.exw"
	"$EXITWALK" run -q --cpus 2 --timeout 0 --append "$endless" -o "$TMP/s.exw" 2>"$TMP/err" &
	local pid=$! status
	timeout 60 bash -c 'until [ "$(sqlite3 -readonly "$1" "SELECT count(*) FROM (SELECT 1 FROM
		vm_exit LIMIT 1)" 2>/dev/null)" = 1 ]; do :; done' _ "$TMP/s.exw" || { kill -9 $pid && return 1; }
	# vCPU 0 may have had exits before the other thread has run at all.
	until cat /proc/$pid/task/*/comm 2>/dev/null | grep -qx exitwalk-vcpu1; do kill -0 $pid || return 1; done
	kill -INT $pid
	wait $pid
	status=$?
	[ $status -eq 1 ] && grep -q 'interrupted by the user' "$TMP/err" &&
		whole "$TMP/s.exw" 2
}
check "Ctrl-C ends all of them; their threads have names" interrupted
full_disk() ( # the recorder gives up: everyone stops
	ulimit -f 2048
	"$EXITWALK" run -q --cpus 2 --timeout 120 --append "$endless" -o "$TMP/f.exw" 2>"$TMP/err"
	[ $? -eq 1 ] && grep -q '^exitwalk run: the recorder ' "$TMP/err"
)
check "a full disk ends all of them" full_disk
fails() { # a disk too small: the guest's own status, whoever else waits
	truncate -s 4096 "$TMP/small.img"
	"$EXITWALK" run -q --cpus 2 -o "$TMP/x.exw" -d "$TMP/small.img" 2>"$TMP/err"
	[ $? -eq 1 ] && grep -q 'status 2' "$TMP/err" && whole "$TMP/x.exw" 2
}
check "the guest's own status is the run's" fails
many() { "$EXITWALK" run -q --cpus 32 -o "$TMP/m.exw" && whole "$TMP/m.exw" 32; }
check "32 of them" many
wrong() {
	for n in 0 255 x ''; do
		"$EXITWALK" run --cpus "$n" -o "$TMP/no.exw" 2>"$TMP/err"
		[ $? -eq 64 ] && grep -q -- '--cpus takes a number from 1 to 254' "$TMP/err" || return 1
	done
	[ ! -e "$TMP/no.exw" ]
}
check "numbers that no machine has" wrong

model() { # the sample guest needs nothing that it leaves out
	"$EXITWALK" run -q --cpu conservative --cpus 2 -o "$TMP/c.exw" && whole "$TMP/c.exw" 2 &&
		[[ "$(meta "$TMP/c.exw" guest_cpu)" == "conservative, without "*SMAP*XSAVE* ]] &&
		[[ "$(meta "$w" guest_cpu)" == "host, without "*LA57* ]] &&
		[[ "$(meta "$w" guest_cpu)" != *SMAP* ]]
}
check "--cpu conservative, and the recording says what it leaves out" model
no_model() {
	"$EXITWALK" run --cpu fast 2>"$TMP/err"
	[ $? -eq 64 ] && grep -q "takes host or conservative, not 'fast'" "$TMP/err"
}
check "another model is refused" no_model
told() { "$EXITWALK" run --help | grep -q '^CX16, POPCNT, SMAP: '; }
check "--help lists what is left out, with reasons" told
done_testing
