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
