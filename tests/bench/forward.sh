#!/usr/bin/env bash
# Measures what forwarding costs a tap, and what it loses: a pod and its node as network namespaces,
# iperf3 between them, the tap in the pod, the reference sensor on a link of its own.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/bench/forward.sh [OPTION...]
Runs each kind of traffic past each tap, one after the other, and prints a table.
  -h, --help         this text
  --bin DIR          where the programs are (default: build/release/bin)
  --seconds N        length of each measurement (default: 10)
  --runs N           repetitions (default: 1)
  --kinds LIST       of udp1400 udp18 tcp mixed low soak, separated by commas (default: all but soak)
                     udp1400: 1400-byte datagrams at full rate; udp18: 18-byte payloads at full
                     rate; tcp: one stream limited to 2 Gbit/s; mixed: 8 streams of small writes and
                     a datagram flow; low: 200 datagrams a second, for the latency; soak: one stream
                     limited to 1 Gbit/s, with --seconds 600 for instance, to see memory grow
  --data udp|tcp     how packets go to the sensor (default: udp)
  --args 'TEXT'      more arguments for sidetap-sidecar run
  --tap NAME=COMMAND measure another tap too; in COMMAND, {sensor} is the sensor's address, {port}
                     its port and {interface} the interface to capture. May be repeated.
  --only             leave sidetap-sidecar out
  --keep DIR         keep logs and figures there
Needs root, iperf3, iproute2 and python3.

Columns: offered = packets on the pod's interface while the traffic ran (its own counters); arrived =
at the sensor; ring = lost in the kernel's capture ring (STATS); tap = dropped by the tap, by its own
ledger; way = lost between tap and sensor, by packet numbers; CPU is the tap's user and system time;
ns/byte is CPU by byte that arrived; RSS before and at the end of the traffic; latency from the tap's
time stamp to the sensor. An offloaded packet counts as one when offered; a tap that splits it sends
more than that.
USAGE
}

here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../../build/release/bin
seconds=10
runs=1
kinds=udp1400,udp18,tcp,mixed,low
data=udp
arguments=
taps=()
own=yes
keep=

while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --only) own=no; shift; continue ;;
    --bin|--seconds|--runs|--kinds|--data|--args|--tap|--keep)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
      case "$1" in
        --bin) bin=$2 ;;
        --seconds) seconds=$2 ;;
        --runs) runs=$2 ;;
        --kinds) kinds=$2 ;;
        --data) data=$2 ;;
        --args) arguments=$2 ;;
        --tap) taps+=("$2") ;;
        --keep) keep=$2 ;;
      esac
      shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done

for number in "$seconds" "$runs"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "--seconds and --runs take whole numbers" >&2; exit 2; }
done
for kind in ${kinds//,/ }; do
  [[ " udp1400 udp18 tcp mixed low soak " == *" $kind "* ]] || { echo "no such kind: $kind" >&2; exit 2; }
done
for program in ip iperf3 python3; do
  command -v "$program" >/dev/null || { echo "missing: $program (apt-get install iproute2 iperf3 python3)" >&2; exit 2; }
done
[ "$(id -u)" -eq 0 ] || { echo "needs root, for network namespaces" >&2; exit 2; }
bin=$(cd "$bin" && pwd)
[ -x "$bin/sidetap-sensor" ] || { echo "no sidetap-sensor in $bin: build it first" >&2; exit 2; }

pod_side=10.91.0.2
sensor=10.91.0.1
port=2003
interface=eth0
pod=sidetap-bench-$$-pod
node=sidetap-bench-$$-node
folder=$(mktemp -d)
running=()

stop() {  # stop PID: ends one of our processes, or with -PID its group, and waits for it
  kill -TERM -- "$1" 2>/dev/null || true
  for _ in $(seq 50); do
    kill -0 -- "$1" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL -- "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

cleanup() {
  local pid
  for pid in "${running[@]}"; do stop "$pid"; done
  ip netns del "$pod" 2>/dev/null || true
  ip netns del "$node" 2>/dev/null || true
  if [ -n "$keep" ]; then
    mkdir -p "$keep"
    cp -r "$folder/." "$keep/"
  fi
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

make_namespaces() {
  ip netns add "$pod"
  ip netns add "$node"
  ip -n "$pod" link add "$interface" type veth peer name pod0 netns "$node"
  ip -n "$pod" link add data0 type veth peer name sensor0 netns "$node"
  ip -n "$pod" addr add 10.90.0.2/24 dev "$interface"
  ip -n "$node" addr add 10.90.0.1/24 dev pod0
  ip -n "$pod" addr add "$pod_side/24" dev data0
  ip -n "$node" addr add "$sensor/24" dev sensor0
  local link
  for link in "$interface" data0 lo; do ip -n "$pod" link set "$link" up; done
  for link in pod0 sensor0 lo; do ip -n "$node" link set "$link" up; done
}

# The processes of a tap: it leads a session, since some taps fork and some signal their group.
# Fields by proc(5); the second may hold blanks, so they are counted from behind its parenthesis.
all_stats() { { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed 's/.*) //'; }
cpu_ticks() {  # user and system time, of children that have ended too
  all_stats | awk -v session="$1" '$4 == session {sum += $12 + $13 + $14 + $15} END {print sum + 0}'
}

resident() {  # KiB
  all_stats | awk -v session="$1" -v page="$(getconf PAGESIZE)" \
    '$4 == session {sum += $22} END {print int(sum * page / 1024)}'
}

interface_packets() {
  ip -n "$pod" -j -s link show "$interface" |
    python3 -c 'import json, sys; s = json.load(sys.stdin)[0]["stats64"]; print(s["rx"]["packets"] + s["tx"]["packets"])'
}

client() { ip netns exec "$pod" iperf3 -c 10.90.0.1 -t "$seconds" "$@" >>"$run/iperf3.log" 2>&1; }

send_traffic() {
  case "$1" in
    udp1400) client -u -b 0 -l 1400 ;;
    udp18) client -u -b 0 -l 18 ;;
    tcp) client -b 2G ;;
    mixed)
      client -p 5202 -u -b 100M -l 200 &
      local other=$!
      client -P 8 -N -l 256 -b 20M
      wait "$other" ;;
    low) client -u -b 320K -l 200 ;;
    soak) client -b 1G ;;
  esac
}

