#!/usr/bin/env bash
# Measures what a collector costs, how many taps it bears, and how long a packet takes through it: taps, collector and
# sensor in network namespaces of their own.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/bench/collector.sh [OPTION...]
Measures each row several times, and prints a table of the medians beside their targets.
  -h, --help        this text
  --bin DIR         where the programs are (default: build/release/bin)
  --seconds N       length of each measurement (default: 10)
  --runs N          rounds (default: 3)
  --rows LIST       what to measure, separated by commas (default: large,small,sessions,latency,dies,straight).
                    large, small: what the collector uses for a byte of packets of 1442 bytes, and for a packet of 60
                    bytes; sessions: thousands of taps that are idle, and that all come back at once; latency: from a
                    real tap through the collector to the sensor, at 200 packets a second; dies: until a tap forwards
                    elsewhere when its collector is killed; straight: a real tap and the sensor without a collector
                    between them, by forward.sh
  --taps N          idle taps (default: 10000)
  --senders N       taps that share the packets of large and small (default: 100)
  --large-rate N    packets a second of large, of all taps (default: 100000)
  --small-rate N    the same of small (default: 400000)
  --data udp|tcp    how taps send to the collector (default: udp)
  --results FILE    append a line of JSON for each measurement
  --smoke           only show that it works: few taps, little traffic
  --keep DIR        keep logs and figures there
Needs root, iproute2 and python3, and iperf3 for straight.

All programs share the machine's processors, so costs are the collector's own time on them (schedstat), without what the
kernel does for it in others' time. Choose rates at which nothing is lost. Each tap takes one of the collector's
descriptors, and with --data tcp two. No process can have more than its hard limit (ulimit -Hn): the collector raises its
own limit that far by itself, and tap_load runs in several processes. Where the hard limit is too low for --taps, there
are fewer, and the table says how many.
USAGE
}

here=$(cd "$(dirname "$0")" && pwd)
. "$here/processes.sh"
bin=$here/../../build/release/bin
seconds=10 runs=3 rows=large,small,sessions,latency,dies,straight
taps=10000 senders=100 large_rate=100000 small_rate=400000 data=udp
results='' smoke='' keep=''

while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --smoke) smoke=yes; shift; continue ;;
    --bin|--seconds|--runs|--rows|--taps|--senders|--large-rate|--small-rate|--data|--results|--keep)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
      case "$1" in
        --bin) bin=$2 ;;
        --seconds) seconds=$2 ;;
        --runs) runs=$2 ;;
        --rows) rows=$2 ;;
        --taps) taps=$2 ;;
        --senders) senders=$2 ;;
        --large-rate) large_rate=$2 ;;
        --small-rate) small_rate=$2 ;;
        --data) data=$2 ;;
        --results) results=$(realpath -m "$2") ;;
        --keep) keep=$2 ;;
      esac
      shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done

