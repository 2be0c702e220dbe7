#!/usr/bin/env bash
# What must hold of certs-scripts/, with openssl as the judge.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
scripts=$(cd "$here/../../../certs-scripts" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/../../support/expect.sh"

generate() { "$scripts/generate.sh" --out "$work/certs" "$@"; }
verify() { "$scripts/verify.sh" --dir "$work/certs" "$@"; }
fingerprint() { openssl x509 -in "$work/certs/$1" -noout -fingerprint -sha256; }

expect 0 "makes a set" generate --san localhost --san 127.0.0.1 --san ::1
expect 0 "which verifies" verify
expect 0 "private keys are for their owner alone" \
  bash -c "[ \"\$(stat -c %a '$work/certs/tls.key' '$work/certs/ca.key' | sort -u)\" = 600 ]"
expect 0 "names every address given" \
  bash -c "openssl x509 -in '$work/certs/tls.crt' -noout -checkip ::1 | grep -q 'does match'"
expect 1 "another Service is not named" verify --service other
expect 1 "too few days are told" verify --min-days 4000

before=$(fingerprint tls.crt)
expect 0 "a second run" generate
expect 0 "keeps what is there" test "$before" = "$(fingerprint tls.crt)"
authority=$(fingerprint ca.crt)
expect 0 "--force" generate --force --days 3
expect 1 "makes a new certificate" test "$before" = "$(fingerprint tls.crt)"
expect 0 "of the same CA" test "$authority" = "$(fingerprint ca.crt)"
expect 1 "three days are under the threshold" verify
expect 0 "unless it is lower" verify --min-days 1

mv "$work/certs/ca.key" "$work/kept.key"
current=$(fingerprint tls.crt)
expect 0 "without the CA's key" generate
expect 0 "a good certificate is kept" test "$current" = "$(fingerprint tls.crt)"
expect 2 "and none can be made" generate --force
says "put it back" || fail_line "which says what to do"
mv "$work/certs/tls.crt" "$work/kept.crt"
expect 2 "nor where there is none" generate
expect 0 "the CA is never replaced" test "$authority" = "$(fingerprint ca.crt)"
mv "$work/kept.crt" "$work/certs/tls.crt"
mv "$work/kept.key" "$work/certs/ca.key"
mv "$work/certs/ca.crt" "$work/kept.crt"
expect 2 "a key without its CA is an error" generate
mv "$work/kept.crt" "$work/certs/ca.crt"

# Each name that the API server or a tap may use is looked for.
names="sidetap-webhook sidetap-webhook.sidetap-system sidetap-webhook.sidetap-system.svc
  sidetap-webhook.sidetap-system.svc.cluster.local sidetap-registry sidetap-registry.sidetap-system
  sidetap-registry.sidetap-system.svc sidetap-registry.sidetap-system.svc.cluster.local"
mkdir "$work/short"
cp "$work/certs/ca.crt" "$work/certs/tls.key" "$work/short"
openssl req -new -key "$work/certs/tls.key" -subj /CN=x -out "$work/csr"
for missing in $names; do
  sans=''
  for name in $names; do [ "$name" = "$missing" ] || sans="$sans${sans:+,}DNS:$name"; done
  openssl x509 -req -in "$work/csr" -CA "$work/certs/ca.crt" -CAkey "$work/certs/ca.key" -days 30 \
    -extfile <(echo "subjectAltName=$sans") -out "$work/short/tls.crt" 2>/dev/null
  expect 1 "a certificate without $missing is found" "$scripts/verify.sh" --dir "$work/short"
  says "FAIL  tls.crt names $missing\$" || fail_line "and the name is told"
done
"$scripts/generate.sh" --out "$work/certs" --registry other --force >/dev/null
expect 0 "where there is no registry its names are not asked for" verify --no-registry
expect 0 "nor those of another" verify --registry other
"$scripts/generate.sh" --out "$work/certs" --force --days 3 >/dev/null

mkdir "$work/other" && "$scripts/generate.sh" --out "$work/other" >/dev/null
cp "$work/other/tls.key" "$work/certs/tls.key"
expect 1 "a foreign key is found" verify --min-days 1
says "FAIL  tls.key belongs" || fail_line "and named"
cp "$work/other/ca.crt" "$work/certs/ca.crt"
expect 1 "a foreign CA is found" verify --min-days 1
says "FAIL  tls.crt is signed" || fail_line "and named"

long=$(printf 'a%.0s' $(seq 63))
expect 0 "names longer than a common name holds" \
  "$scripts/generate.sh" --out "$work/long" --service "$long" --namespace "$long"
expect 0 "verify too" "$scripts/verify.sh" --dir "$work/long" --service "$long" --namespace "$long"
expect 2 "no folder is an error" "$scripts/generate.sh"
expect 2 "a wrong number is an error" generate --days soon
expect 2 "an injected extension is an error" generate --san 'x,CA:TRUE'
expect 0 "shellcheck finds nothing" shellcheck -x -P "$scripts/.." "$scripts"/generate.sh "$scripts"/verify.sh "$scripts"/install.sh "$scripts"/rotate.sh

finish
