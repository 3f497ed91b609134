#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what a lab needs and the machine lacks, makes the lab's host kernel and initramfs in the cache,
# and prints their directory: `setup.sh svm|vmx`. Without a change of packages it needs no network.
set -euo pipefail
cd "$(dirname "$0")"

die() {
	echo "lab: $*" >&2
	exit 1
}
# Nothing is wrong with the lab, this machine just cannot have it: the tests skip.
unavailable() {
	echo "lab: $*" >&2
	exit 69
}

backend=${1-}
case $backend in
svm) pkgs=(qemu-system-x86) kvm=kvm-amd bus=(virtio_pci virtio_blk) ;;
vmx) pkgs=(bochs bochsbios vgabios bochs-term isolinux syslinux-common xorriso util-linux)
	kvm=kvm-intel bus=(ata_piix sd_mod) ;;
*) die "usage: setup.sh svm|vmx" ;;
esac
pkgs+=(busybox-static cpio dpkg tar)

[ "$(uname -m)" = x86_64 ] || unavailable "the lab's emulators and kernels are x86-64, this machine is $(uname -m)"
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	unavailable "needs Debian or Ubuntu for its packages: ${pkgs[*]} and the distribution's kernel"
fi

missing=()
for p in "${pkgs[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
	sudo=()
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || unavailable "please install as root: apt-get install ${missing[*]}"
		sudo=(sudo)
	fi
	echo "lab: installing ${missing[*]}" >&2
	"${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq >&2 || true
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
		"${missing[@]}" >/dev/null || unavailable "apt-get could not install ${missing[*]}"
fi

