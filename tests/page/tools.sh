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
tools=$root/build/tools
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --dir) tools=${2:?--dir needs a folder}; shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done
# shellcheck source=tests/support/npm_package.sh
. "$root/tests/support/npm_package.sh"

lock_tools "$tools"
unpack "$tools" axe-core@4.14.1 axe
echo "AXE=$tools/axe/axe.min.js"
