#!/usr/bin/env bash
# Gets axe-core, which finds faults of accessibility, from the npm registry, once, into build/tools.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/page/tools.sh [-h] [--dir DIR]

Fetches axe-core where it is not there yet, and prints AXE=FILE. Nothing is installed into the system. Exits 77 when npm
or its registry is out of reach.

  --dir DIR   where to keep it (default build/tools)
USAGE
}

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/npm_package.sh
. "$root/tests/support/npm_package.sh"
read_tools_folder "$@"

lock_tools "$tools"
unpack "$tools" axe-core@4.14.1 axe
echo "AXE=$tools/axe/axe.min.js"
