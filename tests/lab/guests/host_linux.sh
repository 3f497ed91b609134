#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: the host kernel's side of a stock Linux guest, over its whole boot: thousands of
# exits, most of them served inside KVM, and nothing of them lost. The kernel's top-level trace is the second witness.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
w=$TMP/host.exw

case $BACKEND in
kvm_amd) io='SVM_EXIT_IOIO \(port 0xc010, OUT, size 2\)' run=svm_vcpu_run exit=svm_handle_exit handler=io_interception ;;
*) io='EXIT_REASON_IO_INSTRUCTION \(port 0xc010, OUT, size 2\)' run=vmx_vcpu_run exit=vmx_handle_exit handler=handle_io ;;
esac
modes=direct

# A block device, where the emulator writes it fast: the disk on which the lab's result is written at the very end.
disk=$TMP/host.img
[ ! -b /dev/vdb ] || disk=/dev/vdb

boots() { # OPTION…: a boot on a new disk, recorded, with the other witness on
	new_disk "$disk"
	[ ! -b "$disk" ] || { sync && echo 3 >/proc/sys/vm/drop_caches; } # what it reads comes from the device
	trace_on kvm_exit kvm_userspace_exit
	run_linux -w "ew_modes=$modes" -d "$disk,sync" -o "$w" "$@" >"$TMP/out" 2>&1
	local status=$?
	trace_off "$TMP/trace"
	tail -n 20 "$TMP/out"
	[ "$status" -eq 0 ] && grep -q "^guest: init: wrote $modes, status 0" "$TMP/out"
}
says() { # the recording is whole, both sides of each exit agree, none is missing, and nothing was lost
	check_says "$w" '^ok +joined +[0-9]+ returns of KVM_RUN and [0-9]+ exits of the hardware are [0-9]+ exits' \
		'^ok +kvm +KVM counts [0-9]+ returns of KVM_RUN' \
		'^ok +kvm +KVM counts [0-9]+ exits of the hardware( over all vCPUs)?, and so many kvm_exit are recorded' \
		'^ok +losses +no record was lost' || return 1
	query "$w" "SELECT key, value FROM v_meta WHERE key IN ('host_trace.records', 'host_trace.overrun')"
	[ "$(meta_of "$w" host_trace.overrun)" = 0 ] && [ "$(query "$w" "SELECT count(*) FROM v_loss")" = 0 ]
}
adds_up() { # no time of a request is nobody's, and the guest's and KVM's are told apart
	query "$w" "SELECT l.name, sum(ns) FROM budget b JOIN enum_name l ON l.enum = 'layer' AND l.value = b.layer GROUP BY 1"
	[ "$(query "$w" "SELECT count(*) FROM budget b JOIN enum_name l ON l.enum = 'layer' AND l.value = b.layer
		WHERE l.name IN ('unaccounted', 'in_kvm_run') AND ns <> 0")" = 0 ]
}
request() { # CONDITION: the first such request
	query "$w" "SELECT id FROM v_request WHERE $1 ORDER BY id LIMIT 1"
}
in_order() { steps_in_order "$w" "$@"; } # REQUEST PATTERN…
of_the_writer="comm = 'writer' AND syscall = 'pwrite64' AND type = 'VIRTIO_BLK_T_OUT'"

