#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# exitwalk run -k and --linux: files that are no kernel, words that do not go together, a KVM on which
# Linux cannot boot. One sentence each, which names what is wrong, and no file is made.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
cd "$TMP" || exit 1

fails() { # STATUS PATTERN ARGS…
	local want=$1 pattern=$2 status
	shift 2
	"$EXITWALK" run -o n.exw "$@" >out 2>err
	status=$?
	cat err
	[ $status -eq "$want" ] || { echo "status $status" && return 1; }
	grep -qE -- "$pattern" err && [ "$(grep -c "^exitwalk run: " err)" -eq 1 ] && [ ! -s out ] &&
		[ ! -e n.exw ] && [ ! -e n.img ]
}
usage() { fails 64 "$@"; }

# A bzImage with nothing in it that could run, but a header as boot.rst wants it: 4 setup sectors, then
# 64 KiB of code. Each word FIELD=VALUE changes a field: name, offset and size are boot.rst's.
bzimage() { # FILE FIELD=VALUE…
	perl -e '
		my %at = (setup_sects => [0x1f1, 1], syssize => [0x1f4, 4], jump => [0x201, 1],
			header => [0x202, 4], version => [0x206, 2], kernel_version => [0x20e, 2],
			loadflags => [0x211, 1], initrd_addr_max => [0x22c, 4],
			kernel_alignment => [0x230, 4], relocatable_kernel => [0x234, 1],
			xloadflags => [0x236, 2], cmdline_size => [0x238, 4],
			payload_offset => [0x248, 4], payload_length => [0x24c, 4],
			pref_address => [0x258, 8], init_size => [0x260, 4]);
		my $file = shift;
		my $image = "\xff" x 0x1f1 . "\0" x (5 * 512 - 0x1f1) . "\xf4" x 65536;
		for ("setup_sects=4", "syssize=4096", "jump=106", "header=0x53726448", "version=0x20f",
			"loadflags=1", "initrd_addr_max=0x7fffffff", "kernel_alignment=0x200000",
			"relocatable_kernel=1", "xloadflags=1", "cmdline_size=100",
			"pref_address=0x1000000", "init_size=0x800000", @ARGV) {
			my ($field, $value) = split /=/;
			my ($offset, $size) = @{$at{$field}};
			substr($image, $offset, $size) = substr(pack("Q<", oct($value =~ /^0/ ? $value :
				sprintf("0x%x", $value))), 0, $size);
		}
		open(my $f, ">:raw", $file) or die; print $f $image; close($f) or die;
	' "$@"
}

bzimage good
# Behind the checks of the file comes the question whether KVM can: there the good one must arrive.
backend=$("$EXITWALK" doctor 2>/dev/null | sed -n 's/^  info  *backend  *//p')
pvm="kvm_pvm.*lacks instructions.*make lab"
if [ "$backend" = kvm_pvm ]; then
	check "on kvm_pvm a kernel is refused: why, and what to do" fails 1 "$pvm" -k good
	check "-k is refused whatever its initrd and disk" fails 1 "$pvm" -k good -i good -d d.img -m 64
	before_scripts() { # nothing is downloaded first
		mkdir -p none && EXITWALK_LINUX=$TMP/none fails 1 "$pvm" --linux
	}
	check "--linux is refused before anything is made" before_scripts
	check "no disk is made" test ! -e d.img
else
	skip "kvm_pvm refuses Linux" "the backend here is ${backend:-none}"
	no_scripts() { mkdir -p none && EXITWALK_LINUX=$TMP/none fails 1 'has no kernel.sh' --linux; }
	check "--linux without its scripts" no_scripts
fi

