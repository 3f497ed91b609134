#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs test programs that speak TAP and adds up. A program that dies, hangs (10 minutes), prints no plan
# or fewer results than planned counts as a failure. Ends with "N passed, N failed, N skipped".
set -u

passed=0 failed=0 skipped=0
reasons=()
work=$(mktemp -d)
# Tests that drop privileges must be able to reach their own folder.
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT

for t in "$@"; do
	name=${t#"${BUILD:-build}"/}
	name=${name#*/tests/} name=${name#tests/}
	log=$work/log
	TMP=$(mktemp -d "$work/t.XXXXXX")
	chmod 755 "$TMP"
	export TMP
	start=$SECONDS
	case $t in
	*.sh) timeout -k 10 600 bash "$t" >"$log" 2>&1 </dev/null ;;
	*) CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 600 "$t" >"$log" 2>&1 </dev/null ;;
	esac
	status=$?
	# plan, passed, failed, skipped of this program
	read -r plan p f s < <(awk '
		/^1\.\.[0-9]+/ { sub(/^1\.\./, ""); plan += $1 + 0; seen = 1 }
		/^ok / { if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) s++; else p++ }
		/^not ok / { if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) s++; else f++ }
		END { print (seen ? plan : -1), p + 0, f + 0, s + 0 }' "$log")
	bad=
	if [ "$plan" -lt 0 ]; then
		bad="printed no plan"
	elif [ $((p + f + s)) -ne "$plan" ]; then
		bad="planned $plan, saw $((p + f + s))"
	elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		bad="exit status $status"
	fi
	[ -n "$bad" ] && f=$((f + 1))
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	while IFS= read -r line; do
		reasons+=("$name: $line")
	done < <(grep -iE '^(not )?ok .*# *skip' "$log" | sed -E 's/^(not )?ok [0-9]+ *-? *//')
	printf '%-34s %3d passed' "$name" "$p"
	[ "$f" -gt 0 ] && printf ', %d FAILED' "$f"
	[ "$s" -gt 0 ] && printf ', %d skipped' "$s"
	printf '  (%d s)\n' $((SECONDS - start))
	if [ "$f" -gt 0 ]; then
		[ -n "$bad" ] && echo "  $bad"
		tail -n 200 "$log" | sed 's/^/  | /'
	fi
	rm -rf "$TMP"
done

if [ ${#reasons[@]} -gt 0 ]; then
	echo "Skipped:"
	printf '  %s\n' "${reasons[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