check "--host-functions: a stock kernel boots, writes and powers off" boots --host-functions
check "check: whole, joined, every kvm_exit there, nothing lost" says
check "exits recorded, KVM's counters and the kernel's trace are one number" counts_agree "$w" "$TMP/trace"
inside() { # KVM served most exits itself, and they are exits like others
	query "$w" "SELECT hw_reason_name, count(*), count(kvm_reason) FROM v_exit GROUP BY 1 ORDER BY 2 DESC"
	[ "$(query "$w" "SELECT count(*) > 3000, count(DISTINCT hw_reason) > 8, count(kvm_reason) * 3 < count(*) FROM v_exit
		WHERE hw_reason IS NOT NULL")" = '1|1|1' ]
}
check "thousands of exits that no return of KVM_RUN shows" inside
write=$(request "$of_the_writer AND sector = 2048")
# Where kvm_exit stands differs: in NAME_vcpu_run or in NAME_handle_exit.
check "path: an O_DIRECT write, from its system call through KVM and back" in_order "${write:-0}" \
	'^pwrite64\(3, 0x[0-9a-f]+, 512, 1048576\) ' '^kvm_vcpu_ioctl\(\), called by' '^kvm_arch_vcpu_ioctl_run\(\)' "^$run\(\)" \
	'^kvm_entry: vCPU 0' '^virtio_queue_rq\+.* \[virtio_blk\]' '^vp_notify\+.* \[virtio_pci\]' '^iowrite16\+' \
	'^out dx, ax \(66 ef\) at iowrite16\+' "^$exit\(\)|^kvm_exit: $io" "^$exit\(\)|^kvm_exit: $io" "^$handler\(\)" '^kvm_fast_pio\(\)' \
	'^kvm_pio: write of port 0xc010, 2 bytes' '^kvm_io_bus_write\(\)' '^kvm_io_bus_write\(\) returns' \
	"^$handler\(\) returns" "^$exit\(\) returns" '^kvm_userspace_exit: KVM_EXIT_IO' '^kvm_vcpu_ioctl\(\) returns' \
	'^KVM_RUN returns: KVM_EXIT_IO, 2-byte write to port 0xc010' '^port 0xc010 is virtio-blk0 legacy BAR0\+0x10' \
	'^virtio-blk0 queue 0: notified' ' pop head ' '^VIRTIO_BLK_T_OUT sector 2048, 512 bytes' \
	'^pwrite64\(fd [0-9]+, 512 bytes, offset 1048576\)' '^pwrite64 = 512' '^kvm_set_irq\(\)' '^kvm_set_irq: GSI 11 level 1' \
	'^ioctl\(KVM_IRQ_LINE\)|^KVM_IRQ_LINE irq 11 level 1 = 0' '^KVM_RUN' '^complete_fast_pio_out\(\)' '^kvm_inj_virq: vector' \
	'^kvm_entry: vCPU 0, rip 0xffffffff' 'guest reads ISR = 0x1' '^pwrite64 = 512$'
# Where kvm_exit is in NAME_vcpu_run, that has not returned yet; all of this is between two returns of KVM_RUN.
check "path: each of KVM's functions returns in the one that called it" functions_return "$w" "${write:-0}" kvm_vcpu_ioctl \
	kvm_arch_vcpu_ioctl_run "$exit" "$handler" kvm_fast_pio kvm_io_bus_write
