#!/usr/bin/env bash
# Tests the collector between taps and the reference sensor. Usage: tests/collector/run.sh BINARIES [TEST...]; a TEST is
# forwarding_test, or forwarding_test.Forwarding.test_streams and the like.
set -euo pipefail

# shellcheck source=tests/support/namespaces.sh
. "$(dirname "$0")/../support/namespaces.sh"
need_namespaces
take_binaries "${1:-}"
shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- forwarding_test order_test hostile_test sandbox_test load_test pcapng_files_test interface_test hash_test proof_test pcap_over_ip_test
python_as_root -m unittest --verbose "$@"
