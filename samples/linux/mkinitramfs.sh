#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes an initramfs of busybox, our init and writer, and the kernel modules that a virtio disk needs; with
# the agent of --guest-events and what that needs, if it is beside the writer. Needs no root: what has to be
# a device node is made by the kernel (devtmpfs).
#
#   mkinitramfs.sh MODULES_DIRECTORY WRITER OUT.cpio
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
wanted=(virtio_pci virtio_blk)
# Built into some kernels, absent from others; used when they are there.
optional=(virtio_mmio ext4)
# Loaded only where the agent is started.
for_agent=(virtio_console)

die() {
	echo "mkinitramfs.sh: $*" >&2
	exit 1
}

[ $# -eq 3 ] || {
	echo "usage: mkinitramfs.sh MODULES_DIRECTORY WRITER OUT.cpio" >&2
	exit 64
}
modules=$1 writer=$2 out=$3
[ -d "$modules/kernel" ] || die "$modules has no folder kernel: give /lib/modules/VERSION"
[ -x "$writer" ] || die "$writer is not there: run make $writer"
command -v cpio >/dev/null || die "cpio is not there: install the package cpio"
busybox=$(command -v busybox) || die "busybox is not there: install the package busybox-static"
grep -qs 'INTERP' <(readelf -lW "$busybox" 2>&1) &&
	die "$busybox is linked dynamically: install the package busybox-static"

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
root=$temp/root
mkdir -p "$root"/{bin,dev,proc,sys,mnt,modules,root}

# Module names may be written with - or _; files too.
find_module() {
	find "$modules/" -name "${1//[-_]/[-_]}.ko*" -print -quit
}

is_builtin() {
	grep -qs "/${1//[-_]/[-_]}\.ko$" "$modules/modules.builtin"
}

unpack() {
	case "$1" in
	*.ko) cat "$1" ;;
	*.ko.xz) xz -dc "$1" ;;
	*.ko.zst) zstd -dcq "$1" ;;
	*.ko.gz) gzip -dc "$1" ;;
	*) die "$1: compressed in an unknown way" ;;
	esac
}

# Adds a module to the list $order, behind those that it depends on. depmod has not run on an unpacked package, so what a
# module needs is read from itself: "depends=a,b" among the NUL-separated words of .modinfo.
add_module() {
	local name=${1//-/_} file depends
	[ -e "$root/modules/$name.ko" ] && return 0
	file=$(find_module "$name")
	[ -n "$file" ] || {
		is_builtin "$name"
		return
	}
	unpack "$file" >"$root/modules/$name.ko"
	depends=$(grep -az '^depends=' "$root/modules/$name.ko" | tr -d '\0' || true)
	depends=${depends#depends=}
	local needed
	for needed in ${depends//,/ }; do
		add_module "$needed" || die "$name needs the module $needed, which $modules lacks"
	done
	echo "$name" >>"$order"
}

order=$root/modules/order
: >"$order"
for name in "${wanted[@]}"; do
	add_module "$name" || die "$modules has no $name: give a kernel with virtio"
done
for name in "${optional[@]}"; do
	add_module "$name" || true
done
agent=$(dirname "$writer")/agent
if [ -x "$agent" ]; then
	order=$root/modules/agent
	: >"$order"
	for name in "${for_agent[@]}"; do
		add_module "$name" || true
	done
	install -m 755 "$agent" "$root/bin/agent"
fi

install -m 755 "$busybox" "$root/bin/busybox"
install -m 755 "$writer" "$root/bin/writer"
install -m 755 "$here/init" "$root/init"
ln -s busybox "$root/bin/sh"

# The same input gives the same bytes.
find "$root" -exec touch -hd @0 {} +
(cd "$root" && find . -print0 | LC_ALL=C sort -z |
	cpio -0 -o -H newc --quiet --reproducible -R 0:0) >"$temp/cpio"
mv "$temp/cpio" "$out"
