#!/usr/bin/env bash
# Tests the collector between taps and the reference sensor. Usage: tests/collector/run.sh BINARIES [TEST...]; a TEST is
# forwarding_test, or forwarding_test.Forwarding.test_streams and the like.
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
[ $# -gt 0 ] || set -- forwarding_test order_test hostile_test sandbox_test load_test pcapng_files_test interface_test hash_test proof_test pcap_over_ip_test
exec unshare --net --mount /usr/bin/python3 -B -m unittest --verbose "$@"
