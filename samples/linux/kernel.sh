#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Finds a distribution's Linux kernel with its modules, downloads and unpacks one if there is none, and
# prints where they are: "kernel=PATH" and "modules=DIRECTORY". Installs nothing.
#
#   kernel.sh [--download]     --download: do not look in /boot
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/exitwalk/linux

die() {
	echo "kernel.sh: $*" >&2
	exit 1
}

# A kernel is of use only with the modules of its own version; prints the newest pair below $1.
pair_below() {
	local kernel version modules
	while read -r kernel; do
		version=${kernel##*/vmlinuz-}
		[ -r "$kernel" ] || continue
		for modules in "$1/lib/modules/$version" "$1/usr/lib/modules/$version"; do
			[ -d "$modules/kernel" ] || continue
			printf 'kernel=%s\nmodules=%s\n' "$kernel" "$modules"
			return 0
		done
	done < <(find "$1/boot" -maxdepth 1 -name 'vmlinuz-*' 2>/dev/null | sort -rV)
	return 1
}

# The meta-package's kernel image and, where they are packaged apart, its modules.
packages_behind() {
	local queue=("$1") seen=' ' package
	while [ ${#queue[@]} -gt 0 ]; do
		package=${queue[0]}
		queue=("${queue[@]:1}")
		[[ $seen == *" $package "* ]] && continue
		seen+="$package "
		[ "$package" = "$1" ] || echo "$package"
		mapfile -t -O ${#queue[@]} queue < <(
			apt-cache show --no-all-versions "$package" 2>/dev/null |
				sed -n 's/^\(Pre-\)\?Depends: //p' | sed 's/[,|]/\n/g' |
				sed 's/^ *//; s/[ :(].*//' |
				grep -E '^linux-(image|modules|binary)-[^ ]*[0-9]' || true)
	done
}

# The newest kernel that is in the cache, whatever its version.
cached() {
	local name
	while read -r name; do
		pair_below "$cache/$name" && return 0
	done < <(find "$cache" -mindepth 1 -maxdepth 1 -name '[!.]*' -printf '%f\n' 2>/dev/null | sort -rV)
	return 1
}

# Asking apt takes seconds; its answer cannot have changed since the last time if its lists have not.
fresh() {
	[ "$cache/.asked" -nt /var/lib/apt/lists ] && cached
}

unpack() {
	local package
	apt-get download -qq "$@" >&2 || return
	for package in ./*.deb; do
		dpkg-deb -x "$package" . || return
		rm "$package"
	done
}

download() {
	local meta=linux-image-cloud-amd64 packages name temp
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		die "no kernel with modules in /boot, and no apt-get to download one: give one by -k"
	fi
	grep -qs '^ID=ubuntu' /etc/os-release && meta=linux-image-virtual
	mapfile -t packages < <(packages_behind "$meta")
	if [ ${#packages[@]} -eq 0 ]; then
		cached && return
		die "apt knows no package $meta: run apt-get update (as root), or give a kernel by -k"
	fi
	name=${packages[0]}_$(apt-cache policy "${packages[0]}" | sed -n 's/^  Candidate: //p' | tr ':/' '__')
	mkdir -p "$cache"
	if pair_below "$cache/$name"; then
		touch "$cache/.asked"
		return
	fi
	temp=$(mktemp -d "$cache/.unpack.XXXXXX")
	# shellcheck disable=SC2064 # the directory of now
	trap "rm -rf '$temp'" EXIT
	echo "kernel.sh: downloading ${packages[*]} into $cache" >&2
	if ! (cd "$temp" && unpack "${packages[@]}"); then
		cached && return
		die "the download failed: run apt-get update (as root), or give a kernel by -k"
	fi
	# Another run may have been faster; its directory is as good.
	mv -T "$temp" "$cache/$name" 2>/dev/null || [ -d "$cache/$name" ]
	touch "$cache/.asked"
	pair_below "$cache/$name" || die "${packages[*]}: no kernel with modules inside"
}

case "${1-}" in
'') pair_below '' || fresh || download ;;
--download) fresh || download ;;
*)
	echo "usage: kernel.sh [--download]" >&2
	exit 64
	;;
esac
