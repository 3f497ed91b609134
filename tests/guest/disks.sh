#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How disks are attached: every way of kick, interrupt and I/O that the built-in guest can have. The same
# bytes by each, and the recording shows which way they went.
# not in vmx: what differs there is not the processor's
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
w=$TMP/d.exw
expected_image 1 "$TMP/expected.img"

kind() { query "$w" "SELECT id FROM event_kind WHERE name = '$1'"; }
count() { # KIND [CONDITION]
	query "$w" "SELECT count(*) FROM e_$1 WHERE ${2:-1}"
}
# How often $2 is not right behind $1 on its track (of the same thread nothing comes between them).
not_behind() {
	query "$w" "SELECT count(*) FROM event a WHERE a.kind = $(kind "$1") AND $(kind "$2") IS NOT
		(SELECT b.kind FROM event b WHERE b.track = a.track AND b.id > a.id ORDER BY b.id LIMIT 1)"
}
meta_is() { # KEY PATTERN
	local v
	v=$(query "$w" "SELECT value FROM v_meta WHERE key = '$1'")
	[[ $v =~ $2 ]] || { echo "$1 = '$v'" && return 1; }
}

kicked() { # KICK IO: what the notifies left behind
	local notifies
	notifies=$(query "$w" "SELECT count(*) FROM vm_exit WHERE space = 0 AND addr = 0xc010")
	echo "$notifies notify exits, $(count queue_notify) queue_notify, $(count io_wake) io_wake"
	case $1,$2 in
	exit,vcpu) [ "$notifies" -eq 16 ] && [ "$(count io_wake)" -eq 0 ] && meta_is kick '^exit' ;;
	exit,*) # signalled in the exit, served by the thread
		[ "$notifies" -eq 16 ] && [ "$(count io_signal)" -eq 16 ] && meta_is kick '^exit' &&
			[ "$(not_behind queue_notify io_signal)" -eq 0 ] &&
			[ "$(not_behind io_signal io_signal_ret)" -eq 0 ] &&
			[ "$(query "$w" "SELECT sum(count) FROM e_io_wake WHERE via = 0")" -eq 16 ]
		;;
	*) # KVM took them all
		[ "$notifies" -eq 0 ] && [ "$(count io_signal)" -eq 0 ] && meta_is kick '^ioeventfd' &&
			[ "$(query "$w" "SELECT sum(count) FROM e_io_wake WHERE via = 1")" -eq 16 ] &&
			[ "$(count queue_notify)" -eq "$(count io_wake)" ]
		;;
	esac
}
interrupted() { # IRQ
	echo "$(count irq_line 'device = 1') irq_line, $(count irqfd) irqfd, $(count irqfd_resample) irqfd_resample"
	if [ "$1" = line ]; then
		[ "$(count irq_line 'device = 1 AND level')" -eq 16 ] && [ "$(count irqfd)" -eq 0 ] &&
			meta_is interrupt '^KVM_IRQ_LINE'
	else # the end of the last interrupt may come when the machine has stopped
		[ "$(count irq_line 'device = 1')" -eq 0 ] && [ "$(count irqfd)" -eq 16 ] &&
			[ "$(not_behind irqfd irqfd_ret)" -eq 0 ] && [ "$(count irqfd_ret 'result <> 0')" -eq 0 ] &&
			[ "$(count irqfd_resample)" -ge 15 ] && meta_is interrupt '^irqfd'
	fi
}
done_by() { # IO: on whose track the requests were taken, and how the host was called
	local calls on
	on=$(query "$w" "SELECT group_concat(DISTINCT t.kind) FROM event e JOIN track t ON t.id = e.track
		WHERE e.kind IN ($(kind queue_pop), $(kind queue_used))")
	calls=$(count host_call)
	echo "taken by $on, $calls system calls, $(count uring_sqe) entries of io_uring"
	case $1 in
	vcpu) [ "$on" = vcpu ] && [ "$calls" -eq 16 ] ;;
	thread,pwrite) [ "$on" = thread ] && [ "$calls" -eq 16 ] && meta_is io_engine '^pread64' ;;
	*)
		if meta_is io_engine '^io_uring$' >/dev/null; then
			[ "$on" = thread ] && [ "$calls" -eq 0 ] && [ "$(count uring_cqe 'result >= 0')" -eq 16 ] &&
				[ "$(count uring_sqe)" -eq 16 ] && [ "$(not_behind uring_enter uring_enter_ret)" -eq 0 ]
		else # where io_uring may not be used, the recording says so
			[ "$on" = thread ] && [ "$calls" -eq 16 ] && meta_is io_engine '^pread64.*io_uring'
		fi
		;;
	esac
}
variant() { # KICK IRQ IO
	rm -f "$TMP/d.img"
	"$EXITWALK" run -q -o "$w" --kick "$1" --irq "$2" --io "$3" && cmp "$TMP/d.img" "$TMP/expected.img" &&
		kicked "$1" "$3" && interrupted "$2" && done_by "$3"
}
whole() { "$EXITWALK" check "$w"; }
# All that there is; in a lab, where a second is a minute, each word once.
all_variants() {
	local irq io
	for irq in line irqfd; do
		for io in vcpu thread thread,pwrite; do echo "exit $irq $io"; done
		for io in thread thread,pwrite; do echo "ioeventfd $irq $io"; done
	done
}
some_variants() { printf '%s\n' 'exit irqfd vcpu' 'exit line thread,pwrite' 'ioeventfd irqfd thread'; }
while read -r kick irq io; do
	check "--kick $kick --irq $irq --io $io" variant "$kick" "$irq" "$io"
	check "check: it is whole" whole
