#!/bin/sh
# Puts the webhook's certificate into the cluster: the Secret that it serves from, and the caBundle by which the
# API server trusts it.
set -eu

usage() {
  cat <<'USAGE'
Usage: install.sh [--dir DIR] [--namespace NAMESPACE] [--service NAME] [--registry NAME] [--san NAME]...
                  [--secret NAME] [--webhook-configuration NAME] [--days N]

Makes the certificate in DIR with generate.sh where it is not there yet, checks it with verify.sh, writes the
Secret and then the caBundle of every entry of the MutatingWebhookConfiguration, with kubectl and its current
context. Run again, it writes the same. The CA's key stays in DIR and never enters the cluster: keep it safe,
rotate.sh does not need it.

  --dir DIR                    folder of the four files               (default sidetap-certificates)
  --namespace NAMESPACE        namespace of the webhook               (default sidetap-system)
  --service NAME               Service of the webhook                 (default sidetap-webhook)
  --registry NAME              Service of the tap registry            (default sidetap-registry)
  --san NAME                   one more DNS name or IP address; may be repeated
  --secret NAME                Secret to write                        (default sidetap-webhook-tls)
  --webhook-configuration NAME MutatingWebhookConfiguration           (default sidetap-webhook)
  --days N                     validity of a certificate made now     (default 365)
USAGE
}

scripts=$(dirname "$0")
# shellcheck source=certs-scripts/common.sh
. "$scripts/common.sh"
# shellcheck source=certs-scripts/cluster.sh
. "$scripts/cluster.sh"

dir=sidetap-certificates namespace=sidetap-system service=sidetap-webhook registry=sidetap-registry extra=''
secret=sidetap-webhook-tls configuration=sidetap-webhook days=365
parse_options "--dir=dir --namespace=namespace --service=service --registry=registry --san+extra --secret=secret
  --webhook-configuration=configuration --days=days" "$@"
# shellcheck disable=SC2086  # a list of names
require_names "$namespace" "$service" "$registry" "$secret" "$configuration" $extra
require_program openssl "apt-get install openssl"
require_program kubectl

set -- --san "$registry" --san "$registry.$namespace" --san "$registry.$namespace.svc" \
  --san "$registry.$namespace.svc.cluster.local"
for name in $extra; do set -- "$@" --san "$name"; done
"$scripts/generate.sh" --out "$dir" --service "$service" --namespace "$namespace" --days "$days" "$@"
"$scripts/verify.sh" --dir "$dir" --service "$service" --namespace "$namespace" --min-days 0 ||
  fail "the certificate in $dir is not fit for $service.$namespace.svc; generate.sh --force makes a new one"

# The Secret first: the API server must not be told to trust a certificate that nobody serves yet.
write_secret "$dir/ca.crt" "$dir/tls.crt" "$dir/tls.key"
write_ca_bundle "$dir/ca.crt"
