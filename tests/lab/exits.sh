#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make exits-table: which exits a write costs, by transport, kick and interrupt, as a table (docs/exits.md).
# One boot of the lab's host, one Linux guest for each row. The recordings come to $OUT.
#   exits.sh svm|vmx        ONLY="legacy modern-msix" makes only these rows
#                           MANY=1               makes a second table, of 1000 writes (svm: 5 minutes more)
set -eu
cd "$(dirname "$0")/../.."
. tests/lab/lib.bash
lab=${1:-svm}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
need_linux exits "$tmp/linux"
in_lab "$lab" -f "$tmp/linux" -f tests/lab/exits_in_lab.sh -o "${OUT:-$BUILD/lab/exits-$lab}" -t "${LIMIT:-5400}" \
	-k "$BUILD/lab/exits-$lab.log" \
	"export EXITWALK=/lab/exitwalk LINUX=/lab/linux TMP=/tmp ONLY='${ONLY-}' MANY='${MANY-}'
	bash tests/lab/exits_in_lab.sh"
