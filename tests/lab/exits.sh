#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make exits-table: which exits a write costs, by transport, kick and interrupt, as a table (docs/exits.md).
# One boot of the lab's host, one Linux guest for each row. The recordings come to $OUT.
#   exits.sh svm|vmx        ONLY="legacy modern-msix" makes only these rows
set -eu
cd "$(dirname "$0")/../.."
. tests/lab/lib.bash
lab=${1:-svm}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
make_linux "$tmp/linux"
if [ ! -s "$tmp/linux/kernel" ]; then
	echo "exits: $(cat "$tmp/linux/why")" >&2
	exit 1
fi
in_lab "$lab" -f "$tmp/linux" -f tests/lab/exits_in_lab.sh -o "${OUT:-$BUILD/lab/exits-$lab}" -t "${LIMIT:-5400}" \
	-k "$BUILD/lab/exits-$lab.log" \
	"export EXITWALK=/lab/exitwalk LINUX=/lab/linux TMP=/tmp ONLY='${ONLY-}'; bash tests/lab/exits_in_lab.sh"
