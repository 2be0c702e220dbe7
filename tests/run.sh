#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: unit tests, namespaces lab, fuzz corpora, sanitizers.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/run.sh [-h] [--no-sanitizers]
Installs missing packages, builds under build/, and runs all tests through ctest. Exits non-zero if anything fails.
  --no-sanitizers  skip the AddressSanitizer, UBSan, and ThreadSanitizer builds
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

failed=() unsteady=()
last=$(mktemp -d)
trap 'rm -rf "$last"' EXIT

# run_tests PRESET OPTIONS...: records failed tests and their output for the final summary.
run_tests() {
  local folder=build/$1/Testing/Temporary name
  ctest --test-dir "build/$1" "${@:2}" --output-on-failure --timeout 600 && return
  while IFS=: read -r _ name; do failed+=("$1: $name"); done <"$folder/LastTestsFailed.log"
  # The last lines of each failed test, from the common log.
  awk -v preset="$1" '
    NR == FNR { failed[substr($0, index($0, ":") + 1)]; next }
    /^[0-9]+\/[0-9]+ Testing: / { show(); name = $0; sub(/^[^:]*: /, "", name); count = 0 }
    { line[count++] = $0 }
    function show(i) {
      if (!(name in failed)) return
      print "== " preset ": " name
      for (i = count > 60 ? count - 60 : 0; i < count; i++) print line[i]
    }
    END { show() }' "$folder/LastTestsFailed.log" "$folder/LastTest.log" >>"$last/output"
}

echo "== release: build and every test"
cmake --preset release
cmake --build --preset release
rm -f build/*/Testing/Temporary/LastTestsFailed.log
run_tests release --parallel "$(nproc)"
if [ "${#failed[@]}" -ne 0 ]; then
  # Tests of real programs share the processors with another test. A test that fails beside another must pass by itself,
  # and the summary names it. A sanitizer's finding gets no second chance, because it is real.
  first=("${failed[@]}") failed=()
  run_tests release --rerun-failed
  for name in "${first[@]}"; do
    [[ " ${failed[*]} " == *" $name "* ]] || unsteady+=("$name")
  done
fi
tests/check_includes.py || failed+=("tests/check_includes.py")

if [ "$sanitizers" = yes ]; then
  for run in asan:sanitize tsan:threads; do
    preset=${run%:*} label=${run#*:}
    echo "== $preset: the tests labelled $label"
    cmake --preset "$preset"
    cmake --build --preset "$preset" --target sanitized
    run_tests "$preset" -L "$label" --parallel "$(nproc)"
  done
fi

[ ! -s "$last/output" ] || cat "$last/output"
[ "${#unsteady[@]}" -eq 0 ] || printf '== passed by itself only: %s\n' "${unsteady[@]}" >&2
if [ "${#failed[@]}" -ne 0 ]; then
  printf '== failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
