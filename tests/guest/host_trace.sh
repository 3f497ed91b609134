#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --host-trace and attach with whatever this machine's KVM and tracefs give (on kvm_pvm: no kvm_exit), and
# without them. The labs have tests/lab/guests/host.sh.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
w=$TMP/host.exw
meta() { query "$w" "SELECT value FROM v_meta WHERE key = '$1'"; }
one_sentence() { # STATUS PATTERN COMMAND…: fails so, with one line on stderr
	local status=$1 pattern=$2
	shift 2
	"$@" >"$TMP/out" 2>"$TMP/err" </dev/null
	local got=$?
	cat "$TMP/out" "$TMP/err"
	[ $got -eq "$status" ] && [ "$(wc -l <"$TMP/err")" -eq 1 ] && grep -qE "$pattern" "$TMP/err"
}

# --- without the right to it --------------------------------------------------------------------------
chmod 777 "$TMP"
# A program and a KVM that anybody may use.
cp "$EXITWALK" "$TMP/exitwalk"
mknod -m 666 "$TMP/kvm" c "0x$(stat -c %t /dev/kvm)" "0x$(stat -c %T /dev/kvm)" 2>/dev/null
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "$@"; }
if [ "$(id -u)" -eq 0 ] && as_nobody "$TMP/exitwalk" run -q --no-record --kvm "$TMP/kvm" -d "$TMP/n.img" >/dev/null 2>&1; then
	on_fails() { one_sentence 1 'host-trace on: .*run as root' as_nobody "$TMP/exitwalk" run -q --kvm "$TMP/kvm" --host-trace on -o "$TMP/n.exw" && [ ! -e "$TMP/n.exw" ]; }
	check "--host-trace on without root: one sentence, what to do, and no recording of nothing" on_fails
	auto_runs() {
		as_nobody "$TMP/exitwalk" run -q --kvm "$TMP/kvm" --host-trace auto -o "$TMP/n.exw" 2>"$TMP/err" || return 1
		cat "$TMP/err"
		[ "$(wc -l <"$TMP/err")" -eq 1 ] && grep -q "the host kernel's side is not recorded: .*run as root" "$TMP/err" &&
			[[ $(query "$TMP/n.exw" "SELECT value FROM v_meta WHERE key = 'host_trace'") == "not possible: "* ]] &&
			"$EXITWALK" check "$TMP/n.exw"
	}
	check "--host-trace auto without root: one note, everything else is recorded" auto_runs
else
	skip "--host-trace without root" "needs root, to become somebody else who may use KVM"
fi
is_off() { "$EXITWALK" run -q -o "$w" && [ "$(meta host_trace)" = off ] && [ "$(query "$w" "SELECT count(*) FROM event WHERE kind >= 100")" = 0 ]; }
check "without --host-trace: off, and said so" is_off
check "attach: no such process" one_sentence 1 'there is no process 4194000' "$EXITWALK" attach 4194000 -o "$w"
check "attach: a process without a virtual machine" one_sentence 1 "process $$ .* has no KVM virtual machine" "$EXITWALK" attach $$ -o "$w"
check "attach: nobody has that name" one_sentence 1 'is called no-such-vm' "$EXITWALK" attach --name no-such-vm -o "$w"
kept() { # nothing began: the earlier recording is as it was
	cp samples/recordings/svm-sample.exw "$TMP/kept.exw" && ln -sf kept.exw "$TMP/link.exw"
	timeout -s INT 1 "$EXITWALK" attach --name no-such-vm --wait -o "$TMP/link.exw"
	cmp samples/recordings/svm-sample.exw "$TMP/kept.exw" && [ -L "$TMP/link.exw" ] && ! ls "$TMP"/kept.exw?*
}
check "attach: what never began replaces no recording" kept
wait_needs_name() { "$EXITWALK" attach 1 --wait 2>"$TMP/err"; [ $? -eq 64 ] && grep -q 'wait needs the --name' "$TMP/err"; }
check "attach: --wait is for a name" wait_needs_name
both() { "$EXITWALK" attach 1 --name x 2>"$TMP/err"; [ $? -eq 64 ] && grep -q 'which process' "$TMP/err"; }
check "attach: PID or --name, not both" both

# --- with it ------------------------------------------------------------------------------------------
if ! "$EXITWALK" run -q --host-trace on -o "$w" >"$TMP/out" 2>&1; then
	skip "--host-trace on" "$(tail -n 1 "$TMP/out")"
	done_testing
