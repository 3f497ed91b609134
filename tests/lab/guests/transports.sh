#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: a Linux guest's drivers for modern PCI and virtio-mmio, and its writes when
# fewer exits reach the VMM. The bytes are there by each way, and the recording shows which way it was.
# not in vmx: three more boots of Linux take too long there, and what differs is not the processor's
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
w=$TMP/disks.exw disk=$TMP/disks.img second=$TMP/second.img
count() { # KIND [CONDITION]
	query "$w" "SELECT count(*) FROM e_$1 WHERE ${2:-1}"
}

# The guest writes to the disk FILE, which is its DEVICE, and powers off; the bytes are there.
writes() { # DEVICE FILE OPTION…
	local device=$1 file=$2 mode
	shift 2
	new_disk "$disk"
	run_linux -w "ew_modes=direct,big,batch ew_disk=$device" -d "$disk" -o "$w" "$@" >"$TMP/out" 2>&1 ||
		{ cat "$TMP/out" && return 1; }
	grep -q '^guest: init: wrote direct big batch, status 0' "$TMP/out" || { cat "$TMP/out" && return 1; }
	[ "$(meta_of "$w" guest_end)" = "power-off (ACPI S5)" ] || return 1
	for mode in direct big batch; do "$LINUX/writer" -c $mode "$file" || return 1; done
}
# Exits at the notify register of the first disk: modern PCI, virtio-mmio.
notify_exits() { query "$w" "SELECT count(*) FROM vm_exit WHERE space = 1 AND is_write AND addr = $1"; }
each_comes_back() {
	[ "$(query "$w" "SELECT count(*) FROM e_queue_pop p WHERE 1 <> (SELECT count(*) FROM e_queue_used u
		WHERE u.request = p.request)")" -eq 0 ] && [ "$(count queue_pop)" -ge 20 ]
}

check "--virtio modern: the bytes are there" writes vda "$disk" --virtio modern
check "check: it is whole" whole "$w"
modern() { # MMIO notifies, each an exit; messages instead of a line
	echo "$(notify_exits 0xe0001000) exits, $(count queue_notify) notifies, $(count msi) messages"
	[ "$(count queue_notify)" -gt 0 ] && [ "$(notify_exits 0xe0001000)" -eq "$(count queue_notify)" ] &&
		[ "$(count msi)" -gt 0 ] && [ "$(count msi_ret 'result = 1')" -eq "$(count msi)" ] &&
		[ "$(count isr_set)" -eq 0 ] && [ "$(count irq_line 'device = 1')" -eq 0 ] &&
		[[ $(meta_of "$w" interrupt) == KVM_SIGNAL_MSI* ]] && each_comes_back
}
check "each notify is an exit to an MMIO address, each interrupt a message" modern

check "modern, ioeventfd, irqfd, event-idx, indirect: the bytes are there" writes vda "$disk" --virtio modern \
	--kick ioeventfd --irq irqfd --event-idx --indirect
check "check: it is whole" whole "$w"
fewest() {
	echo "$(notify_exits 0xe0001000) exits, $(count queue_notify) notifies, $(count irqfd) interrupts," \
		"$(count descriptor 'flags & 4') indirect tables"
	[ "$(notify_exits 0xe0001000)" -eq 0 ] && [ "$(count io_wake 'via = 1')" -gt 0 ] &&
		[ "$(count queue_notify)" -eq "$(count io_wake)" ] && [ "$(count irqfd)" -gt 0 ] &&
		[ "$(count irqfd_ret 'result = 0')" -eq "$(count irqfd)" ] && [ "$(count msi)" -eq 0 ] &&
		[ "$(count irqfd_resample)" -eq 0 ] && [ "$(count descriptor 'flags & 4')" -gt 0 ] && each_comes_back
}
check "no notify is an exit: the I/O thread is woken by KVM, and interrupts by eventfd" fewest
in_flight() { # the batch: several of its requests were at the host at once
	[[ $(meta_of "$w" io_engine) == io_uring ]] || return 0
	[ "$(query "$w" "SELECT max(to_submit) FROM e_uring_enter")" -gt 1 ] &&
		[ "$(count uring_sqe)" -eq "$(count uring_cqe)" ]
}
check "several requests are handed to the host at once" in_flight

new_disk "$second"
check "mmio, ioeventfd, irqfd, the second of two disks: the bytes are there" writes vdb "$second" --virtio mmio \
	--kick ioeventfd --irq irqfd -d "$second"
check "check: it is whole" whole "$w"
untouched() { new_disk "$TMP/blank.img" && cmp "$TMP/blank.img" "$disk"; }
check "the first disk is as it was" untouched
mmio() { # a level-triggered line by eventfd: KVM says when the interrupt is over
	local device
	device=$(query "$w" "SELECT id FROM device WHERE name = 'virtio-blk1'")
	echo "$(count queue_notify "device = $device") notifies, $(count irqfd "device = $device") interrupts," \
		"$(count irqfd_resample "device = $device") ends, $(count irq_ack "device = $device") acknowledged"
	[ "$(query "$w" "SELECT count(*) FROM vm_exit WHERE is_write AND addr IN (0xfe000050, 0xfe001050)")" -eq 0 ] &&
		[ "$(count queue_notify "device = $device")" -gt 0 ] &&
		[ "$(count irqfd "device = $device")" -gt 0 ] &&
		[ "$(count irq_ack "device = $device")" -gt 0 ] && [ "$(count irq_line "device IN (1, $device)")" -eq 0 ] &&
		[ $(($(count irqfd) - $(count irqfd_resample))) -le 1 ] && each_comes_back
}
check "its interrupts are raised by eventfd, and their ends come back by another" mmio
done_testing