for number in "$seconds" "$runs" "$taps" "$senders" "$large_rate" "$small_rate"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "times, rounds, taps and rates are whole numbers" >&2; exit 2; }
done
idle_seconds=$((seconds > 40 ? seconds : 40))  # each tap is asked for its counts every 30 s
[ -z "$smoke" ] || { seconds=1 idle_seconds=1 runs=1 taps=200 senders=20 large_rate=2000 small_rate=2000; }
for row in ${rows//,/ }; do
  [[ $row =~ ^(large|small|sessions|latency|dies|straight)$ ]] || { echo "no such row: $row" >&2; exit 2; }
done
[[ $data =~ ^(udp|tcp)$ ]] || { echo "--data: udp or tcp" >&2; exit 2; }
for program in ip python3; do
  command -v "$program" >/dev/null || { echo "missing: $program (apt-get install iproute2 python3)" >&2; exit 2; }
done
[ "$(id -u)" -eq 0 ] || { echo "needs root, for network namespaces" >&2; exit 2; }
python=$(python3 -c "import sys; print(sys.executable)")  # itself: a shim of it may take a second to start
bin=$(cd "$bin" && pwd)
for program in sidetap-sidecar sidetap-sensor tap_load; do
  [ -x "$bin/$program" ] || { echo "no $program in $bin: build it first" >&2; exit 2; }
done

# Descriptors that a process needs beside those of its taps.
spare=128
most=$(ulimit -Hn)
[ "$most" != unlimited ] || most=1048576
each=1
[ "$data" = udp ] || each=2
if [ $((taps * each + spare)) -gt "$most" ]; then
  taps=$(((most - spare) / each))
  echo "the hard limit of descriptors is $most: $taps taps"
fi
processes=$(((2 * taps + most - spare - 1) / (most - spare)))

prefix=sidetap-bench-$$
folder=$(mktemp -d)
run=$folder
running=()
tap_side=10.91.0.2 collector_address=10.91.0.1 other_address=10.91.0.3
sensor=10.92.0.1
pod_address=10.90.0.2 peer=10.90.0.1

remove_spaces() {  # those that are there: it also cleans up after a row that failed half-way
  local name
  for name in taps collector sensor peer; do ip netns del "$prefix-$name" 2>/dev/null || true; done
}

cleanup() {
  local pid
  for pid in "${running[@]}"; do stop "$pid"; done
  remove_spaces
  if [ -n "$keep" ]; then
    mkdir -p "$keep"
    cp -r "$folder/." "$keep/"
  fi
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

within() { ip netns exec "$prefix-$1" "${@:2}"; }

connect() {  # connect NAME DEVICE ADDRESS OTHER-NAME DEVICE ADDRESS
  ip -n "$prefix-$1" link add "$2" type veth peer name "$5" netns "$prefix-$4"
  ip -n "$prefix-$1" addr add "$3/24" dev "$2"
  ip -n "$prefix-$4" addr add "$6/24" dev "$5"
  ip -n "$prefix-$1" link set "$2" up
  ip -n "$prefix-$4" link set "$5" up
}

# The pod's own traffic has a link of its own, like each of the two hops.
make_spaces() {
  local name
  for name in taps collector sensor peer; do
    ip netns add "$prefix-$name"
    ip -n "$prefix-$name" link set lo up
    within "$name" sh -c 'cd /proc/sys/net && { [ ! -d ipv6 ] || echo 1 | tee ipv6/conf/all/disable_ipv6 \
      >ipv6/conf/default/disable_ipv6; }'
  done
  connect taps data0 "$tap_side" collector taps0 "$collector_address"
  connect collector out0 10.92.0.2 sensor in0 "$sensor"
  connect taps eth0 "$pod_address" peer pod0 "$peer"
  ip -n "$prefix-collector" addr add "$other_address/24" dev taps0
  # Every address in there is one of the taps', without being counted up.
  ip -n "$prefix-taps" route add local 10.128.0.0/16 dev lo
  ip -n "$prefix-collector" route add 10.128.0.0/16 via "$tap_side"
}

cpu_ns() {  # of all threads of a process
  cat "/proc/$1"/task/*/schedstat | awk '{sum += $1} END {printf "%.0f\n", sum}'
}
resident_kib() { awk '/^VmRSS:/ {print $2}' "/proc/$1/status"; }

wait_until_idle() {  # wait_until_idle PID: until it uses less than a hundredth of a processor
  local before=0 now
  for _ in $(seq 10); do
    now=$(cpu_ns "$1")
    [ $((now - before)) -ge 2000000 ] || break
    before=$now
    sleep 0.2
  done
}

start_sensor() {
  ip netns exec "$prefix-sensor" "$bin/sidetap-sensor" active --listen "$sensor:2003" --read-timeout 10 --json "$run/sensor.json" \
    >"$run/sensor.log" 2>&1 &
  sensor_process=$!
  running+=("$sensor_process")
  wait_for_line listening "$run/sensor.log"
}

start_collector() {  # start_collector ADDRESS NAME: its process is then in $collector
  ip netns exec "$prefix-collector" "$bin/sidetap-sidecar" collect --listen "$1:2003" --data "$data" --sensor "$sensor:2003" \
    --pod-name "$2" --pod-namespace bench >"$run/$2.log" 2>&1 &
  collector=$!
  running+=("$collector")
  wait_for_line "waiting for taps" "$run/$2.log"
  wait_for_line "forwarding to sensor" "$run/$2.log"
}

start_load() {  # start_load OPTION...
  ip netns exec "$prefix-taps" "$bin/tap_load" --collector "$collector_address:2003" "$@" >"$run/load.json" 2>"$run/load.log" &
  load=$!
  running+=("$load")
}

start_tap() {  # start_tap OPTION...
  ip netns exec "$prefix-taps" "$bin/sidetap-sidecar" run --interface eth0 --pod-ips "$pod_address" --pod-subnets 10.90.0.0/24 \
    "$@" >"$run/tap.log" 2>&1 &
  tap=$!
  running+=("$tap")
  wait_for_line "forwarding to sensor" "$run/tap.log"
}

take_down() {  # take_down PID...: those in order, then the sensor
  local process
  for process in "$@" "$sensor_process"; do stop "$process"; done
  running=()
}

measure_flow() {  # measure_flow PAYLOAD RATE
  local before after
  start_sensor
  start_collector "$collector_address" collector
  start_load --taps "$senders" --payload "$1" --rate "$2" --seconds "$seconds" --settle 3
  wait_for_line "all taps capture" "$run/load.log" 130
  before=$(cpu_ns "$collector")
  wait_for_line "all packets are sent" "$run/load.log" $((seconds + 60))
  wait_until_idle "$collector"
  after=$(cpu_ns "$collector")
  wait "$load" || { cat "$run/load.log" >&2; return 1; }
  take_down "$collector"
  echo "{\"cpu_ns\": $((after - before)), \"sent_seconds\": $seconds}" >"$run/figures.json"
}

measure_sessions() {
  local before after start end resident
  start_sensor
  start_collector "$collector_address" collector
  start_load --taps "$taps" --processes "$processes" --storms 1 --seconds $((idle_seconds + 3))
  wait_for_line "all taps capture" "$run/load.log" 260
  sleep 2  # what the begin of the sessions has left behind
  resident=$(resident_kib "$collector")
  before=$(cpu_ns "$collector") start=$EPOCHREALTIME
  sleep "$idle_seconds"
  after=$(cpu_ns "$collector") end=$EPOCHREALTIME
  # Some taps may not have come: the table says so.
  wait "$load" || true
  take_down "$collector"
  echo "{\"cpu_ns\": $((after - before)), \"seconds\": $(awk "BEGIN {print $end - $start}"), \"resident_kib\": $resident}" \
    >"$run/figures.json"
}

measure_latency() {
  start_sensor
  start_collector "$collector_address" collector
  ip netns exec "$prefix-peer" "$python" -B "$here/traffic.py" receive "$peer" >"$run/receiver.log" 2>&1 &
  local receiver=$!
  running+=("$receiver")
  wait_for_line ready "$run/receiver.log"
  start_tap --sensor "$collector_address:2003"
  within taps "$python" -B "$here/traffic.py" send datagrams "$peer" --rate 1.6e6 --seconds "$seconds" >"$run/traffic.log" 2>&1
  sleep 0.5
  take_down "$receiver" "$tap" "$collector"
  echo '{}' >"$run/figures.json"
}

measure_dies() {
  local first second victim rest start count=1
  start_sensor
  start_collector "$collector_address" collector
  first=$collector
  start_collector "$other_address" other
  second=$collector
  start_tap --sensor "$collector_address:2003,$other_address:2003" --sensor-mode hash
  sleep 1  # a moment like any other
  victim=$first rest=$second
  grep -q "forwarding to sensor.*$collector_address" "$run/tap.log" || { victim=$second rest=$first; }
  start=$EPOCHREALTIME
  kill -KILL "$victim"
  for _ in $(seq 3000); do
    count=$(grep -c "forwarding to sensor" "$run/tap.log")
    [ "$count" -lt 2 ] || break
    sleep 0.01
  done
  echo "{\"seconds\": $(awk "BEGIN {print $EPOCHREALTIME - $start}")}" >"$run/figures.json"
  [ "$count" -ge 2 ] || { echo "the tap forwards nowhere after 30 s" >&2; cat "$run/tap.log" >&2; return 1; }
  take_down "$tap" "$victim" "$rest"
}

measure() {  # measure ROW ROUND
  run=$folder/$1.$2
  mkdir "$run"
  if [ "$1" = straight ]; then
    "$here/forward.sh" --bin "$bin" --seconds "$seconds" --kinds udp1400,udp18,low --results "$run/forward.jsonl" ${smoke:+--smoke} \
      >"$run/forward.log"
    echo '{}' >"$run/figures.json"
  else
    make_spaces
    case "$1" in
      large) measure_flow 1400 "$large_rate" ;;
      small) measure_flow 18 "$small_rate" ;;
      sessions) measure_sessions ;;
      latency) measure_latency ;;
      dies) measure_dies ;;
    esac
    remove_spaces
  fi
  "$python" -B "$here/collector_table.py" result "$1" "$run" >>"$folder/results.jsonl"
}

echo "machine: $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"
echo "load at the start: $(cut -d' ' -f1-3 /proc/loadavg); descriptors of a process at most: $most"
for round in $(seq "$runs"); do
  for row in ${rows//,/ }; do measure "$row" "$round"; done
done
"$python" -B "$here/collector_table.py" table "$folder/results.jsonl"
[ -z "$results" ] || cat "$folder/results.jsonl" >>"$results"
