#!/usr/bin/env bash
# Tests deploy/docker/build.sh with engines that only record how they were called.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: build_script_test.sh [-h]
Runs deploy/docker/build.sh with fakes of docker, podman and buildah, and looks at what it asks of them and prints.
USAGE
}
case "${1:-}" in -h|--help) usage; exit 0 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/../support/expect.sh"

mkdir "$work/bin"
cat >"$work/bin/docker" <<'ENGINE'
#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "$1" in
  build) [ -z "${NO_BASE:-}" ] || { echo "debian:bookworm-slim: no such host" >&2; exit 125; } ;;
  # Without the plug-in, docker does not know the command "buildx".
  buildx) [ -z "${NO_BUILDX:-}" ] || { echo "docker: 'buildx' is not a docker command." >&2; exit 1; } ;;
esac
ENGINE
chmod +x "$work/bin/docker"
cp "$work/bin/docker" "$work/bin/podman"
cp "$work/bin/docker" "$work/bin/buildah"
export CALLS=$work/calls PATH=$work/bin:$PATH

# build ENGINE OPTION...: builds for the registry in REGISTRY.
build() {
  : >"$CALLS"
  "$root/deploy/docker/build.sh" --engine "$@"
}
called() { grep -qe "$1" "$CALLS" || { cat "$CALLS"; false; }; }
not_called() { ! called "$1"; }
helm_is_told() { [ "$(sed -n 's/^helm: //p' "$work/output")" = "$1" ] || fail_line "helm is told: $1"; }
version=$(sed -n 's/^appVersion: //p' "$root/deploy/helm/sidetap/Chart.yaml")

export REGISTRY=registry.example.com/network
expect 0 "docker builds and pushes" build docker
helm_is_told "--set image.registry=$REGISTRY --set-string image.tag=$version"
expect 0 "by the registry's name" called "^docker push $REGISTRY/sidetap-webhook:$version"
expect 0 "several machines take buildx" build docker --platforms linux/amd64,linux/arm64
expect 0 "which pushes by itself" called "^docker buildx build .*--push"
expect 2 "without buildx that is an error" env NO_BUILDX=1 "$root/deploy/docker/build.sh" --engine docker --platforms linux/arm64
says "buildx .*podman or buildah" || fail_line "which names what is missing, and the way round"
expect 2 "docker's daemon decides what is insecure" build docker --insecure
says "insecure-registries" || fail_line "and the error says where"
for engine in podman buildah; do
  expect 0 "$engine speaks TLS to the registry" build "$engine"
  expect 0 "as long as nothing else is said" not_called tls-verify
  expect 0 "$engine pushes to a registry without TLS" build "$engine" --insecure
  expect 0 "where that is asked for" called "^$engine push --tls-verify=false $REGISTRY/sidetap-sidecar:$version"
  expect 0 "$engine does so for several machines" build "$engine" --insecure --platforms linux/amd64,linux/arm64
  expect 0 "too" called "^$engine manifest push --all --tls-verify=false $REGISTRY/sidetap-sidecar:$version docker://"
done

unset REGISTRY
expect 0 "without a registry docker has names of no registry" build docker
helm_is_told "--set-string image.tag=$version"
expect 0 "and pushes nothing" not_called push
for engine in podman buildah; do
  expect 0 "$engine calls what belongs to no registry localhost/" build "$engine" --tag 1.0
  helm_is_told "--set image.registry=localhost --set-string image.tag=1.0"
  expect 0 "and builds it by that name" called "^$engine build .*--tag localhost/sidetap-webhook:1.0"
done

for engine in docker podman buildah; do
  expect 125 "a base image that $engine cannot pull is an error" env NO_BASE=1 "$root/deploy/docker/build.sh" --engine "$engine"
  says "tests/images/base.sh .*--base localhost/debian:bookworm-slim" || fail_line "which says what helps"
  expect 125 "with a base image of one's own" env NO_BASE=1 "$root/deploy/docker/build.sh" --engine "$engine" --base localhost/debian:bookworm-slim
  ! says "base.sh" || fail_line "there is nothing to say"
done

# Without buildx, docker reads only the .dockerignore of the root.
ignored() { grep -qxF "$1" "$root/.dockerignore"; }
for folder in build .git sidetap-certificates; do expect 0 "the root's .dockerignore leaves $folder out" ignored "$folder"; done
expect 0 "and so does the testbed's" grep -qxF sidetap-certificates "$root/tests/cluster/Dockerfile.dockerignore"
expect 0 "git leaves out the folder that certs-scripts make by default" grep -qxF "sidetap-certificates/" "$root/.gitignore"
no_whole_tree() { ! grep -nE '^(COPY|ADD) (--[^ ]+ )*\. ' "$1"; }
for file in deploy/docker/Dockerfile tests/cluster/Dockerfile; do
  expect 0 "$file names what it copies" no_whole_tree "$root/$file"
done
expect 0 "shellcheck finds nothing" shellcheck -x --source-path="$here" "$root/deploy/docker/build.sh" "$root/deploy/docker/collect.sh" \
  "$here/base.sh" "$here/build_test.sh" "$here/contents_test.sh" "$here/build_script_test.sh"
finish
