#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# exitwalk run: the sample guest runs, its bytes are on the disk, and the recording holds the very
# sequence of exits that the guest's source asks for.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
w=$TMP/w.exw

check "the guest runs and ends with status 0" "$EXITWALK" run -o "$w"
expected_image 1 "$TMP/expected.img"
check "every byte of the disk is what the guest was to write" cmp "$TMP/w.img" "$TMP/expected.img"

# --- the sequence of exits ------------------------------------------------------------------------
io() { echo "KVM_EXIT_IO|port|$2|$3|$1"; } # DIRECTION (1 out, 0 in) PORT SIZE
mark() { io 1 2816 4; }
request() { io 1 49168 2 && io 0 49171 1; } # notify, then the interrupt handler reads ISR
call() { # REQUESTS: a system call between its two markers
	mark
	for _ in $(seq "$1"); do request; done
	mark
}
expected_exits() {
	io 1 1017 1 && io 1 1019 1 # UART: interrupts off, 8N1
	for _ in id bar0 irq; do io 1 3320 4 && io 0 3324 4; done
	io 1 3320 4 && io 1 3324 2                               # COMMAND
	for _ in reset acknowledge driver; do io 1 49170 1; done # device status
	io 0 49152 4 && io 1 49156 4                             # features
	io 1 49166 2 && io 0 49164 2 && io 1 49160 4             # queue select, size, PFN
	for r in 49172 49176 49184; do io 0 $r 4; done           # capacity, seg_max
	io 1 49170 1                                             # DRIVER_OK
	request && request                                       # read the superblock, format
	call 0                                                   # openat
	for _ in 512 4096 65536; do call 1; done                 # write
	for _ in 512 4096 65536; do call 1; done                 # pwrite64
	call 2                                                   # fsync: directory, flush
	call 0                                                   # lseek
	for _ in 512 4096 65536; do call 1; done                 # read
	for _ in 512 4096 65536; do call 1; done                 # pread64
	call 0                                                   # close
	mark                                                     # exit_group does not return
	io 1 244 1                                               # the exit port
}
# Signals of the host may interrupt KVM_RUN at any time: those returns are not the guest's.
exits() { query "$1" "SELECT kvm_reason_name, space, addr, size, is_write FROM v_exit
	WHERE kvm_reason_name <> 'KVM_EXIT_INTR' ORDER BY id"; }
expected_exits >"$TMP/expected.exits"
same_exits() { exits "$1" | diff "$TMP/expected.exits" -; }
check "the exits are exactly those of the guest's source" same_exits "$w"

events_of_write() {
	query "$w" "SELECT k.name FROM event e JOIN event_kind k ON k.id = e.kind WHERE e.id BETWEEN
		(SELECT event_id FROM vm_exit WHERE addr = 49168 ORDER BY id LIMIT 1 OFFSET 2) AND
		(SELECT e2.id FROM event e2 JOIN event_kind k2 ON k2.id = e2.kind AND k2.name = 'run_enter'
		 WHERE e2.exit_id = (SELECT id FROM vm_exit WHERE addr = 49168 ORDER BY id LIMIT 1 OFFSET 2))
		ORDER BY e.id" | tr '\n' ' '
}
one_write() {
	local want="run_exit dispatch snapshot queue_notify queue_pop descriptor descriptor descriptor"
	want+=" request host_call host_ret req_status queue_used isr_set irq_line irq_line_ret"
	want+=" dispatch_end run_enter "
	[ "$(events_of_write | sed 's/snapshot dispatch /dispatch snapshot /')" = "$want" ] ||
		{ events_of_write && return 1; }
}
check "one 512-byte write: its events in their order, from exit to entry" one_write

paired() { # each exit but the last was followed by the entry that names it
	[ "$(query "$w" "SELECT count(*) FROM vm_exit x LEFT JOIN event e ON e.exit_id = x.id AND e.kind =
		(SELECT id FROM event_kind WHERE name = 'run_enter') WHERE e.id IS NULL")" = 1 ]
}
check "every exit but the last has its entry" paired
numbered() { [ "$(query "$w" 'SELECT min(id) = 1 AND max(id) = count(*) FROM vm_exit')" = 1 ]; }
check "exits are numbered from 1 without a gap" numbered

notify_insn() {
	[ "$(query "$w" "SELECT DISTINCT symbol LIKE 'iowrite16+%' FROM v_exit WHERE addr = 49168")" = 1 ]
}
check "each notify is in iowrite16" notify_insn
insn_bytes() { # 66 ef = out dx, ax
	[ "$(query "$w" "SELECT DISTINCT substr(hex(insn), 1, 4) FROM vm_exit WHERE addr = 49168")" = 66EF ]
}
check "the exiting instruction's bytes are those of out dx, ax" insn_bytes
markers() {
	[ "$(query "$w" "SELECT group_concat(nr || '=' || ret, ' ') FROM e_marker WHERE phase = 2")" = \
"257=3 1=512 1=4096 1=65536 18=512 18=4096 18=65536 74=0 8=0 0=512 0=4096 0=65536 17=512 17=4096 17=65536 3=0" ]
}
check "the markers tell each system call's number and result" markers
snapshots() { # 4 KiB of stack and 128 bytes of code, among them OUT, at each notify; its cost measured
	[ "$(query "$w" "SELECT count(*) = (SELECT count(*) FROM vm_exit WHERE addr = 49168) AND
		min(length(p.data)) = 18 * 8 + 4096 + 128 AND min(s.cost) > 0 AND
		min(instr(substr(p.data, 18 * 8 + 4096 + 1), x'66ef')) > 0
		FROM e_snapshot s JOIN payload p ON p.event_id = s.id WHERE s.why = 1")" = 1 ]
}
check "registers and stack were copied at each notify" snapshots

# --- what the recording says of itself ------------------------------------------------------------
meta_has() { # KEY PATTERN
	local v
	v=$(query "$w" "SELECT value FROM v_meta WHERE key = '$1'")
	[[ $v =~ $2 ]] || { echo "$1 = '$v'" && return 1; }
}
all_meta() {
	meta_has exitwalk_version '^[0-9]+\.' && meta_has command_line "^exitwalk run -o .*w\.exw$" &&
		meta_has started_at '^20[0-9-]+T[0-9:.]+Z$' && meta_has stopped_at '^20' &&
		meta_has host_kernel "^Linux $(uname -r) " && meta_has cpu_model . &&
		meta_has kvm_backend . && meta_has kvm_api_version '^12$' &&
		meta_has cap.KVM_CAP_IRQCHIP '^[1-9]' && meta_has clock CLOCK_MONOTONIC &&
		meta_has guest '^sample guest$' && meta_has guest_kernel_entry '^(syscall|int80)$' &&
		meta_has guest_kernel_entry_why . && meta_has disk_bytes '^1048576$' &&
		meta_has stop_reason 'guest ended' && meta_has guest_exit_status '^0$' &&
		meta_has exits "^$(query "$w" 'SELECT count(*) FROM vm_exit')$"
}
check "meta explains the recording" all_meta
probe_agrees() { # the guest was told the entry that the probe found
	local entry
	entry=$(query "$w" "SELECT value FROM v_meta WHERE key = 'guest_kernel_entry'")
	meta_has guest_command_line "entry=$entry( |$)"
}
check "the guest was told the kernel entry that works" probe_agrees
regions() {
	[ "$(query "$w" "SELECT group_concat(printf('%x', base), ' ') FROM (SELECT base FROM region
		WHERE space = 0 ORDER BY base)")" = "80 f4 3f8 b00 cf8 cfc c000" ]
}
check "the machine's ports are in the recording" regions
counters() { # KVM counted at least the exits that came to user space
	local kvm
	kvm=$(query "$w" "SELECT after - before FROM kvm_stat WHERE vcpu = 0 AND name = 'exits'")
	[ -z "$kvm" ] || [ "$kvm" -ge "$(query "$w" 'SELECT count(*) FROM vm_exit')" ]
}
check "KVM's counters before and after" counters

# --- variations -----------------------------------------------------------------------------------
check "a second run on the same disk replaces the recording" "$EXITWALK" run -q -o "$w"
no_format() { # neither format nor directory to write: two requests of two exits less
	[ "$(exits "$w" | wc -l)" -eq $(($(wc -l <"$TMP/expected.exits") - 4)) ]
}
check "it finds the disk formatted and the file there" no_format
check "--repeat 3" "$EXITWALK" run -q -o "$TMP/r.exw" --repeat 3
expected_image 3 "$TMP/expected3.img"
check "the third round's bytes are on the disk" cmp "$TMP/r.img" "$TMP/expected3.img"
unrecorded() {
	(cd "$TMP" && "$EXITWALK" run -q --no-record) && [ ! -e "$TMP/exitwalk.exw" ] &&
		cmp "$TMP/exitwalk.img" "$TMP/expected.img"
}
check "--no-record: the same bytes, no recording" unrecorded
memory() {
	"$EXITWALK" run -q -m 32 -o "$TMP/m.exw" && "$EXITWALK" run -q -m 3072 -o "$TMP/m.exw"
}
check "the smallest and the largest memory" memory
small_disk() { # 8 sectors: nothing fits; the guest says so and ends with 2
	truncate -s 4096 "$TMP/small.img"
	"$EXITWALK" run -o "$TMP/s.exw" -d "$TMP/small.img" >"$TMP/out" 2>"$TMP/err"
	[ $? -eq 1 ] && grep -q '^guest: ' "$TMP/out" && grep -q 'status 2' "$TMP/err" &&
		[ "$(query "$TMP/s.exw" "SELECT value FROM v_meta WHERE key = 'guest_exit_status'")" = 2 ]
}
check "a guest that fails: its words, its status, and a recording" small_disk
read_only() {
	"$EXITWALK" run -q -o "$TMP/ro.exw" -d "$TMP/w.img,ro"
	[ $? -eq 1 ] && [ "$(query "$TMP/ro.exw" "SELECT value FROM v_meta WHERE key = 'disk_mode'")" = \
		read-only ] && cmp "$TMP/w.img" "$TMP/expected.img"
}
check "a read-only disk stays as it is" read_only
other_entry() { # the other way into the kernel may or may not work here; the VMM must survive it
	"$EXITWALK" run -q --timeout 20 -o "$TMP/e.exw" --append entry=syscall 2>"$TMP/err"
	local status=$?
	if [ "$(query "$w" "SELECT value FROM v_meta WHERE key = 'guest_kernel_entry'")" = syscall ]; then
		[ $status -eq 0 ]
	else
		[ $status -eq 1 ] && [ -s "$TMP/err" ]
	fi
}
check "entry=syscall where it does not work ends with a sentence" other_entry
done_testing
