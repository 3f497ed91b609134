#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: Linux on several processors. Two processes write 1000 times from two of them,
# and every exit of each is in the recording.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
w=$TMP/smp.exw disk=$TMP/smp.img

# Warnings and worse go to the console: what a kernel complains of on no real machine is our fault. That this one
# has no PCI Express, and that emulation is slow, is true.
warnings() { # FILE
	grep '^guest: \[' "$1" | grep -vE 'fail to add MMCONFIG|took [0-9]+ usecs|hrtimer: interrupt took|reboot: '
}
boots() { # FILE CPUS MODES OPTION…
	local w=$1 cpus=$2 modes=$3 status
	shift 3
	new_disk "$disk"
	run_linux -w "loglevel=5 ew_modes=$modes" --cpus "$cpus" -d "$disk" -o "$w" "$@" >"$TMP/out" 2>&1
	status=$?
	cat "$TMP/out"
	[ $status -eq 0 ] && grep -qx "guest: init: started with $cpus processors" "$TMP/out" &&
		[ "$(meta_of "$w" guest_end)" = "power-off (ACPI S5)" ] && [ "$(meta_of "$w" vcpus)" = "$cpus" ]
}
no_warnings() { ! warnings "$TMP/out"; }

# In Bochs a thousand writes take minutes.
modes=many
[ "$LAB" != vmx ] || modes=direct
trace_on kvm_exit kvm_userspace_exit
check "2 processors: Linux sees them, two processes write, the machine powers off" boots "$w" 2 $modes
trace_off "$TMP/trace"
check "the kernel warns of nothing" no_warnings
check "the bytes are on the image" "$LINUX/writer" -c $modes "$disk"
check "the recording is whole, and has all returns that KVM counted" whole "$w"
check "KVM's counters of each vCPU, its trace and the recording agree" counts_agree "$w" "$TMP/trace"
both() { # each has a track, exits on it, and none of the other's
	local n
	n=$(query "$w" "SELECT count(*) FROM (SELECT vcpu FROM v_exit GROUP BY vcpu HAVING count(*) > 20)")
	query "$w" "SELECT vcpu, count(*) FROM v_exit GROUP BY vcpu"
	[ "$n" = 2 ] && [ "$(query "$w" "SELECT count(*) FROM vm_exit x JOIN event e ON e.id = x.event_id
		WHERE e.track <> x.track")" = 0 ]
}
check "both vCPUs have their exits" both
numbered() { [ "$(query "$w" 'SELECT min(id) = 1 AND max(id) = count(*) FROM vm_exit')" = 1 ]; }
check "exits are numbered over both without a gap" numbered
if [ $modes = many ]; then
	kicks() { # the notify register was written by both
		[ "$(query "$w" "SELECT count(DISTINCT vcpu) FROM v_exit WHERE addr = 0xc010 AND is_write")" = 2 ]
	}
	check "both kick the disk" kicks
	requests() { # one write, one request, with its sector and length
		local n offset len missing=0
		query "$w" "SELECT sector * 512, bytes FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT' AND
			status = 'VIRTIO_BLK_S_OK'" | tr '|' ' ' | sort >"$TMP/requests"
		while read -r _ n offset len; do
			grep -qx "$offset $len" "$TMP/requests" || { echo "write $n: $len bytes at $offset" && missing=1; }
		done < <("$LINUX/writer" -p many)
		return $missing
	}
	check "each of the 1000 writes is a request with its sector and length" requests
	whose() { # by the buffer it lies in; a pwrite64 says itself where it writes (the block layer may merge two)
		local wrong
		wrong=$(query "$w" "SELECT q.id FROM request q JOIN guest_call c ON c.id = q.guest_call
			WHERE c.comm = 'writer' AND (q.call_how IS NOT 'buffer' OR c.nr NOT IN (18, 209) OR
			c.nr = 18 AND (q.sector * 512 >= c.arg3 + c.arg2 OR q.sector * 512 + q.bytes <= c.arg3))")
		[ -z "$wrong" ] || { echo "attributed to a wrong call: $wrong" && return 1; }
		wrong=$(query "$w" "SELECT id FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT' AND comm IS NOT 'writer'")
		[ -z "$wrong" ] || { echo "attributed to no call: $wrong" && return 1; }
		[ "$(query "$w" "SELECT count(DISTINCT pid) FROM v_request WHERE comm = 'writer'")" = 2 ]
	}
	check "each request belongs to the call in whose buffer its data lie" whose
	accounted() { # every stage of each, or who has it; not a nanosecond that is nobody's
		[ "$(query "$w" "SELECT count(*) FROM budget WHERE layer = 10 AND ns <> 0")" = 0 ] &&
			[ "$(query "$w" "SELECT count(*) FROM v_request q WHERE comm = 'writer' AND 9 >
				(SELECT count(DISTINCT stage) FROM step WHERE request_id = q.id) AND NOT EXISTS
				(SELECT 1 FROM v_step WHERE request_id = q.id AND
				text LIKE 'interrupt and re-entry are shared: a later request%')")" = 0 ]
	}
	check "each has its nine stages, and no time is unaccounted" accounted

	check "4 processors, --cpu conservative" boots "$w" 4 none --cpu conservative
	check "the kernel warns of nothing then either" no_warnings
	check "that recording is whole" whole "$w"
	four() { [ "$(query "$w" "SELECT count(DISTINCT vcpu) FROM v_exit")" = 4 ]; }
	check "all four were started" four
fi
done_testing
