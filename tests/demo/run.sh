#!/usr/bin/env bash
# Runs the demonstration. Usage: tests/demo/run.sh BINARIES OUTPUT-FOLDER [--collector]
set -euo pipefail

demo=$(cd "$(dirname "$0")/../../deploy/demo" && pwd)/demo.py
# Exit status 77 tells ctest that the test was skipped.
if ! unshare --net --mount true 2>/dev/null; then
  echo "skipped: network namespaces cannot be made here (no CAP_SYS_ADMIN)"
  exit 77
fi
exec unshare --net --mount /usr/bin/python3 -B "$demo" --bin "$1" --out "$2" "${@:3}"
