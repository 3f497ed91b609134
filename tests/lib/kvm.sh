# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests that need a guest to run: source it after tap.sh. Without access to /dev/kvm the whole
# test is skipped with a reason; a KVM that is there and does not work is a failure.
if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	skip "guests on KVM" "/dev/kvm is not there or may not be opened"
	done_testing
fi

# The sample guest's disk after `run --repeat $1`, made from its description in vmm/guest_abi.h and
# samples/guest/README.md alone: superblock, directory, and words that say which write made them.
expected_image() { # REPEAT FILE
	perl -e '
		my ($repeat, $file) = @ARGV;
		my $image = "\0" x (1 << 20);
		substr($image, 0, 24) = pack("a8 V V Q<", "EXITFS1", 1, 8, 2048);
		substr($image, 512, 56) = pack("a40 V V Q<", "data", 8, 0, 0x24000 + 65536);
		my @pieces = ([512, 0], [4096, 512], [65536, 4608], [512, 0x20000], [4096, 0x21000],
			[65536, 0x24000]);
		my $n = 6 * ($repeat - 1);
		for my $p (@pieces) {
			$n++;
			for (my $o = $p->[1]; $o < $p->[1] + $p->[0]; $o += 8) {
				substr($image, 8 * 512 + $o, 8) = pack("Q<", $n << 48 | $o);
			}
		}
		open(my $f, ">:raw", $file) or die; print $f $image; close($f) or die;
	' "$1" "$2"
}

query() { # FILE SQL
	sqlite3 -readonly -batch "$1" "$2"
}

await_vcpu() { # PID: until the process has a vCPU; fails if it ends before
	local f
	while kill -0 "$1"; do
		for f in /proc/"$1"/fd/*; do
			[[ $(readlink "$f") != anon_inode:kvm-vcpu* ]] || return 0
		done
		sleep 0.1
	done
	return 1
}
