#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# exitwalk run and doctor: wrong words, wrong files, no KVM. One sentence each, and nothing is lost.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
cd "$TMP" || exit 1

fails() { # STATUS PATTERN ARGS…: stderr is one sentence (a usage error may add how to get help)
	local want=$1 pattern=$2 status
	shift 2
	"$EXITWALK" "$@" >out 2>err
	status=$?
	cat err
	[ $status -eq "$want" ] || { echo "status $status" && return 1; }
	grep -qE -- "$pattern" err && [ "$(grep -c "^exitwalk $1: " err)" -eq 1 ] && [ ! -s out ]
}
usage() { fails 64 "$@"; }

check "an unknown option" usage 'unrecognized option' run --nonsense
check "a word too many" usage "nothing to do with 'bzImage'" run bzImage
check "-m without a number" usage '-m takes a number' run -m lots
check "-m 0" usage '-m takes a number from 32' run -m 0
check "-m beyond 3 GiB" usage '-m takes a number' run -m 3073
check "-m -1" usage '-m takes a number' run -m -1
check "--timeout with a unit" usage '--timeout takes a number' run --timeout 5s
check "--repeat 0" usage '--repeat takes a number' run --repeat 0
check "--repeat beyond 64 bits" usage '--repeat takes a number' run --repeat 99999999999999999999
check "--ring-slots that is no power of two" usage 'power of two' run --ring-slots 1000
check "-d without a name" usage '-d needs the name' run -d ,ro
check "-d ,sync without a name" usage "-d needs the name" run -d ,sync
check "a ninth disk" usage 'can have 8 disks' run -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9
check "--virtio with an unknown word" usage "--virtio takes legacy, modern or mmio, not 'pci'" run --virtio pci
check "--kick with an unknown word" usage '--kick takes exit or ioeventfd' run --kick hard
check "--irq with an unknown word" usage '--irq takes line, irqfd or msix' run --irq 11
check "--io with an unknown word" usage '--io takes vcpu, thread or thread,pwrite' run --io thread,aio
for t in modern mmio; do
	check "--virtio $t for the built-in guest" usage 'knows legacy virtio only.*--linux' run --virtio $t
done
check "--irq msix without modern PCI" usage 'add --virtio modern' run -k x --virtio mmio --irq msix
check "--kick ioeventfd on the vCPU's thread" usage 'leave out --io vcpu' run --kick ioeventfd --io vcpu
check "-o without a name" usage '-o needs the name' run -o ''
check "doctor with a word" usage "nothing to do with 'x'" doctor x

no_kvm() { fails 1 'is not there' run --kvm "$TMP/nothing" -o n.exw && [ ! -e n.exw ] && [ ! -e n.img ]; }
check "no KVM device: what to do, and no file is made" no_kvm
not_kvm() { fails 1 'is not a KVM device' run --kvm /dev/null -o n.exw && [ ! -e n.exw ] && [ ! -e n.img ]; }
check "a device that is not KVM" not_kvm
locked_kvm() {
	touch locked && chmod 000 locked
	if [ "$(id -u)" -eq 0 ]; then
		chmod 755 "$TMP" && setpriv --reuid 65534 --clear-groups "$EXITWALK" run --kvm "$TMP/locked" \
			-o /dev/null/x 2>err
	else
		"$EXITWALK" run --kvm "$TMP/locked" -o n.exw 2>err
	fi
	[ $? -eq 1 ] && cat err && grep -q 'may not be opened: join the group' err
}
if [ "$(id -u)" -ne 0 ] || command -v setpriv >/dev/null; then
	check "a KVM device without permission" locked_kvm
else
	skip "a KVM device without permission" "setpriv is not installed"
fi

doctor_without() {
	"$EXITWALK" doctor --kvm "$TMP/nothing" >out
	[ $? -eq 1 ] && grep -q '^  fatal ' out && grep -q 'No recording can be made here' out
}
check "doctor without KVM: status 1, and it says so" doctor_without
doctor_json_without() {
	"$EXITWALK" doctor --json --kvm "$TMP/nothing" >out
	[ $? -eq 1 ] && perl -MJSON::PP -0777 -ne 'exit(decode_json($_)->{can_record} ? 1 : 0)' out
}
check "doctor --json without KVM" doctor_json_without

if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	skip "errors behind an open KVM" "/dev/kvm is not there or may not be opened"
	done_testing
fi

doctor_ok() {
	"$EXITWALK" doctor >out && grep -q 'A recording can be made here' out &&
		grep -qE '^  (ok|missing) +SYSCALL from ring 3 ' out && grep -qE '^  info +backend ' out
}
check "doctor with KVM: status 0" doctor_ok
missing_has_cost() { # what is missing says what that costs and what to do
	"$EXITWALK" doctor --json | perl -MJSON::PP -0777 -ne '
		my $d = decode_json($_);
		exit 1 unless $d->{can_record} && @{$d->{checks}} > 15 && %{$d->{module_parameters}};
		for my $c (@{$d->{checks}}) {
			my $missing = $c->{status} eq "missing" || $c->{status} eq "fatal";
			exit 1 if $missing != (defined $c->{cost}) || $missing != (defined $c->{advice});
		}'
}
check "doctor --json: each missing thing has its cost and its remedy" missing_has_cost
agrees() { # doctor's answer about SYSCALL is the one that run acts on
	local entry=int80
	"$EXITWALK" doctor | grep -qE '^  ok +SYSCALL' && entry=syscall
	"$EXITWALK" run -q -o a.exw &&
		[ "$(sqlite3 -readonly a.exw "SELECT value FROM v_meta WHERE key = 'guest_kernel_entry'")" = \
			$entry ]
}
check "run uses the kernel entry that doctor found to work" agrees

check "no such directory" fails 1 'nowhere' run -q -o nowhere/w.exw -d d.img
foreign() { # a file that is not a recording stays as it is
	echo precious >letter.exw
	fails 1 'letter.exw' run -q -o letter.exw -d d.img && [ "$(cat letter.exw)" = precious ]
}
check "-o does not replace another file" foreign
foreign_disk() {
	head -c 65536 /dev/zero | tr '\0' x >x.img && cp x.img x.copy
	fails 1 'x.img exists' run -q -o x.exw && cmp x.img x.copy && [ ! -e x.exw ]
}
check "a disk that merely has the default name is not overwritten" foreign_disk
check "the disk is a directory" fails 1 . run -q -o w.exw -d "$TMP"
check "the disk does not exist, and is to be read only" fails 1 'gone.img' run -q -o w.exw -d gone.img,ro
check "the recording and the disk are one file" fails 1 'same file' run -q -o same -d same
check "the recording and the second disk are one file" fails 1 'same file' run -q -o same -d d.img -d same
check "one disk given twice" fails 1 'given twice' run -q -o w.exw -d d.img -d d.img
check "a command line that is too long" fails 1 'command line' run -q -o w.exw -d d.img --append \
	"$(head -c 3000 /dev/zero | tr '\0' a)"
in_use() { # the image is locked while a machine has it
	exec 9<d.img
	flock -x 9 && fails 1 'in use' run -q -o w.exw -d d.img
	local status=$?
	exec 9<&-
	return $status
}
check "a disk that another machine uses" in_use
done_testing
