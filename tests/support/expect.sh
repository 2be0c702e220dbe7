# shellcheck shell=bash disable=SC2154  # work is the test's folder
# A small framework for tests of scripts, in which each line states an expectation. Source it.
failures=0

fail_line() {
  echo "FAIL  $1"
  failures=$((failures + 1))
}

# expect EXIT-STATUS NAME COMMAND...
expect() {
  local wanted=$1 name=$2 got=0
  shift 2
  "$@" >"$work/output" 2>&1 || got=$?
  if [ "$got" -eq "$wanted" ]; then
    echo "ok    $name"
  else
    fail_line "$name: exit $got instead of $wanted"
    sed 's/^/      /' "$work/output"
  fi
}

# says TEXT: whether the last command printed it.
says() { grep -q -- "$1" "$work/output"; }

finish() {
  echo "$failures failed"
  [ "$failures" -eq 0 ]
}
