#!/usr/bin/env bash
# Measures the registry of taps: replicas that hold many taps, and what reviews notice of it.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: registry.sh [--bin FOLDER] [--taps N] [--replicas N] [--changes N] [--restart N] [--reports N]
                   [--configurations N] [--tokens]

Starts replicas of the webhook with throw-away certificates, lets taps connect to all of them, and prints figures.
Needs openssl and python3, and a limit of open files above taps x replicas.

  --bin FOLDER   sidetap-webhook and registry_load      (default build/release/bin)
  --taps N       taps                                   (default 9900)
  --replicas N   replicas of the webhook                (default 2)
  --changes N    changes to follow until every tap knows them (default 20)
  --restart N    taps that restart within a minute      (default 1000)
  --reports N    seconds between the reports of a tap; 0: no reports (default 10)
  --configurations N  configurations to follow until every tap has them (default 3)
  --tokens       taps prove their pods by tokens, which a fake API server reviews
USAGE
}

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$root/build/release/bin taps=9900 replicas=2 changes=20 restart=1000 reports=10 configurations=3 tokens=
. "$(dirname "$0")/options.sh"
read_options tokens 'bin taps replicas changes restart reports configurations' '' "$@"
check_values '[1-9][0-9]*' 'a whole number from 1 on' taps replicas
check_values '[0-9]+' 'a whole number or 0' changes restart reports configurations
need_commands 'openssl python3' openssl python3
need_programs sidetap-webhook registry_load

work=$(mktemp -d)
webhooks=()
cleanup() {
  [ ${#webhooks[@]} -eq 0 ] || kill "${webhooks[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
ulimit -n "$(ulimit -Hn)"

"$root/certs-scripts/generate.sh" --out "$work/certs" --san 127.0.0.1 >/dev/null
printf '%s\n' 'generation: 1' 'sensor: {address: 192.0.2.1}' >"$work/config.yaml"
python3 - >"$work/review.json" <<'PYTHON'
import json

pod = {"apiVersion": "v1", "kind": "Pod",
       "metadata": {"generateName": "web-", "annotations": {"sidetap.io/inject": "true"}},
       "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:1.2.3",
                                "env": [{"name": f"SETTING_{n}", "value": "v" * 20} for n in range(32)]}]}}
print(json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                  "request": {"uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"},
                              "resource": {"group": "", "version": "v1", "resource": "pods"},
                              "namespace": "shop", "operation": "CREATE", "object": pod, "dryRun": False}}))
PYTHON

auth=none load=(--taps "$taps" --changes "$changes" --restart "$restart" --review "$work/review.json")
if [ -n "$tokens" ]; then
  auth=token
  api=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  mkdir "$work/account"
  cp "$work/certs/ca.crt" "$work/account/ca.crt"
  echo token >"$work/account/token"
  echo load >"$work/account/namespace"
  export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=$api
  load+=(--api-port "$api" --api-cert "$work/certs/tls.crt" --api-key "$work/certs/tls.key")
fi

# port_of LOG WHAT
port_of() {
  local port=
  for _ in $(seq 200); do
    port=$(sed -n "s/.*\"$2\",\"port\":\([0-9]*\).*/\1/p" "$1")
    [ -z "$port" ] || break
    sleep 0.05
  done
  [ -n "$port" ] || { cat "$1" >&2 && return 1; }
  echo "$port"
}

ports=()
for i in $(seq "$replicas"); do
  "$bin/sidetap-webhook" serve --listen 127.0.0.1:0 --registry-listen 127.0.0.1:0 --registry-auth "$auth" \
    --service-account "$work/account" --tls-cert "$work/certs/tls.crt" --tls-key "$work/certs/tls.key" \
    --config "$work/config.yaml" --threads 1 --drain-seconds 0 2>"$work/log$i" &
  webhooks+=($!)
  ports+=("$(port_of "$work/log$i" "serving the registry of taps")")
done
load+=(--reports "$reports" --configurations "$configurations" --config "$work/config.yaml")
load+=(--pids "$(IFS=, && echo "${webhooks[*]}")" --ports "$(IFS=, && echo "${ports[*]}")" --ca "$work/certs/ca.crt")
load+=(--reviews-port "$(port_of "$work/log1" "serving admission reviews")")

echo "$replicas replicas, $taps taps, $(nproc) CPUs shared with the load, load average $(cut -d' ' -f1 /proc/loadavg)"
"$bin/registry_load" "${load[@]}"
