#!/bin/sh
# Renews the webhook's certificate, or its CA and certificate, while it serves and without a failed handshake.
set -euf

usage() {
  cat <<'USAGE'
Usage: rotate.sh [--ca] [--dir DIR] [--namespace NAMESPACE] [--service NAME] [--registry NAME] [--san NAME]...
                 [--secret NAME] [--webhook-configuration NAME] [--days N] [--settle SECONDS] [--timeout SECONDS]

Makes a new certificate with the CA in DIR, writes it to the Secret with kubectl and its current context, and waits until
every webhook pod serves it. With --ca it also makes a new CA:
  1. It adds the new CA to the caBundle and to the Secret's ca.crt, beside the old one, and waits for --settle.
  2. It writes the new certificate to the Secret, and waits until every webhook pod serves it.
  3. It removes the old CA.
The API server and the running taps trust the webhook's certificate at every moment. A tap learns the new CA while it
runs, but its pod's environment keeps the old one. Restart the tapped workloads after --ca: otherwise a tap whose
container restarts no longer trusts the registry, and packets between tapped pods arrive twice.

If rotate.sh is interrupted, run it again with the same options: it continues where it stopped. Until it is done, the new
files are in DIR/next.

  --ca                         make a new CA too; without it, DIR must hold ca.crt and ca.key of the current CA
  --dir DIR                    folder for the new files; old ones go to DIR/previous (default sidetap-certificates)
  --settle SECONDS             time for API servers and taps to pick up the new CA  (default 90)
  --timeout SECONDS            longest wait for pods to serve the new certificate   (default 300)
USAGE
  describe_cluster_options
}

scripts=$(dirname "$0")
# shellcheck source=certs-scripts/common.sh
. "$scripts/common.sh"
# shellcheck source=certs-scripts/cluster.sh
. "$scripts/cluster.sh"

settle=90 timeout=300 new_ca=no
parse_options "$cluster_options --ca!new_ca --settle=settle --timeout=timeout" "$@"
check_cluster_options
require_number --settle "$settle" 0 3600
require_number --timeout "$timeout" 0 3600

umask 077
mkdir -p "$dir"
work='' background=''
# end: the programs that run in the background, where they still do, and what they left are not to outlive the script.
end() {
  # shellcheck disable=SC2086  # a list of processes
  [ -z "$background" ] || kill $background 2>/dev/null || true
  [ -z "$work" ] || rm -rf "$work"
}
at_end end
work=$(mktemp -d "$dir/.rotate.XXXXXX")

fingerprint() { openssl x509 -noout -fingerprint -sha256; }

# look_at POD: what it shows through a forwarded port, in the file shown: empty where that takes longer than 10 s.
look_at() {
  : >"$work/forward"
  : >"$work/shown"
  port=$(kubectl get pod "$1" --namespace "$namespace" \
    -o 'jsonpath={.spec.containers[*].ports[?(@.name=="https")].containerPort}')
  kubectl port-forward --namespace "$namespace" "pod/$1" ":$port" >"$work/forward" 2>&1 &
  forward=$! client='' tries=0
  background=$forward
  while [ "$tries" -lt 50 ] && kill -0 "${client:-$forward}" 2>/dev/null; do
    if [ -z "$client" ]; then
      local=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$work/forward")
      if [ -n "$local" ]; then
        openssl s_client -connect "127.0.0.1:$local" </dev/null >"$work/shown" 2>/dev/null &
        client=$!
        background="$background $client"
      fi
    fi
    sleep 0.2
    tries=$((tries + 1))
  done
  # Each of them may have ended by itself.
  # shellcheck disable=SC2086  # a list of processes
  kill $background 2>/dev/null || true
  # shellcheck disable=SC2086
  wait $background 2>/dev/null || true
  background=''
}