all_return() { # over the whole boot: what is missing the kernel has counted, one in a thousand at most
	query "$w" "SELECT key, value FROM v_meta WHERE key LIKE 'host_trace.returns%' OR key = 'host_trace.tracer'
		UNION ALL SELECT 'begins', count(*) FROM e_host_func UNION ALL SELECT 'returns', count(*) FROM e_host_func_exit"
	[ "$(meta_of "$w" host_trace.tracer)" = function_graph ] || { [ -z "$(meta_of "$w" host_trace.returns_not_probed)" ] &&
		[ "$(query "$w" "SELECT (SELECT value FROM v_meta WHERE key = 'host_trace.returns_missing') + 0 <=
			(SELECT value FROM v_meta WHERE key = 'host_trace.returns_missed') + 0,
			(SELECT count(*) FROM e_host_func) - count(*) BETWEEN 0 AND count(*) / 1000 FROM e_host_func_exit")" = '1|1' ]; }
}
check "the functions return, and what is missing is counted" all_return
injected() { # the vector that the APIC took for GSI 11 is the one that the guest is entered with, and that it acknowledges
	local vector
	vector=$(steps_of "$w" "$write" | sed -n '/^kvm_set_irq: GSI 11 level 1/,$s/^kvm_apic_accept_irq: .*vector \([0-9]*\)$/\1/p' | head -n 1)
	echo "vector $vector"
	in_order "$write" '^kvm_set_irq: GSI 11 level 1' "^kvm_apic_accept_irq: .*vector $vector\$" "^kvm_inj_virq: vector $vector\$" \
		'^kvm_entry: ' "^kvm_eoi: .*vector $vector\$"
}
check "path: the disk's vector from GSI to the acknowledgement" injected
early() { # a timer's interrupt is no part of the completion of a write that is still on its way
	local bad
	bad=$(query "$w" "SELECT s.request_id, k.name FROM step s JOIN request q ON q.id = s.request_id JOIN event e ON
		e.id = s.event_id JOIN event_kind k ON k.id = e.kind WHERE s.stage IN (7, 9) AND e.ts < q.t_pop")
	echo "$bad"
	[ -z "$bad" ]
}
check "path: interrupts of others do not look like the disk's" early
not_missing() { # of no request, also not of those that share their kick with others
	local bad
	bad=$(query "$w" "SELECT text FROM absent WHERE text LIKE 'not recorded: %kvm\_%' ESCAPE '\' OR
		text LIKE 'not recorded: inside KVM%'")
	echo "$bad"
	[ -z "$bad" ]
}
check "path: what the tracepoints show is not said to be missing" not_missing
check "the layers of every request add up, with nothing unaccounted" adds_up
[ ! -d /lab/out ] || cp "$w" /lab/out/host_linux.exw
if [ "$LAB" = vmx ]; then
	skip "block events, several vCPUs, modern PCI, ioeventfd" "in the SVM lab only: a boot takes a minute in Bochs"
	done_testing
fi

blocks() { # what the host's system calls did on the block device
	in_order "$write" '^VIRTIO_BLK_T_OUT sector 2048' '^pwrite64\(fd ' '^block_bio_queue: [0-9:]+ W' '^block_rq_issue: ' \
		'^block_rq_complete: ' '^pwrite64 = 512' '^kvm_set_irq: GSI 11 level 1' &&
		in_order "$(request "type = 'VIRTIO_BLK_T_IN'")" '^VIRTIO_BLK_T_IN' '^pread64\(fd|^preadv\(fd' '^block_bio_queue: ' \
			'^block_rq_issue: ' '^block_rq_complete: ' '^(pread64|preadv) = '
}
check "on a block device: what a write and a read caused there" blocks

check "two vCPUs, modern PCI" boots --host-trace on --cpus 2 --virtio modern
check "two vCPUs: whole, joined, every kvm_exit there, nothing lost" says
check "two vCPUs: three counts are one number on each" counts_agree "$w" "$TMP/trace"
tracks() { # each thread's exits are its vCPU's
	query "$w" "SELECT t.name, k.name, count(*) FROM event e JOIN track t ON t.id = e.track JOIN event_kind k ON k.id = e.kind
		WHERE k.name IN ('kvm_exit', 'kvm_entry', 'kvm_vcpu_wakeup') GROUP BY 1, 2"
	[ "$(query "$w" "SELECT count(*), count(DISTINCT track), count(DISTINCT vcpu) FROM (SELECT track, vcpu, count(*) AS n
		FROM e_kvm_entry GROUP BY 1, 2 HAVING n > 1000)")" = '2|2|2' ]
}
check "two vCPUs: each one's exits on its own track" tracks
check "two vCPUs: nothing unaccounted" adds_up
check "path: the store to the notify register, decoded by KVM; the message" in_order \
	"$(request "$of_the_writer AND sector = 2048")" '^vp_notify\+' '^mov \[rsi\], di \(66 89 3e\) at iowrite16\+' \
	'^kvm_exit: SVM_EXIT_NPF' '^kvm_mmio: write of 0xe[0-9a-f]+, 2 bytes' '^kvm_userspace_exit: KVM_EXIT_MMIO' \
	'^KVM_RUN returns: KVM_EXIT_MMIO' '^virtio-blk0 queue 0: notified' '^pwrite64 = 512' '^kvm_msi_set_irq: ' \
	'^pwrite64 = 512$' # the other vCPU may take it, and be through with the write before this one goes on

check "ioeventfd, irqfd, an I/O thread, functions" boots --host-functions --kick ioeventfd --irq irqfd
check "ioeventfd: whole, joined, every kvm_exit there, nothing lost" says
check "path: who is woken in the exit, and who injects" in_order "$(request "$of_the_writer AND sector = 2048")" \
	"^kvm_exit: $io" '^ioeventfd_write\(\)' '^eventfd_signal\(\)' '^sched_waking: I/O thread' 'no return of KVM_RUN' 'wakes up' \
	'^VIRTIO_BLK_T_OUT sector 2048' '^kvm_set_irq: GSI 11 level 1' '^kvm_inj_virq' '^kvm_entry'
done_testing
