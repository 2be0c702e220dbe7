#!/usr/bin/env bash
# Measures sidetap-webhook over TLS: throughput and latency, handshakes, memory, idle connections.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: webhook.sh [--program FILE] [--seconds N] [--idle N] [--threads N]

Starts the webhook on free ports with throw-away certificates and prints a table. Needs wrk, openssl and python3.

  --program FILE  sidetap-webhook                       (default build/release/bin/sidetap-webhook)
  --seconds N     length of each measurement with wrk   (default 5)
  --idle N        idle TLS connections to hold          (default 10000)
  --threads N     threads of the webhook                (default 2)
USAGE
}

root=$(cd "$(dirname "$0")/../.." && pwd)
program=$root/build/release/bin/sidetap-webhook seconds=5 idle=10000 threads=2
. "$(dirname "$0")/options.sh"
read_options '' 'program seconds idle threads' '' "$@"
check_values '[1-9][0-9]*' 'a whole number from 1 on' seconds idle threads
need_commands 'wrk openssl python3' wrk openssl python3
[ -x "$program" ] || refuse "no program $program: build it first"

work=$(mktemp -d)
webhook=
cleanup() {
  [ -z "$webhook" ] || kill "$webhook" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

"$root/certs-scripts/generate.sh" --out "$work/certs" --san 127.0.0.1 >/dev/null
echo 'sensor: {address: 192.0.2.1}' >"$work/config.yaml"

# A review of 3 KB as a controller's pod has it, and one of a 1 MB pod.
python3 - "$work" <<'PYTHON'
import json
import sys


def review(variables, size):
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-7d4b9c6f5d-", "labels": {"app": "web", "tier": "front"},
                     "annotations": {"sidetap.io/inject": "true"},
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5d",
                                          "uid": "f3a0c3f2-7d0e-4a9c-9d1b-000000000000", "controller": True}]},
        "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:1.2.3",
                                 "env": [{"name": f"SETTING_{n}", "value": "v" * size} for n in range(variables)],
                                 "resources": {"limits": {"cpu": "1", "memory": "256Mi"}}}]},
    }
    return json.dumps({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                    "kind": {"group": "", "version": "v1", "kind": "Pod"},
                    "resource": {"group": "", "version": "v1", "resource": "pods"},
                    "namespace": "shop", "operation": "CREATE",
                    "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
                    "object": pod, "dryRun": False}})


for name, text in (("small", review(32, 20)), ("large", review(1000, 1000))):
    with open(f"{sys.argv[1]}/{name}.json", "w", encoding="utf-8") as file:
        file.write(text)
PYTHON

for name in small large; do
  cat >"$work/$name.lua" <<LUA
local file = io.open("$work/$name.json")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "application/json"
LUA
done
sed 's/^wrk.headers.*/&\nwrk.headers["Connection"] = "close"/' "$work/small.lua" >"$work/close.lua"

"$program" serve --listen 127.0.0.1:0 --status-listen 127.0.0.1:0 --tls-cert "$work/certs/tls.crt" \
  --tls-key "$work/certs/tls.key" --config "$work/config.yaml" --threads "$threads" --drain-seconds 0 \
  --max-connections 100000 2>"$work/log" &
webhook=$!
port=
for _ in $(seq 100); do
  port=$(sed -n 's/.*"serving admission reviews","port":\([0-9]*\).*/\1/p' "$work/log")
  [ -z "$port" ] || break
  kill -0 "$webhook" 2>/dev/null || { cat "$work/log" >&2 && exit 1; }
  sleep 0.05
done
url=https://127.0.0.1:$port/inject/pod

resident() { awk '/^VmRSS:/ {printf "%.1f MB", $2 / 1024}' "/proc/$webhook/status"; }
row() { printf '%-34s %12s %12s %12s %12s\n' "$@"; }
# measure TITLE SCRIPT CONNECTIONS
measure() {
  wrk -t1 -c"$3" -d"${seconds}s" --latency -s "$work/$2.lua" "$url" >"$work/wrk" &
  local load=$! memory
  sleep "$(awk "BEGIN {print $seconds / 2}")"
  memory=$(resident)
  wait "$load"
  if grep -q 'Non-2xx\|Socket errors' "$work/wrk"; then
    cat "$work/wrk" >&2
    exit 1
  fi
  row "$1" "$(awk '/^Requests\/sec/ {printf "%.0f", $2}' "$work/wrk")" \
    "$(awk '$1 == "50%" {print $2}' "$work/wrk")" "$(awk '$1 == "99%" {print $2}' "$work/wrk")" "$memory"
}

echo "sidetap-webhook, $threads threads, $(nproc) CPUs shared with the load, load average $(cut -d' ' -f1 /proc/loadavg)"
row "" "requests/s" "p50" "p99" "resident"
row "at rest" "" "" "" "$(resident)"
measure "3 KB review, 1 connection" small 1
measure "3 KB review, 64 connections" small 64
measure "1 MB pod, 1 connection" large 1
measure "full handshake each, 16 at a time" close 16
sleep 3
row "at rest again" "" "" "" "$(resident)"

ulimit -n "$(ulimit -Hn)"
python3 - "$port" "$idle" "$work/certs/ca.crt" "$webhook" <<'PYTHON'
import pathlib
import socket
import ssl
import sys

port, number, authority, process = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=authority)


def resident():
    for line in pathlib.Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def ask(connection):
    connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection.recv(4096).startswith(b"HTTP/1.1 404 ")


before = resident()
held = []
for n in range(number):
    # Several addresses, for one has not ports enough.
    plain = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{1 + n // 20000}", 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held.append(context.wrap_socket(plain, server_hostname="127.0.0.1"))
after = resident()
alive = sum(ask(connection) for connection in held)
print(f"{number} idle connections held: {after / 1024:.1f} MB resident, "
      f"{(after - before) / number:.1f} KB each; {alive} of them answered afterwards")
sys.exit(0 if alive == number else 1)
PYTHON
