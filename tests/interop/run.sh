#!/usr/bin/env bash
# Tests the tap against other peers. Usage: tests/interop/run.sh BINARIES [TEST...]
set -euo pipefail

# shellcheck source=tests/support/namespaces.sh
. "$(dirname "$0")/../support/namespaces.sh"
test=$(cd "$(dirname "$0")" && pwd)/interop_test.py
need_namespaces
take_binaries "${1:-}"
shift
python_as_root "$test" "$@"
