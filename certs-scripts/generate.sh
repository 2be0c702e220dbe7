#!/bin/sh
# Makes a CA and a server certificate for the webhook, with every name under which its two Services are reached.
set -euf

usage() {
  cat <<'USAGE'
Usage: generate.sh --out DIR [--service NAME] [--registry NAME] [--namespace NAMESPACE] [--san NAME]... [--days N]
                   [--force]

Writes ca.crt, ca.key, tls.crt and tls.key (PEM, ECDSA P-256) into DIR. An existing CA there is kept and signs
the new certificate; an existing tls.crt is kept too, unless --force is given. ca.key may lie elsewhere as long as
nothing has to be signed.

  --out DIR             folder for the four files; made when missing
  --service NAME        Service of the webhook                            (default sidetap-webhook)
  --registry NAME       Service of the tap registry                       (default sidetap-registry)
  --namespace NAMESPACE namespace of both                                 (default sidetap-system)
  --san NAME            one more DNS name or IP address; may be repeated
  --days N              validity of the server certificate, 1 to 3650     (default 365)
  --force               make a new server certificate even if one is there
USAGE
}

# shellcheck source=certs-scripts/common.sh
. "$(dirname "$0")/common.sh"

out='' service=sidetap-webhook registry=sidetap-registry namespace=sidetap-system days=365 force=no extra=''
parse_options "--out=out --service=service --registry=registry --namespace=namespace --san+extra --days=days
  --force!force" "$@"
[ -n "$out" ] || fail "--out DIR is required"
require_number --days "$days" 1 3650
# shellcheck disable=SC2086  # a list of names
require_names "$service" "$registry" "$namespace" $extra
require_program openssl "apt-get install openssl"

umask 077
mkdir -p "$out"

# What is half written never takes the place of what was whole.
work=$(mktemp -d "$out/.generate.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

present=no
if [ -f "$out/tls.crt" ] && [ -f "$out/tls.key" ]; then present=yes; fi
if [ ! -f "$out/ca.crt" ] && [ ! -f "$out/ca.key" ]; then
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/ca.ec"
  openssl pkcs8 -topk8 -nocrypt -in "$work/ca.ec" -out "$work/ca.key"
  openssl req -x509 -new -sha256 -days 3650 -key "$work/ca.key" -out "$work/ca.crt" \
    -subj "/CN=sidetap webhook CA" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign"
  mv "$work/ca.key" "$work/ca.crt" "$out/"
  present=no
elif [ ! -f "$out/ca.crt" ]; then
  fail "$out/ca.crt is missing beside its ca.key: put it back, or move ca.key away to begin with a new CA"
elif [ ! -f "$out/ca.key" ]; then
  # A CA that is in use must not be replaced because its key is kept elsewhere, as it should be.
  if [ "$force" = yes ] || [ "$present" = no ] ||
    ! openssl verify -purpose sslserver -CAfile "$out/ca.crt" "$out/tls.crt" >/dev/null 2>&1; then
    fail "a certificate has to be signed, and $out/ca.key is missing: put it back. If it is lost: rotate.sh --ca \
makes a new CA while the webhook serves; where nothing is installed yet, move $out/ca.crt away"
  fi
fi
if [ "$present" = yes ] && [ "$force" = no ]; then
  echo "kept $out/tls.crt; --force makes a new one"
  exit 0
fi

sans=''
add_san() {
  case "$1" in
    *:*) kind=IP ;;
    *[!0-9.]*) kind=DNS ;;
    *) kind=IP ;;
  esac
  sans="$sans${sans:+,}$kind:$1"
}
for name in $(names_of "$service" "$namespace") $(names_of "$registry" "$namespace") $extra; do
  add_san "$name"
done

cat >"$work/extensions" <<EXTENSIONS
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=$sans
EXTENSIONS
openssl ecparam -name prime256v1 -genkey -noout -out "$work/tls.ec"
openssl pkcs8 -topk8 -nocrypt -in "$work/tls.ec" -out "$work/tls.key"
# The name is fixed: a common name holds 64 characters, a Service's full name may have more.
openssl req -new -key "$work/tls.key" -out "$work/tls.csr" -subj "/CN=sidetap-webhook"
openssl x509 -req -sha256 -days "$days" -in "$work/tls.csr" -CA "$out/ca.crt" -CAkey "$out/ca.key" \
  -set_serial "0x$(openssl rand -hex 16 | sed 's/^[89a-f]/7/')" \
  -extfile "$work/extensions" -out "$work/tls.crt" 2>/dev/null
mv "$work/tls.key" "$work/tls.crt" "$out/"
echo "wrote $out/tls.crt for $sans"
