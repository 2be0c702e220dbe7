#!/usr/bin/env bash
# Runs the fault tests in their own namespaces, without touching the machine's network. See --help.
set -euo pipefail

main=$(cd "$(dirname "$0")" && pwd)/main.py
# Exit status 77 tells ctest that the test was skipped.
if [ "$(id -u)" -eq 0 ]; then
  if ! unshare --net --mount true 2>/dev/null; then
    echo "skipped: network namespaces cannot be made here (no CAP_SYS_ADMIN)"
    exit 77
  fi
  exec unshare --net --mount /usr/bin/python3 "$main" "$@"
fi
if ! unshare --user --map-root-user --net --mount true 2>/dev/null; then
  echo "skipped: not root, and this kernel allows no unprivileged user namespaces"
  exit 77
fi
exec unshare --user --map-root-user --net --mount /usr/bin/python3 "$main" "$@"
