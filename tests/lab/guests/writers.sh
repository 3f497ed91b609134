#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Part of tests/lab/suite.sh: a guest with two processors in which several write at once, and the block layer splits
# and merges what they write. Whose a request is, is compared with what the guest says of itself and with the bytes on
# the disk: each word there tells the write that it comes from (samples/linux/plan.c), and the guest prints
# which process made which write by which of its calls.
# not in vmx: one processor there, and minutes for another boot of Linux
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
. tests/lib/kvm.sh
. tests/lib/lab.sh
need_linux
w=$TMP/writers.exw disk=$TMP/writers.img

# truth: each write request of the recording $w against the disk $disk and what the guest said in $TMP/out. Prints each
# difference (TRUTH=some: the recording may know fewer calls, and so not their numbers, but no wrong process), and "MODE: R requests of C calls, S of several" for each hundred of the writes' numbers.
truth() {
	query "$w" "SELECT q.id, q.sector, q.bytes, coalesce(c.pid, 0), coalesce((SELECT count(*) FROM guest_call o WHERE
		o.pid = c.pid AND o.id <= c.id AND o.nr IN (18, 209)), 0), coalesce(q.call_how, '') FROM request q
		LEFT JOIN guest_call c ON c.id = q.guest_call WHERE q.type = 1 AND q.sector BETWEEN 2048 AND 32767" >"$TMP/requests"
	perl - "$disk" "$TMP/out" "$TMP/requests" "${TRUTH-all}" <<-'PERL'
		my ($disk, $told, $requests, $how_much) = @ARGV;
		my (%by, %left, %n, $bad, $all);
		open(my $d, '<', $disk) or die;
		open(my $t, '<', $told) or die;
		while (<$t>) {
			next unless /writer: (\d+) wrote (\d+): (\d+) bytes at (\d+) by call (\d+)/;
			$by{$2} = "$1.$5"; $left{$2} = $3; $all++;
		}
		open(my $r, '<', $requests) or die;
		while (<$r>) {
			chomp;
			my ($id, $sector, $bytes, $pid, $call, $how) = split /\|/;
			my (%calls, $mode);
			for (my $s = $sector; $s < $sector + $bytes / 512; $s++) {
				seek($d, $s * 512, 0); read($d, my $b, 8) == 8 or die;
				my $word = unpack('Q<', $b);
				my ($n, $at) = ($word >> 48, $word & 0xffffffffffff);
				if ($at != $s * 512 || !$by{$n}) { print "sector $s of request $id: write $n, offset $at\n"; $bad++; next; }
				$calls{$by{$n}} = 1; $left{$n} -= 512; $mode = int($n / 100);
			}
			my $want = keys(%calls) == 1 && $mode != 23 ? (keys %calls)[0] : '0.0';
			my $open = $how_much eq 'some' && ($pid ? $want =~ /^$pid\./ : 1);
			if ($want ne "$pid.$call" && !$open) { print "request $id is $want's, and the recording says $pid.$call ($how)\n"; $bad++; }
			$n{$mode}{r}++; $n{$mode}{s}++ if keys(%calls) > 1; $n{$mode}{c}{$_} = 1 for keys %calls;
			$n{$mode}{how}{$how}++;
		}
		for (keys %left) { if ($left{$_}) { print "$left{$_} bytes of write $_ are in no request\n"; $bad++; } }
		for my $m (sort keys %n) {
			printf "mode %d: %d requests of %d calls, %d of several;%s\n", $m, $n{$m}{r}, scalar(keys %{$n{$m}{c}}), $n{$m}{s} // 0,
				join(',', map { " $n{$m}{how}{$_} '$_'" } sort keys %{$n{$m}{how}});
		}
		exit($bad || !$all);
	PERL
}

