#!/bin/bash
# SPDX-License-Identifier: MIT
# `exitwalk check`: passes on a fresh recording; on a copy with one row deleted, or one timestamp
# changed, it fails and names the row. A recording that was killed opens, says so, and can be repaired.
set -u
n=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); echo "not ok $n - $1"; sed 's/^/# /' <<<"${2-}"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
plan() { echo "1..$n"; exit 0; }

# Recordings that earlier versions made stay good; this needs no KVM.
for shipped in "$(dirname "$0")"/../../samples/recordings/*.exw; do
	if out=$("$EXITWALK" check "$shipped" 2>&1); then
		ok "${shipped##*/}, as shipped, passes"
	else
		not_ok "${shipped##*/}, as shipped, passes" "$out"
	fi
done

W=$TMP/damage.exw
C=$TMP/copy.exw
if [ ! -w /dev/kvm ]; then skip "check on a fresh recording" "no /dev/kvm"; plan; fi
if ! command -v sqlite3 >/dev/null; then skip "check on damage" "no sqlite3 program"; plan; fi

if ! out=$("$EXITWALK" run -q -o "$W" 2>&1); then not_ok "a recording is made" "$out"; plan; fi
if out=$("$EXITWALK" check "$W" 2>&1); then
	ok "a fresh recording passes"
else
	not_ok "a fresh recording passes" "$out"
fi

# fails NAME SQL PATTERN: after SQL on a copy, check exits with 2 and a FAIL line has PATTERN.
fails() {
	local out rc

	cp "$W" "$C"
	if ! out=$(sqlite3 "$C" "$2" 2>&1); then not_ok "$1" "$out"; return; fi
	out=$("$EXITWALK" check "$C" 2>&1)
	rc=$?
	if [ $rc -eq 2 ] && grep '^FAIL' <<<"$out" | grep -q -- "$3"; then
		ok "$1"
	else
		not_ok "$1" "exit status $rc, wanted a FAIL line with '$3':"$'\n'"$out"
	fi
}
value() { sqlite3 "$W" "$1"; }
middle() { value "SELECT id FROM $1 LIMIT 1 OFFSET (SELECT count(*) / 2 FROM $1)"; }

for table in event vm_exit symbol region device track guest_call request; do
	id=$(middle $table)
	fails "a missing row of $table is named" "DELETE FROM $table WHERE id = $id" "$table.*\b$id\b"
done
last=$(value "SELECT max(id) FROM event")
fails "the last event missing is named" "DELETE FROM event WHERE id = $last" "event $last is missing"
id=$(value "SELECT event_id FROM payload LIMIT 1 OFFSET 7")
fails "a missing row of payload is named" "DELETE FROM payload WHERE event_id = $id" "event $id"
fails "a missing row of meta is named" "DELETE FROM meta WHERE key = 'kvm_backend'" "'kvm_backend'"
stat=$(value "SELECT name FROM kvm_stat LIMIT 1 OFFSET 3")
if [ -n "$stat" ]; then
	fails "a missing row of kvm_stat is named" "DELETE FROM kvm_stat WHERE name = '$stat'" "$stat"
else
	skip "a missing row of kvm_stat is named" "this KVM has no statistics"
fi
fails "a missing row of enum_name is named" \
	"DELETE FROM enum_name WHERE enum = 'kvm_exit' AND value = 6" "kvm_exit, 6"
fails "a missing row of event_kind is named" "DELETE FROM event_kind WHERE id = 23" "event_kind (23"
key=$(value "SELECT event_id || ', ' || n FROM frame WHERE n = 3 LIMIT 1")
fails "a missing row of frame is named" \
	"DELETE FROM frame WHERE event_id || ', ' || n = '$key'" "frame ($key)"
fails "a missing row of step is named" "DELETE FROM step WHERE request_id = 3 AND n = 9" "step (3, 9)"
fails "a missing row of budget is named" \
	"DELETE FROM budget WHERE request_id = 3 AND layer = 5" "budget (3, 5)"
id=$(middle absent)
fails "a missing row of absent is named" "DELETE FROM absent WHERE id = $id" "absent ($id)"
fails "a missing row of insn_text is named" "DELETE FROM insn_text WHERE insn = x'66ef'" "66ef"
fails "a missing row of seal is named" "DELETE FROM seal WHERE \"table\" = 'event'" "table event"
fails "a row too many in loss is named" "INSERT INTO loss VALUES(1, 1, 9, 5, 1)" "loss 1"

id=$(middle event)
fails "two swapped timestamps of event are named" \
	"UPDATE event SET ts = (SELECT sum(ts) FROM event WHERE id IN ($id, $id + 1)) - ts
	 WHERE id IN ($id, $id + 1)" "event $((id + 1)) is earlier"
id=$(middle vm_exit)
for column in t_exit t_dispatch t_done t_entry; do
	fails "a changed $column of vm_exit is named" \
		"UPDATE vm_exit SET $column = $column + 1 WHERE id = $id" "vm_exit $id: $column"
done
for column in t_first t_kick t_pop t_host t_used t_entry t_last; do
	fails "a changed $column of request is named" \
		"UPDATE request SET $column = $column + 1 WHERE id = 3" "request (3): $column"
