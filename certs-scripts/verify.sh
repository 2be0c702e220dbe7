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

fail() {
  echo "verify.sh: $1" >&2
  exit 2
}

dir='' service=sidetap-webhook namespace=sidetap-system min_days=14
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --dir|--service|--namespace|--min-days)
      if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1 needs a value"; fi ;;
    *) fail "unknown option $1 (see --help)" ;;
  esac
  case "$1" in
    --dir) dir=$2 ;;
    --service) service=$2 ;;
    --namespace) namespace=$2 ;;
    --min-days) min_days=$2 ;;
  esac
  shift 2
done
[ -n "$dir" ] || fail "--dir DIR is required"
case "$min_days" in
  ''|*[!0-9]*) fail "--min-days $min_days: a number of days is accepted" ;;
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

host="$service.$namespace.svc"
check "tls.crt names $host" \
  "$(passes sh -c "openssl x509 -in \"\$1\" -noout -checkhost \"\$2\" | grep -q 'does match'" sh "$dir/tls.crt" "$host")"

for file in tls.crt ca.crt; do
  check "$file is valid for $min_days more days ($(openssl x509 -in "$dir/$file" -noout -enddate 2>/dev/null || echo unreadable))" \
    "$(passes openssl x509 -in "$dir/$file" -noout -checkend "$((min_days * 86400))")"
done
exit "$status"