fi
whole() { "$EXITWALK" check "$w" >"$TMP/check"; local s=$?; cat "$TMP/check"; [ $s -eq 0 ] && grep -qE '^ok +joined' "$TMP/check"; }
check "--host-trace on: whole, and both sides of each exit agree" whole
expected_image 1 "$TMP/expected.img"
costs() { # measured while it ran: a tracepoint's record, and what an exit's records cost the threads and in all
	query "$w" "SELECT key, value FROM v_meta WHERE key LIKE 'exit_cost.%' OR key LIKE 'host_trace.%'"
	[ "$(query "$w" "SELECT count(*) = 4 AND min(value) > 0 FROM v_meta WHERE key IN ('exit_cost.thread_ns',
		'exit_cost.cpu_ns', 'host_trace.record_ns', 'host_trace.reader_cpu_ns')")" = 1 ] &&
		"$EXITWALK" report "$w" | grep -q 'exit_cost.thread_ns'
}
check "it says what an exit cost to record" costs
check "the guest's bytes are on the disk" cmp "$TMP/host.img" "$TMP/expected.img"
counts() { # one kvm_userspace_exit and one row for each return
	query "$w" "SELECT (SELECT count(*) FROM e_run_exit), (SELECT count(*) FROM e_kvm_userspace_exit),
		(SELECT count(*) FROM vm_exit WHERE kvm_reason IS NOT NULL), (SELECT count(*) FROM e_kvm_exit),
		(SELECT count(*) FROM vm_exit WHERE isa IS NOT NULL)" | tee "$TMP/counts"
	IFS='|' read -r a b c d e <"$TMP/counts" && [ "$a" -gt 40 ] && [ "$a" = "$b" ] && [ "$b" = "$c" ] && [ "$d" = "$e" ]
}
check "each return of KVM_RUN has its kvm_userspace_exit" counts
path_has() {
	"$EXITWALK" path "$w" | tr -s '\n ' ' ' >"$TMP/path"
	for p in 'iowrite16\+.*kvm_pio: write of port 0xc010, 2 bytes.*kvm_userspace_exit: KVM_EXIT_IO.*KVM_RUN returns' \
		'ioctl\(KVM_IRQ_LINE\) irq 11 level 1 .*kvm_set_irq: GSI 11 level 1, source 0.*KVM_IRQ_LINE irq 11 level 1 = 0'; do
		grep -qE "$p" "$TMP/path" || { echo "no '$p' in" && cat "$TMP/path" && return 1; }
	done
	! grep -q 'not recorded: inside KVM' "$TMP/path"
}
check "path: KVM's words stand where they were said" path_has
check "path: what this backend does not trace is said" test ! -d /sys/module/kvm_pvm -o \
	"$(grep -c 'the kvm_exit tracepoint never fires on kvm_pvm' "$TMP/path")" = 1
functions() { # on kvm_pvm machines the function tracer is refused
	if "$EXITWALK" run -q --host-functions -o "$w" >"$TMP/out" 2>"$TMP/err"; then
		whole && [ "$(query "$w" "SELECT count(*) > 100 FROM e_host_func")" = 1 ]
	else
		cat "$TMP/err"
		[ "$(wc -l <"$TMP/err")" -eq 1 ] && grep -qE 'host-functions: .*function tracer' "$TMP/err"
	fi
}
check "--host-functions: recorded, or one sentence why not" functions
several() { "$EXITWALK" run -q --host-trace on --kick ioeventfd --irq irqfd -o "$w" && whole; }
check "with an I/O thread, ioeventfd and irqfd" several
handler_last() { # the notify that KVM kept is the last tracepoint in front of the handler's exit
	query "$w" "SELECT count(*), min(s.n > (SELECT n FROM v_step u WHERE u.request_id = s.request_id AND
		u.text LIKE 'queue%used entry%')) FROM v_step s WHERE s.text LIKE 'vp_interrupt+%'" | tee "$TMP/handler"
	IFS='|' read -r n behind <"$TMP/handler" && [ "$n" -gt 4 ] && [ "$behind" = 1 ]
}
check "the interrupt handler's call chain stands behind the completion" handler_last

attached() {
	"$EXITWALK" run -q --no-record -d "$TMP/a.img" --timeout 600 --append outloop=4000000000 >"$TMP/a.out" 2>&1 &
	local guest=$!
	await_vcpu $guest || { kill $guest; return 1; }
	"$EXITWALK" attach $guest --duration 1 -o "$w" >"$TMP/out" || { kill $guest; return 1; }
	cat "$TMP/out"
	kill -0 $guest && kill $guest
	wait $guest
	"$EXITWALK" check "$w" && [ "$(query "$w" "SELECT count(*) > 100 FROM e_kvm_userspace_exit")" = 1 ] &&
		[ "$(meta stop_reason)" = "the duration was over" ] && [ "$(meta attach.pid)" = $guest ] &&
		{ [ ! -d /sys/module/kvm_pvm ] || grep -q 'never fires kvm_exit' "$TMP/out"; } &&
		"$EXITWALK" report "$w" >"$TMP/report" && grep -q KVM_EXIT_IO "$TMP/report"
}
check "attach to a running VM, which goes on" attached

