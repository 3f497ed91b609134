#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests that run inside a lab, all in one boot: what needs a KVM with real exits, then the guest
# tests that also run outside.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
w=$TMP/lab.exw
tracing=/sys/kernel/tracing

# Adds the results of another TAP program to ours.
include() { # PROGRAM
	local line name=${1##*/} seen=0 plan=-1
	mkdir -p "$TMP/${name%.sh}"
	while IFS= read -r line; do
		case $line in
		'ok '* | 'not ok '*)
			seen=$((seen + 1)) TAP_N=$((TAP_N + 1))
			[ "${line%% *}" = ok ] || TAP_FAILED=$((TAP_FAILED + 1))
			echo "${line%%ok *}ok $TAP_N - $name: ${line#*- }"
			;;
		1..*) plan=${line#1..} ;;
		*) echo "# ${line#\# }" ;;
		esac
	done < <(TMP=$TMP/${name%.sh} bash "$1" 2>&1 </dev/null)
	check "$name ran to its end" test "$plan" -eq "$seen"
}

backend() {
	"$EXITWALK" doctor >"$TMP/doctor" && cat "$TMP/doctor" &&
		grep -qE "^  info +backend +$BACKEND$" "$TMP/doctor" && [ -d "/sys/module/$BACKEND" ]
}
check "doctor: a recording can be made, by $BACKEND" backend
check "doctor: SYSCALL from ring 3 works" grep -qE '^  ok +SYSCALL from ring 3' "$TMP/doctor"

# The kernel's own record of the run: the second witness.
echo >$tracing/trace
for e in kvm_exit kvm_pio kvm_userspace_exit; do echo 1 >$tracing/events/kvm/$e/enable; done
check "the sample guest runs unchanged" "$EXITWALK" run -q -o "$w"
for e in kvm_exit kvm_pio kvm_userspace_exit; do echo 0 >$tracing/events/kvm/$e/enable; done
cp $tracing/trace "$TMP/trace"

expected_image 1 "$TMP/expected.img"
check "its bytes are on the disk" cmp "$TMP/lab.img" "$TMP/expected.img"
whole() {
	"$EXITWALK" check "$w" >"$TMP/check"
	local status=$?
	cat "$TMP/check"
	[ "$status" -eq 0 ] && grep -q "so many are recorded" "$TMP/check"
}
check "check: whole, and as many exits as KVM counted" whole
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
path_shows() { # PATTERN…
	"$EXITWALK" path "$w" >"$TMP/path" || return 1
	for p in "$@"; do grep -qE -- "$p" "$TMP/path" || { echo "no '$p' in:" && cat "$TMP/path" && return 1; }; done
}
check "path: from the system call to the host's and back" path_shows 'write\(3, 0x[0-9a-f]+, 512\) = 512' \
	'entry_SYSCALL_64\+' 'ksys_write\+' 'out dx, ax \(66 ef\) at iowrite16\+' 'KVM_EXIT_IO, 2-byte write' \
	'port 0xc010' 'VIRTIO_BLK_T_OUT sector 8, 512 bytes' 'pwrite64 = 512' 'KVM_IRQ_LINE irq 11 level 1 = 0'
[ ! -d /lab/out ] || cp "$w" /lab/out/sample.exw

for t in tests/guest/*.sh tests/lab/linux.sh; do
	[ ! -e "$t" ] || include "$t"
done
done_testing
