#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: the built-in guest on the lab's KVM, and the kernel's own trace of its run as
# a second witness.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
w=$TMP/lab.exw

backend() {
	"$EXITWALK" doctor >"$TMP/doctor" && cat "$TMP/doctor" &&
		grep -qE "^  info +backend +$BACKEND$" "$TMP/doctor" && [ -d "/sys/module/$BACKEND" ]
}
check "doctor: a recording can be made, by $BACKEND" backend
check "doctor: SYSCALL from ring 3 works" grep -qE '^  ok +SYSCALL from ring 3' "$TMP/doctor"

trace_on kvm_exit kvm_pio kvm_userspace_exit
check "the sample guest runs unchanged" "$EXITWALK" run -q -o "$w"
trace_off "$TMP/trace"

expected_image 1 "$TMP/expected.img"
check "its bytes are on the disk" cmp "$TMP/lab.img" "$TMP/expected.img"
check "check: whole, and as many exits as KVM counted" whole "$w"
check "exits recorded, KVM's counters and the kernel's trace are one number" counts_agree "$w" "$TMP/trace"
notifies() {
	local ours kvm
	ours=$(query "$w" "SELECT count(*) FROM vm_exit WHERE addr = 0xc010 AND is_write")
	kvm=$(grep -c 'kvm_pio: pio_write at 0xc010 size 2' "$TMP/trace")
	echo "recorded $ours, kvm_pio $kvm"
	[ "$ours" -gt 0 ] && [ "$ours" -eq "$kvm" ]
}
check "each notify exit is one that the kernel traced (kvm_pio)" notifies
same_rips() { # in the kernel's order, the RIPs of its exits for port I/O are those recorded
	case $BACKEND in
	kvm_amd) reason=io ;;
	*) reason=IO_INSTRUCTION ;;
	esac
	# For each kvm_pio of the notify port, the RIP of the kvm_exit just before it.
	awk -v reason="$reason" '
		/ kvm_exit: / { for (i = 1; i < NF; i++) if ($i == "reason") r = $(i + 1)
				else if ($i == "rip") rip = $(i + 1) }
		/ kvm_pio: pio_write at 0xc010 / { if (r == reason) print rip }' "$TMP/trace" >"$TMP/rips.kvm"
	query "$w" "SELECT printf('0x%x', insn_rip) FROM vm_exit WHERE addr = 0xc010 AND is_write
		ORDER BY id" >"$TMP/rips.ours"
	[ -s "$TMP/rips.ours" ] && diff "$TMP/rips.kvm" "$TMP/rips.ours"
}
check "their RIPs are those of kvm_exit" same_rips
check "path: from the system call to the host's and back" path_shows "$w" -- 'write\(3, 0x[0-9a-f]+, 512\) = 512' \
	'entry_SYSCALL_64\+' 'ksys_write\+' 'out dx, ax \(66 ef\) at iowrite16\+' 'KVM_EXIT_IO, 2-byte write' \
	'port 0xc010' 'VIRTIO_BLK_T_OUT sector 8, 512 bytes' 'pwrite64 = 512' 'KVM_IRQ_LINE irq 11 level 1 = 0'
[ ! -d /lab/out ] || cp "$w" /lab/out/sample.exw
done_testing
