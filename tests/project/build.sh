#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tree builds without warnings by the other compiler too, a second make does nothing, and
# make install puts everything where it belongs.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
export MAKEFLAGS=

other_compiler() {
	make -s -j2 CC=clang WERROR=1 SAN= BUILD="$TMP/clang" all &&
		"$TMP/clang/exitwalk" --version
}
check "clang builds it without a warning" other_compiler

up_to_date() {
	make -q CC=clang WERROR=1 SAN= BUILD="$TMP/clang" all
}
check "a second make has nothing to do" up_to_date

installs() {
	make -s CC=clang WERROR=1 SAN= BUILD="$TMP/clang" DESTDIR="$TMP/root" PREFIX=/usr install &&
		"$TMP/root/usr/bin/exitwalk" --version &&
		test -s "$TMP/root/usr/share/man/man1/exitwalk.1" &&
		test -s "$TMP/root/usr/share/bash-completion/completions/exitwalk" &&
		make -s BUILD="$TMP/clang" DESTDIR="$TMP/root" PREFIX=/usr uninstall &&
		[ -z "$(find "$TMP/root" -type f)" ]
}
check "make install and make uninstall" installs
done_testing
