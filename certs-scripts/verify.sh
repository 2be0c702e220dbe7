#!/bin/sh
# Checks the webhook's certificates: chain, names, key, validity.
set -euf

usage() {
  cat <<'USAGE'
Usage: verify.sh --dir DIR | --cluster  [--service NAME] [--registry NAME | --no-registry] [--namespace NAMESPACE]
                 [--min-days N] [--secret NAME] [--webhook-configuration NAME]

Checks ca.crt, tls.crt and tls.key in DIR, and prints one line for each check. Exits 1 if a check fails. With --cluster, it
checks a cluster through kubectl instead: the certificate and key in the Secret, and the caBundle of the
MutatingWebhookConfiguration as the CA. That works in every mode of certificates.

  --dir DIR             folder with the files
  --cluster             check the Secret and the caBundle instead of a folder
  --service NAME        Service that the certificate must name             (default sidetap-webhook)
  --registry NAME       Service of the registry that it must name          (default sidetap-registry)
  --no-registry         there is no registry
  --namespace NAMESPACE namespace of both                                  (default sidetap-system)
  --min-days N          fewest days of validity that must be left          (default 14)
  --secret NAME         Secret, with --cluster (default: sidetap-self-managed-tls if it exists, as in the mode
                        selfManaged; otherwise sidetap-webhook-tls)
  --webhook-configuration NAME
                        configuration with the caBundle, with --cluster    (default sidetap-webhook)
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
    require_objects "$namespace" "$service" "$registry" "${secret:-unset}" "$configuration"
    require_program kubectl
    if [ -z "$secret" ]; then
      secret=${service%-webhook}-self-managed-tls
      kubectl get secret "$secret" --namespace "$namespace" -o name >/dev/null 2>&1 || secret=sidetap-webhook-tls
    fi
    umask 077
    # shellcheck disable=SC2317  # called by the trap
    end() { [ -z "$dir" ] || rm -rf "$dir"; }
    at_end end
    dir=$(mktemp -d)
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

# The chain first, whatever the time: what has expired is told once, as that.
check "tls.crt is signed by ca.crt" \
  "$(passes openssl verify -no_check_time -purpose sslserver -CAfile "$dir/ca.crt" "$dir/tls.crt")"

together=no
if is_certificate "$dir/tls.crt" && is_key "$dir/tls.key"; then together=$(passes belong_together "$dir/tls.crt" "$dir/tls.key"); fi
check "tls.key belongs to tls.crt" "$together"

hosts=$(names_of "$service" "$namespace")
[ "$no_registry" = yes ] || hosts="$hosts $(names_of "$registry" "$namespace")"
for host in $hosts; do
  check "tls.crt names $host" "$(passes is_named "$dir/tls.crt" "$host")"
done

# has_begun FILE: openssl looks at a beginning only while it verifies.
has_begun() {
  case "$(openssl verify -partial_chain -CAfile "$1" "$1" 2>&1)" in
    *"not yet valid"*) return 1 ;;
  esac
}

# date_of FILE start|end
date_of() { openssl x509 -in "$1" -noout "-${2}date" 2>/dev/null | cut -d= -f2; }

case "$min_days" in
  0) least=now ;;
  1) least='for at least 1 more day' ;;
  *) least="for at least $min_days more days" ;;
esac
for file in tls.crt ca.crt; do
  if ! is_certificate "$dir/$file"; then
    check "$file is a certificate" no
  elif ! has_begun "$dir/$file"; then
    check "$file is valid now (from $(date_of "$dir/$file" start))" no
  else
    check "$file is valid $least (until $(date_of "$dir/$file" end))" \
      "$(passes openssl x509 -in "$dir/$file" -noout -checkend "$((min_days * 86400))")"
  fi
done
exit "$status"
