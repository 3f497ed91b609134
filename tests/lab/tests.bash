# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC1091
# Runs tests/lab/suite.sh in the lab $1 (svm, vmx), whose KVM module is $2, and prints its TAP. Where the
# lab's packages cannot be had, all of it is one skipped test. PARTS="sample linux" runs only these.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lab/lib.bash

out=$BUILD/lab/$1 linux=$TMP/linux
mkdir -p "$out"
if ! make_linux "$linux"; then
	echo "the files of the Linux guest cannot be made"
	exit 1
fi

# Passes everything on, and counts each part's seconds: out here, since a lab's own clock is another one.
with_times() {
	local line part=boot since=$SECONDS times=
	while IFS= read -r line; do
		if [[ $line == '# part '* ]]; then
			times+="$part $((SECONDS - since)) s, "
			part=${line#\# part } since=$SECONDS
		fi
		echo "$line"
	done
	echo "# time: $times$part $((SECONDS - since)) s"
}
drive=()
[ ! -x "${UI_DRIVE-}" ] || drive=(-f "$UI_DRIVE")
# The distribution's QEMU, for attach; its firmware and 192 MiB of guest need room. Under Bochs it is not used.
qemu=()
if [ "$1" = svm ]; then
	command -v qemu-system-x86_64 >/dev/null || bash tests/lab/setup.sh svm >/dev/null 2>&1
fi
if [ "$1" = svm ] && command -v qemu-system-x86_64 >/dev/null; then
	firmware_of_qemu "$TMP/firmware"
	qemu=(-f "$(command -v qemu-system-x86_64)" -f "$TMP/firmware" -m 2048)
fi
in_lab "$1" "${qemu[@]}" -f tests/lab/suite.sh -f tests/lab/guests -f tests/guest/run.sh -f tests/guest/run_ends.sh \
	-f tests/guest/disks.sh -f "$linux" "${drive[@]}" -o "$out" -k "$out/kernel.log" -t 3600 \
	"export EXITWALK=/lab/exitwalk LAB=$1 BACKEND=$2 TMP=/tmp LINUX=/lab/linux UI_DRIVE=/lab/drive SAN=${SAN-} PARTS='${PARTS-}'
	bash tests/lab/suite.sh; status=\$?; echo '# part power-off'; exit \$status" 2>"$TMP/err" | with_times
status=${PIPESTATUS[0]}
if [ "$status" -eq 69 ]; then
	skip "the $1 lab" "$(tail -n 1 "$TMP/err")"
	done_testing
fi
cat "$TMP/err"
exit "$status"
