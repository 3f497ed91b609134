#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Help, man page, completion and documents agree with the program.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

mapfile -t cmds < <("$EXITWALK" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' | grep -vx help)

overview() { [ ${#cmds[@]} -ge 6 ]; }
check "--help lists the commands" overview

for c in "${cmds[@]}"; do
	check "$c --help" "$EXITWALK" "$c" --help
done

every_option() { # every long option of every command's --help is in FILE's text
	local c o text missing=0
	text=$(cat)
	for c in "${cmds[@]}"; do
		for o in $("$EXITWALK" "$c" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u); do
			case $o in --help | --usage | --version) continue ;; esac
			grep -qF -- "$o" <<<"$text" || { echo "$c $o is missing" && missing=1; }
		done
	done
	return $missing
}
man_options() { man -l "$BUILD/exitwalk.1" 2>/dev/null | col -b | every_option; }
if command -v man >/dev/null && command -v col >/dev/null; then
	check "the man page has every option" man_options
else
	skip "the man page has every option" "man or col is not installed"
fi
man_lint() { ! mandoc -T lint -W warning "$BUILD/exitwalk.1" | grep -E 'ERROR|WARNING: (skipping|unknown|invalid)'; }
check "the man page is well-formed" man_lint

completes() { # WORDS…: what the completion offers for the last word
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
		compopt() { :; }; _exitwalk; printf "%s\n" "${COMPREPLY[@]}"' _ "$BUILD/exitwalk.bash" "$@"
}
completes_commands() { [ "$(completes exitwalk re)" = report ] && completes exitwalk '' | grep -qx view; }
completes_options() { completes exitwalk run --ti | grep -qx -- --timeout=; }
check "completion offers commands" completes_commands
check "completion offers options" completes_options
complete_options() { every_option <"$BUILD/exitwalk.bash"; }
check "completion has every option" complete_options

wrong() { "$EXITWALK" nonsense; [ $? -eq 64 ]; }
check "an unknown command: one sentence, status 64" wrong

first_screen() { head -40 README.md | grep -q 'make demo' && head -40 README.md | grep -q 'make check'; }
check "the README opens with the two commands" first_screen
links() { # every relative link in the documents leads somewhere
	local f l bad=0
	for f in README.md docs/*.md schema/README.md samples/*/README.md; do
		for l in $(grep -oE '\]\([^)#: ]+' "$f" | sed 's/^](//'); do
			[ -e "$(dirname "$f")/$l" ] || { echo "$f: $l does not exist" && bad=1; }
		done
	done
	return $bad
}
check "links in the documents lead somewhere" links
done_testing