serves() {
  look_at "$1"
  [ "$(fingerprint <"$work/shown" 2>/dev/null)" = "$2" ]
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
      serves "$pod" "$wanted" || behind="$behind $pod"
    done
    if [ -n "$pods" ] && [ -z "$behind" ]; then return 0; fi
    if [ "$(date +%s)" -ge "$deadline" ]; then
      [ -n "$pods" ] || fail "after $timeout s there is no pod behind Service $namespace/$service (is --service its name? \
do its pods run?). What was trusted still is; run this again"
      fail "after $timeout s these pods do not serve the new certificate:$behind. What was trusted still is; run this again"
    fi
    sleep 1
  done
}

# holds BUNDLE CERTIFICATE: is it one of the bundle's?
holds() { grep -qxF "$(sed -n 2p "$2")" "$1"; }

# prepare: DIR/next with the new files, or with those of a rotation that was interrupted.
prepare() {
  if [ "$new_ca" = yes ]; then
    if [ -f "$dir/next/ca.crt" ] && [ -f "$dir/ca.crt" ] && cmp -s "$dir/ca.crt" "$dir/next/ca.crt"; then
      fail "$dir/next holds an unfinished rotation of the certificate only: finish it without --ca first"
    fi
  else
    if [ ! -f "$dir/ca.crt" ] || [ ! -f "$dir/ca.key" ]; then
      fail "a certificate has to be signed, and $dir has no ca.crt and ca.key: put them there, or make a new CA with --ca"
    fi
    holds "$work/old.crt" "$dir/ca.crt" ||
      fail "the CA in $dir is not that of Secret $namespace/$secret: name its folder by --dir, or make a new CA with --ca"
    openssl x509 -in "$dir/ca.crt" -noout -checkend $((days * 86400)) >/dev/null ||
      fail "the CA in $dir ends before a certificate of $days days: fewer --days, or a new CA with --ca"
    if [ -f "$dir/next/ca.crt" ] && ! cmp -s "$dir/ca.crt" "$dir/next/ca.crt"; then
      fail "$dir/next holds an unfinished rotation with a new CA: finish it with --ca first"
    fi
    mkdir -p "$dir/next"
    cp "$dir/ca.crt" "$dir/ca.key" "$dir/next/"
  fi
  make_certificate "$dir/next"
}

trust() {
  write_ca_bundle "$1"
  write_secret "$1" "$2" "$3"
}

read_secret ca.crt "$work/old.crt"
read_secret tls.crt "$work/tls.crt"
read_secret tls.key "$work/tls.key"
[ -s "$work/old.crt" ] || fail "Secret $namespace/$secret has no ca.crt: install.sh comes first"
# They are written back in the first step: nothing may take their place because they could not be read.
for file in tls.crt tls.key; do
  [ -s "$work/$file" ] || fail "cannot read $file of Secret $namespace/$secret"
done
prepare

cp "$work/old.crt" "$work/both.crt"
holds "$work/old.crt" "$dir/next/ca.crt" || cat "$dir/next/ca.crt" >>"$work/both.crt"
if ! cmp -s "$work/tls.crt" "$dir/next/tls.crt"; then
  if [ "$new_ca" = yes ]; then
    echo "1. both CAs are trusted"
    trust "$work/both.crt" "$work/tls.crt" "$work/tls.key"
    sleep "$settle"
    echo "2. the new certificate"
  fi
  write_secret "$work/both.crt" "$dir/next/tls.crt" "$dir/next/tls.key"
fi
wait_until_served "$dir/next/tls.crt"
if [ "$new_ca" = yes ]; then
  echo "3. the new CA alone is trusted"
  trust "$dir/next/ca.crt" "$dir/next/tls.crt" "$dir/next/tls.key"
fi

# keep_old: the new files take the place of the old ones.
keep_old() {
  mkdir -p "$dir/previous"
  for file in ca.crt ca.key tls.crt tls.key; do
    [ ! -f "$dir/$file" ] || mv "$dir/$file" "$dir/previous/$file"
    mv "$dir/next/$file" "$dir/$file"
  done
  rmdir "$dir/next"
}
whole keep_old
echo "rotated; the old files are in $dir/previous"
[ "$new_ca" = no ] || echo "Now restart the tapped workloads: a tap trusts the new CA after its container restarts only if its \
pod is new."
