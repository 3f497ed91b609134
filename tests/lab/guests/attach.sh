#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: attach to the distribution's QEMU, which runs the Linux guest, from the VM's first
# exit on and in the middle of its run. The kernel's top-level trace is the second witness.
# not in vmx: QEMU's firmware and a Linux guest in it take minutes under Bochs
# not under SAN: the same code runs without it, and with it in tests/guest/host_trace.sh
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
if [ ! -d firmware ]; then
	skip "QEMU in the lab" "its firmware was not brought"
	done_testing
fi
: "${tracing:?by tests/lib/lab.sh}"

# --- a VM -------------------------------------------------------------------------------------------------
# The first disk notifies by legacy ports that come to QEMU, the second one by ioeventfds, QEMU's default.
start_vm() { # in the background, its process in $TMP/pid; what is typed comes from $TMP/in
	new_disk "$TMP/ports.img"
	new_disk "$TMP/eventfd.img"
	mkfifo "$TMP/in"
	qemu-system-x86_64 -name guest=sparrow,debug-threads=on -M pc -accel kvm -cpu host -m 192 -L firmware \
		-no-user-config -nodefaults -display none -serial stdio -no-reboot -kernel "$LINUX/kernel" \
		-initrd "$LINUX/initramfs.cpio" -append "$LINUX_WORDS ew_markers=off ew_modes=direct,big,batch ew_then=shell" \
		-drive "file=$TMP/ports.img,if=none,id=p,format=raw" -device virtio-blk-pci,drive=p,ioeventfd=off,disable-modern=on \
		-drive "file=$TMP/eventfd.img,if=none,id=e,format=raw" -device virtio-blk-pci,drive=e \
		<>"$TMP/in" >"$TMP/vm.out" 2>&1 &
	echo $! >"$TMP/pid"
}
await() { # FILE PATTERN PROCESS: that it is in it; fails when the process has ended before
	until grep -q "$2" "$1" 2>/dev/null; do
		kill -0 "$3" || grep -q "$2" "$1" || { cat "$1" && return 1; }
		sleep 0.1
	done
}

