#!/usr/bin/env bash
# Builds both images with the Dockerfile and runs them. Takes minutes, and needs an engine and a base image.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: build_test.sh [-h] [--base IMAGE]
Builds the images with deploy/docker/build.sh, checks labels, user, size and files, and runs them: the sidecar's captures
with NET_RAW alone (not with buildah, which runs no containers). Exits 77 where no container engine or no base image is
there; base.sh makes one from Debian's packages.
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
# base_of ENGINE: the requested base image, or one that the engine has.
base_of() {
  local name
  for name in ${base:-docker.io/library/debian:bookworm-slim localhost/debian:bookworm-slim}; do
    [ -z "$("$1" images -q "$name" 2>/dev/null)" ] || { echo "$name"; return; }
  done
  echo "$base"
}

work=$(mktemp -d)
# runs ENGINE IMAGE: whether the engine can run a container of that image. Inside a container, podman may not raise
# limits, so it is told to leave them low.
runs() {
  "$1" run --rm --network none "$2" true && return
  [ "$1" = podman ] || return 1
  printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n' >"$work/containers.conf"
  export CONTAINERS_CONF=$work/containers.conf
  "$1" run --rm --network none "$2" true
}

# buildah needs no runtime, and comes last.
engine='' reasons=''
for candidate in docker podman buildah; do
  command -v "$candidate" >/dev/null || continue
  found=$(base_of "$candidate")
  if [ -z "$found" ]; then
    reasons+="; $candidate has no debian:bookworm-slim"
  elif [ "$candidate" = buildah ] || runs "$candidate" "$found" >"$work/reason" 2>&1; then
    engine=$candidate base=$found
    break
  else
    reasons+="; $candidate: $(tail -n 1 "$work/reason")"
  fi
done
[ -n "$engine" ] || { rm -rf "$work"; echo "skipped: no container engine that builds here${reasons} (tests/images/base.sh makes a base image)"; exit 77; }

tag=test-$$
containers=()
finish_engine() {
  for container in "${containers[@]}"; do "$engine" "${remove[@]}" "$container" >/dev/null; done
  "$engine" rmi "sidetap-webhook:$tag" "sidetap-sidecar:$tag" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish_engine EXIT
. "$here/../support/expect.sh"

# inspect IMAGE FORMAT: the engines use the same names, except for buildah.
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

# unpack IMAGE FOLDER: extracts the image's files.
unpack() {
  local container
  mkdir "$2"
  case "$engine" in
    buildah)
      container=$(buildah from --pull-never "$1")
      containers+=("$container")
      cp -a "$(buildah mount "$container")/." "$2" ;;
    *)
      container=$("$engine" create "$1")
      containers+=("$container")
      "$engine" export "$container" | tar -x -C "$2" ;;
  esac
}
megabytes() { echo $(($(du -s --block-size=1 --apparent-size "$1" | cut -f1) / 1000000)); }
no_shell() { [ -z "$(find "$1" \( -name sh -o -name bash -o -name dash -o -name busybox \) -print -quit)" ]; }

# captures IMAGE: whether the tap opens its interface as in a pod, with only NET_RAW and a read-only file system.
captures() {
  local container
  container=$("$engine" run --detach --network none --read-only --cap-drop ALL --cap-add NET_RAW "$1" \
    run --interface lo --pod-ips 127.0.0.1 --sensor 127.0.0.1 --status-listen 127.0.0.1:8080)
  containers+=("$container")
  for _ in $(seq 100); do
    ! "$engine" exec "$container" /usr/bin/sidetap-sidecar check --status-listen 127.0.0.1:8080 || return 0
    sleep 0.2
  done
  "$engine" logs "$container"
  return 1
}

remove=(rm --force)
if [ "$engine" = buildah ]; then
  remove=(rm)
  export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
fi
expect 0 "both images are built with $engine" "$here/../../deploy/docker/build.sh" --engine "$engine" --base "$base" --tag "$tag" --no-push
for name in webhook sidecar; do
  limit=40 user=65532:65532 command=serve
  [ "$name" = webhook ] || { limit=30; user=0:0; command=run; }
  image=sidetap-$name:$tag
  [ "$engine" != buildah ] || image=localhost/$image
  unpack "$image" "$work/$name"
  size=$(megabytes "$work/$name")
  expect 0 "$name: $size MB, of $limit at most" test "$size" -le "$limit"
  expect 0 "$name: there is no shell" no_shell "$work/$name"
  expect 0 "$name: runs as $user" test "$(inspect "$image" '{{.Config.User}}')" = "$user"
  expect 0 "$name: says what it is" inspect "$image" '{{.Config.Labels}}'
  says "org.opencontainers.image.title:sidetap-$name" || fail_line "by the label of its title"
  expect 0 "$name: the program runs" run "$image" "/usr/bin/sidetap-$name" "$command" --help
  says "sidetap-$name $command" || fail_line "and says how it is used"
done
[ "$engine" = buildah ] || expect 0 "sidecar: captures with NET_RAW alone" captures "sidetap-sidecar:$tag"
finish
