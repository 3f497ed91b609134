#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds and runs each libFuzzer target given, SECONDS_EACH seconds on its corpus. New inputs stay in
# the build folder; a finding is left there too and ends the run.
set -eu
cd "$(dirname "$0")/../.."
out=$BUILD/fuzz
# What an input frees is small; the default of 256 MiB only costs time.
export ASAN_OPTIONS=${ASAN_OPTIONS-quarantine_size_mb=16}
mkdir -p "$out"
for src in "$@"; do
	name=$(basename "$src" .c)
	corpus=tests/fuzz/corpus/${name#fuzz_}
	mkdir -p "$out/$name.new"
	read -ra sources < <(sed -n 's|^ \* sources: ||p' "$src")
	sources=("${sources[@]//@BUILD@/$BUILD}")
	read -ra libs < <(sed -n 's|^ \* libs: ||p' "$src") || true
	clang -std=gnu17 -D_GNU_SOURCE -g -O1 -I. -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o "$out/$name" "$src" \
		"${sources[@]}" "${libs[@]}" -lpthread
	"$out/$name" -max_total_time="${SECONDS_EACH:-120}" -artifact_prefix="$out/$name-" \
		-print_final_stats=1 "$out/$name.new" "$corpus"
done
