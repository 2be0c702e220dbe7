#!/usr/bin/env bash
# Runs the ownership lab, or with the word "registry" or "services" first one of the labs with the registry, in namespaces of
# its own; the machine's network stays untouched. See --help.
set -euo pipefail

# shellcheck source=tests/support/namespaces.sh
. "$(dirname "$0")/../support/namespaces.sh"
lab=$(cd "$(dirname "$0")" && pwd)/main.py
case ${1:-} in
  registry | services)
    lab=${lab%main.py}$1_main.py
    shift
    ;;
esac
python_as_anybody "$lab" "$@"
