#!/usr/bin/env bash
# Builds both images by the Dockerfile and runs them. Takes minutes, and needs an engine and a base image.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: build_test.sh [-h] [--base IMAGE]
Builds the images with deploy/docker/build.sh, checks labels, user and size, and runs the sidecar's. Exits 77 where no
container engine or no base image is there; base.sh makes one from Debian's packages.
  --base IMAGE   (default: SIDETAP_BASE_IMAGE, or debian:bookworm-slim where the engine has it already)
USAGE
}

base=${SIDETAP_BASE_IMAGE:-}
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --base) base=${2:?--base needs an image}; shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done
here=$(cd "$(dirname "$0")" && pwd)
# base_of ENGINE: the base image that is asked for, or that the engine has.
base_of() {
  local name
  for name in ${base:-docker.io/library/debian:bookworm-slim localhost/debian:bookworm-slim}; do
    [ -z "$("$1" images -q "$name" 2>/dev/null)" ] || { echo "$name"; return; }
  done
  echo "$base"
}

# An engine counts that runs a container of that image; buildah needs no runtime and is asked last.
engine='' reasons=''
for candidate in docker podman buildah; do
  command -v "$candidate" >/dev/null || continue
  found=$(base_of "$candidate")
  if [ -z "$found" ]; then
    reasons+="; $candidate has no debian:bookworm-slim"
  elif [ "$candidate" = buildah ] || reason=$("$candidate" run --rm "$found" true 2>&1); then
    engine=$candidate base=$found
    break
  else
    reasons+="; $candidate: ${reason##*$'\n'}"
  fi
done
[ -n "$engine" ] || { echo "skipped: no container engine that builds here${reasons} (tests/images/base.sh makes a base image)"; exit 77; }

work=$(mktemp -d)
tag=test-$$
containers=()
finish_engine() {
  for container in "${containers[@]}"; do buildah rm "$container" >/dev/null; done
  "$engine" rmi "sidetap-webhook:$tag" "sidetap-sidecar:$tag" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish_engine EXIT
. "$here/../support/expect.sh"

# inspect IMAGE FORMAT: the engines name the same things alike but for buildah.
inspect() {
  case "$engine" in
    buildah) buildah inspect --type image --format "${2/.Config/.OCIv1.Config}" "$1" ;;
    *) "$engine" image inspect --format "$2" "$1" ;;
  esac
}

# run IMAGE COMMAND...: in a container of the image.
run() {
  local image=$1 container
  shift
  case "$engine" in
    buildah)
      container=$(buildah from --pull-never "$image")
      containers+=("$container")
      buildah run --isolation chroot --user 0 "$container" -- "$@" ;;
    *) "$engine" run --rm --entrypoint "$1" "$image" "${@:2}" ;;
  esac
}

megabytes() {
  local mount container
  case "$engine" in
    buildah)
      container=$(buildah from --pull-never "$1")
      containers+=("$container")
      mount=$(buildah mount "$container")
      echo $(($(du -s --block-size=1 --apparent-size "$mount" | cut -f1) / 1000000)) ;;
    *) echo $(($("$engine" image inspect --format '{{.Size}}' "$1") / 1000000)) ;;
  esac
}

if [ "$engine" = buildah ]; then export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}; fi
expect 0 "both images are built with $engine" "$here/../../deploy/docker/build.sh" --engine "$engine" --base "$base" --tag "$tag" --no-push
for name in webhook sidecar; do
  limit=40 user=65532:65532 command=serve
  [ "$name" = webhook ] || { limit=30; user=0:0; command=run; }
  image=sidetap-$name:$tag
  [ "$engine" != buildah ] || image=localhost/$image
  size=$(megabytes "$image")
  expect 0 "$name: $size MB, of $limit at most" test "$size" -le "$limit"
  expect 0 "$name: runs as $user" test "$(inspect "$image" '{{.Config.User}}')" = "$user"
  expect 0 "$name: says what it is" inspect "$image" '{{.Config.Labels}}'
  says "org.opencontainers.image.title:sidetap-$name" || fail_line "by the label of its title"
  expect 0 "$name: the program runs" run "$image" "/usr/bin/sidetap-$name" "$command" --help
  says "sidetap-$name $command" || fail_line "and says how it is used"
done
finish
