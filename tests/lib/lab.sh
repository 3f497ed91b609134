# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests that run inside a lab: source it after tap.sh and kvm.sh. $LINUX is the folder that
# tests/lab/lib.bash filled: a Linux guest's kernel, initramfs.cpio, disk.img.gz, writer and version.

# What an emulated CPU is slow at and a test does not need.
LINUX_WORDS="console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check audit=0 cryptomgr.notests=1"

# Skips the whole test where there is no kernel for a Linux guest.
need_linux() {
	[ ! -s "$LINUX/kernel" ] || return 0
	skip "Linux as a guest" "$(cat "$LINUX/why" 2>/dev/null || echo "its kernel is not here")"
	done_testing
}

new_disk() { # FILE: blank, as mkdisk.sh made it
	gunzip -c "$LINUX/disk.img.gz" >"$1"
}

# run_linux [-w WORDS] OPTION…: the Linux guest with these options of `exitwalk run`, WORDS behind
# LINUX_WORDS on its command line.
run_linux() {
	local words=$LINUX_WORDS
	[ "$1" != -w ] || { words+=" $2" && shift 2; }
	"$EXITWALK" run -k "$LINUX/kernel" -i "$LINUX/initramfs.cpio" --timeout 900 --append "$words" "$@"
}

meta_of() { # FILE KEY
	query "$1" "SELECT value FROM v_meta WHERE key = '$2'"
}

whole() { # FILE: is the recording whole, and has it all returns that KVM counted?
	local says status
	says=$("$EXITWALK" check "$1")
	status=$?
	echo "$says"
	[ "$status" -eq 0 ] && grep -q "so many are recorded" <<<"$says"
}

path_shows() { # FILE OPTION… -- PATTERN…: each pattern is in the output of `exitwalk path`
	local file=$1 options=() says p
	shift
	while [ "$1" != -- ]; do options+=("$1") && shift; done
	shift
	says=$("$EXITWALK" path "${options[@]}" "$file") || return 1
	for p in "$@"; do
		grep -qE -- "$p" <<<"$says" || { printf "no '%s' in:\n%s\n" "$p" "$says" && return 1; }
	done
}

check_says() { # FILE PATTERN…: exitwalk check says each of them
	local all p
	all=$("$EXITWALK" check "$1") || { echo "$all" && return 1; }
	for p in "${@:2}"; do grep -qE "$p" <<<"$all" || { printf "no '%s' in:\n%s\n" "$p" "$all" && return 1; }; done
}

steps_of() { # FILE REQUEST: the text of each step, in a line; of functions without their indentation
	query "$1" "SELECT ltrim(replace(text, char(10), ' ')) FROM v_step WHERE request_id = $2 ORDER BY n"
}

steps_in_order() { # FILE REQUEST PATTERN…: of its steps one matches each pattern, in this order
	local steps from=1 at p
	steps=$(steps_of "$1" "$2")
	for p in "${@:3}"; do
		at=$(tail -n "+$from" <<<"$steps" | grep -nE -m 1 -- "$p" | cut -d : -f 1)
		[ -n "$at" ] || { printf "no '%s' from line %s on in:\n%s\n" "$p" "$from" "$steps" && return 1; }
		from=$((from + at))
	done
}

