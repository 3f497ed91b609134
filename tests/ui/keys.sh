#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every way to move: by steps, exits, requests and stages, by search and by number.
set -eu
cd "$(dirname "$0")/../.."
"$UI_FIXTURE" normal "$TMP/normal.exw"
"$UI_FIXTURE" long "$TMP/long.exw"
status=0

"$UI_DRIVE" <<-SCRIPT || status=1
	name steps
	size 80 24
	run $EXITWALK view $TMP/normal.exw
	expect step 1/46
	row write(3, 0x601000, 512)
	keys Left
	expect the first step of this request
	keys x
	remember
	keys Right l j Down Space
	expect step 21/46
	keys Left h k Up Backspace
	same
	keys PageDown PageUp
	same
	keys End
	expect step 46/46
	keys Right
	expect ] goes on to the next one
	expect request 1/4
	keys Home
	expect step 1/46
	keys G
	expect step 46/46
	keys g
	expect step 1/46
	name exits
	keys x
	row KVM_RUN returns
	expect step 16/46
	remember
	keys x
	expect step 37/46
	keys X
	same
	keys x x
	expect step 45/46
	keys x
	expect no further exit in this request
	keys X X X
	expect no exit before this
	name requests
	keys ]
	expect request 2/4
	expect 4096
	keys ] ]
	expect request 4/4
	keys ]
	expect this is the last request
	keys [ [ [
	expect request 1/4
	keys [
	expect this is the first request
	name stages
	keys 5
	expect 5 device model
	row notified
	keys 6
	row pwrite64(fd 7, 512 bytes
	keys 9
	row KVM_RUN returns
	keys 1
	row write(3
	keys 3
	row hardware exit reason
	expect not recorded
	keys q
	exit 0
SCRIPT

"$UI_DRIVE" <<-SCRIPT || status=1
	name search
	size 120 40
	run $EXITWALK view $TMP/normal.exw
	keys /pwr
	expect step 25/46
	expect search: pwr
	keys ite64 Space =
	expect step 26/46
	keys Enter
	row pwrite64 = 512
	keys g / Q U E U E Enter
	expect no match from here on
	expect step 1/46
	keys /queue Enter
	row virtio_queue_rq
	keys n
	row virtqueue_kick
	keys n n
	row notified
	keys N
	row virtqueue_notify
	keys N N N
	expect no match before this
	name Esc leaves the search where it began
	keys g
	remember
	keys /sector
	expect step 24/46
	keys Esc
	same
	keys /x Backspace Backspace
	same
	name going to a number
	keys :3 Enter
	expect request 3/4
	keys :77 Enter
	expect there is no request 77
	keys :x Enter
	expect is not a number
	keys #20 Enter
	expect event 20/
	expect outside requests
	keys #99999 Enter
	expect there is no event 99999
	name an unknown key
	keys Q
	expect ? shows those that do
	keys q
	exit 0
	name the view starts where it is told to
	run $EXITWALK view --request 3 $TMP/normal.exw
	expect request 3/4
	keys q
SCRIPT

"$UI_DRIVE" <<-SCRIPT || status=1
	name the lists keep the place
	size 80 24
	run $EXITWALK view $TMP/normal.exw
	keys 6
	remember
	keys t
	row pwrite64(fd 7, 512
	expect timeline
	expect request 1/4
	keys t
	same
	keys ]
	expect request 2/4
	keys r
	row 2  write
	keys Down Enter
	expect request 3/4
	expect step 1/46
	keys r Up Up Enter
	expect request 1/4
	keys t x
	row KVM_RUN returns
	keys X
	row KVM_RUN returns
	keys End
	row the machine stops
	keys Right
	expect this is the last one
	keys t
	expect request 4/4
	keys q
	exit 0
SCRIPT

"$UI_DRIVE" <<-SCRIPT || status=1
	name a long recording
	size 80 24
	run $EXITWALK view $TMP/long.exw
	keys t End
	row the machine stops
	remember
	keys PageUp PageUp PageUp PageDown PageDown PageDown
	same
	keys Home
	row the machine starts
	keys x x x
	row KVM_RUN returns
	keys #5000 Enter
	expect event 5000/
	keys X
	row KVM_RUN returns
	keys /guest Space ends Enter
	row the guest ends the run
	keys t r G
	row 200  write
	keys Enter
	expect request 200/200
	keys q
	exit 0
SCRIPT

# The help screen shows every key of the table.
{
	echo "name help"
	echo "size 120 60"
	echo "run $EXITWALK view $TMP/normal.exw"
	echo "keys ?"
	"$EXITWALK" view --keys | while IFS=$'\t' read -r group names text; do
		printf 'expect %s\nexpect %s\nexpect %s\n' "$group" "$names" "${text:0:80}"
	done
	printf 'keys ? q\nexit 0\n'
} | "$UI_DRIVE" || status=1
exit $status
