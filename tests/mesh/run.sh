#!/usr/bin/env bash
# Tests the tap in pods of service meshes. Usage: tests/mesh/run.sh BINARIES [TEST...]; a TEST is mesh_test, or
# mesh_test.Istio.test_ipv6 and the like, or --demo.
set -euo pipefail

# Exit status 77 tells ctest that the test was skipped.
if ! unshare --net --mount true 2>/dev/null; then
  echo "skipped: network namespaces cannot be made here (no CAP_SYS_ADMIN)"
  exit 77
fi
for program in haproxy nft tshark openssl curl; do
  if ! command -v "$program" >/dev/null; then
    echo "skipped: $program is missing"
    exit 77
  fi
done
SIDETAP_BINARIES=$(realpath "${1:?the folder of the programs}")
export SIDETAP_BINARIES
shift
cd "$(dirname "$0")"
if [ "${1:-}" = --demo ]; then
  exec unshare --net --mount /usr/bin/python3 -B ../../deploy/demo/mesh.py --bin "$SIDETAP_BINARIES"
fi
[ $# -gt 0 ] || set -- mesh_test
exec unshare --net --mount /usr/bin/python3 -B -m unittest --verbose "$@"
