#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests that run inside the lab $LAB (svm, vmx), all in one boot: each file of tests/lab/guests, then
# the guest tests that also run outside. $PARTS names the only ones to run. A part that says
# "# not in vmx: …" is left out there for that reason, one that says "# not under SAN: …" where the
# program was built with sanitizers.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

# Adds the results of another TAP program to ours.
include() { # PROGRAM
	local line name=${1##*/} seen=0 plan=-1
	mkdir -p "$TMP/${name%.sh}"
	echo "# part $name"
	while IFS= read -r line; do
		case $line in
		'ok '* | 'not ok '*)
			seen=$((seen + 1)) TAP_N=$((TAP_N + 1))
			[ "${line%% *}" = ok ] || TAP_FAILED=$((TAP_FAILED + 1))
			echo "${line%%ok *}ok $TAP_N - $name: ${line#*- }"
			;;
		1..*) plan=${line#1..} ;;
		*) echo "# ${line#\# }" ;;
		esac
	done < <(TMP=$TMP/${name%.sh} bash "$1" 2>&1 </dev/null)
	check "$name ran to its end" test "$plan" -eq "$seen"
	# The memory is the lab's: recordings and images of one part are of no use to the next.
	rm -rf "${TMP:?}/${name%.sh}"
}

left_out() { # PROGRAM: prints why
	local why
	why=$(sed -n "s/^# not in $LAB: //p" "$1")
	[ -z "${SAN-}" ] || why=${why:-$(sed -n 's/^# not under SAN: //p' "$1")}
	echo "$why"
}

for t in tests/lab/guests/*.sh tests/guest/*.sh; do
	name=${t##*/}
	[[ -z "${PARTS-}" || " $PARTS " == *" ${name%.sh} "* ]] || continue
	why=$(left_out "$t")
	if [ -n "$why" ]; then
		skip "$name" "not in the $LAB lab: $why"
	else
		include "$t"
	fi
done
done_testing
