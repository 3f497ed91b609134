#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: --host-trace and attach on the lab's KVM, whose exits are the hardware's. The
# kernel's top-level trace is the second witness, and must not be touched.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
w=$TMP/host.exw

case $BACKEND in
kvm_amd) io='SVM_EXIT_IOIO \(port 0xc010, OUT, size 2\)' isa=2 run=svm_vcpu_run exit=svm_handle_exit handler=io_interception ;;
*) io='EXIT_REASON_IO_INSTRUCTION \(port 0xc010, OUT, size 2\)' isa=1 run=vmx_vcpu_run exit=vmx_handle_exit handler=handle_io ;;
esac
: "${tracing:?by tests/lib/lab.sh}"
no_instances() { [ -z "$(ls $tracing/instances)" ] || { ls $tracing/instances && return 1; }; }

trace_on kvm_exit kvm_userspace_exit
check "the sample guest runs with --host-trace on" "$EXITWALK" run -q --host-trace on -o "$w"
untouched() {
	[ "$(cat $tracing/events/kvm/kvm_exit/enable)" = 1 ] && [ "$(cat $tracing/tracing_on)" = 1 ] &&
		[ "$(cat $tracing/events/kvm/kvm_pio/enable)" = 0 ] && [ -z "$(cat $tracing/set_event_pid)" ]
}
check "the user's own tracing goes on as it was" untouched
trace_off "$TMP/trace"
check "no instance of tracefs is left" no_instances
check "check: whole, and as many exits as KVM counted" whole "$w"
check "exits recorded, KVM's counters and the kernel's trace are one number" counts_agree "$w" "$TMP/trace"
says() { check_says "$w" "$@"; } # PATTERN…
check "check: both sides of each exit agree, and every kvm_exit is there" says \
	'^ok +joined +[0-9]+ returns of KVM_RUN and [0-9]+ exits of the hardware are [0-9]+ exits' \
	'^ok +kvm +KVM counts [0-9]+ exits of the hardware, and so many kvm_exit are recorded'
reasons() { # each return has its hardware reason, and KVM served exits of its own
	query "$w" "SELECT isa, hw_reason_name, kvm_reason_name, count(*) FROM v_exit GROUP BY 1, 2, 3"
	[ "$(query "$w" "SELECT count(*) FROM v_exit WHERE hw_reason IS NULL OR isa <> $isa")" = 0 ] &&
		[ "$(query "$w" "SELECT count(*) > 0 FROM v_exit WHERE kvm_reason IS NULL")" = 1 ] &&
		[ "$(query "$w" "SELECT count(*) = (SELECT count(*) FROM e_kvm_exit) FROM v_exit")" = 1 ]
}
check "every exit has its hardware's reason, and one row" reasons
first() { # FILE [CONDITION]: its first write of a process, or the first such request
	query "$1" "SELECT id FROM v_request WHERE ${2:-type = 'VIRTIO_BLK_T_OUT'} ORDER BY syscall IS NOT 'write', id LIMIT 1"
}
steps() { steps_of "$1" "$(first "$@")"; } # FILE [CONDITION]
in_order() { # FILE PATTERN…: its first write has steps that match, in this order
	steps_in_order "$1" "$(first "$1")" "${@:2}"
}
check "path: exit reason, KVM's handling, return, injection and entry stand in order" in_order "$w" \
	'write\(3, 0x[0-9a-f]+, 512\)' 'kvm_entry: vCPU 0, rip 0x4' 'ksys_write\+' 'out dx, ax \(66 ef\) at iowrite16\+' \
	"kvm_exit: $io" 'kvm_pio: write of port 0xc010, 2 bytes' 'kvm_userspace_exit: KVM_EXIT_IO' \
	'KVM_RUN returns: KVM_EXIT_IO, 2-byte write' 'VIRTIO_BLK_T_OUT sector 8' 'pwrite64 = 512' \
	'kvm_set_irq: GSI 11 level 1' 'KVM_IRQ_LINE irq 11 level 1 = 0' 'KVM_RUN' 'kvm_inj_virq: vector' \
	'kvm_entry: vCPU 0, rip 0xffffffff' 'kvm_set_irq: GSI 11 level 0' 'kvm_eoi|kvm_ack_irq' 'write = 512'
nothing_missing() { # of what the tracepoints show
	! steps "$w" | grep -oE 'not recorded: (exit code|VM-exit reason|inside KVM|the hardware entry)'
}
check "path: what there is evidence for is not said to be missing" nothing_missing
separated() { # guest and KVM have lines of their own, and nothing is left over
	query "$w" "SELECT l.name, sum(ns) FROM budget b JOIN enum_name l ON l.enum = 'layer' AND l.value = b.layer GROUP BY 1"
	[ "$(query "$w" "SELECT sum(ns * (layer = 9)), sum(ns * (layer = 10)), sum(ns * (layer = 11)) > 0,
		sum(ns * (layer = 4)) > 0 FROM budget")" = '0|0|1|1' ]
}
check "the layer budget tells the guest's time from KVM's" separated

