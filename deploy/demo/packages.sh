# shellcheck shell=bash
# The Debian packages that sidetap builds and is tested with; sourced by deploy/demo/run.sh and tests/run.sh.

# shellcheck disable=SC2034  # used by the scripts that source this file
SIDETAP_BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config
  libboost1.81-dev libssl-dev nlohmann-json3-dev libsimdjson-dev libcli11-dev libspdlog-dev prometheus-cpp-dev
  libyaml-dev libpcap-dev libcap-ng-dev libseccomp-dev libgtest-dev libgmock-dev
  libbenchmark-dev
)
# shellcheck disable=SC2034
SIDETAP_DEMO_PACKAGES=(
  iproute2 nftables openssl python3 python3-yaml python3-jsonpatch
)
# shellcheck disable=SC2034
SIDETAP_TEST_PACKAGES=(
  "${SIDETAP_DEMO_PACKAGES[@]}" iperf3 tshark tcpdump shellcheck curl python3-jsonschema python3-scapy faketime chromium
  haproxy
)
# The compiler of the sanitizer builds.
# shellcheck disable=SC2034
SIDETAP_SANITIZER_PACKAGES=(clang libclang-rt-dev)

# install_missing PACKAGE...: installs with apt what dpkg does not have, and says what.
install_missing() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "these packages are missing; as root: apt-get install ${missing[*]}" >&2
    return 1
  fi
  echo "installing with apt: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
