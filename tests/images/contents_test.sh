#!/usr/bin/env bash
# Checks the files that become the images: complete, small, without a shell. Needs no container engine.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: contents_test.sh FOLDER
Gathers the programs that were built into FOLDER as deploy/docker/collect.sh does for the images, and tries them.
USAGE
}
case "${1:-}" in -h|--help) usage; exit 0 ;; esac
[ $# -eq 1 ] || { usage >&2; exit 2; }
programs=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/../support/expect.sh"

megabytes() { echo $(($(du -s --block-size=1 --apparent-size "$1" | cut -f1) / 1000000)); }
inside() {
  if [ "$(id -u)" -eq 0 ]; then chroot "$@"; else unshare --map-root-user chroot "$@"; fi
}
no_shell() { [ -z "$(find "$1" \( -name 'sh' -o -name 'bash' -o -name 'dash' -o -name 'busybox' \) -print -quit)" ]; }

for name in webhook sidecar; do
  [ -x "$programs/sidetap-$name" ] || { echo "skipped: $programs/sidetap-$name is not built"; exit 77; }
  limit=40 command=serve
  [ "$name" = webhook ] || { limit=30; command=run; }
  folder=$work/$name
  strip -o "$work/sidetap-$name" "$programs/sidetap-$name"
  expect 0 "$name: its files are gathered" "$here/../../deploy/docker/collect.sh" "$work/sidetap-$name" "$folder"
  size=$(megabytes "$folder")
  expect 0 "$name: $size MB, of $limit at most" test "$size" -le "$limit"
  expect 0 "$name: there is no shell" no_shell "$folder"
  expect 0 "$name: it runs from these files alone" inside "$folder" "/usr/bin/sidetap-$name" "$command" --help
  says "sidetap-$name $command" || fail_line "and says how it is used"
  expect 2 "$name: a wrong option is its own error, not the loader's" inside "$folder" "/usr/bin/sidetap-$name" "$command" --wrong
done
expect 1 "sidecar: a check without a running tap" inside "$work/sidecar" /usr/bin/sidetap-sidecar check --status-listen 127.0.0.1:1
finish
