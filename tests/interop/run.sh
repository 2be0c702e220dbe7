#!/usr/bin/env bash
# Tests the tap against other peers. Usage: tests/interop/run.sh BINARIES [TEST...]
set -euo pipefail

test=$(cd "$(dirname "$0")" && pwd)/interop_test.py
# Exit status 77 tells ctest that the test was skipped.
if ! unshare --net --mount true 2>/dev/null; then
  echo "skipped: network namespaces cannot be made here (no CAP_SYS_ADMIN)"
  exit 77
fi
SIDETAP_BINARIES=$(realpath "${1:?the folder of the programs}")
export SIDETAP_BINARIES
shift
exec unshare --net --mount /usr/bin/python3 -B "$test" "$@"