wait_for_line() {  # wait_for_line TEXT FILE
  for _ in $(seq 300); do
    grep -q "$1" "$2" && return 0
    sleep 0.1
  done
  echo "no '$1' in $2 after 30 s:" >&2
  tail -n 20 "$run"/*.log >&2
  return 1
}

measure() {  # measure NAME KIND RUN COMMAND...
  local name=$1 kind=$2 number=$3 server tap collector
  shift 3
  run=$folder/$name.$kind.$number
  mkdir "$run"
  running=()
  for server in 5201 5202; do
    ip netns exec "$node" iperf3 -s -p "$server" >"$run/iperf3-server-$server.log" 2>&1 &
    running+=($!)
  done
  ip netns exec "$node" "$bin/sidetap-sensor" active --listen "$sensor:$port" --data "$data" \
    --stats-every 1 --json "$run/sensor.json" >"$run/sensor.log" 2>&1 &
  collector=$!
  running+=("$collector")
  wait_for_line listening "$run/sensor.log"
  ip netns exec "$pod" setsid "$@" >"$run/tap.log" 2>&1 &
  tap=$!
  disown  # a tap that has to be killed is no news
  running+=("-$tap")
  wait_for_line capturing "$run/sensor.log"
  sleep 1

  local ticks packets start end idle busy
  idle=$(resident "$tap")
  ticks=$(cpu_ticks "$tap")
  packets=$(interface_packets)
  start=$(date +%s.%N)
  send_traffic "$kind"
  end=$(date +%s.%N)
  packets=$(($(interface_packets) - packets))
  sleep 1.3  # what is under way arrives, and the last STATS is asked for
  ticks=$(($(cpu_ticks "$tap") - ticks))
  busy=$(resident "$tap")
  stop "-$tap"
  sleep 0.3
  stop "$collector"
  for server in "${running[@]:0:2}"; do stop "$server"; done
  running=()
  cat >"$run/figures.json" <<FIGURES
{"tap": "$name", "kind": "$kind", "run": $number, "offered": $packets, "ticks": $ticks,
 "ticks_per_second": $(getconf CLK_TCK), "elapsed": $(python3 -c "print($end - $start)"),
 "idle_kib": $idle, "busy_kib": $busy}
FIGURES
  python3 "$here/forward_table.py" --row "$run"
}

make_namespaces
echo "machine: $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"
echo "load at the start: $(cut -d' ' -f1-3 /proc/loadavg)"
python3 "$here/forward_table.py" --head
for number in $(seq "$runs"); do
  for kind in ${kinds//,/ }; do
    if [ "$own" = yes ]; then
      # shellcheck disable=SC2086  # several arguments are meant
      measure sidetap "$kind" "$number" "$bin/sidetap-sidecar" run --sensor "$sensor:$port" \
        --interface "$interface" --pod-ips 10.90.0.2 --pod-subnets 10.90.0.0/24 $arguments
    fi
    for entry in "${taps[@]}"; do
      command=${entry#*=}
      command=${command//\{sensor\}/$sensor}
      command=${command//\{port\}/$port}
      command=${command//\{interface\}/$interface}
      # shellcheck disable=SC2086
      measure "${entry%%=*}" "$kind" "$number" $command
    done
  done
done
