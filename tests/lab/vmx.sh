#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests of the VT-x lab (docs/lab.md).
set -- vmx kvm_intel
# shellcheck source=tests/lab/tests.bash
. "$(dirname "$0")/tests.bash"
