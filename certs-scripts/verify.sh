#!/bin/sh
# Checks the webhook's certificates: chain, names, key, days left.
set -eu

usage() {
  cat <<'USAGE'
Usage: verify.sh --dir DIR | --cluster  [--service NAME] [--registry NAME | --no-registry] [--namespace NAMESPACE]
                 [--min-days N] [--secret NAME] [--webhook-configuration NAME]

Checks ca.crt, tls.crt and tls.key in DIR and prints a line for each check. Exits 1 when one fails. With --cluster it
checks what a cluster has instead, through kubectl: certificate and key of the Secret, and as the CA the caBundle of the
MutatingWebhookConfiguration, in every mode of certificates.

  --dir DIR             folder with the files
  --cluster             no folder: the Secret and the caBundle
  --service NAME        Service that the certificate must name   (default sidetap-webhook)
  --registry NAME       Service of the registry, likewise        (default sidetap-registry)
  --no-registry         there is none
  --namespace NAMESPACE namespace of both                        (default sidetap-system)
  --min-days N          fewest days that must be left            (default 14)
  --secret NAME         Secret, with --cluster                   (default sidetap-self-managed-tls where it is there,
                                                                  that is in the mode selfManaged, else
                                                                  sidetap-webhook-tls)
  --webhook-configuration NAME  whose caBundle, with --cluster   (default sidetap-webhook)
USAGE
}

scripts=$(dirname "$0")
# shellcheck source=certs-scripts/common.sh
. "$scripts/common.sh"
# shellcheck source=certs-scripts/cluster.sh
. "$scripts/cluster.sh"

dir='' cluster=no min_days=14 secret='' no_registry=no
parse_options "--dir=dir --cluster!cluster --service=service --registry=registry --no-registry!no_registry
  --namespace=namespace --min-days=min_days --secret=secret --webhook-configuration=configuration" "$@"
require_number --min-days "$min_days" 0 36500
require_program openssl "apt-get install openssl"
case "$cluster,$dir" in
  no,) fail "--dir DIR or --cluster is required" ;;
  yes,?*) fail "--dir and --cluster exclude each other" ;;
  yes,)
    require_names "$namespace" "$service" "$registry" "$secret" "$configuration"
    require_program kubectl
    if [ -z "$secret" ]; then
      secret=${service%-webhook}-self-managed-tls
      kubectl get secret "$secret" --namespace "$namespace" -o name >/dev/null 2>&1 || secret=sidetap-webhook-tls
    fi
    umask 077
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    trap 'exit 130' INT TERM
    for file in tls.crt tls.key; do read_secret "$file" "$dir/$file"; done
    read_ca_bundle "$dir/ca.crt" ;;
esac
for file in ca.crt tls.crt tls.key; do
  [ -r "$dir/$file" ] || fail "cannot read $dir/$file"
done

status=0
check() {
  if [ "$2" = yes ]; then
    echo "ok    $1"
  else
    echo "FAIL  $1"
    status=1
  fi
}

passes() {
  if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi
}

check "tls.crt is signed by ca.crt" \
  "$(passes openssl verify -purpose sslserver -CAfile "$dir/ca.crt" "$dir/tls.crt")"

certificate_key=$(openssl x509 -in "$dir/tls.crt" -noout -pubkey 2>/dev/null) || certificate_key=none
private_key=$(openssl pkey -in "$dir/tls.key" -pubout 2>/dev/null) || private_key=unreadable
same=no
[ "$certificate_key" = "$private_key" ] && same=yes
check "tls.key belongs to tls.crt" "$same"

hosts=$(names_of "$service" "$namespace")
[ "$no_registry" = yes ] || hosts="$hosts $(names_of "$registry" "$namespace")"
for host in $hosts; do
  check "tls.crt names $host" \
    "$(passes sh -c "openssl x509 -in \"\$1\" -noout -checkhost \"\$2\" | grep -q 'does match'" sh "$dir/tls.crt" "$host")"
done

for file in tls.crt ca.crt; do
  check "$file is valid for $min_days more days ($(openssl x509 -in "$dir/$file" -noout -enddate 2>/dev/null || echo unreadable))" \
    "$(passes openssl x509 -in "$dir/$file" -noout -checkend "$((min_days * 86400))")"
done
exit "$status"
