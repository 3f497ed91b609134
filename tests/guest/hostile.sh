#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Recordings made by an enemy: SQL hidden in the file does not run, numbers do not overflow, nothing
# reaches the terminal but text. Each reading command ends soon, by itself, with at most one sentence.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
if [ ! -x "${UI_FIXTURE-}" ] || ! command -v sqlite3 >/dev/null; then
	skip "hostile recordings" "no fixture program, or no sqlite3"
	done_testing
fi
"$UI_FIXTURE" normal "$TMP/normal.exw" || exit 1
endless="WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"

reads() { # SQL: on a copy; then every reading command. The limit is for hangs only.
	local command status
	cp "$TMP/normal.exw" "$TMP/enemy.exw" && sqlite3 "$TMP/enemy.exw" "$1" || return 1
	for command in path "path --all --json" report "report --json" check "check --repair"; do
		cp "$TMP/enemy.exw" "$TMP/h.exw"
		# shellcheck disable=SC2086
		timeout 60 "$EXITWALK" $command "$TMP/h.exw" >"$TMP/out" 2>"$TMP/err"
		status=$?
		echo "$command: status $status" && cat "$TMP/err"
		[ $status -le 2 ] && [ "$(wc -l <"$TMP/err")" -le 1 ] || return 1
		grep -qE 'Sanitizer|runtime error' "$TMP/err" && return 1
		LC_ALL=C grep -aqP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$TMP/out" "$TMP/err" &&
			return 1
	done
	return 0
}
refused() { reads "$1" && grep -q "$2 is none that exitwalk makes" "$TMP/err"; }
path_works() { # the program's own view answers, not the file's
	reads "$1" && "$EXITWALK" path "$TMP/enemy.exw" >"$TMP/is" && cmp "$TMP/is" "$TMP/path"
}
"$EXITWALK" path "$TMP/normal.exw" >"$TMP/path"

check "a view that never ends is not asked" path_works "DROP VIEW v_step; CREATE VIEW v_step(request_id,
	n, stage, layer, actor, ts_ns, dur_ns, evidence, text) AS $endless SELECT 1, n, 1, 'x', 'y', n, n,
	'z', count(*) FROM c GROUP BY n"
check "views that are missing are not missed" path_works "DROP VIEW v_step; DROP VIEW v_call"
check "a view in the place of a table" refused "ALTER TABLE meta RENAME TO v_m; CREATE VIEW
	meta(key, value) AS $endless SELECT 'state', 'x' FROM c WHERE n < 0" meta
check "a generated column" refused "DROP TABLE device; CREATE TABLE device(id INTEGER PRIMARY KEY,
	name AS (printf('%.*c', 900000000, 'x')), model TEXT)" device
check "a virtual table" refused "DROP TABLE loss; CREATE VIRTUAL TABLE loss USING
	fts5(track, ts0, ts1, n)" loss
# Of no row: to fill such an index is what it would cost a reader.
check "an index of an expression" refused "DELETE FROM symbol; CREATE INDEX i ON symbol(printf('%.*c', 100000000, name))" \
	symbol
check "a trigger does not fire" reads "UPDATE meta SET value = 'recording' WHERE key = 'state';
	CREATE TRIGGER t AFTER INSERT ON step BEGIN INSERT INTO loss(track, ts0, ts1, n)
	SELECT 1, 1, 1, n FROM ($endless SELECT n FROM c LIMIT 100000000); END"
check "times at both ends of 64 bits" reads "UPDATE event SET ts = CASE WHEN id % 2 THEN
	9223372036854775807 ELSE -9223372036854775807 - 1 END, dur = 9223372036854775807;
	UPDATE request SET t_first = -9223372036854775807 - 1, t_last = 9223372036854775807;
	UPDATE vm_exit SET t_exit = 0, t_entry = 9223372036854775807"
check "the same in a recording that was cut off" reads "UPDATE event SET ts = CASE WHEN id % 2 THEN
	9223372036854775807 ELSE -9223372036854775807 - 1 END, dur = 9223372036854775807;
	UPDATE meta SET value = 'recording' WHERE key = 'state'"
check "ids at the end of 64 bits" reads "UPDATE event SET id = 9223372036854775807 - id,
	a0 = 9223372036854775807; UPDATE meta SET value = 'recording' WHERE key = 'state'"
check "escape sequences in names and values" reads "UPDATE symbol SET name = char(27) || '[31m' ||
	char(155) || '31m' || char(127, 10); UPDATE track SET name = char(27) || ']0;owned' || char(7);
	UPDATE device SET name = char(27) || 'c'; UPDATE region SET name = char(155) || 'c';
	UPDATE enum_name SET label = char(27) || 'c' || label;
	INSERT INTO loss(track, ts0, ts1, n) VALUES(1, 0, 9223372036854775807, char(27) || 'c');
	UPDATE meta SET value = char(27) || 'c' || char(155, 127) WHERE key <> 'state'"
check "a control character in what SQLite says" reads "CREATE TABLE \"$(printf 't\033c\302\2331m')\"(x);
	PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE ' || name WHERE name
	LIKE 't' || char(27) || '%'"
done_testing
