#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two recordings of other people's VMs, made with trace-cmd on kvm-amd and kvm-intel (README.md here), imported.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
data=$PWD/tests/import

import() { "$EXITWALK" import "$data/$1.trace.dat" -o "$TMP/$1.exw"; }
query() { sqlite3 -batch -separator ' ' "$TMP/$1.exw" "$2"; }
for f in svm-qemu vmx-sync; do
	check "$f: it is imported" import "$f"
	check "$f: and the recording is whole" "$EXITWALK" check "$TMP/$f.exw"
done

reasons() { query "$1" "SELECT hw_reason_name, count(*) FROM v_exit GROUP BY 1 ORDER BY 2 DESC, 1"; }
has_reasons() { # FILE, then lines of stdin: the reasons with their counts, and no others
	diff <(reasons "$1") - && reasons "$1" | while read -r name n; do
		"$EXITWALK" report --ascii "$TMP/$1.exw" | grep -Eq "^  $name +$n " || { echo "the report lacks $name $n" && return 1; }
	done
}
svm_reasons() {
	has_reasons svm-qemu <<-E
		SVM_EXIT_IOIO 309
		SVM_EXIT_MSR 260
		SVM_EXIT_CPUID 167
		SVM_EXIT_NPF 111
		SVM_EXIT_INTR 95
		SVM_EXIT_VINTR 71
		SVM_EXIT_HLT 60
	E
}
vmx_reasons() {
	has_reasons vmx-sync <<-E
		EXIT_REASON_IO_INSTRUCTION 22
		EXIT_REASON_INTERRUPT_WINDOW 1
		EXIT_REASON_PREEMPTION_TIMER 1
	E
}
check "svm-qemu: the hardware's reasons" svm_reasons
check "vmx-sync: the hardware's reasons" vmx_reasons

# trace-cmd's plug-in has names of its own: 7, INTERRUPT_WINDOW in the SDM, is PENDING_INTERRUPT there.
trace_cmd_reasons() {
	trace-cmd report "$data/$1.trace.dat" 2>/dev/null | sed -n 's/.* kvm_exit: .*reason \([A-Z_]*\).*/\1/p' |
		sed 's/^EXIT_/SVM_EXIT_/; t; s/^PENDING_INTERRUPT$/INTERRUPT_WINDOW/; s/^/EXIT_REASON_/' |
		sort | uniq -c | awk '{ print $2, $1 }' | sort -k2,2nr -k1,1
}
same_reasons() { [ -n "$(trace_cmd_reasons "$1")" ] && diff <(trace_cmd_reasons "$1") <(reasons "$1"); }
same_events() { # every tracepoint: as many as trace-cmd reports, imported or counted as not imported
	diff <(trace-cmd report "$data/$1.trace.dat" 2>/dev/null |
		sed -n 's/^[^:]*[0-9]\.[0-9]*: \([a-z0-9_]*\):.*/\1/p' | sed 's/^sys_\(enter\|exit\)_.*/sys_\1/' |
		sort | uniq -c | awk '{ print $2, $1 }' | LC_ALL=C sort) \
		<({
			query "$1" "SELECT kind, count(*) FROM v_event GROUP BY kind"
			query "$1" "SELECT value FROM v_meta WHERE key = 'import.not_imported'" |
				sed 's/, /\n/g' | sed 's/^[^:]*://'
		} | LC_ALL=C sort)
}
for f in svm-qemu vmx-sync; do
	if command -v trace-cmd >/dev/null; then
		check "$f: the same reasons as trace-cmd counts" same_reasons "$f"
		check "$f: the same events as trace-cmd counts" same_events "$f"
	else
		skip "$f: the same reasons as trace-cmd counts" "trace-cmd is not installed"
		skip "$f: the same events as trace-cmd counts" "trace-cmd is not installed"
	fi
done

