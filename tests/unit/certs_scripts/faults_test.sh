#!/usr/bin/env bash
# What must hold of certs-scripts/ where what they are given or find is wrong, and where they are stopped half-way.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
scripts=$(cd "$here/../../../certs-scripts" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/../../support/expect.sh"
. "$here/signals.sh"

good=$work/good
"$scripts/generate.sh" --out "$good" --san localhost --san 10.1.2.3 --san fd00::1 >/dev/null
generate() { "$scripts/generate.sh" --out "$folder" "$@"; }
verify() { "$scripts/verify.sh" --dir "$folder" "$@"; }

# begin_anew: a copy of the good set in $folder, to be spoiled.
folder=$work/spoiled
begin_anew() {
  rm -rf "$folder"
  cp -r "$good" "$folder"
}
sum() { cat "$folder"/ca.crt "$folder"/ca.key "$folder"/tls.crt "$folder"/tls.key | sha256sum; }
# refused NAME TEXT COMMAND...: exit 2, a single line that holds TEXT, and no file changed or left behind.
refused() {
  local name=$1 text=$2 before lines
  shift 2
  before=$(sum)
  expect 2 "$name is refused" "$@"
  lines=$(wc -l <"$work/output")
  [ "$lines" -eq 1 ] || fail_line "$name: $lines lines instead of one"
  says "$text" || { fail_line "$name: no word about \"$text\""; sed 's/^/      /' "$work/output"; }
  [ "$before" = "$(sum)" ] || fail_line "$name: files have changed"
  [ "$(find "$folder" -mindepth 1 | wc -l)" -eq 4 ] || fail_line "$name: something was left behind"
}

# Values.
begin_anew
for address in 999.1.1.1 1.2.3 1.2.3.4.5 01.2.3.4 1.2.3.256 1..2.3 . 12 :: fd00:::1 fd00::1::2 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 fd00::12345 \
  fd00::g fd00::1.2.3.999 ::1.2.3.4:5; do
  [ "$address" = :: ] || refused "--san $address" "$address" generate --force --san "$address"
done
for name in -x x- a..b .a a. '*' 'a.*' 'a*.b' '*.*.b' "$(printf 'a%.0s' $(seq 64))" 'a b' 'a,b' 'a/b' "$(printf 'a.%.0s' $(seq 130))a"; do
  refused "--san $name" "DNS name" generate --force --san "$name"
done
for name in 'a:b' '*' ../x A a_b -a; do
  refused "--namespace $name" "$name" generate --force --namespace "$name"
done
for days in 08 010 0 3651 -1 1.5 1e3 '' ' 5' 99999999999; do
  refused "--days '$days'" "--days" generate --force --days "$days"
  refused "--min-days '$days'" "--min-days" verify --min-days "${days/#0/00}x"
done
refused "--min-days 08" "without leading zeros" verify --min-days 08
expect 0 "every kind of name is accepted" generate --force --san ::1 --san :: --san fd00:1:2:3:4:5:6:7 --san ::ffff:1.2.3.4 --san 0.0.0.0 \
  --san '*.example.com' --san a.b-c.example --san 9a.example --san 255.255.255.255 --san FD00::A
expect 0 "and kept as long as it is named" generate --san FD00::A --san '*.example.com' --san 255.255.255.255

# What lies in the folder.
begin_anew
"$scripts/generate.sh" --out "$work/other" >/dev/null
cp "$work/other/ca.key" "$folder/ca.key"
refused "the key of another CA" "ca.key does not belong to .*ca.crt" generate --force
for file in ca.crt ca.key; do
  for content in '' 'no PEM'; do
    begin_anew
    printf '%s' "$content" >"$folder/$file"
    refused "a $file that holds '$content'" "$file is not a" generate --force
  done
done
for file in tls.crt tls.key; do
  for content in '' 'no PEM'; do
    begin_anew
    printf '%s' "$content" >"$folder/$file"
    refused "a $file that holds '$content'" "$file is not a.* --force" generate
    expect 0 "and --force makes a new one" generate --force
    expect 0 "which verifies" verify
  done
done
begin_anew
cp "$work/other/tls.key" "$folder/tls.key"
refused "a tls.key that does not belong to tls.crt" "tls.key does not belong to .*tls.crt.* --force" generate
begin_anew
cp "$work/other/tls.key" "$work/other/tls.crt" "$folder"
refused "a tls.crt of another CA" "ca.crt does not sign .*tls.crt.* --force" generate
begin_anew
refused "a kept tls.crt that lacks a name" "does not name other.example.* --force" generate --san other.example
refused "a kept tls.crt that lacks an address" "does not name 10.1.2.4.* --force" generate --san 10.1.2.4
refused "a kept tls.crt of another Service" "does not name other.* --force" generate --service other
faketime '-3600 days' "$scripts/generate.sh" --out "$work/old" --days 10 >/dev/null
cp "$work/old"/* "$folder"
refused "a kept tls.crt that has expired" "tls.crt: certificate has expired.* --force" generate
expect 0 "a chain that has only expired is a chain" bash -c "'$scripts/verify.sh' --dir '$folder' | grep -qx 'ok    tls.crt is signed by ca.crt'"
expect 1 "and has expired" verify --min-days 0
says "FAIL  tls.crt is valid now (" || fail_line "which is told as such"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$folder/ca.key" -out "$folder/ca.crt" -subj /CN=x \
  -addext basicConstraints=critical,CA:FALSE -days 4000 2>/dev/null
refused "a ca.crt that is no CA" "ca.crt cannot sign" generate --force
cp "$work/old"/* "$folder"
refused "a certificate that outlives its CA" "fewer --days" generate --force --days 365

# Words of verify.sh.
begin_anew
expect 0 "a valid certificate" verify --min-days 0
says "ok    tls.crt is valid now (until " || fail_line "is called valid, not valid for 0 days"
expect 0 "a day is one day" verify --min-days 1
says "for at least 1 more day (until " || fail_line "in the singular"
expect 1 "more days than are left" verify --min-days 400
says "FAIL  tls.crt is valid for at least 400 more days (until " || fail_line "are told"
expect 1 "a certificate from the future" faketime '-2 days' "$scripts/verify.sh" --dir "$folder" --min-days 0
says "FAIL  tls.crt is valid now (from " || fail_line "is not valid yet"
says "ok    tls.crt is signed by ca.crt" || fail_line "though it is signed"

# Signals.
for signal in HUP:129 INT:130 QUIT:131 TERM:143; do
  begin_anew
  before=$(sum)
  expect "${signal#*:}" "${signal%:*} ends the work" ended_by "${signal%:*}" pkcs8 "$scripts/generate.sh" --out "$folder" --force
  expect 0 "and changes nothing" test "$before" = "$(sum)"
  expect 0 "and leaves no key behind" test "$(find "$folder" -mindepth 1 | wc -l)" = 4
done

expect 0 "shellcheck finds nothing" shellcheck -x -P "$scripts/.." -P "$here" "$scripts"/*.sh "$here"/*.sh
finish
