#!/bin/sh
# Replaces the webhook's CA and certificate while it serves, without a failed handshake.
set -eu

usage() {
  cat <<'USAGE'
Usage: rotate.sh [--dir DIR] [--namespace NAMESPACE] [--service NAME] [--registry NAME] [--san NAME]...
                 [--secret NAME] [--webhook-configuration NAME] [--days N] [--settle SECONDS] [--timeout SECONDS]

Makes a new CA and certificate, then, with kubectl and its current context:
  1. adds the new CA to the caBundle and to the Secret's ca.crt, beside the old one, and lets that settle;
  2. puts the new certificate into the Secret, and waits until every pod of the webhook serves it;
  3. removes the old CA.
At every moment the API server and the taps trust what the webhook shows. Interrupted, it goes on where it was
when it is run again: the new files lie in DIR/next until the end.

  --dir DIR                    folder of the new files, DIR/previous for the old  (default sidetap-certificates)
  --settle SECONDS             time for API servers and taps to take up the new CA      (default 90)
  --timeout SECONDS            longest wait for the pods to serve the new certificate   (default 300)
USAGE
  describe_cluster_options
}

scripts=$(dirname "$0")
# shellcheck source=certs-scripts/common.sh
. "$scripts/common.sh"
# shellcheck source=certs-scripts/cluster.sh
. "$scripts/cluster.sh"

settle=90 timeout=300
parse_options "$cluster_options --settle=settle --timeout=timeout" "$@"
check_cluster_options
require_number --settle "$settle" 0 3600
require_number --timeout "$timeout" 0 3600

umask 077
mkdir -p "$dir/next"
work=$(mktemp -d "$dir/.rotate.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

fingerprint() { openssl x509 -noout -fingerprint -sha256; }

# serving POD: fingerprint of the certificate that the pod shows, seen through a forwarded port.
serving() {
  port=$(kubectl get pod "$1" --namespace "$namespace" \
    -o 'jsonpath={.spec.containers[*].ports[?(@.name=="https")].containerPort}')
  kubectl port-forward --namespace "$namespace" "pod/$1" ":$port" >"$work/forward" 2>&1 &
  forward=$!
  tries=0 local=''
  while [ -z "$local" ] && [ "$tries" -lt 50 ] && kill -0 "$forward" 2>/dev/null; do
    local=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$work/forward")
    [ -n "$local" ] || sleep 0.2
    tries=$((tries + 1))
  done
  [ -z "$local" ] || openssl s_client -connect "127.0.0.1:$local" </dev/null 2>/dev/null | fingerprint 2>/dev/null
  kill "$forward" 2>/dev/null || true
  wait "$forward" 2>/dev/null || true
}

# wait_until_served FILE: until every pod of the webhook shows this certificate.
wait_until_served() {
  wanted=$(fingerprint <"$1")
  deadline=$(($(date +%s) + timeout))
  while :; do
    pods=$(kubectl get endpointslices --namespace "$namespace" --selector "kubernetes.io/service-name=$service" \
      -o 'jsonpath={.items[*].endpoints[*].targetRef.name}')
    behind=''
    for pod in $pods; do
      [ "$(serving "$pod")" = "$wanted" ] || behind="$behind $pod"
    done
    [ -n "$behind" ] || return 0
    [ "$(date +%s)" -lt "$deadline" ] ||
      fail "after $timeout s these pods do not serve the new certificate:$behind. Both CAs are trusted; run this again"
    sleep 1
  done
}

read_secret ca.crt "$work/old.crt"
read_secret tls.crt "$work/tls.crt"
read_secret tls.key "$work/tls.key"
[ -s "$work/old.crt" ] || fail "Secret $namespace/$secret has no ca.crt: install.sh comes first"

make_certificate "$dir/next"

new_first_line=$(sed -n 2p "$dir/next/ca.crt")
if grep -qxF "$new_first_line" "$work/old.crt"; then
  cp "$work/old.crt" "$work/both.crt"
else
  cat "$work/old.crt" "$dir/next/ca.crt" >"$work/both.crt"
fi

if ! cmp -s "$work/tls.crt" "$dir/next/tls.crt"; then
  echo "1. both CAs are trusted"
  write_ca_bundle "$work/both.crt"
  write_secret "$work/both.crt" "$work/tls.crt" "$work/tls.key"
  sleep "$settle"
  echo "2. the new certificate"
  write_secret "$work/both.crt" "$dir/next/tls.crt" "$dir/next/tls.key"
fi
wait_until_served "$dir/next/tls.crt"
echo "3. the new CA alone is trusted"
write_ca_bundle "$dir/next/ca.crt"
write_secret "$dir/next/ca.crt" "$dir/next/tls.crt" "$dir/next/tls.key"

mkdir -p "$dir/previous"
for file in ca.crt ca.key tls.crt tls.key; do
  [ ! -f "$dir/$file" ] || mv "$dir/$file" "$dir/previous/$file"
  mv "$dir/next/$file" "$dir/$file"
done
rmdir "$dir/next"
echo "rotated; the old files lie in $dir/previous"
