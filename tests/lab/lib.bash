# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For what takes tests into a lab: source it from the top folder, with $BUILD and $EXITWALK set.
BUILD=${BUILD:-build}
EXITWALK=${EXITWALK:-$BUILD/exitwalk}
PATH=$PATH:/sbin:/usr/sbin

# Fills the folder $1 with what a Linux guest needs, by the scripts of samples/linux: kernel, initramfs.cpio,
# disk.img.gz, writer, version. Where no kernel can be had (no network) $1/why says so, and that is all.
make_linux() {
	local scripts=$BUILD/linux kernel modules
	mkdir -p "$1"
	if ! "$scripts/kernel.sh" >"$1/found" 2>"$1/why"; then
		sed -i '$!d' "$1/why"
		return 0
	fi
	kernel=$(sed -n 's/^kernel=//p' "$1/found") modules=$(sed -n 's/^modules=//p' "$1/found")
	"$scripts/mkinitramfs.sh" "$modules" "$scripts/writer" "$1/initramfs.cpio" &&
		"$scripts/mkdisk.sh" "$1/disk.img" && gzip -c "$1/disk.img" >"$1/disk.img.gz" &&
		cp "$scripts/writer" "$1/" && echo "${modules##*/}" >"$1/version" &&
		cp "$kernel" "$1/kernel" && rm "$1/disk.img"
}

# For a script NAME that is nothing without a Linux guest: make_linux FOLDER, or a sentence and the script's end.
need_linux() { # NAME FOLDER
	make_linux "$2" || exit
	[ ! -s "$2/kernel" ] || return 0
	echo "$1: $(cat "$2/why")" >&2
	exit 1
}

# Fills the folder $1 with what the distribution's QEMU needs of its firmware.
firmware_of_qemu() {
	local f dir
	mkdir -p "$1"
	for f in bios-256k.bin bios-microvm.bin linuxboot_dma.bin kvmvapic.bin qboot.rom; do
		for dir in /usr/share/seabios /usr/share/qemu; do
			[ ! -e "$dir/$f" ] || cp -L "$dir/$f" "$1/"
		done
	done
}

# in_lab svm|vmx [lab.sh OPTION]… COMMAND: runs COMMAND there with exitwalk, sqlite3, perl, debugfs and
# tests/lib at hand.
in_lab() {
	local lab=$1 args=() p
	shift
	for p in sqlite3 perl debugfs; do args+=(-f "$(command -v $p)"); done
	bash tests/lab/lab.sh -x "$EXITWALK" "${args[@]}" -f tests/lib "${@:1:$#-1}" "$lab" "${@: -1}"
}
