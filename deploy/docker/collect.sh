#!/bin/sh
# Gathers a program and all that it needs at run time into a folder that becomes an image.
set -eu

usage() {
  cat <<'USAGE'
Usage: collect.sh PROGRAM FOLDER
Copies PROGRAM to FOLDER/usr/bin, its shared libraries to where it looks for them, and the few files of /etc that name
look-ups need. Fails if a library is missing.
USAGE
}

case "${1:-}" in -h|--help) usage; exit 0 ;; esac
[ $# -eq 2 ] || { usage >&2; exit 2; }
program=$1 folder=$2

mkdir -p "$folder/usr/bin" "$folder/etc" "$folder/usr/share/doc/sidetap"
cp "$program" "$folder/usr/bin/"

# "name => /path (address)" for a library, "/path (address)" for the loader.
libraries=$(ldd "$program")
if echo "$libraries" | grep 'not found' >&2; then exit 1; fi
echo "$libraries" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | sort -u | while read -r library; do
  mkdir -p "$folder$(dirname "$library")"
  cp -L "$library" "$folder$library"
done

echo 'hosts: files dns' >"$folder/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$folder/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$folder/etc/group"
[ ! -f LICENSE ] || cp LICENSE "$folder/usr/share/doc/sidetap/"