# --- what a recording must say ------------------------------------------------------------------------------
whole_and_counted() { # FILE: KVM's counters agree
	local says
	says=$("$EXITWALK" check "$1") || { echo "$says" && return 1; }
	echo "$says"
	grep -qE '^ok +kvm +KVM counts [0-9]+ exits of the hardware.*, and so many kvm_exit are recorded' <<<"$says" &&
		grep -qE '^ok +kvm +KVM counts [0-9]+ returns of KVM_RUN' <<<"$says" && ! grep -q 'records were lost' <<<"$says"
}
# The kernel's own kvm_exit of the VM's threads from our first one to our last one, by reason, and so many us more.
witness() { # FILE TRACE US
	local from to tasks
	from=$(query "$1" "SELECT min(t_exit) / 1000 - $3 FROM vm_exit") to=$(query "$1" "SELECT max(t_exit) / 1000 + $3 FROM vm_exit")
	tasks=$(query "$1" "SELECT group_concat(substr(name, length(rtrim(name, '0123456789')) + 1), ' ') FROM track WHERE kind = 'vcpu'")
	awk -v from="$from" -v to="$to" -v tasks=" $tasks " '
		match($0, /-[0-9]+ +\[[0-9]+\].* kvm_exit: /) {
			line = substr($0, RSTART + 1)
			split(line, f, " +")
			t = $0; sub(/: kvm_exit: .*/, "", t); sub(/.* /, "", t); sub(/\./, "", t)
			if (index(tasks, " " f[1] " ") && t + 0 >= from && t + 0 <= to) {
				sub(/.* reason /, "", line); sub(/ .*/, "", line); n[line]++
			}
		}
		END { for (k in n) print k, n[k] }' "$2" | sed 's/^io /ioio /; s/^interrupt /intr /; s/^hypercall /vmmcall /' | LC_ALL=C sort
}
# Each trace reads the clock for itself; how far apart that is can be seen at the two ends only.
reasons_agree() { # FILE TRACE
	local us
	head -n 5 "$2" | awk '$2 ~ /^entries-in-buffer/ { split($3, n, "/"); all = n[1] == n[2] } END { exit !all }' ||
		{ echo "the trace overran" && return 1; }
	query "$1" "SELECT lower(replace(hw_reason_name, 'SVM_EXIT_', '')) || ' ' || count(*) FROM v_exit GROUP BY hw_reason" |
		LC_ALL=C sort >"$TMP/ours"
	cat "$TMP/ours"
	for us in 0 20 200 1000; do
		witness "$1" "$2" $us >"$TMP/witness"
		! diff "$TMP/witness" "$TMP/ours" >"$TMP/diff" || break
	done
	[ -s "$TMP/ours" ] && [ ! -s "$TMP/diff" ] || { cat "$TMP/diff" && return 1; }
}
threads() { # FILE N: so many vCPUs, by the numbers KVM gives them, on QEMU's threads
	query "$1" "SELECT kind, vcpu, name FROM track"
	[ "$(query "$1" "SELECT count(*), sum(name LIKE 'CPU ' || vcpu || '/KVM%') FROM track WHERE kind = 'vcpu'")" = "$2|$2" ] &&
		[ "$(query "$1" "SELECT count(DISTINCT vcpu) FROM v_exit")" = "$2" ] && [ "$(meta_of "$1" attach.vcpus)" = "$2" ]
}
# Each write that the guest's writer says is a request of the recording: by its sector and length, and all of it.
writes_shown() { # FILE MODE…
	local file=$1 mode n offset len covered bad=0
	shift
	for mode in "$@"; do
		while read -r _ n offset len; do
			covered=$(query "$file" "SELECT total(bytes) FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT' AND
				sector >= $((offset / 512)) AND sector < $(((offset + len) / 512))")
			[ "${covered%.*}" -ge "$len" ] || { echo "$mode $n at sector $((offset / 512)): $covered of $len bytes" && bad=1; }
		done < <("$LINUX/writer" -p "$mode")
	done
	return $bad
}
path_of() { # FILE SECTOR PATTERN…: the steps of the write there match in this order
	local steps p
	steps=$(query "$1" "SELECT text FROM v_step WHERE request_id = (SELECT min(id) FROM v_request
		WHERE type = 'VIRTIO_BLK_T_OUT' AND sector = $2) ORDER BY n")
	shift 2
	for p in "$@"; do
		[[ $steps =~ $p ]] || { printf "no '%s' here or below:\n%s\n" "$p" "$steps" && return 1; }
		steps=${steps#*"${BASH_REMATCH[0]}"}
	done
}
no_instances() { [ -z "$(ls $tracing/instances)" ] || { ls $tracing/instances && return 1; }; }

# --- from its first exit on ---------------------------------------------------------------------------------
w=$TMP/boot.exw
from_the_start() {
	trace_on kvm_exit
	"$EXITWALK" attach --name sparrow --wait -o "$w" >"$TMP/a.out" 2>"$TMP/a.err" &
	local attach=$!
	await "$TMP/a.err" 'waiting for a virtual machine called sparrow' $attach || return 1
	start_vm
	await "$TMP/vm.out" 'a shell; poweroff' "$(cat "$TMP/pid")" || return 1
	kill -INT $attach
	wait $attach || { cat "$TMP/a.err" && return 1; }
	trace_off "$TMP/boot.trace"
	cat "$TMP/a.out"
	kill -0 "$(cat "$TMP/pid")" && grep -q 'status 0' "$TMP/vm.out" && [ "$(meta_of "$w" stop_reason)" = "a signal" ] &&
		[ "$(meta_of "$w" attach.began)" = "with the virtual machine" ] && grep -q 'exits, .* events of ' "$TMP/a.out" && no_instances
}
check "attach --wait, then QEMU boots Linux, which writes; Ctrl-C ends the recording, not the VM" from_the_start
check "whole, and KVM's counters agree with what is recorded" whole_and_counted "$w"
check "exits by reason are those of the kernel's own trace" reasons_agree "$w" "$TMP/boot.trace"
check "the vCPU's thread is known" threads "$w" 1
check "each write to the device is a request" writes_shown "$w" direct big batch
check "path: port, KVM's return, QEMU's pwrite, interrupt, entry" path_of "$w" 2048 \
	'kvm_entry: vCPU' 'kvm_exit: SVM_EXIT_IOIO \(port 0xc[0-9a-f]+, OUT, size 2\)' 'kvm_userspace_exit: KVM_EXIT_IO' \
	'pwrite(64|v)\(fd' 'pwrite(64|v) = 512' 'kvm_(msi_)?set_irq' 'kvm_inj_virq' 'kvm_entry'

# --- in the middle of its run, until it ends ------------------------------------------------------------------
m=$TMP/middle.exw
in_the_middle() {
	trace_on kvm_exit
	"$EXITWALK" attach "$(cat "$TMP/pid")" -o "$m" >"$TMP/a.out" 2>"$TMP/a.err" &
	local attach=$!
	until [ "$(cat $tracing/instances/exitwalk-$attach/tracing_on 2>/dev/null)" = 1 ]; do
		kill -0 $attach || { cat "$TMP/a.err" && return 1; }
		sleep 0.1
	done
	echo 'for m in direct big batch; do writer $m /dev/vdb || echo fai""led; done; poweroff -f' >"$TMP/in"
	wait $attach || { cat "$TMP/a.err" && return 1; }
	trace_off "$TMP/middle.trace"
	! grep -q failed "$TMP/vm.out" && [ "$(meta_of "$m" stop_reason)" = "the process ended" ] && no_instances
}
check "attach to a VM that runs, until it ends" in_the_middle
check "whole, and KVM's counters agree with what is recorded since" whole_and_counted "$m"
check "exits by reason are those of the kernel's own trace" reasons_agree "$m" "$TMP/middle.trace"
check "the vCPU's thread is known" threads "$m" 1
check "each write to the device is a request" writes_shown "$m" direct big batch
check "path: ioeventfd, QEMU's pwrite, interrupt, entry" path_of "$m" 2048 \
	'kvm_entry: vCPU' 'kvm_exit: SVM_EXIT_NPF' 'an ioeventfd took it' 'pwrite(64|v)\(fd' 'pwrite(64|v) = 512' 'kvm_(msi_)?set_irq' 'kvm_entry'
[ ! -d /lab/out ] || cp "$w" "$m" "$TMP"/*.trace "$TMP/vm.out" /lab/out/
done_testing
