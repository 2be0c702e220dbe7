#!/usr/bin/env bash
# Renders sidetap.yaml from the chart.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: deploy/manifests/render.sh [-h] [--check] [--helm FILE]
Writes deploy/manifests/sidetap.yaml from the chart and values.yaml.
  --check       write nothing; exit 1 if the file is not current
  --helm FILE   helm program to use (default: helm)
USAGE
}

helm=helm check=no
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --check) check=yes; shift ;;
    --helm) helm=${2:?--helm needs a file}; shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done

helm=$(command -v "$helm") || { echo "render.sh: helm is needed" >&2; exit 2; }
helm=$(realpath "$helm")
cd "$(dirname "$0")"
rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
{
  echo '# sidetap without Helm. Rendered from deploy/helm/sidetap by deploy/manifests/render.sh: do not edit here what the'
  echo '# next rendering takes away; README.md beside this file says what to set, and how.'
  cat <<'NAMESPACE'
---
apiVersion: v1
kind: Namespace
metadata:
  name: sidetap-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
NAMESPACE
  # What only Helm has a use for is left out.
  "$helm" template sidetap ../helm/sidetap --namespace sidetap-system --kube-version 1.36 --values values.yaml \
    --skip-tests | grep -v -e '^# Source: ' -e '^ *helm.sh/chart: ' -e '^ *app.kubernetes.io/managed-by: '
} >"$rendered"
if [ "$check" = yes ]; then
  diff -u sidetap.yaml "$rendered" >&2 || { echo "sidetap.yaml is not current: run deploy/manifests/render.sh" >&2; exit 1; }
else
  cp "$rendered" sidetap.yaml
  chmod 644 sidetap.yaml
fi
