#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: one write from the guest's system call to its return, told by the guest's kernel,
# the host's and the VMM: to the device (a kworker kicks) and to a file on ext4 (the writer kicks). The disk
# is a block device of the host, written through (,sync), so that the host's block events are inside its pwrite.
# $LINUX is the folder that tests.bash made.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
w=$TMP/guest_events.exw

case $BACKEND in
kvm_amd) exit='kvm_exit: SVM_EXIT_IOIO \(port 0xc010, OUT, size 2\), rip 0xffffffff[0-9a-f]+' handle_exit=svm_handle_exit handler=io_interception ;;
*) exit='kvm_exit: EXIT_REASON_IO_INSTRUCTION \(port 0xc010, OUT, size 2\), rip 0xffffffff[0-9a-f]+' handle_exit=vmx_handle_exit handler=handle_io ;;
esac
# The disk on which the lab's result is written at the very end.
for device in /dev/vdb /dev/sdb; do [ ! -b $device ] || break; done
# The device is blank but for what is written here: an emulated disk takes its time.
gunzip -c "$LINUX/disk.img.gz" | perl -e 'open(my $d, "+<", shift) or die; while (read(STDIN, my $b, 4096)) {
	if ($b =~ /[^\0]/) { sysseek($d, $at // 0, 0); syswrite($d, $b) == 4096 or die; } $at += 4096; }' "$device"

check "Linux runs with --guest-events and --host-functions" run_linux -w ew_modes=direct,file-small \
	--guest-events --host-functions -d "$device,sync" -o "$w"
[ ! -d /lab/out ] || cp "$w" /lab/out/guest_events.exw

# --- what the agent sent ------------------------------------------------------------------------------
says() { # PATTERN…: exitwalk check says each of them
	local all p
	all=$("$EXITWALK" check "$w") || { echo "$all" && return 1; }
	for p in "$@"; do grep -qE "$p" <<<"$all" || { printf "no '%s' in:\n%s\n" "$p" "$all" && return 1; }; done
}
check "check: whole, all three sides agree, no guest event between an exit and the next entry" says \
	'^ok +joined +[0-9]+ returns of KVM_RUN and [0-9]+ exits of the hardware are [0-9]+ exits' \
	'^ok +guest +none of [0-9]{3,} events of the guest.s kernel lies between an exit and the next entry of its vCPU' \
	'^ok +guest +the TSC offset of no vCPU changed' '^ok +losses +no record was lost' '^ok +kvm +KVM counts [0-9]+ exits of the hardware, and so many kvm_exit are recorded'
stream() { # the agent's description, pages and end came, on the TSC, and nothing was overwritten
	query "$w" "SELECT key, value FROM v_meta WHERE key LIKE 'guest_trace%'"
	[ "$(meta_of "$w" guest_trace.end)" = "the agent said so" ] && [ "$(meta_of "$w" guest_trace.trace_clock)" = x86-tsc ] &&
		[ "$(meta_of "$w" guest_trace.pages)" -gt 2 ] && [ "$(query "$w" "SELECT count(*) FROM v_loss")" = 0 ] &&
		[ "$(query "$w" "SELECT count(*) FROM guest_event")" = "$(meta_of "$w" guest_trace.events)" ]
}
check "the stream is whole, nothing was lost" stream
port() { # its exits are recorded as those of any device, its chains are no requests
	query "$w" "SELECT device, count(*) FROM v_exit GROUP BY 1"
	[ "$(query "$w" "SELECT count(*) > 10 FROM v_exit WHERE device LIKE 'virtio-console0%'")" = 1 ] &&
		[ "$(query "$w" "SELECT count(*) FROM v_request WHERE device <> 'virtio-blk0'")" = 0 ] &&
		[ "$(query "$w" "SELECT count(*) FROM e_guest_error WHERE error >= 34")" = 0 ]
}
check "the port's exits are recorded, and no requests" port

# --- the two writes -----------------------------------------------------------------------------------
request() { # BYTES CONDITION: the number of that request of a pwrite64
	query "$w" "SELECT id FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT' AND syscall = 'pwrite64' AND bytes = $1 AND $2"
}
in_order() { # REQUEST PATTERN…: has steps that match, in this order
	local p at=0 n=0 steps
	mapfile -t steps < <(query "$w" "SELECT ltrim(text) FROM v_step WHERE request_id = ${1:-0} ORDER BY n")
	shift
	for p in "$@"; do
		for (( ; at < ${#steps[@]}; at++)); do [[ ! ${steps[at]} =~ $p ]] || break; done
		[ $at -lt ${#steps[@]} ] || { printf "no '%s' behind the others in:\n" "$p" && printf '%s\n' "${steps[@]}" && return 1; }
		at=$((at + 1)) n=$((n + 1))
	done
	[ $n -gt 0 ]
}
# From virtio_queue_rq in the guest to the interrupt's acknowledgement, the same for both.
down=('^virtio_queue_rq\(\)' '^virtqueue_add_sgs\(\)' '^virtqueue_notify\(\)' '^vp_notify\(\)'
	'^vp_notify\+0x[0-9a-f]+ \[virtio_pci\]' '^out dx, ax \(66 ef\) at iowrite16\+0x[0-9a-f]+, rip 0xffffffff'
	"^$exit" "^$handler\(\)" '^kvm_fast_pio\(\)' '^kvm_pio: write of port 0xc010, 2 bytes' '^kvm_io_bus_write\(\)'
	'^kvm_userspace_exit: KVM_EXIT_IO' '^KVM_RUN returns: KVM_EXIT_IO, 2-byte write to port 0xc010'
	'^port 0xc010 is virtio-blk0 legacy BAR0\+0x10' '^queue 0: pop head' '^VIRTIO_BLK_T_OUT sector' '^pwrite(64|v)\(fd'
	'^block_bio_queue: ' '^block_rq_issue: ' '^block_rq_complete: ' '^pwrite(64|v) = ' '^status byte VIRTIO_BLK_S_OK'
	'^queue 0: used entry' '^kvm_set_irq: GSI 11 level 1' '^KVM_IRQ_LINE irq 11 level 1 = 0' '^KVM_RUN$' '^kvm_inj_virq: vector'
	'^kvm_entry: vCPU 0, rip 0xffffffff')
up=('^irq_handler_entry: ' '^vp_interrupt\(\)' '^virtio-blk0: guest reads ISR = 0x1' '^vring_interrupt\(\)' '^virtblk_done\(\)'
	'^blk_mq_end_request\(\)' '^block_rq_complete: 254:0 W[A-Z]* sector' '^bio_endio\(\)')
raw=$(request 512 'sector = 2048')
check "512 bytes to the device: each step of the way, in order" in_order "$raw" '^pwrite64\(3, 0x[0-9a-f]+, 512, 1048576\)' \
	'^sys_enter: pwrite64\(fd 3, 0x[0-9a-f]+, 512 bytes, offset 1048576\)' '^blkdev_write_iter\(\)' '^submit_bio\(\)' \
	'^block_bio_queue: 254:0 W[A-Z]* sector 2048 \+ 1' '^block_rq_insert: 254:0' '^kblockd_mod_delayed_work_on\(\)' \
	'^hand-over: writer\[[0-9]+\] queued the work that kworker/[0-9:]+H\[[0-9]+\] now begins' \
	"${down[@]}" "${up[@]}" '^sched_waking: writer' '^hand-over: .* woke writer\[[0-9]+\]' '^sys_exit: pwrite64 = 512' '^pwrite64 = 512'
file=$(request 512 'sector <> 2048')
check "512 bytes to a file on ext4: each step of the way, in order" in_order "$file" '^pwrite64\(3, 0x[0-9a-f]+, 512, 512\)' \
	'^sys_enter: pwrite64\(fd 3, 0x[0-9a-f]+, 512 bytes, offset 512\)' '^ext4_file_write_iter\(\)' '^__iomap_dio_rw\(\)' \
	'^submit_bio\(\)' '^block_bio_queue: 254:0 W[A-Z]* sector [0-9]+ \+ 1$' '^blk_finish_plug\(\)' '^block_rq_insert: 254:0' \
	"${down[@]:0:4}" '^entry_SYSCALL_64' '^ext4_file_write_iter\+' '^__iomap_dio_rw\+' '^virtio_queue_rqs?\+' "${down[@]:4}" \
	"${up[@]}" '^iomap_dio_complete\(\)' '^sys_exit: pwrite64 = 512' '^pwrite64 = 512'
kickers() { # a kworker for the device, the writer itself for the file
	local by
	by=$(query "$w" "SELECT request_id, actor, text FROM v_step WHERE request_id IN (${raw:-0}, ${file:-0}) AND text LIKE 'vp_notify(%'")
	echo "$by"
	grep -qE "^$raw\|kworker/[0-9:]+H\[" <<<"$by" && grep -qE "^$file\|writer\[" <<<"$by" && [ "$(wc -l <<<"$by")" -eq 2 ]
}
returned() { # the handler's functions, each in the one that called it, and back
	functions_return "$w" "${raw:-0}" kvm_vcpu_ioctl kvm_arch_vcpu_ioctl_run "$handle_exit" "$handler" kvm_fast_pio kvm_io_bus_write
}
check "KVM's functions, call by call and back" returned
check "a kworker kicks for the device, the writer itself for its file" kickers
complete() { # each step of an event has its time, who did it and what is evidence for it
	query "$w" "SELECT * FROM v_step WHERE request_id IN (${raw:-0}, ${file:-0}) AND evidence <> 'not recorded' AND (actor IS NULL
		OR actor = '' OR evidence NOT GLOB '*[0-9]*' OR (ts_ns IS NULL AND evidence NOT LIKE 'stack %' AND
		evidence NOT LIKE 'exit % insn' AND text NOT LIKE 'current task%'))" | tee "$TMP/odd"
	[ ! -s "$TMP/odd" ] && [ "$(query "$w" "SELECT count(*) > 100 FROM v_step WHERE request_id = ${raw:-0} AND ts_ns > 0")" = 1 ]
}
check "each step has its time, its task and its evidence" complete
told() { # path says it too, without anything missing that was traced
	"$EXITWALK" path -r "${raw:-0}" "$w" >"$TMP/path" && ! grep -E 'not recorded: (exit code|VM-exit reason|functions|guest)' "$TMP/path" &&
		grep -q 'hand-over: writer' "$TMP/path" && grep -q '^ *sum = wall time' "$TMP/path"
}
check "exitwalk path tells it" told
budget() { # of the wall time, what nobody can say is 5 % or less
	local r bad=0 percent
	for r in "${raw:-0}" "${file:-0}"; do
		percent=$(query "$w" "SELECT printf('%.2f', 100.0 * sum(ns * (layer = (SELECT value FROM enum_name WHERE enum = 'layer'
			AND name = 'unaccounted'))) / sum(ns)) FROM budget WHERE request_id = $r")
		echo "request $r: $percent % unaccounted"
		awk -v p="$percent" 'BEGIN { exit !(p != "" && p + 0 <= 5) }' || bad=1
	done
	return $bad
}
check "unaccounted is at most 5 % of the wall time" budget
budget | sed 's/^/# /'

# --- a guest of one's own -----------------------------------------------------------------------------
if [ "$LAB" = vmx ]; then
	skip "the agent by hand, two processors" "in the SVM lab only: another boot of Linux takes minutes"
	done_testing
fi
new_disk "$TMP/hand.img"
# shellcheck disable=SC2016 # the guest's shell expands it
by_hand() {
	printf '%s\n' 'agent; echo "second: $?"' 'agent -e $(pidof agent); echo "ended: $?"' \
		'echo "left: $(ls /sys/kernel/tracing/instances)."' 'agent -t /nowhere; echo "nowhere: $?"' \
		'p=$(agent -b 64 -i 0)' 'writer direct /dev/vda' 'agent -e $p; echo "again: $?"' exit |
		run_linux -w "ew_modes=none ew_then=shell" --cpus 2 --guest-events --console -d "$TMP/hand.img" -o "$w" \
			>"$TMP/out" 2>&1 || { cat "$TMP/out" && return 1; }
	cat "$TMP/out"
	grep -q 'another agent has it' "$TMP/out" && grep -qx 'guest: second: 1' "$TMP/out" && grep -qx 'guest: ended: 0' "$TMP/out" &&
		grep -qx 'guest: left: .' "$TMP/out" && grep -q 'tracefs is not at /nowhere' "$TMP/out" &&
		grep -qx 'guest: nowhere: 1' "$TMP/out" && grep -qx 'guest: again: 0' "$TMP/out"
}
check "the agent by hand: one at a time, ended and begun again, nothing left of it" by_hand
check "check: whole" whole "$w"
check "what the second one sent is there: the write of its time" in_order "$(request 512 'sector = 2048')" \
	'^sys_enter: pwrite64\(fd 3, 0x[0-9a-f]+, 512 bytes, offset 1048576\)' '^vp_notify\(\)' '^virtblk_done\(\)' '^sys_exit: pwrite64 = 512'
transport() { # TRANSPORT NOTIFY: the port and the driver's way by another transport
	new_disk "$TMP/hand.img"
	run_linux -w ew_modes=direct --virtio "$1" --guest-events -d "$TMP/hand.img" -o "$w" && "$EXITWALK" check "$w" &&
		[ "$(query "$w" "SELECT count(*) > 10 FROM v_exit WHERE device LIKE 'virtio-console0 %' AND space = 'MMIO'")" = 1 ] &&
		in_order "$(request 512 'sector = 2048')" '^sys_enter: pwrite64' "^$2\\(\\)" '^KVM_RUN returns: KVM_EXIT_MMIO' \
			'^virtblk_done\(\)' '^sys_exit: pwrite64 = 512'
}
check "modern PCI: the port with its messages, the driver's notify" transport modern vp_notify
check "virtio-mmio" transport mmio vm_notify
nothing() { # a guest without an agent
	run_linux -w "ew_modes=none ew_agent=" --guest-events -d "$TMP/hand.img" -o "$w" >"$TMP/out" 2>&1
	local status=$?
	cat "$TMP/out"
	[ $status -eq 0 ] && grep -q '^agent  *nothing came' "$TMP/out" && "$EXITWALK" check "$w"
}
check "a guest without an agent: said, and whole" nothing
done_testing
