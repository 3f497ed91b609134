#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The part of boot.sh that runs in the lab.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/lab.sh
words="$LINUX_WORDS ew_modes=none"
disk=$TMP/boot.img

# Starts VMM…, and prints the seconds to init's first line and to the VMM's end. Its output goes to
# $TMP/NAME.out. A VMM that ends without that line prints "-".
timed() { # NAME VMM…
	local name=$1 begin line first=- end
	shift
	: >"$TMP/$name.out"
	begin=${EPOCHREALTIME/./}
	while IFS= read -r line; do
		[[ $line != *"init: started"* ]] || first=$((${EPOCHREALTIME/./} - begin))
		echo "$line" >>"$TMP/$name.out"
	done < <("$@" 2>&1 </dev/null)
	end=$((${EPOCHREALTIME/./} - begin))
	echo "$name $first $end"
}

exitwalk_run() { "$EXITWALK" run -k "$LINUX/kernel" -i "$LINUX/initramfs.cpio" -m 256 -d "$disk" \
	--timeout 400 --append "$words" "$@"; }
qemu_run() { # OPTIONS of the machine, then the disk's device
	qemu-system-x86_64 -accel kvm -cpu host -m 256 -L firmware -no-user-config -nodefaults -display none \
		-serial stdio -no-reboot -kernel "$LINUX/kernel" -initrd "$LINUX/initramfs.cpio" \
		-append "$words" -drive "file=$disk,if=none,id=d,format=raw" "$@"
}
lkvm_run() {
	"$(command -v lkvm || command -v lkvm-static)" run -k "$LINUX/kernel" -i "$LINUX/initramfs.cpio" -m 256 \
		-c 1 -d "$disk" --console serial -p "$words"
}

vmm_unrecorded() { exitwalk_run --no-record; }
vmm_recorded() { exitwalk_run -o "$TMP/boot.exw"; }
vmm_qemu_pc() { qemu_run -M pc -device virtio-blk-pci,drive=d; }
vmm_qemu_microvm() { qemu_run -M microvm -device virtio-blk-device,drive=d; }
vmm_kvmtool() { lkvm_run; }

# What happens once in a host's life is no VMM's cost: its random numbers get ready, files come into memory.
"$EXITWALK" run -q -o "$TMP/first.exw" >/dev/null
qemu-system-x86_64 --version >/dev/null

vmms=(unrecorded recorded qemu_pc qemu_microvm)
command -v lkvm lkvm-static >/dev/null && vmms+=(kvmtool)
for round in $(seq "$ROUNDS"); do
	for v in "${vmms[@]}"; do
		gunzip -c "$LINUX/disk.img.gz" >"$disk"
		timed "$v" "vmm_$v"
	done >"$TMP/round.$round"
	cat "$TMP/round.$round" >&2
done
for v in "${vmms[@]}"; do
	grep -q 'init: started' "$TMP/$v.out" || { echo "boot: $v did not reach init:" && tail -n 30 "$TMP/$v.out"; }
done

column() { # VMM COLUMN: all rounds, sorted
	awk -v v="$1" -v c="$2" '$1 == v && $2 != "-" { print $c }' "$TMP"/round.* | sort -n
}
median() { column "$1" "$2" | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
ratio() { # OF TO: with two digits
	awk -v of="$1" -v to="$2" 'BEGIN { if (of && to) printf "%.2f", of / to; else printf "-" }'
}
echo "boot: medians of $ROUNDS rounds; the lab's clock counts instructions of its processor, 1 ns each"
printf 'boot: %-12s %22s %10s %12s %22s %10s %12s\n' '' "init's first line, ms" ": QEMU pc" ": microvm" \
	"end of the VMM, ms" ": QEMU pc" ": microvm"
for v in "${vmms[@]}"; do
	printf 'boot: %-12s' "$v"
	for c in 2 3; do
		m=$(median "$v" $c)
		printf ' %22.0f %10s %12s' "$(awk -v m="$m" 'BEGIN { print m / 1000 }')" \
			"$(ratio "$m" "$(median qemu_pc $c)")" "$(ratio "$m" "$(median qemu_microvm $c)")"
	done
	echo
done
if [ -d /lab/out ]; then
	cp "$TMP/boot.exw" "$TMP"/*.out /lab/out/
fi
