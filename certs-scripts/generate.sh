#!/bin/sh
# Makes a CA and a server certificate for the webhook, with every name under which its two Services are reached.
set -euf

usage() {
  cat <<'USAGE'
Usage: generate.sh --out DIR [--service NAME] [--registry NAME] [--namespace NAMESPACE] [--san NAME]... [--days N]
                   [--force]

Writes ca.crt, ca.key, tls.crt and tls.key (PEM, ECDSA P-256) into DIR.
  - An existing CA in DIR is kept and signs the new certificate.
  - An existing tls.crt is kept too. It must belong to tls.key, be valid, be signed by ca.crt, and hold every name that
    you ask for; otherwise generate.sh says what is wrong and exits 2. --force replaces it.
  - You can keep ca.key elsewhere as long as nothing has to be signed.

  --out DIR             folder for the four files; created if it does not exist
  --service NAME        Service of the webhook                            (default sidetap-webhook)
  --registry NAME       Service of the tap registry                       (default sidetap-registry)
  --namespace NAMESPACE namespace of both                                 (default sidetap-system)
  --san NAME            another DNS name or IP address; may be repeated
  --days N              validity of the server certificate, 1 to 3650     (default 365)
  --force               make a new server certificate even if one exists
USAGE
}

# shellcheck source=certs-scripts/common.sh
. "$(dirname "$0")/common.sh"

out='' service=sidetap-webhook registry=sidetap-registry namespace=sidetap-system days=365 force=no extra=''
parse_options "--out=out --service=service --registry=registry --namespace=namespace --san+extra --days=days
  --force!force" "$@"
[ -n "$out" ] || fail "--out DIR is required"
require_number --days "$days" 1 3650
require_objects "$service" "$registry" "$namespace"
# shellcheck disable=SC2086  # a list of names
require_sans $extra
require_program openssl "apt-get install openssl"
names="$(names_of "$service" "$namespace") $(names_of "$registry" "$namespace")"

umask 077
mkdir -p "$out"

# What is half written never takes the place of what was whole.
work=''
end() { [ -z "$work" ] || rm -rf "$work"; }
at_end end
work=$(mktemp -d "$out/.generate.XXXXXX")

# run_openssl WHAT ARGUMENT...: where it fails, its own words say why WHAT could not be done.
run_openssl() {
  what=$1
  shift
  openssl "$@" 2>"$work/errors" || {
    cat "$work/errors" >&2
    fail "openssl could not $what; its reason is above"
  }
}

# make_key FILE
make_key() {
  run_openssl "make a key" ecparam -name prime256v1 -genkey -noout -out "$work/ec"
  run_openssl "write a key" pkcs8 -topk8 -nocrypt -in "$work/ec" -out "$1"
}

make_ca() {
  make_key "$work/ca.key"
  run_openssl "make a CA" req -x509 -new -sha256 -days 3650 -key "$work/ca.key" -out "$work/ca.crt" \
    -subj "/CN=sidetap webhook CA" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign"
  whole mv "$work/ca.key" "$work/ca.crt" "$out/"
}

# why_unfit: what is wrong with the certificate that lies in the folder; nothing where it can be kept.
why_unfit() {
  if ! is_certificate "$out/tls.crt"; then
    echo "$out/tls.crt is not a certificate"
  elif ! is_key "$out/tls.key"; then
    echo "$out/tls.key is not a private key without a passphrase"
  elif ! belong_together "$out/tls.crt" "$out/tls.key"; then
    echo "$out/tls.key does not belong to $out/tls.crt"
  elif [ -n "$(why_not_valid "$out/ca.crt" "$out/tls.crt" -no_check_time)" ]; then
    echo "$out/ca.crt does not sign $out/tls.crt"
  elif [ -n "$(why_not_valid "$out/ca.crt" "$out/tls.crt")" ]; then
    echo "$out/tls.crt: $(why_not_valid "$out/ca.crt" "$out/tls.crt")"
  else
    # shellcheck disable=SC2086  # lists of names
    for name in $names $extra; do
      is_named "$out/tls.crt" "$name" || { echo "$out/tls.crt does not name $name"; break; }
    done
  fi
}