# The package that holds the current kernel is what the distribution's meta-package depends on. Debian
# keeps the modules in it, Ubuntu in linux-modules-*.
kernel_packages() {
	local meta image
	for meta in linux-image-cloud-amd64 linux-image-virtual linux-image-kvm; do
		image=$(apt-cache depends --important "$meta" 2>/dev/null |
			sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
		[ -n "$image" ] && break
	done
	[ -n "$image" ] || return 1
	echo "$image"
	apt-cache depends --important "$image" | sed -n 's/^ *Depends: \(linux-modules-[0-9].*\)$/\1/p'
}
version() {
	apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/exitwalk/lab
mkdir -p "$cache"
# Two sessions must not build the same directory.
exec 9>"$cache/lock"
flock 9

# Asking apt takes seconds: the answer holds as long as its lists, busybox and these files stay the same.
stamp=$(stat -c '%n %Y' /var/lib/apt/lists "$(command -v busybox)" setup.sh init isolinux.cfg | sha256sum)
if [ -e "$cache/$backend.stamp" ]; then
	{ read -r old && read -r dir; } <"$cache/$backend.stamp"
	if [ "$old" = "$stamp" ] && [ -e "$dir/ok" ]; then
		echo "$dir"
		exit 0
	fi
fi
finish() {
	printf '%s\n' "$stamp" "$1" >"$cache/$backend.stamp"
	echo "$1"
}

if ! images=$(kernel_packages); then
	[ "$(id -u)" -eq 0 ] && sudo=() || sudo=(sudo)
	"${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq >&2 || true
	images=$(kernel_packages) || images=
fi
if [ -z "$images" ]; then
	# No package lists and no network: what an earlier run left is good enough.
	last=$(find "$cache" -maxdepth 1 -name "$backend-*" -type d -printf '%T@ %p\n' | sort -n | tail -n 1)
	[ -n "$last" ] || unavailable "apt knows no linux-image-cloud-amd64, -virtual or -kvm (apt-get update failed?)"
	echo "${last#* }"
	exit 0
fi

id=$({ for p in $images; do echo "$p $(version "$p")"; done
	dpkg-query -W -f '${Version}\n' busybox-static
	cat setup.sh init isolinux.cfg; } | sha256sum | cut -c 1-12)
dir=$cache/$backend-$id
if [ -e "$dir/ok" ]; then
	finish "$dir"
	exit 0
fi

work=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache/deb" "$work/pkg" "$work/root/modules" "$work/out"
for p in $images; do
	# Debian writes the ":" of an epoch as %3a in file names.
	v=$(version "$p")
	deb=$cache/deb/${p}_${v/:/%3a}_amd64.deb
	if [ ! -s "$deb" ]; then
		echo "lab: downloading $p" >&2
		(cd "$cache/deb" && apt-get download -qq "$p" 2>"$work/log") ||
			unavailable "cannot download $p: $(tail -n 1 "$work/log")"
	fi
	dpkg -x "$deb" "$work/pkg"
done

kernel=$(find "$work/pkg/boot" -name 'vmlinuz-*' | head -n 1)
[ -n "$kernel" ] || die "no vmlinuz in $images"
release=${kernel##*/vmlinuz-}
modules=$work/pkg/lib/modules/$release
[ -d "$modules" ] || modules=$work/pkg/usr/lib/modules/$release
[ -d "$modules" ] || die "no modules for $release in $images"

# Modules in the order of loading: each one after what it depends on (symbols, as depmod finds them).
find "$modules" -name '*.ko.xz' -exec xz -d {} +
find "$modules" -name '*.ko.zst' -exec zstd -q --rm -d {} +
mkdir -p "$work/depmod/lib/modules"
mv "$modules" "$work/depmod/lib/modules/"
busybox depmod -b "$work/depmod" "$release" 2>"$work/log" || die "depmod failed: $(tail -n 1 "$work/log")"
modules=$work/depmod/lib/modules/$release
load_order() {
	awk -v want="$*" '
		{ path = $1; sub(/:$/, "", path); name = path; gsub(/.*\/|\.ko$/, "", name)
		  gsub(/-/, "_", name); file[name] = path
		  for (i = 2; i <= NF; i++) dep[path] = dep[path] " " $i }
		function load(path,   d, n, i) {
			if (done[path]++) return
			n = split(dep[path], d, " ")
			for (i = n; i >= 1; i--) load(d[i])
			print path
		}
		END { n = split(want, w, " ")
		      for (i = 1; i <= n; i++) { gsub(/-/, "_", w[i]); if (w[i] in file) load(file[w[i]]) } }' \
		"$modules/modules.dep"
}
# Checking a signature costs the emulator up to a second per module: take it off (the kernel does not
# insist). It is: data, struct module_signature (12 bytes, the last 4 the data's big-endian length), magic
# of 28 bytes (include/linux/module_signature.h).
unsign() {
	local len
	[ "$(tail -c 28 "$1" | tr -d '\n')" = "~Module signature appended~" ] || return 0
	len=$((16#$(tail -c 32 "$1" | head -c 4 | od -An -tx1 | tr -d ' \n')))
	truncate -s "-$((len + 40))" "$1"
}
n=10
for m in $(load_order "${bus[@]}" "$kvm"); do
	cp "$modules/${m#"/lib/modules/$release/"}" "$work/root/modules/$n-${m##*/}"
	unsign "$work/root/modules/$n-${m##*/}"
	n=$((n + 1))
done
ls "$work/root/modules/"*-"$kvm.ko" >/dev/null 2>&1 || die "$images has no $kvm.ko"

mkdir -p "$work"/root/{bin,dev,proc,sys,tmp,lab,etc}
cp "$(command -v busybox)" "$work/root/bin/busybox"
install -m 755 init "$work/root/init"
(cd "$work/root" && find . | cpio --quiet -R 0:0 -o -H newc) >"$work/out/initrd"
cp "$kernel" "$work/out/vmlinuz"
echo "$release" >"$work/out/release"
if [ "$backend" = vmx ]; then
	mkdir -p "$work/iso/isolinux"
	cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 isolinux.cfg \
		"$work/iso/isolinux/"
	mv "$work/out/vmlinuz" "$work/out/initrd" "$work/iso/"
	xorriso -as mkisofs -quiet -o "$work/out/boot.iso" -b isolinux/isolinux.bin \
		-c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$work/iso" \
		2>"$work/log" || die "xorriso failed: $(tail -n 1 "$work/log")"
fi
touch "$work/out/ok"
rm -rf "${cache:?}/$backend"-*
mv "$work/out" "$dir"
finish "$dir"
