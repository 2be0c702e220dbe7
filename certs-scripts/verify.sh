#!/bin/sh
# Checks the webhook's certificates: chain, names, key, days left.
set -eu

usage() {
  cat <<'USAGE'
Usage: verify.sh --dir DIR [--service NAME] [--namespace NAMESPACE] [--min-days N]

Checks ca.crt, tls.crt and tls.key in DIR and prints a line for each check. Exits 1 when one fails.

  --dir DIR             folder with the files
  --service NAME        Service that the certificate must name   (default sidetap-webhook)
  --namespace NAMESPACE its namespace                            (default sidetap-system)
  --min-days N          fewest days that must be left            (default 14)
USAGE
}

# shellcheck source=certs-scripts/common.sh
. "$(dirname "$0")/common.sh"

dir='' service=sidetap-webhook namespace=sidetap-system min_days=14
parse_options "--dir=dir --service=service --namespace=namespace --min-days=min_days" "$@"
[ -n "$dir" ] || fail "--dir DIR is required"
require_number --min-days "$min_days" 0 36500
require_program openssl "apt-get install openssl"
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

host="$service.$namespace.svc"
check "tls.crt names $host" \
  "$(passes sh -c "openssl x509 -in \"\$1\" -noout -checkhost \"\$2\" | grep -q 'does match'" sh "$dir/tls.crt" "$host")"

for file in tls.crt ca.crt; do
  check "$file is valid for $min_days more days ($(openssl x509 -in "$dir/$file" -noout -enddate 2>/dev/null || echo unreadable))" \
    "$(passes openssl x509 -in "$dir/$file" -noout -checkend "$((min_days * 86400))")"
done
exit "$status"
