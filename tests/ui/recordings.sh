#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Recordings that are not what one hopes for: bad files, empty ones, hostile ones, cut-off ones.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib/tap.sh
for v in normal hostile cut-off no-requests no-snapshots; do
	"$UI_FIXTURE" $v "$TMP/$v.exw"
done
cd "$TMP" # the key S saves into the current folder
status=0

: >"$TMP/empty.exw"
head -c 5000 "$TMP/normal.exw" >"$TMP/truncated.exw"
sqlite3 "$TMP/foreign.exw" 'CREATE TABLE t(x)'
echo 'this is text' >"$TMP/text.exw"
cp "$TMP/normal.exw" "$TMP/newer.exw"
sqlite3 "$TMP/newer.exw" 'PRAGMA user_version = 99'
for f in empty truncated foreign text newer missing; do
	"$UI_DRIVE" <<-SCRIPT || status=1
		name $f file
		run $EXITWALK view $TMP/$f.exw
		expect exitwalk view:
		exit 1
		restored
	SCRIPT
done

"$UI_DRIVE" <<-SCRIPT || status=1
	name no requests
	size 80 24
	run $EXITWALK view $TMP/no-requests.exw
	expect No virtio request in this recording
	keys Right x ] 5 n :1 Enter r
	expect No virtio request
	keys Enter t
	row the machine starts
	keys x x
	row KVM_RUN returns
	keys Tab
	expect No request here
	keys Tab
	expect No registers up to this step
	keys t q
	exit 0
	restored
	name no snapshots
	run $EXITWALK view $TMP/no-snapshots.exw
	keys 2
	row not recorded
	keys Tab Tab Tab
	expect No stack up to this step
	keys q
	exit 0
	name cut off
	run $EXITWALK view $TMP/cut-off.exw
	expect CUT OFF
	expect request 1/2
	keys x
	row KVM_RUN returns
	keys q
	exit 0
SCRIPT

cp "$TMP/normal.exw" "$TMP/lossy.exw"
sqlite3 "$TMP/lossy.exw" 'INSERT INTO loss(track, ts0, ts1, n) VALUES(1, 1000000000, 1000001000, 7)'
"$UI_DRIVE" <<-SCRIPT || status=1
	name losses
	run $EXITWALK view $TMP/lossy.exw
	expect 7 records lost
	keys x Tab t r
	expect 7 records lost
	keys q
	exit 0
SCRIPT

# Names full of control characters reach the screen as replacement characters and do nothing.
"$UI_DRIVE" <<-SCRIPT || status=1
	name hostile text
	size 200 60
	run $EXITWALK view $TMP/hostile.exw
	expect write(3
	expect �[31mred�
	expect �]0;owned�
	refuse owned�end
	keys Right Right Right 5 Tab Tab Tab t r Enter /red Enter S
	expect request 1/1
	quiet
	resize 80 24
	quiet
	keys q
	exit 0
	restored
	name hostile text in ASCII
	run $EXITWALK view --ascii $TMP/hostile.exw
	ascii
	quiet
	keys q
SCRIPT

# A damaged page inside a table must not bring the program down.
damage() {
	cp "$TMP/normal.exw" "$TMP/damaged.exw"
	local pages
	pages=$(($(stat -c %s "$TMP/damaged.exw") / 4096))
	dd if=/dev/urandom of="$TMP/damaged.exw" bs=4096 seek=$((pages / 2)) count=4 conv=notrunc status=none
}
damage
printf 'name damaged\nrun %s view %s\nkeys x t End Home r r Tab ] 6 q\nrestored\n' \
	"$EXITWALK" "$TMP/damaged.exw" | "$UI_DRIVE" || status=1
echo "1..$TAP_N"
exit $status
