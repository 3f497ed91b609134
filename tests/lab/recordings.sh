#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make recordings: makes the recordings of samples/recordings anew, in both labs: the sample guest on a blank
# disk, with the host kernel's tracepoints, and a stock Debian kernel whose process writes with O_DIRECT to the disk
# and to a file, seen by its own kernel too, and by the host's (in the SVM lab with its functions).
#   recordings.sh [DIRECTORY]      LABS="svm vmx"
set -eu
cd "$(dirname "$0")/../.."
. tests/lab/lib.bash
to=${1:-samples/recordings}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
need_linux recordings "$tmp/linux"

# What the lab runs: /lab is its folder, and the recordings are to say how they were made in as few words.
# shellcheck disable=SC2016
in_there='set -e
	export EXITWALK=/lab/exitwalk LINUX=/lab/linux
	. tests/lib/kvm.sh; . tests/lib/lab.sh
	exitwalk run -q --host-trace=on -o out/$LAB-sample.exw -d /tmp/sample.img >/tmp/says
	cp linux/kernel linux/initramfs.cpio .
	new_disk disk.img
	kernels="--guest-events --host-functions" modes=direct,file-small
	[ $LAB = svm ] || kernels= modes=direct # a boot with all that takes half an hour there
	exitwalk run -q -k kernel -i initramfs.cpio -d disk.img -o out/$LAB-linux.exw $kernels \
		--append "$LINUX_WORDS ew_modes=$modes" --timeout 3000 >/tmp/says
	for r in out/*.exw; do exitwalk check $r >/tmp/check || { cat /tmp/check; exit 1; }; done'
mkdir -p "$to"
for lab in ${LABS:-svm vmx}; do
	in_lab "$lab" -f "$tmp/linux" -o "$tmp/$lab" -k "$BUILD/lab/recordings-$lab.log" -t "${LIMIT:-3600}" \
		"LAB=$lab; $in_there"
	for r in "$tmp/$lab"/*.exw; do
		"$EXITWALK" check "$r" >"$tmp/check" || { cat "$tmp/check" && exit 1; }
		cp "$r" "$to/"
		echo "$to/${r##*/}: $(stat -c %s "$r") bytes"
	done
done
