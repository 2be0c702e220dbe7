#!/usr/bin/env bash
# Runs the fault tests in their own namespaces, without touching the machine's network. See --help.
set -euo pipefail

# shellcheck source=tests/support/namespaces.sh
. "$(dirname "$0")/../support/namespaces.sh"
main=$(cd "$(dirname "$0")" && pwd)/main.py
python_as_anybody "$main" "$@"