# functions_return FILE REQUEST FUNCTION…: in the call of KVM_RUN that came back with the request's notification each function
# of the host that began has returned, in the one that it began in, as long ago as it says; these, outermost first, among them.
functions_return() {
	local file=$1 r=$2 kick from to
	kick=$(query "$file" "SELECT kick_exit FROM request WHERE id = $r")
	from=$(query "$file" "SELECT max(e.id) FROM e_run_enter e JOIN e_run_exit x ON x.track = e.track AND x.id > e.id
		WHERE x.exit = ${kick:-0}")
	to=$(query "$file" "SELECT id FROM e_run_exit WHERE exit = ${kick:-0}")
	query "$file" "SELECT e.id, '+', n.name, e.depth, e.ts_ns, '' FROM e_host_func e JOIN e_run_exit x ON x.id = ${to:-0}
			JOIN enum_name n ON n.enum = 'host_func' AND n.value = e.func WHERE e.id BETWEEN ${from:-0} AND x.id AND e.track = x.track
		UNION ALL SELECT e.id, '-', n.name, e.depth, e.ts_ns, e.dur_ns FROM e_host_func_exit e JOIN e_run_exit x ON x.id = ${to:-0}
			JOIN enum_name n ON n.enum = 'host_func' AND n.value = e.func WHERE e.id BETWEEN ${from:-0} AND x.id AND e.track = x.track
		ORDER BY 1" | awk -F '|' -v want="${*:3}" '
		BEGIN { wants = split(want, w, " "); at = 1 }
		{ print }
		$2 == "+" { if ($4 != n) bad = 1
			name[++n] = $3; since[n] = $5
			if ($3 == w[at]) { at++; for (i = 1; i < at; i++) { for (j = 1; j <= n && name[j] != w[i]; j++); if (j > n) bad = 1 } } }
		$2 == "-" { if (!n || name[n] != $3 || $4 != n - 1 || $6 != $5 - since[n] || $6 < 0) bad = 1
			if (n) n-- }
		END { exit bad || n || at <= wants }'
}

# --- the host kernel's own record ---------------------------------------------------------------------
tracing=/sys/kernel/tracing

trace_on() { # EVENT…: of kvm, on the recordings' clock
	local e
	echo 32768 >$tracing/buffer_size_kb
	echo mono >$tracing/trace_clock
	echo >$tracing/trace
	for e in "$@"; do echo 1 >$tracing/events/kvm/"$e"/enable; done
}

trace_off() { # FILE: gets the text of what was traced
	echo 0 >$tracing/events/kvm/enable
	cat $tracing/trace >"$1"
	echo >$tracing/trace
	echo 1408 >$tracing/buffer_size_kb
}

# counts_agree RECORDING TRACE: for each vCPU KVM's counter `exits` = kvm_exit, and recorded returns =
# kvm_userspace_exit, between the machine's start and its stop. What exitwalk tries out before (small VMs
# of its own) is in the trace too, which is why the time counts.
counts_agree() {
	local from to vcpu exits traced bad=0
	if ! head -n 5 "$2" | awk '$2 ~ /^entries-in-buffer/ { split($3, n, "/"); all = n[1] == n[2] }
			END { exit !all }'; then
		echo "the trace overran: $(head -n 5 "$2")"
		return 1
	fi
	from=$(query "$1" "SELECT printf('%.6f', min(ts_ns) / 1e9) FROM v_event WHERE kind = 'machine_start'")
	to=$(query "$1" "SELECT printf('%.6f', max(ts_ns) / 1e9) FROM v_event WHERE kind = 'machine_stop'")
	# Columns: task-pid, [cpu], flags, time, event, then "vcpu N reason …" of kvm_exit.
	awk -v from="$from" -v to="$to" '$5 == "kvm_exit:" || $5 == "kvm_userspace_exit:" {
			t = $4 + 0
			if (t >= from + 0 && t <= to + 0) n[$5 == "kvm_exit:" ? $7 : "returns"]++ }
		END { for (k in n) print k, n[k] }' "$2" >"$TMP/traced"
	for vcpu in $(query "$1" "SELECT DISTINCT vcpu FROM kvm_stat WHERE vcpu >= 0"); do
		exits=$(query "$1" "SELECT after - before FROM kvm_stat WHERE vcpu = $vcpu AND name = 'exits'")
		traced=$(awk -v v="$vcpu" '$1 == v { n = $2 } END { print n + 0 }' "$TMP/traced")
		echo "vCPU $vcpu: KVM counts $exits exits, kvm_exit fired $traced times"
		[ "$exits" = "$traced" ] || bad=1
	done
	exits=$(query "$1" "SELECT count(*) FROM vm_exit WHERE kvm_reason IS NOT NULL")
	traced=$(awk '$1 == "returns" { n = $2 } END { print n + 0 }' "$TMP/traced")
	echo "$exits returns recorded, kvm_userspace_exit fired $traced times"
	[ "$exits" -gt 0 ] && [ "$exits" = "$traced" ] && [ $bad -eq 0 ]
}
