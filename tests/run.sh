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

status=0
echo "== release: build and every test"
cmake --preset release
cmake --build --preset release
tests/check_includes.py || status=1
ctest --test-dir build/release --output-on-failure --timeout 600 || status=1

if [ "$sanitizers" = yes ]; then
  for preset in asan tsan; do
    echo "== $preset: the tests labelled sanitize"
    cmake --preset "$preset"
    cmake --build --preset "$preset" --target sanitized
    ctest --test-dir "build/$preset" -L sanitize --output-on-failure --timeout 600 || status=1
  done
fi

if [ "$status" -ne 0 ]; then
  echo "== some tests failed" >&2
fi
exit "$status"
