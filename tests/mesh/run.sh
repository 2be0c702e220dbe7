#!/usr/bin/env bash
# Tests the tap in pods of service meshes. Usage: tests/mesh/run.sh BINARIES [TEST...]; a TEST is mesh_test, or
# mesh_test.Istio.test_ipv6 and the like, or --demo.
set -euo pipefail

# shellcheck source=tests/support/namespaces.sh
. "$(dirname "$0")/../support/namespaces.sh"
need_namespaces
for program in haproxy nft tshark openssl curl; do
  command -v "$program" >/dev/null || skip "$program is missing"
done
take_binaries "${1:-}"
shift
cd "$(dirname "$0")"
if [ "${1:-}" = --demo ]; then
  python_as_root ../../deploy/demo/mesh.py --bin "$SIDETAP_BINARIES"
fi
[ $# -gt 0 ] || set -- mesh_test
python_as_root -m unittest --verbose "$@"