check "the kernel is not there" fails 1 'the kernel gone cannot be opened: No such file' -k gone
check "the kernel is a directory" fails 1 'is not a regular file' -k "$TMP"
mkfifo fifo
check "the kernel is a FIFO" fails 1 'is not a regular file' -k fifo
: >empty
check "an empty kernel" fails 1 'the kernel empty is empty' -k empty
echo "this is a letter" >text
check "a text" fails 1 'is no Linux kernel .*field header' -k text
head -c 3000000 /dev/zero | tr '\0' x >long.txt
check "a long text" fails 1 'is no Linux kernel .*field header' -k long.txt
check "a shell script" fails 1 'is no Linux kernel .*field header' -k "$BUILD/exitwalk.bash"
for len in 300 600 2560 40000; do
	head -c $len good >short
	check "a kernel cut off after $len bytes" fails 1 'the kernel (is no Linux|is cut off)' -k short
done
field() { # PATTERN FIELD=VALUE…
	local pattern=$1
	shift
	bzimage bad "$@" && fails 1 "$pattern" -k bad
}
check "a 32-bit kernel" field 'no 64-bit entry point .xloadflags' xloadflags=0
check "a kernel of 2007" field 'boot protocol 2.06 .*version' version=0x206
check "a zImage" field 'zImage.*loadflags' loadflags=0
check "a header that ends too early" field 'strange length .jump' jump=16
check "more setup sectors than the file has" field 'setup_sects' setup_sects=255
check "more code than the file has" field 'syssize' syssize=0x7fffffff
check "a payload beyond the file" field 'payload_length' payload_offset=4096 payload_length=0xffffffff
check "an alignment that is none" field 'kernel_alignment' kernel_alignment=3
check "a load address below 1 MiB" field 'pref_address' pref_address=0x1000
check "a load address beyond all memory" field 'pref_address.*give more by -m' pref_address=0xffffffffff000000 \
	relocatable_kernel=0
check "more memory than the guest has" field 'init_size.*give more by -m' init_size=0xfffff000
check "a command line that the kernel cannot take" fails 1 'cmdline_size' -k good --append \
	"$(printf '%101s' '' | tr ' ' x)"
check "a command line that no kernel can take" fails 1 'command line' -k good --append \
	"$(printf '%3000s' '' | tr ' ' x)"

elf32() { # an i386 program: class 1
	printf '\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\3\0\1\0\0\0' >elf32 && head -c 4096 /dev/zero >>elf32
	fails 1 . -k elf32
}
check "a 32-bit ELF" elf32
check "an ELF that is a host program" fails 1 . -k "$EXITWALK"
head -c 60 "$EXITWALK" >elf.cut
check "an ELF cut off in its header" fails 1 . -k elf.cut

check "the initrd is not there" fails 1 'the initrd gone cannot be opened' -k good -i gone
check "an empty initrd" fails 1 'the initrd empty is empty' -k good -i empty
truncate -s 300M huge
check "an initrd that does not fit" fails 1 'the initrd has .*initrd_addr_max.*give more memory by -m' -k good -i huge

check "symbols that are not there" fails 1 'the file of symbols gone cannot be opened' -k good --symbols gone
check "symbols from a text" fails 1 'text names no addresses: give a vmlinux' -k good --symbols text
printf '0000000000000000 T _text\n0000000000000000 T _end\n' >zeros
check "symbols that a user read" fails 1 'zeros has only zeros for addresses: copy /proc/kallsyms as root' \
	-k good --symbols zeros
check "--symbols without a name" usage '--symbols needs the name' -k good --symbols ''
check "--symbols for the built-in guest" usage '--symbols is for a Linux kernel' --symbols text
check "--guest-events for the built-in guest" usage "--guest-events is for a Linux kernel" --guest-events
check "-k without a name" usage '-k needs the name' -k ''
check "-i without a name" usage '-i needs the name' -k good -i ''
check "-i without -k" usage '-i is for a Linux kernel' -i good
check "--linux and -k" usage '--linux finds its own kernel' --linux -k good
check "--repeat is not for Linux" usage '--repeat is for the built-in guest' -k good --repeat 2
done_testing
