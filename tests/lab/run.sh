#!/usr/bin/env bash
# Runs the ownership lab, or with the word "registry" or "services" first one of the labs with the registry, in namespaces of
# its own; the machine's network stays untouched. See --help.
set -euo pipefail

lab=$(cd "$(dirname "$0")" && pwd)/main.py
case ${1:-} in
  registry | services)
    lab=${lab%main.py}$1_main.py
    shift
    ;;
esac
# Exit status 77 tells ctest that the test was skipped.
if [ "$(id -u)" -eq 0 ]; then
  if ! unshare --net --mount true 2>/dev/null; then
    echo "skipped: network namespaces cannot be made here (no CAP_SYS_ADMIN)"
    exit 77
  fi
  exec unshare --net --mount /usr/bin/python3 "$lab" "$@"
fi
if ! unshare --user --map-root-user --net --mount true 2>/dev/null; then
  echo "skipped: not root, and this kernel allows no unprivileged user namespaces"
  exit 77
fi
exec unshare --user --map-root-user --net --mount /usr/bin/python3 "$lab" "$@"
