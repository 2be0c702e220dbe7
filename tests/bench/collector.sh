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
                    large, small: CPU of the collector for each byte of 1442-byte packets, and for each 60-byte packet;
                    sessions: thousands of idle taps, which also reconnect all at once; latency: from a real tap through
                    the collector to the sensor, at 200 packets a second; dies: time until a tap forwards elsewhere after
                    its collector is killed; straight: a real tap and the sensor without a collector between them, by
                    forward.sh
  --taps N          idle taps (default: 10000)
  --senders N       taps that send the packets of large and small (default: 100)
  --large-rate N    packets a second of all taps in large (default: 100000)
  --small-rate N    packets a second of all taps in small (default: 400000)
  --data udp|tcp    how taps send to the collector (default: udp)
  --results FILE    append a line of JSON for each measurement
  --smoke           only show that it works: few taps, little traffic
  --keep DIR        keep logs and figures there
Needs root, iproute2 and python3, and iperf3 for straight.

All programs share the machine's processors, so costs are the collector's own CPU time (schedstat). They do not include what
the kernel does for the collector in the time of other processes. Choose rates at which nothing is lost. Each tap takes one
of the collector's descriptors, or two with --data tcp. No process can have more than its hard limit (ulimit -Hn): the
collector raises its own limit that far by itself, and tap_load runs in several processes. If the hard limit is too low for
--taps, the script simulates fewer taps, and the table says how many.
USAGE
}

here=$(cd "$(dirname "$0")" && pwd)
. "$here/options.sh"
. "$here/processes.sh"
bin=$here/../../build/release/bin
seconds=10 runs=3 rows=large,small,sessions,latency,dies,straight
taps=10000 senders=100 large_rate=100000 small_rate=400000 data=udp
results='' smoke='' keep=''

read_options smoke 'bin seconds runs rows taps senders large-rate small-rate data results keep' '' "$@"
check_values '[1-9][0-9]*' 'a whole number from 1 on' seconds runs taps senders large-rate small-rate
row='(large|small|sessions|latency|dies|straight)'
check_values "$row(,$row)*" 'rows that --help tells, separated by commas' rows
check_values 'udp|tcp' 'udp or tcp' data
idle_seconds=$((seconds > 40 ? seconds : 40))  # each tap is asked for its counts every 30 s
[ -z "$smoke" ] || { seconds=1 idle_seconds=1 runs=1 taps=200 senders=20 large_rate=2000 small_rate=2000; }
need_commands 'iproute2 python3' ip python3
need_root
python=$(python3 -c "import sys; print(sys.executable)")  # itself: a shim of it may take a second to start
need_programs sidetap-sidecar sidetap-sensor tap_load

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
  finish
  remove_spaces
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