new_disk "$disk"
several() {
	run_linux -w "ew_modes=direct,big,batch,merge,two,shared,writeback ew_tell=1" --timeout 200 --cpus 2 --guest-events -d "$disk" \
		-o "$w" >"$TMP/out" 2>&1 || { cat "$TMP/out" && return 1; }
}
check "two processors, several writers, --guest-events" several
[ ! -d /lab/out ] || cp "$w" "$disk" "$TMP/out" /lab/out/
check "check: whole" whole "$w"
truth >"$TMP/truth"
check "each request is the call's whose bytes it carries" truth
sed 's/^/# /' "$TMP/truth"
at() { # FIRST LAST: a condition, sectors of a mode
	echo "type = 'VIRTIO_BLK_T_OUT' AND sector BETWEEN $1 AND $2"
}
at_once() { # requests of two processes overlap in time, on two processors
	local n
	n=$(query "$w" "WITH mine AS (SELECT * FROM v_request WHERE $(at 18432 22527)) SELECT count(*) FROM mine a JOIN mine b
		ON b.pid > a.pid AND a.t_first_ns < b.t_last_ns AND b.t_first_ns < a.t_last_ns")
	echo "$n pairs"
	[ "$n" -gt 4 ] && [ "$(query "$w" "SELECT count(DISTINCT track) FROM guest_call WHERE nr IN (18, 209)")" = 2 ]
}
check "two writers write at once" at_once
split() { # 2 MiB by one call: more than one request, all of it
	[ "$(query "$w" "SELECT count(*) > 1 AND count(DISTINCT pid) = 1 AND sum(bytes) = 2097152 FROM v_request WHERE $(at 8192 12287)")" = 1 ]
}
check "one call, several requests: all are the call's" split
merged() { # 16 writes by one io_submit beside each other: one request, each bio a step of it
	local r
	r=$(query "$w" "SELECT id FROM v_request WHERE $(at 12288 12415) AND bytes = 65536 AND syscall = 'io_submit'")
	[ "$(query "$w" "SELECT count(*) FROM v_step WHERE request_id = ${r:-0} AND text LIKE 'block_bio_queue%'")" = 16 ]
}
check "one call, 16 bios, one request: each bio is a step" merged
of_several() { # bios of two processes in one request: it is nobody's alone, and the path says whose bios they are
	local r
	r=$(query "$w" "SELECT id FROM v_request WHERE $(at 14336 14399) AND bytes > 4096 LIMIT 1")
	[ -n "$r" ] || { echo "no request was merged" && return 1; }
	[ "$(query "$w" "SELECT pid IS NULL AND call_how IS NULL FROM v_request WHERE id = $r")" = 1 ] &&
		[ "$(query "$w" "SELECT count(DISTINCT actor) FROM v_step WHERE request_id = $r AND text LIKE 'block_bio_queue%'")" = 2 ] &&
		path_shows "$w" -r "$r" -- 'made of what several system calls \(or tasks\) wrote' 'of several: its bios come'
}
check "two calls, one request: it is of both, and none is picked" of_several
later() { # what the kernel writes by itself is no call's, though calls that wrote it are known
	local r
	r=$(query "$w" "SELECT id FROM v_request WHERE $(at 6144 6271) LIMIT 1")
	[ "$(query "$w" "SELECT count(*) FROM guest_call WHERE nr = 18 AND arg3 BETWEEN 3145728 AND 3203072")" = 8 ] &&
		path_shows "$w" -r "${r:-0}" -- 'no guest system call: a task that was in none' 'kworker/u.*' 'workqueue_execute_start: wb_workfn'
}
check "writeback: no call is said to be the one" later

# --- a hole in what the guest's kernel traced -----------------------------------------------------------
# One agent ends and another one begins: nothing is traced between them, and nobody counted what that would have been. The
# buffers are small, but an agent sends them when they are half full: they do not overrun here. Without markers, so
# that nothing but the guest's own events tells of its calls.
new_disk "$disk"
two_agents() {
	# shellcheck disable=SC2016 # the guest's shell expands it
	printf '%s\n' 'agent -e $(pidof agent)' 'p=$(agent -b 64 -i 0)' 'export ew_tell=1 ew_markers=off' 'writer batch /dev/vda' \
		'writer two /dev/vda' 'writer shared /dev/vda' 'writer direct /dev/vda' 'agent -e $p; echo "ended: $?"' exit |
		run_linux -w "ew_modes=none ew_then=shell" --timeout 200 --cpus 2 --guest-events --console -d "$disk" -o "$w" >"$TMP/out" 2>&1
	grep -qx 'guest: ended: 0' "$TMP/out" || { cat "$TMP/out" && return 1; }
}
check "a guest in which one agent follows another" two_agents
[ ! -d /lab/out ] || { cp "$w" /lab/out/lost.exw && cp "$disk" /lab/out/lost.img && cp "$TMP/out" /lab/out/lost.out; }
lost() {
	query "$w" "SELECT source, ts0_ns, ts1_ns, n FROM v_loss"
	query "$w" "SELECT key, value FROM v_meta WHERE key LIKE 'guest_trace.%'"
	[ "$(meta_of "$w" guest_trace.gaps)" -gt 0 ] &&
		[ "$(query "$w" "SELECT count(*) > 0 FROM v_loss WHERE source LIKE 'trace buffer of the guest%'")" = 1 ]
}
check "what was not traced between them is a loss of these buffers" lost
check "check: nothing is wrong but the loss" check_says "$w" '^note +losses +trace buffer of the guest.s CPU [01] lost'
not_wrong() { TRUTH=some truth; }
not_wrong >"$TMP/truth"
check "no request is said to be a call's that is not its own" not_wrong
sed 's/^/# /' "$TMP/truth"
done_testing
