#!/usr/bin/env bash
# What must hold of install.sh and rotate.sh, with a fake cluster behind kubectl and openssl as the judge.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
scripts=$(cd "$here/../../../certs-scripts" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/cluster"
cp "$here/fake_kubectl.py" "$work/bin/kubectl"
# Pods and their answers are near: rotate.sh asks after a tenth of a second each time.
printf '#!/bin/sh\nexec /bin/sleep 0.1\n' >"$work/bin/sleep"
chmod +x "$work/bin/sleep"
export PATH="$work/bin:$PATH" FAKE_CLUSTER="$work/cluster"
. "$here/../../support/expect.sh"
. "$here/signals.sh"

install() { "$scripts/install.sh" --dir "$work/certs" "$@"; }
rotate() { "$scripts/rotate.sh" --dir "$work/certs" --settle 0 --timeout 250 "$@"; }
in_secret() { /usr/bin/python3 -S -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]], end="")' "$work/cluster/secret.json" "$1"; }
bundle() {
  /usr/bin/python3 -S -c 'import base64,json,sys
bundles = set(json.load(open(sys.argv[1])).values())
assert len(bundles) == 1, "entries differ"
print(base64.b64decode(bundles.pop()).decode(), end="")' "$work/cluster/bundles.json"
}
authorities() { bundle | grep -c BEGIN; }
served_alike() {
  /usr/bin/python3 -S -c 'import json,sys
pods = {pod["tls.crt"] for pod in json.load(open(sys.argv[1])).values()}
sys.exit(pods != {open(sys.argv[2]).read()})' "$work/cluster/pods.json" "$work/certs/tls.crt"
}
no_forward_left() {
  local process
  while read -r process; do ! kill -0 "$process" 2>/dev/null || return 1; done <"$work/cluster/forwards"
}
no_failed_handshake() { [ ! -e "$work/cluster/failed-handshakes" ] || { cat "$work/cluster/failed-handshakes"; false; }; }

expect 2 "rotation before installation says what comes first" rotate
expect 0 "installation" install
expect 0 "writes the certificate" diff <(in_secret tls.crt) "$work/certs/tls.crt"
expect 0 "writes its key" diff <(in_secret tls.key) "$work/certs/tls.key"
expect 0 "every entry trusts the CA" diff <(bundle) "$work/certs/ca.crt"
expect 1 "the CA's key stays outside" grep -qF "$(sed -n 2p "$work/certs/ca.key")" "$work/cluster/secret.json"
expect 0 "the certificate names the registry too" \
  bash -c "openssl x509 -in '$work/certs/tls.crt' -noout -checkhost sidetap-registry.sidetap-system.svc | grep -q 'does match'"
expect 0 "what is in the cluster verifies" "$scripts/verify.sh" --cluster
expect 1 "days that are missing are told" "$scripts/verify.sh" --cluster --min-days 4000
mv "$work/cluster/secret.json" "$work/cluster/self-managed.json"
expect 0 "in the mode selfManaged too, where the Secret has another name" "$scripts/verify.sh" --cluster
expect 1 "a Secret that is named and is not there is told" "$scripts/verify.sh" --cluster --secret sidetap-webhook-tls
mv "$work/cluster/self-managed.json" "$work/cluster/secret.json"
before=$(cat "$work/cluster/secret.json" "$work/cluster/bundles.json")
expect 0 "a second installation" install
expect 0 "changes nothing" test "$before" = "$(cat "$work/cluster/secret.json" "$work/cluster/bundles.json")"

mv "$work/certs/ca.key" "$work/ca.key"
expect 0 "an installation whose CA's key lies elsewhere" install
expect 0 "changes nothing either" test "$before" = "$(cat "$work/cluster/secret.json" "$work/cluster/bundles.json")"
expect 2 "a rotation without the CA's key" rotate
says "--ca" || fail_line "tells of --ca"
mv "$work/ca.key" "$work/certs/ca.key"

cp "$work/certs/ca.crt" "$work/first-ca.crt"
cp "$work/certs/tls.crt" "$work/first-tls.crt"
touch "$work/cluster/no-pods"
expect 2 "a Service without a pod stops the rotation" rotate --timeout 0
says "no pod behind Service sidetap-system/sidetap-webhook" || fail_line "and is named"
rm "$work/cluster/no-pods"
touch "$work/cluster/mute-pods"
expect 2 "pods that show no certificate stop the rotation" rotate --timeout 0
says "webhook-a webhook-b" || fail_line "and are named"
expect 0 "and no forwarded port is left open" no_forward_left
rm "$work/cluster/mute-pods"
expect 2 "a new CA does not begin in the middle of it" rotate --ca
expect 0 "rotation" rotate
expect 0 "fails no handshake" no_failed_handshake
expect 1 "makes a new certificate" cmp -s "$work/first-tls.crt" "$work/certs/tls.crt"
expect 0 "of the same CA" cmp "$work/first-ca.crt" "$work/certs/ca.crt"
expect 0 "which alone is trusted" diff <(bundle) "$work/certs/ca.crt"
expect 0 "whose key stays where it was" test -f "$work/certs/ca.key"
expect 0 "every pod serves it" served_alike
expect 0 "the old one is kept" cmp "$work/first-tls.crt" "$work/certs/previous/tls.crt"
expect 1 "nothing is left half done" test -e "$work/certs/next"
expect 2 "a certificate does not outlive its CA" rotate --days 3651
"$scripts/generate.sh" --out "$work/stranger" >/dev/null
expect 2 "another folder's CA does not sign" "$scripts/rotate.sh" --dir "$work/stranger"
says "is not that of Secret" || fail_line "and is told"

