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
# Writes to a notify register that the host kernel traced then, whoever got them: legacy PCI's port, and in MMIO modern
# PCI's 2 bytes and virtio-mmio's 4 bytes at +0x50; an access that KVM served without looking at the instruction is
# a kvm_fast_mmio.
traced() { # TRACE FROM TO
	awk -v from="$2" -v to="$3" '
		/kvm_pio: pio_write at 0xc010 / || /kvm_mmio: mmio write len 2 gpa 0x[0-9a-f]+/ ||
		/kvm_mmio: mmio write len 4 gpa 0x[0-9a-f]+050 / || /kvm_fast_mmio: / {
			t = $4 * 1e9
			if (t >= from - 1000 && t <= to + 1000) n++ }
		END { print n + 0 }' "$1"
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

# guest NAME MODES OPTION…: runs it, recording and trace to $TMP/NAME.exw and $TMP/trace; says why not.
guest() {
	local name=$1 modes=$2 ok=
	shift 2
	new_disk "$TMP/exits.img"
	trace_on kvm_pio kvm_mmio kvm_fast_mmio
	run_linux -w "ew_modes=$modes" -q -d "$TMP/exits.img" -o "$TMP/$name.exw" "$@" >"$TMP/out" 2>&1 &&
		"$LINUX/writer" -c "${modes##*,}" "$TMP/exits.img" >>"$TMP/out" && ok=yes
	trace_off "$TMP/trace"
	[ ! -d /lab/out ] || cp "$TMP/$name.exw" /lab/out/
	[ -n "$ok" ] || echo "| \`$*\` | failed: $(tail -n 1 "$TMP/out") |"
	[ -n "$ok" ]
}

row() { # NAME OPTION…: one write, and one batch
	local name=$1 w=$TMP/$1.exw r1 n1 a1 k1 h1 r2 n2 a2 k2 i2 h2
	shift
	guest "$name" direct,batch "$@" || return
	read -r r1 n1 a1 k1 _ h1 < <(cells "$w" "$TMP/trace" pwrite64 pwrite64)
	read -r r2 n2 a2 k2 i2 h2 < <(cells "$w" "$TMP/trace" io_submit io_getevents)
	rm "$w"
	[ $# -gt 0 ] || set -- "(none)"
	echo "| \`$*\` | $r1 | $n1 | $a1 | $k1 | $h1 | $r2 | $n2 | $a2 | $k2 | $h2 | $i2 |"
}

row_many() { # NAME OPTION…: 1000 writes, up to 8 of them in flight
	local name=$1-many w=$TMP/$1-many.exw
	shift
	guest "$name" many "$@" || return
	query "$w" "WITH e AS (SELECT k.name, v.* FROM event v JOIN event_kind k ON k.id = v.kind),
		n(x) AS (SELECT count(*) FROM v_request WHERE type = 'VIRTIO_BLK_T_OUT')
		SELECT printf('| \`%s\` | %d | %d | %d | %d | %d | %d |', '$*', (SELECT x FROM n),
			(SELECT count(DISTINCT exit_id) FROM e WHERE name = 'queue_notify'),
			(SELECT CAST(total(a2) AS INTEGER) FROM e WHERE name = 'io_wake' AND a3 = 1),
			(SELECT count(*) FROM e WHERE name IN ('msi', 'irqfd') OR (name = 'irq_line' AND a1 = 1)),
			(SELECT count(*) FROM e WHERE name = 'irq_suppressed'),
			(SELECT count(DISTINCT exit_id) FROM e WHERE name IN ('isr_read', 'irq_status', 'irq_ack')))"
	rm "$w"
}

each_variant() { # COMMAND: reads NAME OPTION… and calls COMMAND with them
	local name options
	while read -r name options; do
		[[ -z ${ONLY-} || " $ONLY " == *" $name "* ]] || continue
		# shellcheck disable=SC2086
		"$1" "$name" $options
	done
}

cat <<'MD'
| options | 512 B: returns | notify | ISR | kicks by ioeventfd | kicks that KVM saw | 16 × 4 KiB: returns | notify | ISR | kicks by ioeventfd | kicks that KVM saw | interrupts |
|---|---|---|---|---|---|---|---|---|---|---|---|
MD
each_variant row <<'VARIANTS'
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
[ -n "${MANY-}" ] || exit 0
cat <<'MD'

| options | write requests | notify exits | by ioeventfd | interrupts | spared interrupts | ISR exits |
|---|---|---|---|---|---|---|
MD
each_variant row_many <<'VARIANTS'
legacy --io vcpu
legacy-thread --io thread
legacy-thread-event-idx --io thread --event-idx
modern-msix --virtio modern --io thread
modern-event-idx --virtio modern --io thread --event-idx
modern-ioeventfd-irqfd --virtio modern --kick ioeventfd --irq irqfd
all --virtio modern --kick ioeventfd --irq irqfd --event-idx --indirect
VARIANTS