if [ "$LAB" = vmx ]; then
	skip "functions, ioeventfd, block events, kill -9, attach" "in the SVM lab; functions there in host_linux.sh: each run sets the tracers up, and Bochs is slow"
	done_testing
fi

check "the sample guest runs with --host-functions" "$EXITWALK" run -q --timeout 900 --host-functions -o "$w"
no_probes() { cat $tracing/kprobe_events; [ -z "$(cat $tracing/kprobe_events)" ]; }
check "nothing is left in the kernel of its probes" no_probes
check "check: whole, with KVM's functions" says '^ok +joined' '^ok +kvm +KVM counts [0-9]+ exits of the hardware'
# Where kvm_exit stands differs: in NAME_vcpu_run or in NAME_handle_exit.
check "path: the exit call by call" in_order "$w" 'kvm_vcpu_ioctl\(\), called by' 'kvm_arch_vcpu_ioctl_run\(\)' "$run\(\)" \
	'kvm_entry: vCPU 0, rip 0x4' 'out dx, ax \(66 ef\) at iowrite16' "$exit\(\)|kvm_exit: $io" "$exit\(\)|kvm_exit: $io" \
	"$handler\(\)" 'kvm_fast_pio\(\)' 'kvm_pio: write of port 0xc010' 'kvm_io_bus_write\(\)' 'kvm_userspace_exit: KVM_EXIT_IO' \
	'KVM_RUN returns' 'pwrite64 = 512' 'kvm_set_irq\(\)' 'kvm_set_irq: GSI 11 level 1' 'complete_fast_pio_out\(\)' 'kvm_inj_virq' 'kvm_entry'

check "a run by ioeventfd, irqfd and an I/O thread" "$EXITWALK" run -q --host-trace on --kick ioeventfd --irq irqfd -o "$w"
check "check: whole" says '^ok +joined' '^ok +kvm +KVM counts [0-9]+ exits of the hardware'
check "path: the exit that no return shows, the wake-up, KVM's worker that injects" in_order "$w" \
	"kvm_exit: $io" 'sched_waking: I/O thread' 'no return of KVM_RUN' 'wakes up' 'write\(eventfd' \
	'kvm_set_irq: GSI 11 level 1, source 1' 'kvm_inj_virq' 'kvm_entry'

# A block device below: the disk on which the lab's result is written at the very end.
for device in /dev/vdb /dev/sdb; do [ ! -b $device ] || break; done
blocks() {
	"$EXITWALK" run -q --host-trace on -d "$device" -o "$w" || return 1
	says '^ok +joined' || return 1
	query "$w" "SELECT k.name, count(*) FROM event e JOIN event_kind k ON k.id = e.kind GROUP BY 1"
	steps "$w" "type = 'VIRTIO_BLK_T_FLUSH'" | tee "$TMP/steps"
	tr '\n' ' ' <"$TMP/steps" | grep -qE 'fdatasync\(fd .*block_bio_queue: .*block_rq_issue: .*block_rq_complete: .*fdatasync = 0'
}
check "on a block device: what the host's fdatasync made of the guest's flush" blocks

killed() { # its instance is left, stopped and empty, and the next run removes it
	"$EXITWALK" run -q --host-trace on --append outloop=4000000000 -o "$w" >"$TMP/out" 2>&1 &
	pid=$!
	until [ -n "$(cat $tracing/instances/exitwalk-$pid/set_event_pid 2>/dev/null)" ]; do
		kill -0 $pid || { cat "$TMP/out"; return 1; }
		sleep 0.1
	done
	sleep 1
	kill -9 $pid
	wait $pid
	ls $tracing/instances
	[ "$(cat $tracing/instances/exitwalk-$pid/tracing_on)" = 0 ] &&
		"$EXITWALK" run -q --host-trace on -o "$w" && no_instances
}
killed_with_probes() { # which are in the whole kernel, and go with the next run of any kind; the user's own stay
	echo 'r:ours/users kvm:kvm_vcpu_ioctl' >>$tracing/kprobe_events
	"$EXITWALK" run -q --host-functions --append outloop=4000000000 -o "$w" >"$TMP/out" 2>&1 &
	pid=$!
	until [ "$(cat $tracing/instances/exitwalk-$pid/tracing_on 2>/dev/null)" = 1 ]; do sleep 0.1; done
	kill -9 $pid
	wait $pid
	local left
	left=$(grep -c ":exitwalk_$pid/" $tracing/kprobe_events)
	"$EXITWALK" run -q --host-trace on -o "$w"
	cat $tracing/kprobe_events
	[ "$left" -gt 10 ] && grep -qxE 'r[0-9]*:ours/users kvm:kvm_vcpu_ioctl' $tracing/kprobe_events &&
		[ "$(cat $tracing/kprobe_events | wc -l)" -eq 1 ] && no_instances
	local status=$?
	echo '-:ours/users' >>$tracing/kprobe_events
	return $status
}
check "kill -9 with probes on functions: the next run removes them, and none of the user's" killed_with_probes
check "kill -9 leaves an instance that is off, and the next run removes it" killed