expect 0 "rotation of the CA" rotate --ca
says "restart the tapped workloads" || fail_line "says what is to be restarted"
expect 0 "fails no handshake" no_failed_handshake
expect 1 "makes a new CA" cmp -s "$work/first-ca.crt" "$work/certs/ca.crt"
expect 0 "which alone is trusted in the end" diff <(bundle) "$work/certs/ca.crt"
expect 0 "every pod serves the new certificate" served_alike
expect 0 "the old files are kept" cmp "$work/first-ca.crt" "$work/certs/previous/ca.crt"
expect 1 "nothing is left half done" test -e "$work/certs/next"

printf 'port-forward' >"$work/cluster/fail-on"
expect 2 "pods that cannot be looked at stop the rotation" rotate --ca --timeout 0
says "webhook-a webhook-b" || fail_line "and are named"
rm "$work/cluster/fail-on"
expect 0 "both CAs stay trusted meanwhile" test "$(authorities)" = 2
expect 2 "it is not mistaken for one of the certificate" rotate
expect 0 "run again it goes on" rotate --ca
expect 0 "with one CA in the end" test "$(authorities)" = 1
expect 0 "and every pod in step" served_alike
expect 0 "still no failed handshake" no_failed_handshake

printf 'tls\\.key' >"$work/cluster/fail-on"
expect 2 "a key that cannot be read is an error" rotate --ca
says "cannot read tls.key of Secret sidetap-system/sidetap-webhook-tls" || fail_line "and is named"
rm "$work/cluster/fail-on"
expect 0 "and nothing was written in its place" served_alike

printf 'patch' >"$work/cluster/fail-on"
expect 1 "a cluster that cannot be reached is an error" rotate --ca
rm "$work/cluster/fail-on"
expect 0 "after which the rotation is repeated" rotate --ca
expect 0 "without a failed handshake" no_failed_handshake

# Whatever ends a script, no private key is left behind.
mkdir "$work/tmp"
left_behind() { find "$work/tmp" "$work/certs" -mindepth 1 \( -path "$work/tmp/*" -o -name '.*' \); }
for signal in HUP:129 INT:130 QUIT:131 TERM:143; do
  expect "${signal#*:}" "${signal%:*} ends verify.sh" \
    ended_by "${signal%:*}" pkey env TMPDIR="$work/tmp" "$scripts/verify.sh" --cluster
  expect "${signal#*:}" "${signal%:*} ends rotate.sh" \
    ended_by "${signal%:*}" pkcs8 "$scripts/rotate.sh" --dir "$work/certs" --settle 0
  expect 0 "and both leave nothing" test -z "$(left_behind)"
  rm -rf "$work/certs/next"
done
expect 141 "verify.sh ends where nobody reads it" to_nobody env TMPDIR="$work/tmp" "$scripts/verify.sh" --cluster
expect 0 "and leaves nothing" test -z "$(left_behind)"
expect 2 "days that the shell would read as octal are refused" rotate --days 08
says "without leading zeros" || fail_line "and the reason is told"
expect 2 "a settling time likewise" rotate --settle 08
expect 2 "an address that is none is refused before anything is made" install --san 999.1.1.1
says "999.1.1.1" || fail_line "and is named"

# The judge must be able to find a fault: a certificate that nobody trusts.
"$scripts/generate.sh" --out "$work/foreign" >/dev/null
expect 0 "a foreign certificate in the Secret" "$scripts/install.sh" --dir "$work/foreign"
"$work/bin/kubectl" get endpointslices >/dev/null
expect 1 "is a failed handshake" no_failed_handshake

mv "$work/cluster/secret.json" "$work/kept.json"
"$scripts/install.sh" --dir "$work/certs" >/dev/null
mv "$work/kept.json" "$work/cluster/secret.json"
expect 1 "a caBundle that is not the certificate's is found" "$scripts/verify.sh" --cluster
says "FAIL  tls.crt is signed by ca.crt" || fail_line "and named"
expect 2 "a folder and a cluster at once are refused" "$scripts/verify.sh" --cluster --dir "$work/certs"
expect 2 "a name with a slash is refused" install --secret ../x
expect 2 "an unknown option is refused" install --secert x
expect 2 "an option without a value is refused" rotate --settle
finish
