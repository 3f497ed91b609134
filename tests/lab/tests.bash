# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC1091
# Runs tests/lab/suite.sh in the lab $1 (svm, vmx), whose KVM module is $2, and prints its TAP. Where the
# lab's packages cannot be had, all of it is one skipped test.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

out=${BUILD:-build}/lab/$1
mkdir -p "$out"
programs=(sqlite3 perl debugfs)

# What the guest inside the lab needs, made out here by the scripts of samples/linux. Without a kernel
# (no network) its tests skip: $linux/why says so.
linux=$TMP/linux
make_linux() {
	local scripts=${BUILD:-build}/linux kernel='' modules=''
	mkdir -p "$linux"
	if ! "$scripts/kernel.sh" >"$linux/found" 2>"$linux/why"; then
		sed -i '$!d' "$linux/why"
		return 0
	fi
	kernel=$(sed -n 's/^kernel=//p' "$linux/found") modules=$(sed -n 's/^modules=//p' "$linux/found")
	"$scripts/mkinitramfs.sh" "$modules" "$scripts/writer" "$linux/initramfs.cpio" &&
		"$scripts/mkdisk.sh" "$TMP/disk.img" && gzip -c "$TMP/disk.img" >"$linux/disk.img.gz" &&
		cp "$scripts/writer" "$linux/" && echo "${modules##*/}" >"$linux/version" &&
		cp "$kernel" "$linux/kernel" && rm "$TMP/disk.img"
}
if ! make_linux; then
	echo "the files of the Linux guest cannot be made" && exit 1
fi
files=(tests/lib tests/lab/suite.sh tests/guest/run.sh tests/lab/linux.sh "$linux")
# Its guests run for as long as they can, and Bochs with them.
[ "$1" = vmx ] || files+=(tests/guest/run_ends.sh)
args=()
PATH=$PATH:/sbin:/usr/sbin
for p in "${programs[@]}"; do args+=(-f "$(command -v "$p")"); done
for f in "${files[@]}"; do args+=(-f "$f"); done

bash tests/lab/lab.sh -x "$EXITWALK" "${args[@]}" -o "$out" -k "$out/kernel.log" -t 540 "$1" \
	"export EXITWALK=/lab/exitwalk BACKEND=$2 TMP=/tmp LINUX=/lab/linux; bash tests/lab/suite.sh" 2>"$TMP/err"
status=$?
if [ $status -eq 69 ]; then
	skip "the $1 lab" "$(tail -n 1 "$TMP/err")"
	done_testing
fi
cat "$TMP/err"
exit $status