done
fails "a changed t_exit of guest_call is named" \
	"UPDATE guest_call SET t_exit = t_exit - 1 WHERE id = 2" "guest_call (2): t_exit"
fails "a budget that does not add up is named" \
	"UPDATE budget SET ns = ns + 1 WHERE request_id = 3 AND layer = 5" "request 3 do not add up"

# What neither an order nor a derivation notices: the digests in the seal do, and name the row.
changed() { fails "a changed $1 of $2 is named" "UPDATE $2 SET $1 = $4 WHERE $3" "$2 ($5) is not what"; }
id=$(value "SELECT id FROM event WHERE kind = (SELECT id FROM event_kind WHERE name = 'dispatch') LIMIT 1 OFFSET 20")
changed a3 event "id = $id" "a3 + 1" $id
changed dur event "id = $id" "dur + 1" $id
id=$(middle vm_exit)
changed value vm_exit "id = $id" "value + 256" $id
changed value vm_exit "id = $id" NULL $id
id=$(value "SELECT max(event_id) FROM payload")
changed data payload "event_id = $id" "substr(data, 1, length(data) - 1) || x'5a'" $id
changed name symbol "id = 5" "name || '_'" 5
changed before kvm_stat "name = '${stat:-none}'" "before + 1" ".*${stat:-none}"
changed value meta "key = 'cpu_model'" "'another'" cpu_model
changed value meta "key = 'vcpus'" "1.5" vcpus
changed name region "id = 3" "CAST(name AS BLOB)" 3
fails "several changed rows of event are bounded" \
	"UPDATE event SET a2 = a2 + 1 WHERE id IN (300, 400)" "rows of event, between (1) and ([0-9]*)"
fails "swapped contents of two rows are bounded" \
	"CREATE TEMP TABLE was AS SELECT id, name FROM symbol WHERE id IN (6, 7);
	 UPDATE symbol SET name = (SELECT name FROM was WHERE was.id = 13 - symbol.id)
	 WHERE id IN (6, 7)" "rows of symbol, between"
fails "a changed digest is noticed" \
	"UPDATE seal SET digest = x'' WHERE \"table\" = 'event'" "digest of table event"
cp "$W" "$C"
sqlite3 "$C" "ALTER TABLE seal DROP COLUMN digest"
out=$("$EXITWALK" check "$C" 2>&1)
rc=$?
if [ $rc -eq 0 ] && grep -q '^note *seal' <<<"$out"; then
	ok "a seal without digests, of an older exitwalk, is a note"
else
	not_ok "a seal without digests, of an older exitwalk, is a note" "exit status $rc:"$'\n'"$out"
fi

events=$(value "SELECT max(id) FROM event")
fails "half of the events cut away are missed" \
	"DELETE FROM event WHERE id > $events / 2" "event $((events / 2 + 1)) is missing"

# --- kill -9 --------------------------------------------------------------------------------------
# A guest that goes on for long; killed as soon as the file shows that exits were committed.
K=$TMP/killed.exw
rm -f "$K"*
"$EXITWALK" run -q --timeout 120 --append outloop=100000000 -o "$K" >"$TMP/killed.out" 2>&1 &
pid=$!
while kill -0 $pid 2>/dev/null; do
	rows=$(sqlite3 -readonly "$K" "SELECT max(id) FROM vm_exit" 2>/dev/null)
	[ "${rows:-0}" -gt 1000 ] && break
done
kill -9 $pid
wait $pid 2>/dev/null
out=$("$EXITWALK" report "$K" 2>&1)
rc=$?
if [ $rc -eq 0 ] && head -1 <<<"$out" | grep -qi "cut off"; then
	ok "a killed recording opens, with a banner"
else
	not_ok "a killed recording opens, with a banner" "exit status $rc:"$'\n'"$out"
fi
out=$("$EXITWALK" check "$K" 2>&1)
rc=$?
if [ $rc -eq 2 ] && grep -q '^FAIL *complete.*cut off' <<<"$out" &&
	[ "$(grep -c '^FAIL' <<<"$out")" -eq 1 ]; then
	ok "check says that it was cut off, and nothing else"
else
	not_ok "check says that it was cut off, and nothing else" "exit status $rc:"$'\n'"$out"
fi
out=$("$EXITWALK" check --repair "$K" 2>&1)
rc=$?
if [ $rc -eq 0 ] && grep -q '^note *complete.*repaired' <<<"$out"; then
	ok "--repair finishes it, and says so"
else
	not_ok "--repair finishes it, and says so" "exit status $rc:"$'\n'"$out"
fi
out=$(sqlite3 "$K" "SELECT group_concat(key || '=' || value) FROM
	(SELECT * FROM meta WHERE key IN ('cut_off', 'state') ORDER BY key)")
if [ "$out" = "cut_off=1,state=complete" ]; then
	ok "the repaired file keeps the note that it was cut off"
else
	not_ok "the repaired file keeps the note that it was cut off" "$out"
fi
if out=$("$EXITWALK" check "$K" 2>&1); then
	ok "a repaired recording passes"
else
	not_ok "a repaired recording passes" "$out"
fi
plan
