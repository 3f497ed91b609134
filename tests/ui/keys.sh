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
	expect the first step; [
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
	expect ] goes on to the next request
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
	expect no further exit; ]
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

"$UI_DRIVE" <<-SCRIPT || status=1
	name where it begins
	size 80 24
	run $EXITWALK view $TMP/normal.exw
	expect the first write is request 1; r lists all
	name crossings
	keys c
	row KVM_RUN
	expect step 2/46
	keys c
	row entry_SYSCALL_64
	keys c
	row not recorded: hardware exit reason
	expect step 15/46
	keys c
	row port 0xc010 is virtio-blk0
	remember
	keys c
	row pwrite64(fd 7
	keys C
	same
	keys C C C C C
	expect no crossing before this
	expect step 1/46
	keys End c
	expect no further crossing
	expect step 46/46
	name pages and halves
	keys Home C-f C-b
	expect step 1/46
	keys d
	expect step 6/46
	keys C-d u C-u
	expect step 1/46
	name a step by its number
	keys :2.25 Enter
	expect request 2/4
	expect step 25/46
	expect #77
	keys :2.99 Enter
	expect request 2 has no step 99
	keys :2. Enter
	expect is not a number
	keys :77.3 Enter
	expect there is no request 77
	name back from a list to the step one came from
	keys :2.25 Enter
	remember
	keys r Down Esc
	same
	keys r r
	same
	keys t Right Esc
	expect request 2/4
	keys :2.25 Enter r Down Enter
	expect request 3/4
	expect step 1/46
	keys > <
	expect request 3/4
	name a list has its own keys
	refuse Enter walk
	keys r
	expect Enter walk
	refuse 1-9 stage
	keys Esc
	name the row that shows a step
	keys :2.25 Enter y
	clipboard Nzc=
	expect event 77 copied
	keys 3 y
	expect nothing to copy
	keys r y
	clipboard Mg==
	quiet
	keys q
	exit 0
	name a place on the command line
	run $EXITWALK view -r 3.24 $TMP/normal.exw
	expect request 3/4
	expect step 24/46
	refuse the first write
	keys q
	run $EXITWALK view -r 3.99 $TMP/normal.exw
	expect request 3 has no step 99
	exit 1
	run $EXITWALK view -r 9 $TMP/normal.exw
	expect path --list
	exit 1
	run $EXITWALK view -r 3x $TMP/normal.exw
	expect is not a number
	exit 1
	name F3 searches, F10 quits
	run $EXITWALK view $TMP/normal.exw
	keys F3 pwr Enter
	row pwrite64(fd 7
	keys F10
	exit 0
SCRIPT

"$UI_FIXTURE" asides "$TMP/asides.exw"
"$UI_FIXTURE" threads "$TMP/threads.exw"
"$UI_DRIVE" <<-SCRIPT || status=1
	name what stands on the screen is found
	run $EXITWALK view $TMP/asides.exw
	keys /aside Enter
	row aside: 3 exits
	expect a unfold
	keys n
	row aside: 3 exits
	keys n
	expect t: all events
	row aside: 3 exits
	keys N
	row aside: 3 exits
	keys g /completion Enter
	expect 7 completion
	row status byte
	keys g /queue_pop Enter
	row pop head
	keys n
	expect no match from here on
	keys q
	run $EXITWALK view $TMP/threads.exw
	keys /I/O Space thread Enter
	expect ▸ I/O thread
	keys q
	name Enter opens what is under the cursor
	run $EXITWALK view $TMP/asides.exw
	keys /aside Enter Enter
	row KVM_RUN returns
	expect Aside: nothing of this request
	keys a Left Enter
	expect [Step]
	refuse what happened
	keys Enter
	expect what happened
	keys q
	name the list of requests is searched in all its columns
	run $EXITWALK view $TMP/normal.exw
	keys r / 65536 Enter
	row 3  writer[42]
	keys g / vCPU Space 0 Enter n
	row 2  writer[42]
	keys q
SCRIPT

# Two clocks: what ~ means stands at the step itself.
cp "$TMP/normal.exw" "$TMP/uncertain.exw"
sqlite3 "$TMP/uncertain.exw" 'UPDATE step SET uncertain = 1 WHERE request_id = 1 AND n = 17'
"$UI_DRIVE" <<-SCRIPT || status=1
	name ~
	size 80 24
	run $EXITWALK view -r 1.17 $TMP/uncertain.exw
	row ~   12.300
	expect ~ It may have happened before the step above
	keys Right
	refuse It may have happened
	keys q
SCRIPT

# Nothing in the help is cut at 80 columns.
printf 'name help at 80 columns\nsize 80 24\nrun %s view %s\nkeys ?\nrefuse …\nkeys PageDown\nrefuse …\nkeys PageDown\nrefuse …\nkeys ? q\n' \
	"$EXITWALK" "$TMP/normal.exw" | "$UI_DRIVE" || status=1

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
