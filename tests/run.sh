#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: unit tests, namespaces lab, fuzz corpora, sanitizers.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/run.sh [-h] [--no-sanitizers]
Builds under build/ and runs all tests through ctest. Exits non-zero when anything fails.
  --no-sanitizers  leave out the AddressSanitizer, UBSan and ThreadSanitizer builds
USAGE
}

sanitizers=yes
for argument in "$@"; do
  case "$argument" in
    -h|--help) usage; exit 0 ;;
    --no-sanitizers) sanitizers=no ;;
    *) usage >&2; exit 2 ;;
  esac
done

cd "$(dirname "$0")/.."
. deploy/demo/packages.sh
install_missing "${SIDETAP_BUILD_PACKAGES[@]}" "${SIDETAP_TEST_PACKAGES[@]}"

failed=()
# run_tests PRESET OPTIONS...: remembers what failed, for the last lines.
run_tests() {
  local folder=build/$1 name
  local log=$folder/Testing/Temporary/LastTestsFailed.log
  rm -f "$log"
  ctest --test-dir "$folder" --parallel "$(nproc)" "${@:2}" --output-on-failure --timeout 600 && return
  while IFS=: read -r _ name; do failed+=("$1: $name"); done <"$log"
}

echo "== release: build and every test"
cmake --preset release
cmake --build --preset release
tests/check_includes.py || failed+=("tests/check_includes.py")
run_tests release

if [ "$sanitizers" = yes ]; then
  for run in asan:sanitize tsan:threads; do
    preset=${run%:*} label=${run#*:}
    echo "== $preset: the tests labelled $label"
    cmake --preset "$preset"
    cmake --build --preset "$preset" --target sanitized
    run_tests "$preset" -L "$label"
  done
fi

if [ "${#failed[@]}" -ne 0 ]; then
  printf '== failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
