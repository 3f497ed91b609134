#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: a stock distribution kernel boots under exitwalk inside the lab, a process
# writes to its disk, and the machine powers off. $LINUX is the folder that tests.bash made.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
w=$TMP/linux.exw disk=$TMP/linux.img
modes="direct big batch file-direct file-buffered"
# In Bochs it takes minutes to read /proc/kallsyms.
more=
[ "$LAB" = vmx ] ||
	more="ew_symbols=iowrite16,vp_notify,virtio_queue_rq,virtqueue_notify,__x64_sys_pwrite64,ext4_file_write_iter"
meta() { meta_of "$w" "$1"; }
new_disk "$disk"

boots() {
	run_linux -w "$more" -d "$disk" -o "$w" >"$TMP/out" 2>&1
	local status=$?
	cat "$TMP/out"
	[ $status -eq 0 ] && grep -q "^guest: init: wrote $modes, status 0" "$TMP/out"
}
trace_on kvm_exit kvm_userspace_exit
check "the distribution's kernel boots, writes and powers off" boots
trace_off "$TMP/trace"
powered_off() { [ "$(meta guest_end)" = "power-off (ACPI S5)" ] && grep -q 'reboot: Power down' "$TMP/out"; }
check "the run ended by the guest's power-off" powered_off
described() {
	local key
	for key in guest guest_kernel guest_initrd guest_command_line; do echo "$(meta $key)"; done
	[ "$(meta guest)" = Linux ] && [ "$(meta guest_kernel)" = "$LINUX/kernel" ] &&
		[ "$(meta guest_initrd)" = "$LINUX/initramfs.cpio" ] &&
		[ "$(meta guest_command_line)" = "$LINUX_WORDS $more" ] &&
		[[ "$(meta guest_kernel_version)" == "$(cat "$LINUX/version") "* ]]
}
check "the recording says which kernel, initrd and command line" described

for mode in direct big batch; do
	check "the image has what '$mode' wrote" "$LINUX/writer" -c $mode "$disk"
done
for mode in file-direct file-buffered; do
	file_bytes() { # from the ext4 on the partition at 16 MiB
		debugfs -R "dump /$mode $TMP/$mode" "$disk?offset=16777216" && "$LINUX/writer" -c "$mode" "$TMP/$mode"
	}
	check "the file system on the image has what '$mode' wrote" file_bytes
done

check "check: whole, and as many exits as KVM counted" whole "$w"
check "exits recorded, KVM's counters and the kernel's trace are one number" counts_agree "$w" "$TMP/trace"

