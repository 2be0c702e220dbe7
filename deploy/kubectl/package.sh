#!/usr/bin/env bash
# Makes the archive of kubectl-sidetap and the manifest by which krew installs it.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: deploy/kubectl/package.sh --uri URI [--homepage URI] [--dir DIR]
       deploy/kubectl/package.sh --check

Packages the kubectl plugin for krew: writes kubectl-sidetap.tar.gz and its manifest sidetap.yaml into DIR. The same sources
give the same archive, byte for byte.

  --uri URI       where users download the archive
  --homepage URI  homepage in the manifest (default: the archive's folder)
  --dir DIR       folder for both files (default: build/kubectl)
  --check         make both in a temporary folder, and check that the manifest is complete and has the archive's digest
USAGE
}

root=$(cd "$(dirname "$0")/../.." && pwd)
uri='' homepage='' dir=$root/build/kubectl check=no
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --uri) uri=${2:?--uri needs a URI}; shift 2 ;;
    --homepage) homepage=${2:?--homepage needs a URI}; shift 2 ;;
    --dir) dir=${2:?--dir needs a folder}; shift 2 ;;
    --check) check=yes; shift ;;
    *) usage >&2; exit 2 ;;
  esac
done
if [ "$check" = yes ]; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  uri=https://example.com/kubectl-sidetap.tar.gz
fi
[ -n "$uri" ] || { usage >&2; exit 2; }

version=$(sed -n 's/^version=//p' "$root/deploy/kubectl/kubectl-sidetap")
[ -n "$version" ] || { echo "package.sh: kubectl-sidetap names no version" >&2; exit 1; }
mkdir -p "$dir"
stage=$dir/stage
rm -rf "$stage"
mkdir "$stage"
install -m 755 "$root/deploy/kubectl/kubectl-sidetap" "$stage/kubectl-sidetap"
install -m 644 "$root/LICENSE" "$stage/LICENSE"
tar --directory="$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --create --file=- LICENSE kubectl-sidetap |
  gzip --no-name >"$dir/kubectl-sidetap.tar.gz"
rm -rf "$stage"
digest=$(sha256sum "$dir/kubectl-sidetap.tar.gz" | cut -d ' ' -f 1)
sed -e '/^#/d' -e "s|@VERSION@|$version|" -e "s|@URI@|$uri|" -e "s|@SHA256@|$digest|" -e "s|@HOMEPAGE@|${homepage:-${uri%/*}}|" \
  "$root/deploy/kubectl/sidetap.yaml" >"$dir/sidetap.yaml"
if grep -n '@[A-Z0-9]*@' "$dir/sidetap.yaml" >&2; then
  echo "package.sh: the manifest is not complete" >&2
  exit 1
fi
if [ "$check" = yes ]; then
  grep -q "sha256: \"$digest\"\$" "$dir/sidetap.yaml"
else
  echo "$dir/kubectl-sidetap.tar.gz $dir/sidetap.yaml"
fi
