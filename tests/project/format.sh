#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The sources are formatted, and the shell scripts pass shellcheck.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

files() { find . -path './build*' -prune -o \( "$@" \) -print | sort; }

# clang-format's output changes between releases; the tree is formatted by 14.
version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [ "$version" = 14 ]; then
	mapfile -t c_files < <(files -name '*.c' -o -name '*.h')
	check "clang-format leaves ${#c_files[@]} C files as they are" \
		clang-format --dry-run -Werror "${c_files[@]}"
else
	skip "clang-format" "the tree is formatted by clang-format 14, here is ${version:-none}"
fi
mapfile -t sh_files < <(files -name '*.sh'; echo .ci/run; echo .ci/deps)
check "shellcheck has nothing to say of ${#sh_files[@]} scripts" shellcheck -x -S warning "${sh_files[@]}"
done_testing