# The sectors that the plan names, against the requests of the writer's process, by byte range.
requests() { # MODE SYSCALL
	local n offset len missing=0
	while read -r _ n offset len; do
		[ "$(query "$w" "SELECT coalesce(sum(bytes), 0) FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT'
			AND comm = 'writer' AND syscall = '$2' AND status = 'VIRTIO_BLK_S_OK'
			AND sector * 512 >= $offset AND sector * 512 + bytes <= $offset + $len")" = "$len" ] ||
			{ echo "write $n: $len bytes at $offset are not in the requests" && missing=1; }
	done < <("$LINUX/writer" -p "$1")
	return $missing
}
check "each O_DIRECT write is a request with its sector and length" requests direct pwrite64
check "2 MiB in one call are requests that add up" requests big pwrite64
check "each write of the batch is a request of io_submit" requests batch io_submit
batched() { # 16 requests, fewer kicks
	local kicks
	kicks=$(query "$w" "SELECT count(*) FROM v_exit x JOIN v_call c ON x.ts_ns BETWEEN c.t_enter_ns
		AND c.t_exit_ns WHERE c.syscall = 'io_submit' AND x.addr = 0xc010 AND x.is_write")
	echo "$kicks kicks"
	[ "$kicks" -ge 1 ] && [ "$kicks" -lt 16 ]
}
check "the batch needs fewer notifications than it has requests" batched
flushes() { # what fsync(2) of the buffered file caused
	[ "$(query "$w" "SELECT count(*) > 0 FROM v_request WHERE type = 'VIRTIO_BLK_T_FLUSH' AND
		syscall = 'fsync'")" = 1 ]
}
check "fsync has a FLUSH" flushes

first_write() {
	local id
	id=$(query "$w" "SELECT id FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT' AND sector = 2048")
	path_shows "$w" -r "$id" -- 'pwrite64\(3, 0x[0-9a-f]+, 512, 1048576\) +pid [0-9]+' 'out dx, ax \(66 ef\)' \
		'KVM_EXIT_IO, 2-byte write to' 'port 0xc010, value 0x0, rip 0xffffffff[0-9a-f]{8}' \
		'port 0xc010 is virtio-blk0 legacy BAR0\+0x10' 'VIRTIO_BLK_T_OUT sector 2048, 512 bytes' \
		'pwrite64\(fd [0-9]+, 512 bytes, offset 1048576\)' 'pwrite64 = 512' \
		'KVM_IRQ_LINE irq 11 level 1 = 0' 'guest reads ISR = 0x1' 'sum = wall time'
}
check "path: port, RIP, request, host system call, interrupt and re-entry of one write" first_write
all_stages() { # stages 1 to 9; of several requests of one kick, the last has the entry (8), the others say so
	local bad
	bad=$(query "$w" "SELECT q.id FROM v_request q WHERE q.comm = 'writer' AND 9 >
		(SELECT count(DISTINCT stage) FROM v_step WHERE request_id = q.id AND stage BETWEEN 1 AND 9) +
		(SELECT count(*) FROM v_step WHERE request_id = q.id AND text LIKE
			'interrupt and re-entry are shared: a later request%' AND EXISTS
			(SELECT 1 FROM v_request l WHERE l.id = q.id + 1 AND l.syscall = q.syscall))")
	[ -z "$bad" ] || { echo "requests without all stages: $bad" && return 1; }
}
check "every request of the writer has its nine stages" all_stages

# --- names and call chains, with KASLR on ---------------------------------------------------------------
in_order() { steps_in_order "$w" "$@"; } # REQUEST PATTERN…
kicked_by() { # TASK WHERE…: a request of the writer's pwrite64 that this task kicked
	query "$w" "SELECT q.id FROM v_request q JOIN v_step s ON s.request_id = q.id AND s.stage = 2
		WHERE s.text LIKE 'current task: $1%' AND q.syscall = 'pwrite64' AND $2 LIMIT 1"
}
driver=('^virtio_queue_rq\+0x[0-9a-f]+ \[virtio_blk\]$' '^virtqueue_notify\+0x[0-9a-f]+ \[virtio_ring\]$'
	'^vp_notify\+0x[0-9a-f]+ \[virtio_pci\]$' '^iowrite16\+0x[0-9a-f]+$' '^out dx, ax \(66 ef\) at iowrite16\+'
	'^KVM_RUN returns: KVM_EXIT_IO')
by_kworker() {
	in_order "$(kicked_by kworker/ 'q.sector < 32768')" '^current task: kworker/[0-9]+:[0-9]+H?\[[0-9]+\]$' \
		'^ret_from_fork\+' '^kthread\+' '^worker_thread\+' '^process_one_work\+' '^blk_mq_dispatch_rq_list\+' \
		"${driver[@]}"
}
check "a write to the device: the kworker's call chain, by name" by_kworker
by_writer() {
	local id
	id=$(kicked_by writer "q.sector >= 32768 AND q.type = 'VIRTIO_BLK_T_OUT'")
	in_order "$id" '^current task: writer\[[0-9]+\]$' '^0x[0-9a-f]+ in pwrite64\(3, 0x[0-9a-f]+, 65536, 0\)$' \
		'^entry_SYSCALL_64_after_hwframe\+' '^do_syscall_64\+' '^__x64_sys_pwrite64\+' '^vfs_write\+' \
		'^ext4_file_write_iter\+' '^iomap_dio_rw\+' '^blk_finish_plug\+' '^blk_mq_dispatch_rq_list\+' \
		"${driver[@]}" '^vp_interrupt\+0x[0-9a-f]+ \[virtio_pci\]$'
}
check "a write to a file: the writer's own call chain from its system call on" by_writer
interrupted() { # two stacks: the interrupt's, and below it the one that it left
	in_order "$(kicked_by writer 'q.sector >= 32768')" "${driver[@]}" '^current task: ' '^iowrite16\+0x' \
		'^asm_common_interrupt\+' '^common_interrupt\+' '^handle_irq_event\+' '^vp_interrupt\+' '^in al, dx'
}
check "the interrupt's call chain goes on in what it interrupted" interrupted
no_guess() {
	query "$w" "SELECT how, count(*) FROM frame GROUP BY how"
	[ "$(query "$w" "SELECT count(*) FROM frame WHERE how NOT IN ('rip', 'orc', 'pt_regs')")" = 0 ]
}
check "no frame is a guess" no_guess
kallsyms() { # init: symbol ADDRESS TYPE NAME [MODULE]
	local addr name module bad=0 n=0
	while read -r _ _ _ addr _ name module; do
		[ "$(query "$w" "SELECT name || module FROM symbol WHERE addr = 0x$addr")" = "$name${module:-vmlinux}" ] ||
			{ echo "$addr is not $name ${module:-vmlinux}" && bad=1; }
		n=$((n + 1))
	done < <(tr -d '\r' <"$TMP/out" | grep '^guest: init: symbol ')
	[ $n -eq 6 ] && [ $bad -eq 0 ]
}
if [ "$LAB" = vmx ]; then
	skip "names are those of /proc/kallsyms" "it takes minutes to read there"
else
	check "names are those of /proc/kallsyms" kallsyms
fi
[ ! -d /lab/out ] || cp "$w" /lab/out/linux.exw

# --linux, with scripts that hand out what is here: which words they get, and a kernel without a root
# file system, which panics and resets the machine.
stubs=$TMP/stubs
mkdir -p "$stubs"
printf '#!/bin/bash\necho kernel=%s\necho modules=/lib/modules/0\n' "$LINUX/kernel" >"$stubs/kernel.sh"
# shellcheck disable=SC2016 # the stub's own
printf '#!/bin/bash\necho "$@" >"$0.words"; printf empty >"$3"\n' >"$stubs/mkinitramfs.sh"
# shellcheck disable=SC2016
printf '#!/bin/bash\necho "$@" >"$0.words"; truncate -s 1M "$1"\n' >"$stubs/mkdisk.sh"
chmod 755 "$stubs"/*.sh
# The lab's own kernel is the same one, somewhere else in memory: names from a file, moved by KASLR.
symbols=()
[ "$LAB" = vmx ] || { cat /proc/kallsyms >"$TMP/kallsyms" && symbols=(--symbols kallsyms); }
demo() {
	(cd "$TMP" && EXITWALK_LINUX=$stubs "$EXITWALK" run --linux -o demo.exw --timeout 400 "${symbols[@]}" \
		--append "mitigations=off tsc=reliable no_timer_check audit=0" >demo.out 2>demo.err)
	local status=$?
	cat "$TMP/demo.out" "$TMP/demo.err"
	[ $status -eq 1 ] && grep -q '^exitwalk run: the guest.s kernel reset the machine' "$TMP/demo.err" &&
		grep -q 'Kernel panic' "$TMP/demo.out" && w=$TMP/demo.exw &&
		[ "$(meta guest_end)" = "reset (ACPI reset register)" ]
}
check "--linux: a panic resets the machine, which ends the run with a sentence" demo
from_file() {
	w=$TMP/demo.exw
	meta guest_linux.names
	query "$w" "SELECT symbol, count(*) FROM v_exit GROUP BY symbol"
	[ "$(meta guest_linux.names)" = "file kallsyms" ] &&
		[ "$(query "$w" "SELECT count(*) > 0 FROM v_exit WHERE symbol LIKE 'io_serial_out+%'")" = 1 ]
}
if [ "$LAB" = vmx ]; then
	skip "--symbols: names from a file" "it takes minutes to read /proc/kallsyms there"
elif [ "$(uname -r)" != "$(cat "$LINUX/version")" ]; then
	skip "--symbols: names from a file" "the lab runs another kernel than the guest"
else
	check "--symbols: names from a file" from_file
fi
words_of_scripts() {
	cat "$stubs"/*.words
	grep -qE "^/lib/modules/0 $stubs/writer /[^ ]+$" "$stubs/mkinitramfs.sh.words" &&
		grep -qx demo.img "$stubs/mkdisk.sh.words"
}
check "--linux: the scripts are told modules, writer and disk" words_of_scripts
no_leftover() { ! ls "${TMPDIR:-/tmp}"/exitwalk-initramfs.* 2>/dev/null; }
check "--linux: the initramfs is gone" no_leftover
done_testing