done < <(if [ -n "${LAB-}" ]; then some_variants; else all_variants; fi)

chains() { # every request came back, by the thread that took it, whatever the order
	[ "$(query "$w" "SELECT count(*) FROM e_queue_pop p WHERE 1 <> (SELECT count(*) FROM e_queue_used u
		WHERE u.request = p.request AND u.head = p.head)")" -eq 0 ] && [ "$(count queue_pop)" -eq 16 ]
}
check "each chain that was taken came back once" chains
features() { # offered, and the built-in guest takes neither: nothing changes
	rm -f "$TMP/d.img"
	"$EXITWALK" run -q -o "$w" --event-idx --indirect --io thread && cmp "$TMP/d.img" "$TMP/expected.img" &&
		meta_is virtio_event_idx '^offered' && meta_is virtio_indirect_desc '^offered' && meta_is virtio '^legacy PCI'
}
check "--event-idx --indirect" features

several() { # the first disk is the guest's; the others are there, and stay as they are
	head -c 1048576 /dev/urandom >"$TMP/b.img" && cp "$TMP/b.img" "$TMP/b.copy"
	rm -f "$TMP/d.img"
	"$EXITWALK" run -q -o "$w" -d "$TMP/d.img" -d "$TMP/b.img,ro" -d "$TMP/c.img" --kick ioeventfd >"$TMP/out" &&
		cmp "$TMP/d.img" "$TMP/expected.img" && cmp "$TMP/b.img" "$TMP/b.copy" &&
		[ "$(stat -c %s "$TMP/c.img")" -eq 1048576 ] && [ "$(grep -c '^disk image' "$TMP/out")" -eq 3 ] &&
		meta_is disks '^3$' && meta_is disk_mode read-write && meta_is disk1_mode read-only &&
		meta_is disk2_path 'c\.img$' && whole &&
		[ "$(query "$w" "SELECT group_concat(name, ' ') FROM device WHERE name LIKE 'virtio-blk%'")" = \
			"virtio-blk0 virtio-blk1 virtio-blk2" ] &&
		[ "$(query "$w" "SELECT group_concat(printf('%x', base), ' ') FROM (SELECT base FROM region
			WHERE name LIKE 'virtio-blk%' ORDER BY base)")" = "c000 c080 c100" ]
}
check "three disks: addresses, numbers and modes of their own" several
ends() { # interrupted while the thread works: what was taken is given back, and it is said so
	"$EXITWALK" run -q -o "$w" --repeat 1000000 --kick ioeventfd --irq irqfd --timeout 2 2>"$TMP/err"
	[ $? -eq 1 ] && grep -q 'did not end within 2 s' "$TMP/err" && whole &&
		[ "$(query "$w" "SELECT (SELECT count(*) FROM e_queue_pop) = (SELECT count(*) FROM e_queue_used)")" = 1 ] &&
		[ "$(query "$w" "SELECT max(e.id) = (SELECT id FROM e_machine_stop) FROM event e")" = 1 ]
}
check "--timeout ends the I/O thread when its work is done" ends
done_testing
