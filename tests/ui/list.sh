#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The text that lists and counts: of recordings that are shipped, so that every column has something.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
rec=samples/recordings

has() { # FILE REGEX: one request's line, one blank between columns
	"$EXITWALK" path --list "$rec/$1" | sed 's/^▸/ /; s/  */ /g; s/^ //' | grep -Ex "$2" || {
		"$EXITWALK" path --list "$rec/$1"
		return 1
	}
}
n='[0-9]+' t='[0-9.]+ [µm]?s'
check "a write that a kworker kicked" has svm-linux.exw \
	"2 [0-9.]+ writer\[$n\] pwrite64 1048576 OUT 2048 512 $t 2 kworker/0:1H\[$n\] exit $n virtio-blk0 OK /dev/vda"
check "reads that a write to a file needed" has svm-linux.exw \
	"$n [0-9.]+ writer\[$n\] pwrite64 0 IN $n 1024 $t 1 kworker/0:1H\[$n\] exit $n virtio-blk0 OK /mnt/file-small"
check "a request of the kernel's own, whose task the guest's events tell" has svm-linux.exw \
	"$n [0-9.]+ \(kernel\) - - OUT $n 8192 $t 2 jbd2/vda1-8\[$n\] exit $n virtio-blk0 OK -"
check "a guest whose tasks are not known" has svm-sample.exw \
	"6 [0-9.]+ writer\[1\] pwrite64 131072 OUT 264 512 $t 2 vCPU 0 exit $n virtio-blk0 OK /data"

marked() { # the one that `path` shows without --request
	[ "$("$EXITWALK" path --list "$rec/svm-linux.exw" | grep -c '^▸')" = 1 ] &&
		"$EXITWALK" path --list "$rec/svm-linux.exw" | grep -q '^▸ *2 ' &&
		"$EXITWALK" path "$rec/svm-linux.exw" | grep -q '^request 2 to '
}
check "the mark stands where path begins" marked
all() { [ "$("$EXITWALK" path --list "$rec/svm-linux.exw" | wc -l)" = \
	$(($(sqlite3 "$rec/svm-linux.exw" 'SELECT count(*) FROM request') + 1)) ]; }
check "every request has a line" all
ascii() { ! "$EXITWALK" path --list --ascii "$rec/svm-linux.exw" | LC_ALL=C grep '[^ -~]'; }
check "--ascii" ascii
us() { "$EXITWALK" path --list --ascii "$rec/svm-linux.exw" | grep -q "[0-9] us "; }
check "microseconds in ASCII" us
no_json() { "$EXITWALK" path --list --json "$rec/svm-linux.exw"; [ $? = 64 ]; }
check "--list --json says what to do instead" no_json
# The report: times with a unit, columns that stand under each other, and nothing cut.
report() { "$EXITWALK" report "$@" "$rec/svm-linux.exw"; }
columns() { # every line of a section is as wide as its title line
	report --ascii | awk '/^-- /{ w = 0; next } / min +median +p99 +max$/ { w = length($0); n++; next }
		w && !/more \(--json/ && length($0) != w { print; bad = 1 } END { exit bad || n < 8 }'
}
check "report: columns are in line" columns
units() { report | grep -q '^  SVM_EXIT_IOIO .* µs .* ms .*s$' && report | grep -q '^  VIRTIO_BLK_T_OUT *waiting .* ms '; }
check "report: times have their unit" units
plain() { ! report --ascii | LC_ALL=C grep '[^ -~]\|?'; }
check "report --ascii" plain
whole() { report | grep -q -- '^command_line .* --timeout [0-9]*$'; }
check "report: the command line is not cut" whole
done_testing
