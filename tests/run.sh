#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: unit tests, namespaces lab, fuzz corpora, sanitizers.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/run.sh [-h] [--no-sanitizers]
Installs missing packages, builds under build/, and runs all tests through ctest. Exits non-zero if anything fails.
While the release tests run, the script builds the sanitizer tests in the background.
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
packages=("${SIDETAP_BUILD_PACKAGES[@]}" "${SIDETAP_TEST_PACKAGES[@]}")
[ "$sanitizers" = no ] || packages+=("${SIDETAP_SANITIZER_PACKAGES[@]}")
install_missing "${packages[@]}"

failed=() unsteady=()
builder=''
last=$(mktemp -d)
# Waits for what begin_builds has started. How each build ended stands in a file, for end_build.
settle_builds() {
  [ -n "$builder" ] || return 0
  wait "$builder" || true
  builder=''
}
clean_up() {
  if [ -n "$builder" ]; then
    # A moment after its start it is not yet a group; or it has ended by itself.
    kill -- -"$builder" 2>/dev/null || kill "$builder" 2>/dev/null || true
  fi
  settle_builds
  rm -rf "$last"
}
trap clean_up EXIT

# run_tests PRESET OPTIONS...: records failed tests and their output for the final summary.
run_tests() {
  local folder=build/$1/Testing/Temporary name
  ctest --test-dir "build/$1" "${@:2}" --output-on-failure --timeout 600 && return
  while IFS=: read -r _ name; do failed+=("$1: $name"); done <"$folder/LastTestsFailed.log"
  # The last lines of each failed test, from the common log. Of a GoogleTest program without the tests that passed: what has no
  # end is what crashed or hung.
  awk -v preset="$1" '
    NR == FNR { failed[substr($0, index($0, ":") + 1)]; next }
    /^[0-9]+\/[0-9]+ Testing: / { show(); name = $0; sub(/^[^:]*: /, "", name); count = 0 }
    /^\[       OK \]/ && count && line[count - 1] ~ /^\[ RUN / { count--; next }
    /^\[----------\]/ { next }
    { line[count++] = $0 }
    function show(i) {
      if (!(name in failed)) return
      print "== " preset ": " name
      for (i = count > 60 ? count - 60 : 0; i < count; i++) print line[i]
    }
    END { show() }' "$folder/LastTestsFailed.log" "$folder/LastTest.log" >>"$last/output"
}

# Takes only the time that nothing else wants.
idle=(nice -n 19)
if chrt --idle 0 true 2>/dev/null; then idle=(chrt --idle 0); fi
if ionice -c 3 true 2>/dev/null; then idle+=(ionice -c 3); fi

# begin_builds PRESET...: builds the sanitized tests of the presets in the background, one preset after the other. The builds have a
# session of their own, which can be ended as a whole; the kernel may weigh sessions before it looks at what is in them
# (sched_autogroup). --fresh: with another compiler in its cache, CMake forgets the preset's other variables.
begin_builds() {
  # shellcheck disable=SC2016  # for the other shell
  setsid "${idle[@]}" bash -c '
    { echo 19 >/proc/self/autogroup; } 2>/dev/null || true
    folder=$1
    for preset in "${@:2}"; do
      status=0
      { cmake --fresh --preset "$preset" && cmake --build --preset "$preset" --target sanitized --parallel "$(nproc)"; } \
        >"$folder/$preset.build" 2>&1 || status=$?
      echo "$status" >"$folder/$preset.ending" && mv "$folder/$preset.ending" "$folder/$preset.status"
    done
  ' builds "$last" "$@" </dev/null &
  builder=$!
}

# end_build PRESET: waits for the build of this preset. If it failed, shows its output.
end_build() {
  local status=1
  echo "== $1: what is left of the build"
  while [ ! -e "$last/$1.status" ] && kill -0 "$builder" 2>/dev/null; do sleep 1; done
  if [ -e "$last/$1.status" ]; then status=$(cat "$last/$1.status"); fi
  [ "$status" -ne 0 ] || return 0
  if [ -e "$last/$1.build" ]; then
    cat "$last/$1.build"
    { echo "== $1: build"; tail -n 60 "$last/$1.build"; } >>"$last/output"
  fi
  failed+=("$1: build")
  return 1
}

echo "== release: build and every test"
cmake --preset release
cmake --build --preset release
rm -f build/*/Testing/Temporary/LastTestsFailed.log
[ "$sanitizers" = no ] || begin_builds asan tsan
# A processor has two of ctest's slots: a test that computes takes both (PROCESSORS 2), one that waits takes one.
run_tests release --parallel $((2 * $(nproc)))
first=("${failed[@]}") failed=() built=no
if [ "$sanitizers" = yes ] && end_build asan; then built=yes; fi
if [ "${#first[@]}" -ne 0 ]; then
  # Tests of real programs share the processors with others. What fails beside them must pass by itself; what does is told
  # in the end. No sanitizer gets a second chance: what it found is there.
  echo "== waiting for the builds in the background"
  settle_builds
  run_tests release --rerun-failed
  for name in "${first[@]}"; do
    [[ " ${failed[*]} " == *" $name "* ]] || unsteady+=("$name")
  done
fi
tests/check_includes.py || failed+=("tests/check_includes.py")

if [ "$sanitizers" = yes ]; then
  if [ "$built" = yes ]; then
    echo "== asan: the tests labelled sanitize"
    run_tests asan -L sanitize --parallel "$(nproc)"
  fi
  if end_build tsan; then
    echo "== tsan: the tests labelled threads"
    run_tests tsan -L threads --parallel "$(nproc)"
  fi
  settle_builds
fi

[ ! -s "$last/output" ] || cat "$last/output"
[ "${#unsteady[@]}" -eq 0 ] || printf '== passed by itself only: %s\n' "${unsteady[@]}" >&2
if [ "${#failed[@]}" -ne 0 ]; then
  printf '== failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
