#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs test programs that speak TAP and adds up: `run.sh [-j N] PROGRAM…`, N at the same time (1), started
# in the order given. A program that dies, hangs (10 minutes; a lab 40), prints no plan or fewer results
# than planned counts as a failure. A line "# time: …" of a program is shown below its result. Ends with
# what was skipped and why, what failed, and "N passed, N failed, N skipped".
set -u

jobs=1
while getopts j: opt; do
	case $opt in
	j) jobs=$OPTARG ;;
	*) exit 64 ;;
	esac
done
shift $((OPTIND - 1))

passed=0 failed=0 skipped=0
reasons=() failures=()
# Scripts for the terminal driver and the labs take names apart at blanks.
case ${TMPDIR-} in
*[[:space:]]*) unset TMPDIR ;;
esac
if ! work=$(mktemp -d); then
	echo "the tests need a directory to write to: set TMPDIR" >&2
	exit 1
fi
case $PWD in
*[[:space:]]*)
	ln -s "$PWD" "$work/source"
	for name in EXITWALK BUILD UI_DRIVE UI_FIXTURE; do
		declare -n value=$name
		[ -z "${value-}" ] || export "$name=$work/source${value#"$PWD"}"
	done
	cd "$work/source" || exit 1
	;;
esac
# Tests that drop privileges must be able to reach their own folder.
chmod 755 "$work"
# shellcheck disable=SC2317 # by the traps
cleanup() {
	local running
	mapfile -t running < <(jobs -p)
	[ ${#running[@]} -eq 0 ] || kill "${running[@]}" 2>/dev/null
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Runs one program and leaves in $work what there is to say of it: N.says, N.count (passed, failed,
# skipped) and N.skips.
run_one() { # N PROGRAM
	local n=$1 t=$2 name log=$work/$1.log limit=600 status start=$SECONDS plan p f s bad=
	trap - EXIT
	name=${t#"${BUILD:-build}"/}
	name=${name#*/tests/} name=${name#tests/}
	TMP=$(mktemp -d "$work/t.XXXXXX")
	chmod 755 "$TMP"
	export TMP
	case $t in
	*/lab/*) limit=2400 ;;
	esac
	case $t in
	*.sh) timeout -k 10 $limit bash "$t" >"$log" 2>&1 </dev/null & ;;
	*) CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 $limit "$t" >"$log" 2>&1 </dev/null & ;;
	esac
	# shellcheck disable=SC2064 # the process of now
	trap "kill $! 2>/dev/null; wait $!; exit" TERM
	wait $!
	status=$?
	read -r plan p f s < <(awk '
		/^1\.\.[0-9]+/ { sub(/^1\.\./, ""); plan += $1 + 0; seen = 1 }
		/^ok / { if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) s++; else p++ }
		/^not ok / { if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) s++; else f++ }
		END { print (seen ? plan : -1), p + 0, f + 0, s + 0 }' "$log")
	if [ "$plan" -lt 0 ]; then
		bad="printed no plan (exit status $status)"
	elif [ $((p + f + s)) -ne "$plan" ]; then
		bad="planned $plan, saw $((p + f + s)) (exit status $status)"
	elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		bad="exit status $status"
	fi
	[ -n "$bad" ] && f=$((f + 1))
	grep -iE '^(not )?ok .*# *skip' "$log" | sed -E "s|^(not )?ok [0-9]+ *-? *|$name: |" >"$work/$n.skips"
	{
		[ -n "$bad" ] && echo "$name: $bad"
		# The first lines of why, since of a long output only the end may be kept.
		awk -v name="$name" '/^not ok / && !/# *[Ss][Kk][Ii][Pp]/ {
				sub(/^not ok [0-9]+ *-? */, ""); print name ": " $0; why = 4; next }
			/^#/ && why-- > 0 { print "  " $0; next }
			{ why = 0 }' "$log"
	} >"$work/$n.fails"
	{
		printf '%-34s %3d passed' "$name" "$p"
		[ "$f" -gt 0 ] && printf ', %d FAILED' "$f"
		[ "$s" -gt 0 ] && printf ', %d skipped' "$s"
		printf '  (%d s)\n' $((SECONDS - start))
		sed -n 's/^# time: /  /p' "$log"
		if [ "$f" -gt 0 ]; then
			[ -n "$bad" ] && echo "  $bad"
			tail -n 200 "$log" | sed 's/^/  | /'
		fi
	} >"$work/$n.says"
	rm -rf "$TMP" "$log"
	echo "$p $f $s" >"$work/$n.counting"
	mv "$work/$n.counting" "$work/$n.count"
}

# Prints and adds up what has ended since the last time.
collect() {
	local count p f s line
	for count in "$work"/*.count; do
		[ -e "$count" ] || continue
		read -r p f s <"$count"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		cat "${count%.count}.says"
		while IFS= read -r line; do reasons+=("$line"); done <"${count%.count}.skips"
		while IFS= read -r line; do failures+=("$line"); done <"${count%.count}.fails"
		rm "$count"
		ended=$((ended + 1))
	done
}

started=0 ended=0
for t in "$@"; do
	while [ $((started - ended)) -ge "$jobs" ]; do
		wait -n
		collect
	done
	started=$((started + 1))
	run_one $started "$t" &
done
wait
collect
if [ $ended -ne $# ]; then
	echo "of $# programs only $ended ended"
	failed=$((failed + 1))
fi

if [ ${#reasons[@]} -gt 0 ]; then
	echo "Skipped:"
	printf '  %s\n' "${reasons[@]}"
fi
if [ ${#failures[@]} -gt 0 ]; then
	echo "Failed:"
	printf '  %s\n' "${failures[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