waiting() { # starts attach --wait for $TMP/later.img, as $attach, and waits until it waits
	rm -f "$TMP/err" # what an earlier one said
	timeout -s INT 120 "$EXITWALK" attach --name "$TMP/later.img" --wait -o "$w" >"$TMP/out" 2>"$TMP/err" &
	attach=$!
	until grep -q 'waiting for a virtual machine called' "$TMP/err" 2>/dev/null; do
		kill -0 $attach || { cat "$TMP/err"; return 1; }
		sleep 0.05
	done
}
begins_later() { # a short run, at whose beginning attach has no processor
	local guest tracer
	waiting || return 1
	tracer=$(pgrep -P $attach) && kill -STOP "$tracer" || return 1
	"$EXITWALK" run -q --no-record --cpus 2 --repeat 100 -d "$TMP/later.img" >"$TMP/a.out" &
	guest=$!
	await_vcpu $guest && sleep 0.05
	kill -CONT "$tracer"
	wait $guest || { kill $attach; return 1; }
	wait $attach || { cat "$TMP/err"; return 1; }
	cat "$TMP/out" "$TMP/a.out"
}
# Until attach knows whose they are, the buffers have everybody's events: a very busy machine overruns them.
for try in 1 2 3 4 5 6 7 8; do
	begun=$(begins_later 2>&1) || break
	[ "$(query "$w" "SELECT count(*) FROM loss")" != 0 ] || break
done
from_the_first() { # all of it, its first KVM_RUN too
	local returns
	echo "run $try: $begun"
	query "$w" "SELECT kind, vcpu, name FROM track"
	returns=$(sed -n 's/^\([0-9]*\) exits in .*/\1/p' "$TMP/a.out")
	[ "$(meta stop_reason)" = "the process ended" ] && [ "$(meta attach.began)" = "with the virtual machine" ] &&
		"$EXITWALK" check "$w" &&
		[ "$(query "$w" "SELECT group_concat(vcpu) FROM (SELECT vcpu FROM track WHERE kind = 'vcpu' ORDER BY 1)")" = 0,1 ] &&
		[ "$(query "$w" "SELECT count(*) >= $returns FROM e_kvm_userspace_exit")" = 1 ]
}
requests() { # by its port, its system call and its interrupt; where no kvm_exit fires, without the exits
	local n
	n=$(sed -n 's/.* s, \([0-9]*\) disk requests$/\1/p' "$TMP/a.out")
	query "$w" "SELECT type, count(*), min(sector), sum(exits) FROM v_request GROUP BY 1"
	"$EXITWALK" path "$w" >"$TMP/path"
	cat "$TMP/path"
	[ "$n" -gt 100 ] && [ "$(query "$w" "SELECT count(*) FROM v_request")" = "$n" ] &&
		grep -q 'kvm_pio: write of port 0xc010' "$TMP/path" && grep -q 'pwrite64 = ' "$TMP/path" &&
		grep -q 'kvm_set_irq: GSI 11 level 1' "$TMP/path" && grep -Eq 'unaccounted +0.000' "$TMP/path" &&
		{ [ ! -d /sys/module/kvm_pvm ] || grep -q 'guest + KVM, not separated' "$TMP/path"; }
}
if [ "$(query "$w" "SELECT count(*) FROM loss")" = 0 ]; then
	check "attach --wait: a VM that begins later, with two vCPUs, from its first exit to its end" from_the_first
	check "attach: its disk requests, each by port, system call and interrupt" requests
else
	check "attach --wait: a machine too busy for its buffers is no failure" "$EXITWALK" check "$w"
	skip "attach --wait: from a VM's first exit on" "other processes overran the kernel's buffers in each of $try runs"
fi
gives_up() { # and leaves no recording of nothing
	rm -f "$w"
	waiting || return 1
	kill -INT $attach # timeout(1) passes it on
	wait $attach
	local status=$?
	cat "$TMP/out" "$TMP/err"
	ls -l "$w"
	[ $status -ne 0 ] && grep -q 'no virtual machine called .* began; nothing is recorded' "$TMP/err" && [ ! -e "$w" ]
}
check "attach --wait: Ctrl-C before the VM begins" gives_up
live_line() { # on a terminal: counts while it records, Ctrl-C ends it, and the guest goes on
	"$EXITWALK" run -q --no-record -d "$TMP/a.img" --timeout 600 --append outloop=4000000000 >"$TMP/a.out" 2>&1 &
	local guest=$! terminal status
	await_vcpu $guest || { kill $guest; return 1; }
	rm -f "$TMP/screen" "$TMP/attach.pid" # what an earlier one said
	timeout 120 script -qec "echo \$\$ >$TMP/attach.pid; exec $EXITWALK attach $guest -o $w" "$TMP/screen" </dev/null >/dev/null &
	terminal=$!
	until grep -aqE 'exitwalk\[[0-9]+\]: [0-9]+ exits, [1-9][0-9]* events, 0 lost; Ctrl-C ends the recording' "$TMP/screen" 2>/dev/null; do
		kill -0 $terminal || { kill $guest; cat "$TMP/screen"; return 1; }
		sleep 0.1
	done
	kill -INT "$(cat "$TMP/attach.pid")"
	wait $terminal
	status=$?
	kill -0 $guest && kill $guest
	wait $guest
	cat -v "$TMP/screen"
	[ $status -eq 0 ] && "$EXITWALK" check "$w" && [ "$(meta stop_reason)" = "a signal" ]
}
if command -v script >/dev/null; then
	check "attach on a terminal: a line that counts, until Ctrl-C" live_line
else
	skip "attach on a terminal" "script(1) is not here"
fi
done_testing
