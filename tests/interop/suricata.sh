#!/usr/bin/env bash
# Tests VXLAN against a real Suricata. Usage: tests/interop/suricata.sh BINARIES [TEST...]
# Installs Suricata 7 from Debian's backports if it is missing. If that is not possible, it says why the test is skipped.
set -euo pipefail

case ${1:-} in
  -h|--help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
esac
# shellcheck source=tests/support/namespaces.sh
. "$(dirname "$0")/../support/namespaces.sh"
test=$(cd "$(dirname "$0")" && pwd)/suricata_test.py

version() { suricata -V 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p'; }

# The system's mirror, with the suite of the release's backports.
backports() {
  local uri
  # shellcheck disable=SC2016  # the names are apt's
  uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
    awk -v codename="$1" '$2 == codename { print $1; exit }')
  [ -z "$uri" ] || echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $1-backports main"
}

install_suricata() {
  local codename line
  [ "$(id -u)" -eq 0 ] || skip "Suricata 7 is not installed, and only root can install it"
  command -v apt-get >/dev/null || skip "Suricata 7 is not installed, and this is no Debian"
  # shellcheck disable=SC1091
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  line=$(backports "$codename")
  [ -n "$line" ] || skip "Suricata 7 is not installed, and no Debian mirror is configured to ask for backports"
  lists=$(mktemp -d)
  trap 'rm -rf "$lists"' EXIT
  mkdir -p "$lists/parts" "$lists/lists/partial"
  # Uses a separate list, so that the system's lists do not change.
  cp -rL /etc/apt/sources.list.d/. "$lists/parts/"
  [ ! -f /etc/apt/sources.list ] || cp /etc/apt/sources.list "$lists/parts/system.list"
  echo "$line" >"$lists/parts/backports.list"
  local options=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$lists/parts"
    -o "Dir::State::lists=$lists/lists")
  echo "installing Suricata from $codename-backports"
  # If this fails, the installation below also fails, and says why the test is skipped.
  apt-get "${options[@]}" update -qq >"$lists/log" 2>&1 || true
  # Prevents the package from starting a service.
  SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y -qq --no-install-recommends \
    -t "$codename-backports" suricata >>"$lists/log" 2>&1 ||
    skip "Suricata 7 cannot be installed: $(tail -n 1 "$lists/log")"
}

need_namespaces
[ "$(version)" = 7 ] || install_suricata
[ "$(version)" = 7 ] || skip "Suricata $(version) is installed, not 7"

take_binaries "${1:-}"
shift
# A trap does not survive exec. The folder of the lists has been removed, or was never created.
[ -z "${lists:-}" ] || rm -rf "$lists"
python_as_root "$test" "$@"