# require_signer: what signs is a CA and its key, and outlives what it signs.
require_signer() {
  [ -f "$out/ca.key" ] || fail "${unfit:+$unfit; }a certificate has to be signed, and $out/ca.key is missing: put it back. If it is lost: \
rotate.sh --ca makes a new CA while the webhook serves; where nothing is installed yet, move $out/ca.crt away"
  # openssl asks for a passphrase when it signs, once.
  if ! grep -q ENCRYPTED "$out/ca.key"; then
    is_key "$out/ca.key" || fail "$out/ca.key is not a private key: put the CA's key back"
    belong_together "$out/ca.crt" "$out/ca.key" ||
      fail "$out/ca.key does not belong to $out/ca.crt: put the key of this CA back"
  fi
  [ "$made_ca" = yes ] || openssl x509 -in "$out/ca.crt" -noout -checkend $((days * 86400)) >/dev/null ||
    fail "the CA in $out ends before a certificate of $days days: ask for fewer --days, or make a new CA with rotate.sh --ca"
}

# add_san KIND NAME
add_san() { sans="$sans${sans:+,}$1:$2"; }

make_certificate() {
  sans=''
  for name in $names; do add_san DNS "$name"; done
  for name in $extra; do add_san "$(kind_of "$name")" "$name"; done
  cat >"$work/extensions" <<EXTENSIONS
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=$sans
EXTENSIONS
  make_key "$work/tls.key"
  # The name is fixed: a common name holds 64 characters, a Service's full name may have more.
  run_openssl "make a request" req -new -key "$work/tls.key" -out "$work/tls.csr" -subj "/CN=sidetap-webhook"
  run_openssl "sign with $out/ca.key" x509 -req -sha256 -days "$days" -in "$work/tls.csr" \
    -CA "$out/ca.crt" -CAkey "$out/ca.key" -set_serial "0x$(openssl rand -hex 16 | sed 's/^[89a-f]/7/')" \
    -extfile "$work/extensions" -out "$work/tls.crt"
  reason=$(why_not_valid "$out/ca.crt" "$work/tls.crt")
  [ -z "$reason" ] || fail "$out/ca.crt cannot sign a server's certificate: $reason"
  whole mv "$work/tls.key" "$work/tls.crt" "$out/"
}

for file in ca.crt ca.key tls.crt tls.key; do
  [ ! -e "$out/$file" ] || [ -r "$out/$file" ] || fail "cannot read $out/$file"
done
present=no made_ca=no unfit=''
if [ -f "$out/tls.crt" ] && [ -f "$out/tls.key" ]; then present=yes; fi
if [ ! -f "$out/ca.crt" ] && [ ! -f "$out/ca.key" ]; then
  make_ca
  present=no made_ca=yes
elif [ ! -f "$out/ca.crt" ]; then
  fail "$out/ca.crt is missing beside its ca.key: put it back, or move ca.key away to begin with a new CA"
fi
is_certificate "$out/ca.crt" ||
  fail "$out/ca.crt is not a certificate: put the CA back, or move ca.crt and ca.key away to begin with a new CA"

if [ "$present" = yes ] && [ "$force" = no ]; then
  unfit=$(why_unfit)
  if [ -z "$unfit" ]; then
    echo "kept $out/tls.crt; --force makes a new one"
    exit 0
  fi
  # A CA that is in use must not be replaced because its key is kept elsewhere, as it should be.
  [ ! -f "$out/ca.key" ] || fail "$unfit; generate.sh with the same options and --force makes a new certificate"
fi
require_signer
make_certificate
echo "wrote $out/tls.crt for $sans"
