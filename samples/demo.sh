#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make demo: record the sample guest on this machine's KVM and open the UI on it. Without a usable KVM
# a shipped recording is shown, without a terminal that can show it the path is printed as text.
set -eu
exitwalk=$1
here=$(dirname "$0")
dir=${TMPDIR:-/tmp}/exitwalk-demo-$(id -u)
# Others may write into /tmp: a directory or a link that somebody else has put there is not ours.
mkdir -p "$dir"
if [ -L "$dir" ] || [ ! -O "$dir" ]; then
	dir=$(mktemp -d)
fi
chmod 700 "$dir"
file=$dir/demo.exw

if "$exitwalk" doctor >"$dir/doctor.txt" 2>&1; then
	"$exitwalk" run --host-trace auto -o "$file"
else
	# A stock kernel's way is the more interesting one.
	file=$(find "$here/recordings" -name '*-linux.exw' | sort | head -n 1)
	[ -n "$file" ] || file=$(find "$here/recordings" -name '*.exw' | sort | head -n 1)
	if [ -z "$file" ]; then
		cat "$dir/doctor.txt"
		echo "demo: /dev/kvm cannot record here (see above), and no recording is shipped with this version." >&2
		exit 1
	fi
	echo "demo: /dev/kvm cannot record here (exitwalk doctor tells why); showing $file, recorded elsewhere."
fi

if [ -t 0 ] && [ -t 1 ] && tput cup 0 0 >/dev/null 2>&1; then
	"$exitwalk" view "$file"
	echo "The recording is $file; the same as text: exitwalk path $file"
else
	"$exitwalk" path "$file"
fi
