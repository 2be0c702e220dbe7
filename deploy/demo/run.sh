#!/usr/bin/env bash
# Installs missing packages, builds, and shows the whole product at work on this machine, without Kubernetes.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: deploy/demo/run.sh [-h] [--no-build] [--collector | --mesh]
Makes certificates, starts the webhook and its registry of taps, and sends it the reviews of the pods in
deploy/demo/*.yaml. Then it runs the patched pods in network namespaces with a sensor beside them, waits until the taps
know each other, sends traffic, and counts. Exits 0 only if every packet reached the sensor exactly once.
Needs root, or a kernel that allows unprivileged user namespaces. Captures and logs are in build/demo.
  --no-build  use the programs that are already in build/release
  --collector put a collector between the taps and the sensor, and show for each flow what passed through it
  --mesh      show instead what the sensor gets of a request to a pod in a service mesh, with and without its plaintext
USAGE
}

build=yes
mesh=no
arguments=()
for argument in "$@"; do
  case "$argument" in
    -h|--help) usage; exit 0 ;;
    --no-build) build=no ;;
    --collector) arguments=(--collector) ;;
    --mesh) mesh=yes ;;
    *) usage >&2; exit 2 ;;
  esac
done
if [ "$mesh" = yes ] && [ ${#arguments[@]} -gt 0 ]; then
  echo "run.sh: --collector and --mesh are separate demonstrations: give only one of them" >&2
  exit 2
fi

cd "$(dirname "$0")/../.."
if [ "$(id -u)" -eq 0 ]; then
  within=(unshare --net --mount)
else
  within=(unshare --user --map-root-user --net --mount)
fi
if ! "${within[@]}" true 2>/dev/null; then
  echo "the demo cannot run: this kernel does not let $(id -un) create network namespaces; try as root" >&2
  exit 1
fi

. deploy/demo/packages.sh
install_missing "${SIDETAP_BUILD_PACKAGES[@]}" "${SIDETAP_DEMO_PACKAGES[@]}"
if [ "$build" = yes ]; then
  echo "building (build/release)"
  mkdir -p build
  [ -f build/release/build.ninja ] || cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log >&2; exit 1; }
  cmake --build --preset release --target sidetap-webhook sidetap-sidecar sidetap-sensor
fi
# The distribution's own Python has the distribution's own packages.
if [ "$mesh" = yes ]; then
  install_missing haproxy
  exec "${within[@]}" /usr/bin/python3 -B deploy/demo/mesh.py
fi
exec "${within[@]}" /usr/bin/python3 -B deploy/demo/demo.py "${arguments[@]}"
