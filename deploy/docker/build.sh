#!/usr/bin/env bash
# Builds, tags and pushes the images of webhook and sidecar.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: REGISTRY=registry.example.com/network deploy/docker/build.sh [-h] [--no-push] [--tag TAG]
       [--platforms LIST] [--engine docker|podman|buildah] [--insecure] [--base IMAGE] [--testbed]

Builds REGISTRY/sidetap-webhook:TAG and REGISTRY/sidetap-sidecar:TAG, pushes both, and prints the values to give to
helm. Without REGISTRY, it builds the images for this machine and pushes nothing; step 2 of deploy/docs/install.md says how
to load them into the nodes.

  --tag TAG         tag of both images (default: the project's version)
  --platforms LIST  build one image for several platforms, for example linux/amd64,linux/arm64 (default: this machine's).
                    Needs emulation (qemu-user-static) for platforms other than this machine's, and with docker the
                    plug-in buildx
  --engine NAME     docker, podman, or buildah (default: the first of them that works here)
  --base IMAGE      Debian 12 image of the build stage (default: docker.io/library/debian:bookworm-slim).
                    If you cannot pull images, tests/images/base.sh makes localhost/debian:bookworm-slim
  --insecure        push over plain HTTP, or to a registry whose certificate is not trusted; podman and buildah only
  --no-push         build and tag only
  --testbed         build REGISTRY/sidetap-testbed:TAG too, which tests/cluster/run.sh needs
USAGE
}

push=yes insecure=no testbed=no tag='' platforms='' engine='' base=''
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --no-push) push=no; shift; continue ;;
    --insecure) insecure=yes; shift; continue ;;
    --testbed) testbed=yes; shift; continue ;;
    --tag|--platforms|--engine|--base) [ -n "${2:-}" ] || { echo "build.sh: $1 needs a value" >&2; exit 2; } ;;
    *) echo "build.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
  case "$1" in
    --tag) tag=$2 ;;
    --platforms) platforms=$2 ;;
    --engine) engine=$2 ;;
    --base) base=$2 ;;
  esac
  shift 2
done

cd "$(dirname "$0")/../.."
version=$(sed -n 's/^project(sidetap VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
revision=$(git rev-parse --quiet --verify HEAD 2>/dev/null || echo unknown)
tag=${tag:-$version}
registry=${REGISTRY:-}
registry=${registry%/}
[ -n "$registry" ] || push=no

works() {
  case "$1" in
    docker) docker info >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null ;;
  esac
}
if [ -z "$engine" ]; then
  for engine in docker podman buildah none; do
    [ "$engine" = none ] || ! works "$engine" || break
  done
fi
case "$engine" in
  docker|podman|buildah) ;;
  none) echo "build.sh: none of docker, podman, buildah works here; apt-get install buildah" >&2; exit 2 ;;
  *) echo "build.sh: --engine $engine: docker, podman or buildah is accepted" >&2; exit 2 ;;
esac
push_options=()
if [ "$engine" = docker ]; then
  if [ "$insecure" = yes ]; then
    echo "build.sh: --insecure: with docker its daemon decides: name the registry in \"insecure-registries\" of" \
      "/etc/docker/daemon.json, or take --engine podman or buildah" >&2
    exit 2
  fi
  if [ -n "$platforms" ] && ! docker buildx version >/dev/null 2>&1; then
    echo "build.sh: --platforms: docker needs its plug-in buildx for that (apt-get install docker-buildx, or" \
      "docker-buildx-plugin of Docker's own packages); or take --engine podman or buildah" >&2
    exit 2
  fi
else
  # podman and buildah call by this name what belongs to no registry, and so do nodes that the image is loaded into.
  registry=${registry:-localhost}
  [ "$insecure" = no ] || push_options=(--tls-verify=false)
fi

arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision")
[ -z "$base" ] || arguments+=(--build-arg "BASE=$base")

# hint_at_base: what helps where the build ended because its base image could not be pulled.
hint_at_base() {
  [ "$?" -eq 0 ] || [ -n "$base" ] || echo "build.sh: if docker.io/library/debian:bookworm-slim cannot be pulled here," \
    "make a base image with tests/images/base.sh and give --base localhost/debian:bookworm-slim" >&2
}
trap hint_at_base EXIT

# build NAME FILE [TARGET]: one image, for one machine or for several.
build() {
  local image=${registry:+$registry/}sidetap-$1:$tag
  local parts=(--file "$2" "${arguments[@]}")
  [ -z "${3:-}" ] || parts+=(--target "$3")
  echo "== $engine: $image${platforms:+ for $platforms}"
  # docker finds FILE.dockerignore by itself; without buildx it reads the .dockerignore of the root.
  [ "$engine" = docker ] || parts+=(--layers --ignorefile "$2.dockerignore")
  case "$engine,$platforms" in
    docker,)
      docker build "${parts[@]}" --tag "$image" .
      [ "$push" = no ] || docker push "$image" ;;
    docker,*)
      local output=--load
      [ "$push" = no ] || output=--push
      docker buildx build "${parts[@]}" --tag "$image" --platform "$platforms" "$output" . ;;
    *,)
      "$engine" build "${parts[@]}" --tag "$image" .
      [ "$push" = no ] || "$engine" push "${push_options[@]}" "$image" ;;
    *)
      "$engine" manifest rm "$image" 2>/dev/null || true
      "$engine" build "${parts[@]}" --platform "$platforms" --manifest "$image" .
      [ "$push" = no ] || "$engine" manifest push --all "${push_options[@]}" "$image" "docker://$image" ;;
  esac
}

build webhook deploy/docker/Dockerfile webhook
build sidecar deploy/docker/Dockerfile sidecar
[ "$testbed" = no ] || build testbed tests/cluster/Dockerfile
echo
echo "helm: ${registry:+--set image.registry=$registry }--set-string image.tag=$tag"
