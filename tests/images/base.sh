#!/usr/bin/env bash
# Creates the base image of the build stage from Debian's packages, for machines without access to an image registry.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: base.sh [-h]
Makes localhost/debian:bookworm-slim with mmdebstrap and buildah, from Debian's packages. Give it to
deploy/docker/build.sh with --base where no image can be pulled.
USAGE
}
case "${1:-}" in -h|--help) usage; exit 0 ;; esac
for program in mmdebstrap buildah; do
  command -v "$program" >/dev/null || { echo "base.sh: apt-get install $program" >&2; exit 2; }
done
work=$(mktemp -d)
container=''
clean_up() {
  [ -z "$container" ] || buildah rm "$container" >/dev/null
  rm -rf "$work"
}
trap clean_up EXIT
mmdebstrap --variant=minbase bookworm "$work/base.tar"
container=$(buildah from scratch)
buildah add --quiet "$container" "$work/base.tar" / >/dev/null
buildah config --cmd bash "$container"
buildah commit --quiet "$container" localhost/debian:bookworm-slim
