#!/usr/bin/env bash
# Tests the tap against the reference sensor. Usage: tests/tap/run.sh BINARIES [TEST...]; a TEST is forwarding_test, or
# forwarding_test.Forwarding.test_tcp and the like.
set -euo pipefail

# Exit status 77 tells ctest that the test was skipped.
if ! unshare --net --mount true 2>/dev/null; then
  echo "skipped: network namespaces cannot be made here (no CAP_SYS_ADMIN)"
  exit 77
fi
SIDETAP_BINARIES=$(realpath "${1:?the folder of the programs}")
export SIDETAP_BINARIES
shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- control_test orders_test forwarding_test faults_test feeding_test narrowing_test outputs_test \
  dissection_test dump_test program_test secret_test source_test streams_test
exec unshare --net --mount /usr/bin/python3 -B -m unittest --verbose "$@"
