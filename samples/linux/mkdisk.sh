#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes the disk that the Linux guest writes to: 64 MiB, sparse. plan.h says what goes where: the writer
# has 1..16 MiB of the device for itself, and from 16 MiB on there is a partition with an empty ext4.
# Partition and file system are made here because the guest's initramfs has no mke2fs.
#
#   mkdisk.sh IMAGE
set -euo pipefail
PATH=$PATH:/sbin:/usr/sbin

[ $# -eq 1 ] || {
	echo "usage: mkdisk.sh IMAGE" >&2
	exit 64
}
command -v mke2fs >/dev/null || {
	echo "mkdisk.sh: mke2fs is not there: install the package e2fsprogs" >&2
	exit 1
}
image=$1
rm -f "$image"
truncate -s 64M "$image"
# The disk's signature: `exitwalk run --linux` makes only disks anew that have it.
printf 'EXWL' | dd of="$image" bs=1 seek=440 conv=notrunc status=none
# One entry of a PC partition table at byte 446: not bootable, no CHS, type 0x83, first sector 0x8000,
# 0x18000 sectors, all little-endian; the signature at byte 510.
printf '\0\376\377\377\203\376\377\377\0\200\0\0\0\200\1\0' |
	dd of="$image" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$image" bs=1 seek=510 conv=notrunc status=none
# Nothing is left for the guest's kernel to initialise in the background.
mke2fs -q -F -t ext4 -E offset=$((16 << 20)),lazy_itable_init=0,lazy_journal_init=0 "$image" 48M
