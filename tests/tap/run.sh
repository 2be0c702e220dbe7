#!/usr/bin/env bash
# Tests the tap against the reference sensor. Usage: tests/tap/run.sh BINARIES [TEST...]; a TEST is forwarding_test, or
# forwarding_test.Forwarding.test_tcp and the like.
set -euo pipefail

# shellcheck source=tests/support/namespaces.sh
. "$(dirname "$0")/../support/namespaces.sh"
need_namespaces
take_binaries "${1:-}"
shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- control_test orders_test forwarding_test faults_test feeding_test narrowing_test outputs_test \
  dissection_test dump_test program_test secret_test source_test streams_test
python_as_root -m unittest --verbose "$@"
