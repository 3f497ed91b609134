#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `make check` and `make demo` where names have blanks, and where somebody else was there before.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
export MAKEFLAGS=
there="$TMP/a b"
mkdir -p "$there/build"
cp -r Makefile samples schema tests "$there" && cp "$EXITWALK" "$there/build/exitwalk"
cat >"$there/tests/one.sh" <<'E2'
. tests/lib/tap.sh
no_blanks() { ! [[ "$EXITWALK $UI_DRIVE$BUILD$PWD$TMP" =~ \ .*[[:space:]] ]]; }
check "names that scripts take apart have no blanks" no_blanks
check "and lead to the same files" "$EXITWALK" --version
done_testing
E2
checks() { # with the environment of env
	(cd "$there" && env -u EXITWALK -u BUILD -u TMP "$@" make -s -o check-build check-run SAN= BUILD=build LAB_TESTS= UNIT_BIN= \
		SHELL_TESTS=tests/one.sh)
}
check "make check in a directory with a blank in its name" checks
check "and with a blank in TMPDIR" checks TMPDIR="$there"
nowhere() {
	local out
	out=$(checks TMPDIR="$TMP/none" 2>&1) && return 1
	grep -q 'set TMPDIR' <<<"$out"
}
check "a TMPDIR that is not there: a sentence" nowhere

demo() { # without KVM, so that it takes no time: a shipped recording as text
	cat >"$TMP/no-kvm" <<-E2
		#!/bin/bash
		[ "\$1" != doctor ] || exit 1
		exec "$EXITWALK" "\$@"
	E2
	chmod 755 "$TMP/no-kvm"
	TMPDIR="$there" bash "$there/samples/demo.sh" "$TMP/no-kvm"
}
check "make demo in such a directory" demo
trap_is_not_ours() { # a link in /tmp that another user made leads to a file of ours
	rm -rf "$there/exitwalk-demo-$(id -u)" && mkdir "$TMP/precious" && echo precious >"$TMP/precious/doctor.txt" &&
		ln -s "$TMP/precious" "$there/exitwalk-demo-$(id -u)" && demo &&
		[ "$(cat "$TMP/precious/doctor.txt")" = precious ]
}
check "make demo follows no link that stands where its directory would be" trap_is_not_ours
done_testing
