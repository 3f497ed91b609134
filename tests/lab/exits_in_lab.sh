#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The part of exits.sh that runs in the lab: one Linux guest for each way to reach a disk, and one line of the
# table from each recording and the host kernel's trace of the same time.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/kvm.sh
. tests/lib/lab.sh

# Counts in the time from ?1 to ?2, the markers' own exits (port 0xb00) left out.
count_sql() { # FROM TO
	cat <<-SQL
		WITH x AS (SELECT * FROM vm_exit WHERE t_exit BETWEEN $1 AND $2 AND NOT
			(space = 0 AND addr = 0xb00)),
		e AS (SELECT k.name, v.* FROM event v JOIN event_kind k ON k.id = v.kind
			WHERE v.ts BETWEEN $1 AND $2)
		SELECT (SELECT count(*) FROM x),
			(SELECT count(DISTINCT exit_id) FROM e WHERE name = 'queue_notify'),
			(SELECT count(DISTINCT exit_id) FROM e WHERE name IN ('isr_read', 'irq_status', 'irq_ack')),
			(SELECT CAST(total(a2) AS INTEGER) FROM e WHERE name = 'io_wake' AND a3 = 1),
			(SELECT count(*) FROM e WHERE name IN ('msi', 'irqfd') OR (name = 'irq_line' AND a1 = 1));
	SQL
}
traced() { # TRACE FROM TO: exits of the hardware then, those for the host's interrupts left out
	awk -v from="$2" -v to="$3" '$5 == "kvm_exit:" && $9 !~ /^(interrupt|EXTERNAL_INTERRUPT|PREEMPTION_TIMER)$/ {
		t = $4 * 1e9
		if (t >= from - 1000 && t <= to + 1000) n++ } END { print n + 0 }' "$1"
}
window() { # RECORDING FIRST_CALL LAST_CALL
	query "$1" "SELECT (SELECT min(t_enter_ns) FROM v_call WHERE syscall = '$2' AND comm = 'writer') || ' ' ||
		(SELECT t_exit_ns FROM v_call WHERE syscall = '$3' AND comm = 'writer' ORDER BY id LIMIT 1)"
}
cells() { # RECORDING TRACE FIRST_CALL LAST_CALL
	local from to
	read -r from to < <(window "$1" "$3" "$4")
	echo "$(query "$1" "$(count_sql "$from" "$to")" | tr '|' ' ') $(traced "$2" "$from" "$to")"
}

row() { # NAME OPTION…
	local name=$1 w=$TMP/$1.exw r1 n1 a1 k1 h1 r2 n2 a2 k2 i2 h2
	shift
	new_disk "$TMP/exits.img"
	trace_on kvm_exit
	if ! run_linux -w ew_modes=direct,batch -q -d "$TMP/exits.img" -o "$w" "$@" >"$TMP/out" 2>&1 ||
		! "$LINUX/writer" -c batch "$TMP/exits.img" >>"$TMP/out"; then
		trace_off "$TMP/trace"
		echo "| \`$*\` | failed: $(tail -n 1 "$TMP/out") |"
		return
	fi
	trace_off "$TMP/trace"
	read -r r1 n1 a1 k1 _ h1 < <(cells "$w" "$TMP/trace" pwrite64 pwrite64)
	read -r r2 n2 a2 k2 i2 h2 < <(cells "$w" "$TMP/trace" io_submit io_getevents)
	[ $# -gt 0 ] || set -- "(as it is)"
	echo "| \`$*\` | $r1 | $n1 | $a1 | $k1 | $h1 | $r2 | $n2 | $a2 | $k2 | $i2 | $h2 |"
	[ ! -d /lab/out ] || cp "$w" /lab/out/
}

cat <<'MD'
| options | 512 B: returns | notify | ISR | by ioeventfd | hardware exits | 16 × 4 KiB: returns | notify | ISR | by ioeventfd | interrupts | hardware exits |
|---|---|---|---|---|---|---|---|---|---|---|---|
MD
while read -r name options; do
	[[ -z ${ONLY-} || " $ONLY " == *" $name "* ]] || continue
	# shellcheck disable=SC2086
	row "$name" $options
done <<'VARIANTS'
legacy
legacy-indirect --indirect
legacy-thread --io thread
legacy-thread-event-idx --io thread --event-idx
legacy-ioeventfd --kick ioeventfd
legacy-ioeventfd-irqfd --kick ioeventfd --irq irqfd
modern-line --virtio modern --irq line
modern-msix --virtio modern
modern-event-idx --virtio modern --io thread --event-idx
modern-ioeventfd-irqfd --virtio modern --kick ioeventfd --irq irqfd
mmio --virtio mmio
mmio-ioeventfd-irqfd --virtio mmio --kick ioeventfd --irq irqfd
all --virtio modern --kick ioeventfd --irq irqfd --event-idx --indirect
VARIANTS
