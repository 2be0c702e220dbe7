# shellcheck shell=bash
# Runs Python tests in network namespaces of their own. For bash scripts to source.

skip() {
  echo "skipped: $1"
  exit 77  # which tells ctest that the test was skipped
}

need_namespaces() {
  unshare --net --mount true 2>/dev/null || skip "network namespaces cannot be made here (no CAP_SYS_ADMIN)"
}

take_binaries() {  # take_binaries FOLDER: where the tests find the programs
  SIDETAP_BINARIES=$(realpath "${1:?the folder of the programs}")
  export SIDETAP_BINARIES
}

python_as_root() {  # python_as_root WORD...: takes the place of the script, after need_namespaces
  exec unshare --net --mount /usr/bin/python3 -B "$@"
}

python_as_anybody() {  # python_as_anybody WORD...: the same, for users who may make user namespaces too
  if [ "$(id -u)" -eq 0 ]; then
    need_namespaces
    python_as_root "$@"
  fi
  unshare --user --map-root-user --net --mount true 2>/dev/null ||
    skip "not root, and this kernel allows no unprivileged user namespaces"
  exec unshare --user --map-root-user --net --mount /usr/bin/python3 -B "$@"
}