says() { # KEY VALUE
	[ "$(query svm-qemu "SELECT value FROM v_meta WHERE key = '$1'")" = "$2" ]
}
check "meta: the clock" says clock CLOCK_MONOTONIC
check "meta: the format" says import.format 7
check "meta: the host's kernel" says host_kernel "Linux (none) 6.1.0-56-cloud-amd64 x86_64"
tracks() {
	diff <(query svm-qemu "SELECT name, kind, vcpu FROM track ORDER BY id") - <<-E
		qemu-system-x86-172 vcpu 0
		qemu-system-x86-182 thread 
		qemu-system-x86-123 thread 
		sh-115 thread 
	E
}
check "one track per task, and the vCPU's number" tracks
notify() { # the exit of the driver's notification, as everything that was recorded of it says
	diff <(query vmx-sync "SELECT printf('%x', rip), hw_reason_name, kvm_reason_name, space, printf('%x', addr), size,
		is_write, value FROM v_exit WHERE addr = 0x6210 LIMIT 1") - <<-E
		ffffffff815a95de EXIT_REASON_IO_INSTRUCTION KVM_EXIT_IO port 6210 2 1 0
	E
}
check "vmx-sync: the notification's exit" notify

# --- requests -------------------------------------------------------------------------------------
requests() { query "$1" "SELECT type, sector, bytes FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT' ORDER BY id LIMIT 6"; }
svm_requests() { # as the guest's program wrote them (README.md here)
	diff <(requests svm-qemu) - <<-E
		VIRTIO_BLK_T_OUT 12288 512
		VIRTIO_BLK_T_OUT 12289 512
		VIRTIO_BLK_T_OUT 12290 512
		VIRTIO_BLK_T_OUT 12291 512
		VIRTIO_BLK_T_OUT 12292 512
		VIRTIO_BLK_T_OUT 12416 65536
	E
}
vmx_requests() {
	diff <(requests vmx-sync) - <<-E
		VIRTIO_BLK_T_OUT 0 512
		VIRTIO_BLK_T_OUT 1 512
		VIRTIO_BLK_T_OUT 2 512
		VIRTIO_BLK_T_OUT 3 512
		VIRTIO_BLK_T_OUT 4 512
	E
}
check "svm-qemu: each of the guest's writes is a request" svm_requests
check "vmx-sync: each of the guest's writes is a request" vmx_requests
every_kick() { # no notification without a request, and none has two interrupts
	[ "$(query "$1" "SELECT count(*) FROM v_exit WHERE addr = $2 AND size = 2 AND is_write
		AND id NOT IN (SELECT kick_exit FROM request)")" = 0 ] &&
		[ "$(query "$1" "SELECT count(*) FROM request WHERE t_irq IS NULL OR t_entry IS NULL")" = 0 ]
}
check "svm-qemu: every notification, interrupt and entry has its request" every_kick svm-qemu 0xc010
check "vmx-sync: every notification, interrupt and entry has its request" every_kick vmx-sync 0x6210

in_order() { # FILE REQUEST, then lines of stdin, each a part of a line of the path: all there, in this order
	local rest want
	rest=$("$EXITWALK" path --ascii -r "$2" "$TMP/$1.exw" | tr -s ' \n' ' ')
	while read -r want; do
		case $rest in
		*"$want"*) rest=${rest#*"$want"} ;;
		*) echo "after the steps in front of it there is no: $want" && return 1 ;;
		esac
	done
}
svm_path() { # the third write: three threads of QEMU (docs/import.md has the picture of it)
	in_order svm-qemu 3 <<-E
		request 3 to port 0xc010: VIRTIO_BLK_T_OUT sector 12290, 512 bytes
		1 guest system call
		not recorded: the guest's system call
		> qemu-system-x86-172
		kvm_entry: vCPU 0
		not recorded: the guest kernel's way
		3 VM exit
		kvm_exit: SVM_EXIT_IOIO (port 0xc010, OUT,
		rip 0xffffffff863a95de
		kvm_pio: write of port 0xc010, 2 bytes
		4 the ioctl returns
		kvm_userspace_exit: KVM_EXIT_IO
		ioctl = 0
		not recorded: the VMM's device model
		not recorded: how this thread came to it
		6 host system call
		> qemu-system-x86-182
		pwrite64(fd 12,
		pwrite64 = 512
		7 completion
		> qemu-system-x86-123
		KVM_SIGNAL_MSI
		kvm_msi_set_irq
		kvm_apic_accept_irq: APIC 0, vector 38
		8 VM entry
		> qemu-system-x86-172
		KVM_RUN
		kvm_inj_virq: vector 38
		kvm_entry: vCPU 0, rip 0xffffffff863a95e0
		9 the guest goes on
		kvm_eoi: APIC 0, vector 38
		not recorded: the guest's interrupt handler
		sum = wall time
	E
}
vmx_path() { # the fourth write, with a timer tick in the middle: the tick's exits, then the disk's interrupt
	in_order vmx-sync 4 <<-E
		request 4 to port 0x6210: VIRTIO_BLK_T_OUT sector 3, 512 bytes
		kvm_exit: EXIT_REASON_IO_INSTRUCTION (port
		0x6210, OUT, size 2)
		kvm_userspace_exit: KVM_EXIT_IO
		pwritev(fd 10,
		pwritev = 512
		kvm_msi_set_irq: address 0xfee01004, data 0x21
		kvm_inj_virq: vector 48
		EXIT_REASON_PREEMPTION_TIMER
		EXIT_REASON_INTERRUPT_WINDOW
		kvm_inj_virq: vector 33
		kvm_entry: vCPU 0, rip 0xffffffff815a95e0
		kvm_eoi: APIC 0, vector 33
	E
}
check "svm-qemu: a write's path over three threads" svm_path
check "vmx-sync: a write's path with a timer tick in it" vmx_path

ui() { # the same path in the UI
	"$UI_DRIVE" <<-SCRIPT
		name import
		size 110 44
		run $EXITWALK view $TMP/svm-qemu.exw
		expect the guest → OUT sector 12288, 512 bytes
		expect not recorded: the guest's system call
		keys x
		row kvm_exit: SVM_EXIT_IOIO
		refuse (null)
		keys 6
		row pwrite64(fd 12
		keys r
		expect 12416   65536
		expect the guest         -
		keys Esc : 7 Enter
		expect a request whose system call was not recorded
		keys Tab Tab Tab Tab
		expect unaccounted: no row says who
		expect no system call of the disk was
		refuse the ioctl returns ──
		keys q
		exit 0
		size 80 24
		run $EXITWALK view $TMP/svm-qemu.exw
		expect │V+w▒
		keys q
	SCRIPT
}
if [ -n "${UI_DRIVE-}" ]; then
	check "svm-qemu: the UI walks the path" ui
else
	skip "svm-qemu: the UI walks the path" "UI_DRIVE names no terminal driver"
fi

default_name() { (cd "$TMP" && "$EXITWALK" import "$data/vmx-sync.trace.dat" && [ -s vmx-sync.exw ]); }
check "without -o the name is the input's" default_name
fails() { # STATUS PATTERN COMMAND…: one sentence on stderr
	local status=$1 pattern=$2 err
	shift 2
	err=$("$@" 2>&1 >/dev/null)
	[ $? -eq "$status" ] || { echo "$err" && return 1; }
	[ "$(wc -l <<<"$err")" -eq 1 ] && grep -q "$pattern" <<<"$err" || { echo "$err" && return 1; }
}
check "a file that is not there" fails 1 'cannot be opened' "$EXITWALK" import "$TMP/none" -o "$TMP/x.exw"
check "a recording is no trace" fails 1 'is a recording' "$EXITWALK" import "$TMP/vmx-sync.exw" -o "$TMP/x.exw"
check "a directory is no trace" fails 1 'is not a file' "$EXITWALK" import "$TMP" -o "$TMP/x.exw"
precious() {
	echo precious >"$TMP/precious" &&
		fails 1 'is not an exitwalk recording' "$EXITWALK" import "$data/vmx-sync.trace.dat" -o "$TMP/precious" &&
		[ "$(cat "$TMP/precious")" = precious ]
}
check "a file that is no recording is not replaced" precious
kept() {
	cp "$TMP/svm-qemu.exw" "$TMP/kept.exw" && head -c 3000 "$data/vmx-sync.trace.dat" >"$TMP/short.dat"
	fails 1 'nothing could be read' "$EXITWALK" import "$TMP/short.dat" -o "$TMP/kept.exw" &&
		cmp "$TMP/svm-qemu.exw" "$TMP/kept.exw"
}
check "a trace of which nothing can be read replaces nothing" kept
closed() { # the files that are opened then have the numbers of standard input, output and error
	rm -f "$TMP/closed.exw"
	bash -c "exec $1; exec \"\$0\" import \"\$1\" -o \"\$2\"" "$EXITWALK" "$data/vmx-sync.trace.dat" "$TMP/closed.exw"
	[ $? -eq "$2" ] && "$EXITWALK" check "$TMP/closed.exw"
}
check "standard input and error are closed" closed '<&- 2>&-' 0
check "standard output is closed too, and it fails since it cannot say what it did" closed '<&- >&- 2>&-' 1
full() { (ulimit -f 64 && fails 1 'cannot be written\|could not be completed' "$EXITWALK" import "$data/svm-qemu.trace.dat" -o "$TMP/full.exw"); }
check "a full disk: one sentence" full
# No scheduler events are in this trace: who had the request is known, what its threads did between is not.
handed_on() {
	query svm-qemu "SELECT q.id, q.sector, n.name, b.ns FROM budget b JOIN v_request q ON q.id = b.request_id
		JOIN enum_name n ON n.enum = 'layer' AND n.value = b.layer WHERE n.name IN ('in_vmm', 'unaccounted') AND b.ns <> 0"
	[ "$(query svm-qemu "SELECT count(*), sum(b.ns > 0) FROM budget b JOIN enum_name n ON n.enum = 'layer' AND
		n.value = b.layer AND n.name = 'in_vmm'")" = "16 16" ] &&
		[ "$(query svm-qemu "SELECT count(*) FROM budget b JOIN enum_name n ON n.enum = 'layer' AND n.value = b.layer AND
			n.name = 'unaccounted' JOIN v_request q ON q.id = b.request_id WHERE b.ns <> 0 AND q.type IS NOT NULL")" = 0 ] &&
		"$EXITWALK" path --request 4 "$TMP/svm-qemu.exw" | grep -q 'VMM + waiting, not separated  *5940.585'
}
check "svm-qemu: time between QEMU's threads is a line of its own, and none of a known request is unaccounted" handed_on
done_testing