# --- attach -------------------------------------------------------------------------------------------
start_guest() { # runs for ever, unrecorded
	"$EXITWALK" run -q --no-record -d "$TMP/a.img" --timeout 0 --append outloop=4000000000 >"$TMP/a.out" 2>&1 &
	guest=$!
	await_vcpu $guest || return 1
}
attached() {
	start_guest || return 1
	"$EXITWALK" attach $guest --duration 3 -o "$w" || { kill $guest; return 1; }
	kill -0 $guest && kill $guest
	wait $guest
	no_instances && "$EXITWALK" check "$w" &&
		[ "$(query "$w" "SELECT count(*) > 100, count(DISTINCT isa), min(isa) FROM v_exit WHERE hw_reason IS NOT NULL")" = "1|1|$isa" ] &&
		[ "$(query "$w" "SELECT count(*) FROM track WHERE kind = 'vcpu' AND vcpu = 0")" = 1 ] &&
		[ "$(query "$w" "SELECT count(*) > 100 FROM e_kvm_userspace_exit")" = 1 ] &&
		[ "$(query "$w" "SELECT value FROM v_meta WHERE key = 'attach.comm'")" = exitwalk ]
}
check "attach to a running VM: its exits, and it goes on" attached
by_name() { # until the VM ends
	"$EXITWALK" run -q --no-record -d "$TMP/a.img" --repeat 1000000 --timeout 0 >"$TMP/a.out" 2>&1 &
	guest=$!
	await_vcpu $guest || return 1
	(
		until [ -e "$w-wal" ] && [ -n "$(ls $tracing/instances)" ]; do
			kill -0 $guest || exit
			sleep 0.1
		done
		sleep 3
		kill -9 $guest
	) &
	"$EXITWALK" attach --name exitwalk -o "$w" || { kill -9 $guest; return 1; }
	wait
	"$EXITWALK" check "$w" && [ "$(query "$w" "SELECT value FROM v_meta WHERE key = 'stop_reason'")" = "the process ended" ] &&
		[ "$(query "$w" "SELECT count(*) > 10 FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT'")" = 1 ] &&
		in_order "$w" "kvm_exit: $io" 'kvm_userspace_exit: KVM_EXIT_IO' 'pwrite(64|v)\(fd' 'kvm_set_irq: GSI 11' 'kvm_entry'
}
check "attach by name until the VM ends: its writes are requests" by_name
[ ! -d /lab/out ] || cp "$w" /lab/out/attach.exw
# --- a buffer of the kernel that overruns ---------------------------------------------------------------
overrun() { # attach has no processor for a while, and the buffers are small
	local status
	"$EXITWALK" run -q --no-record -d "$TMP/a.img" --repeat 1000000 --timeout 0 >"$TMP/a.out" 2>&1 &
	guest=$!
	await_vcpu $guest || return 1
	"$EXITWALK" attach $guest --host-buffer 64 -o "$w" >"$TMP/out" 2>&1 &
	attach=$!
	until [ "$(cat $tracing/instances/exitwalk-$attach/tracing_on 2>/dev/null)" = 1 ]; do
		kill -0 $attach || { cat "$TMP/out" && kill -9 $guest && return 1; }
		sleep 0.1
	done
	sleep 1
	kill -STOP $attach
	sleep 2
	kill -CONT $attach
	sleep 1
	kill $attach
	wait $attach
	status=$?
	kill -9 $guest
	wait $guest
	cat "$TMP/out"
	[ $status -eq 0 ]
}
check "attach is stopped while its buffers of 64 KiB overrun" overrun
[ ! -d /lab/out ] || cp "$w" /lab/out/overrun.exw
counted() { # what the kernel overwrote is in rows of loss, on its CPU's track, with its time; not more than it says
	query "$w" "SELECT source, count(*), sum(n), min(ts1_ns - ts0_ns) FROM v_loss GROUP BY 1"
	local overrun
	overrun=$(meta_of "$w" host_trace.overrun)
	echo "the kernel says $overrun"
	[ "${overrun:-0}" -gt 100 ] && [ "$(query "$w" "SELECT sum(n) BETWEEN $overrun / 2 AND $overrun FROM v_loss")" = 1 ] &&
		[ "$(query "$w" "SELECT count(*) FROM loss l JOIN track t ON t.id = l.track WHERE t.kind <> 'cpu' OR l.ts0 > l.ts1 OR l.n < 1")" = 0 ]
}
check "what the kernel's buffer overwrote is counted, and has its time" counted
check "check: the loss explains what is missing, and nothing else is wrong" check_says "$w" \
	'^note +losses +.* lost [0-9]+ records in [0-9]+ gap' '^note +kvm +KVM counts [0-9]+ exits .* records were lost'
budgets() { # they still add up, and what the loss covers is nobody's
	query "$w" "SELECT sum(ns) FROM budget WHERE layer = (SELECT value FROM enum_name WHERE enum = 'layer' AND name = 'unaccounted')"
	[ "$(query "$w" "SELECT count(*) FROM (SELECT q.id FROM request q JOIN budget b ON b.request_id = q.id GROUP BY q.id
		HAVING sum(b.ns) <> q.t_last - q.t_first)")" = 0 ]
}
check "the layers of each request add up to its wall time" budgets
done_testing
