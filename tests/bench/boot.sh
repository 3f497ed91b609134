#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make bench-boot: how long a Linux guest takes to boot under exitwalk, against the distribution's other
# VMMs, on kvm-amd in the SVM lab. Same kernel, initramfs, words, memory and disk; direct kernel boot, serial
# console. Each VMM in turn, ROUNDS times; medians and their ratios.
#   ROUNDS=3
set -eu
cd "$(dirname "$0")/../.."
. tests/lab/lib.bash
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
need_linux boot "$tmp/linux"

# QEMU with what it needs of its firmware; kvmtool where the distribution has it.
args=(-f "$(command -v qemu-system-x86_64)")
firmware_of_qemu "$tmp/firmware"
lkvm=$(command -v lkvm || command -v lkvm-static || true)
[ -z "$lkvm" ] || args+=(-f "$lkvm")
in_lab svm "${args[@]}" -f "$tmp/firmware" -f "$tmp/linux" -f tests/bench/boot_in_lab.sh -m 2048 -i \
	-t "${LIMIT:-2400}" -k "$tmp/log" ${OUT:+-o "$OUT"} \
	"export EXITWALK=/lab/exitwalk LINUX=/lab/linux TMP=/tmp ROUNDS=${ROUNDS:-3}
	bash tests/bench/boot_in_lab.sh"
