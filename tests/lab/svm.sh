#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests of the SVM lab (docs/lab.md).
set -- svm kvm_amd
# shellcheck source=tests/lab/tests.bash
. "$(dirname "$0")/tests.bash"
