#!/usr/bin/env bash
# Measures what forwarding costs a tap, and what it loses: a pod and its node as network namespaces,
# traffic between them, the tap in the pod, the reference sensor on a link of its own.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/bench/forward.sh [OPTION...]
Sends each kind of traffic to a pod with each tap, one after the other, and prints a table of costs and losses.
  -h, --help         this text
  --bin DIR          where the programs are (default: build/release/bin)
  --seconds N        length of each measurement (default: 10)
  --runs N           rounds (default: 1)
  --kinds LIST       kinds of traffic, separated by commas (default: udp1400,udp18,tcp,mixed,low). By iperf3:
                     udp1400: 1400-byte datagrams at full rate; udp18: 18-byte payloads at full
                     rate; tcp: one stream limited to 2 Gbit/s; mixed: 8 streams of small writes and
                     a datagram flow; low: 200 datagrams a second, for the latency; soak: one stream
                     limited to 1 Gbit/s, with --seconds 600 for instance, to see memory grow.
                     By traffic.py:
                     burstMxR: ten bursts of TCP of M megabytes at line rate, R a second, such as
                     burst16x1; conns: 500 short TCP connections a second; flows: 20,000 TCP
                     connections, 20,000 messages a second; startup: 10 Mbit/s of datagrams from the
                     moment when the tap starts; life: the same, of a pod that ends after a second;
                     away: the same, with a sensor that starts --seconds late.
                     KIND+busy: the same as KIND, beside a busy process for each CPU
  --data udp|tcp     how packets go to the sensor (default: udp)
  --receive-buffer N bytes of the sensor's UDP socket, SO_RCVBUF (default: 64 MB)
  --limits           run each tap in a cgroup with the chart's default limits of CPU and memory
  --args 'TEXT'      more arguments for sidetap-sidecar run
  --also 'NAME=TEXT' measure sidetap-sidecar once more with other arguments, such as
                     'libpcap=--capture libpcap'. May be repeated.
  --tap NAME=COMMAND measure another tap too; in COMMAND, {sensor} is the sensor's address, {port}
                     its port and {interface} the interface to capture. May be repeated.
  --only             do not measure sidetap-sidecar without other arguments
  --results FILE     append a line of JSON for each measurement, for report.py
  --smoke            only show that it works: little traffic, short waits, limits where there can be any
  --keep DIR         keep logs and figures there
Needs root, iperf3, iproute2 and python3.

Columns: offered = packets on the pod's interface (its own counters); arrived = packets at the sensor; bytes % = share of
the payload on the wire that arrived; ring = lost in the kernel's capture ring (the tap's counters, or STATS); tap = dropped
by the tap (its counters); socket = lost in the sensor's full socket, in datagrams or trains of them; way = lost between
tap and sensor, by packet numbers; CPU = the tap's user and system time; ns/byte = CPU for each byte that arrived; RSS =
before the traffic, and the highest; latency = from the tap's time stamp to the sensor. An offloaded packet counts as one
when offered; a tap that splits it sends more, so only the bytes show losses.
USAGE
}

here=$(cd "$(dirname "$0")" && pwd)
. "$here/cgroup.sh"
. "$here/options.sh"
. "$here/pod.sh"
. "$here/processes.sh"
bin=$here/../../build/release/bin
values=$here/../../deploy/helm/sidetap/values.yaml
seconds=10 runs=1 kinds=udp1400,udp18,tcp,mixed,low data=udp receive_buffer='' args=''
also=() tap=()
only='' limits='' results='' smoke='' keep=''

read_options 'only limits smoke' 'bin seconds runs kinds data receive-buffer args results keep' 'also tap' "$@"
check_values '[1-9][0-9]*' 'a whole number from 1 on' seconds runs ${receive_buffer:+receive-buffer}
kind='(udp1400|udp18|tcp|mixed|low|soak|conns|flows|startup|life|away|burst[1-9][0-9]*x[1-9][0-9]*)(\+busy)?'
check_values "$kind(,$kind)*" 'kinds that --help tells, separated by commas' kinds
check_values 'udp|tcp' 'udp or tcp' data
need_commands 'iproute2 iperf3 python3' ip iperf3 python3
need_root
python=$(python3 -c "import sys; print(sys.executable)")  # itself: a shim of it may take a second to start
need_programs sidetap-sensor

port=2003
data_port=2004
group=sidetap-bench-$$
folder=$(mktemp -d)
running=()
machine="$(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"
# What --smoke leaves of the traffic.
settle=1 own_seconds=$seconds bursts=10 flows=20000 life=1
[ -z "$smoke" ] || settle=0.1 own_seconds=0.3 bursts=2 flows=200 life=0.3

cleanup() {
  finish
  limit_remove
  remove_namespaces
}
trap cleanup EXIT
trap 'exit 130' INT TERM

client() { ip netns exec "$pod" iperf3 -c "$node_address" -t "$seconds" "$@" >>"$run/iperf3.log" 2>&1; }
sender() {
  ip netns exec "$pod" "$python" -B "$here/traffic.py" send "$1" "$node_address" "${@:2}" >>"$run/traffic.log" 2>&1 ||
    { cat "$run/traffic.log" >&2; return 1; }
}

send_traffic() {
  local size rate
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
    burst*)
      size=${1#burst} rate=${1#*x}
      sender bursts --megabytes "${size%x*}" --rate "$rate" --count "$bursts" ;;
    conns) sender connections --rate 500 --seconds "$own_seconds" ;;
    flows) sender flows --count "$flows" --rate 20000 --seconds "$own_seconds" ;;
    startup) sender datagrams --rate 10e6 --seconds "$own_seconds" --go "$run/go" ;;
    life) sender datagrams --rate 10e6 --seconds "$life" --go "$run/go" ;;
    away) sender datagrams --rate 10e6 --seconds "$(awk "BEGIN {print $own_seconds + 1}")" --go "$run/go" ;;
  esac
}

start_receivers() {
  local worker
  case "$1" in
    udp1400|udp18|tcp|mixed|low|soak)
      for worker in 5201 5202; do
        ip netns exec "$node" iperf3 -s -p "$worker" >"$run/receiver-$worker.log" 2>&1 &
        running+=($!)
      done ;;
    *)
      # A process may not have as many descriptors as there are flows.
      for worker in $(seq "$([ "$1" = flows ] && echo 2 || echo 1)"); do
        ip netns exec "$node" "$python" -B "$here/traffic.py" receive "$node_address" >"$run/receiver-$worker.log" 2>&1 &
        running+=($!)
        wait_for_line ready "$run/receiver-$worker.log"
      done ;;
  esac
}

start_sensor() {
  local options=(--data "$data" --read-timeout 10 --stats-every 1 --json "$run/sensor.json")
  [ "$data" = tcp ] || options+=(--udp-port "$data_port")
  [ -z "$receive_buffer" ] || options+=(--receive-buffer "$receive_buffer")
  ip netns exec "$node" "$bin/sidetap-sensor" active --listen "$sensor:$port" "${options[@]}" >"$run/sensor.log" 2>&1 &
  collector=$!
  running+=("$collector")
  wait_for_line listening "$run/sensor.log"
}

start_tap() {
  limit_run setsid ip netns exec "$pod" "$@" >"$run/tap.log" 2>&1 9>&- &
  tap_process=$!
  disown  # a tap that has to be killed is no news
  running+=("-$tap_process")
}

# The pod's first moment is the tap's: both begin at once, with the sensor there or on its way.
begin_together() {  # begin_together KIND COMMAND...
  local kind=$1 sending
  shift
  [ "$kind" = away ] || start_sensor
  mkfifo "$run/go"
  send_traffic "$kind" &
  sending=$!
  exec 9>"$run/go"  # opens when the sender waits
  start_tap "$@"
  exec 9>&-  # lets it send
  if [ "$kind" = away ]; then
    sleep "$own_seconds"
    start_sensor
  fi
  wait "$sending"
}

# The steps of measure below, which share its variables.

# Sensor and tap are there before the traffic; what the tap has used so far does not count.
start_before_traffic() {  # start_before_traffic COMMAND...
  start_sensor
  start_tap "$@"
  wait_for_line capturing "$run/sensor.log"
  sleep "$settle"
  idle=$(resident "$tap_process")
  ticks=$(cpu_ticks "$tap_process")
  read -r packets bytes < <(on_the_wire)
}

# The host of a virtual machine may provide memory only at its first use, which takes many times longer than clearing it. On a
# node, other processes have used it before.
use_memory_once() {
  "$python" - <<'PYTHON'
import contextlib
import mmap

memory = mmap.mmap(-1, 512 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
with contextlib.suppress(OSError):  # no huge pages here
    memory.madvise(mmap.MADV_HUGEPAGE)
for page in range(0, len(memory), 4096):
    memory[page] = 1
PYTHON
}

keep_cpus_busy() {
  local worker
  for worker in $(seq "$(nproc)"); do
    (while :; do :; done) &
    running+=($!)
  done
}

wait_for_the_last() {
  wait_for_line capturing "$run/sensor.log"
  # A tap on libpcap may keep its last packets back for as long as the sensor allows it. Then STATS is asked for.
  [ -n "$smoke" ] || sleep 1.2
  wait_until_quiet
  [ -n "$smoke" ] || sleep 1
}

# Ends all of it, in the order in which each figure can still be read.
take_down() {
  local process
  # Only now: connections are still closing when their sender has ended.
  read -r wire_packets wire_bytes < <(on_the_wire)
  ticks=$(($(cpu_ticks "$tap_process") - ticks))
  peak=$(highest_resident "$tap_process")
  kill -0 "$tap_process" 2>/dev/null || { died=true; echo "$name has died: see --keep" >&2; }
  stop "-$tap_process"
  sleep 0.2
  [ "$data" = tcp ] || drops=$(socket_drops "$data_port")
  stop "$collector"
  for process in "${running[@]}"; do [ "$process" = "-$tap_process" ] || [ "$process" = "$collector" ] || stop "$process"; done
  running=()
  if [ -n "$limits" ]; then
    limited=", $(limit_figures)"
    limit_remove
  fi
  remove_namespaces
}

write_figures() {
  cat >"$run/figures.json" <<FIGURES
{"tap": "$name", "kind": "$full_kind", "run": $number, "machine": "$machine",
 "limits": $limits_told,
 "wire_packets": $((wire_packets - packets)), "wire_bytes": $((wire_bytes - bytes)), "socket_drops": $drops,
 "ticks": $ticks, "ticks_per_second": $(getconf CLK_TCK), "elapsed": $(awk "BEGIN {print $end - $start}"),
 "idle_kib": $idle, "peak_kib": $peak, "died": $died$limited}
FIGURES
}

measure() {  # measure NAME KIND RUN COMMAND...
  local name=$1 full_kind=$2 kind=${2%+busy} number=$3 collector='' tap_process='' limited='' peak drops=0
  local ticks=0 packets=0 bytes=0 wire_packets wire_bytes start end idle=0 died=false early=false
  shift 3
  run=$folder/$name.$full_kind.$number
  mkdir "$run"
  running=()
  make_namespaces
  if [ -n "$limits" ]; then limit_make "$cpu_limit" "$memory_limit" "$group"; fi
  start_receivers "$kind"
  case "$kind" in startup|life|away) early=true ;; esac
  [ -n "$smoke" ] || use_memory_once
  if [ "$early" = false ]; then start_before_traffic "$@"; fi
  if [ "$full_kind" != "$kind" ]; then keep_cpus_busy; fi
  start=$EPOCHREALTIME
  if [ "$early" = true ]; then begin_together "$kind" "$@"; else send_traffic "$kind"; fi
  end=$EPOCHREALTIME
  if [ "$kind" != life ]; then wait_for_the_last; fi
  take_down
  write_figures
  "$python" -B "$here/forward_table.py" --row "$run" ${results:+--results "$results"}
  # A pod may be gone before there is a session.
  if [ -n "$smoke" ] && [[ $kind != life && $kind != away ]] && grep -q '^  "packets": 0,' "$run/sensor.json"; then
    echo "nothing arrived" >&2
    return 1
  fi
}

cpu_limit=$(limit_of_chart cpu "$values")
memory_limit=$(limit_of_chart memory "$values")
limits_told=null
if [ -n "$smoke" ]; then
  if limit_make "$cpu_limit" "$memory_limit" "$group" 2>/dev/null; then limits=yes; else echo "no cgroups here: no limits"; fi
  limit_remove
fi
if [ -n "$limits" ]; then
  limits_told="{\"cpu_millicores\": $cpu_limit, \"memory_bytes\": $memory_limit}"
fi

echo "machine: $machine"
echo "load at the start: $(cut -d' ' -f1-3 /proc/loadavg)"
[ -z "$limits" ] || echo "each tap has ${cpu_limit}m of CPU and $((memory_limit >> 20)) MiB of memory"
"$python" -B "$here/forward_table.py" --head
for number in $(seq "$runs"); do
  for kind in ${kinds//,/ }; do
    own_tap=("$bin/sidetap-sidecar" run --sensor "$sensor:$port" --interface "$interface" --pod-ips "$pod_address"
      --pod-subnets 10.90.0.0/24)
    # shellcheck disable=SC2086  # several arguments are meant, here and below
    if [ -z "$only" ]; then measure sidetap "$kind" "$number" "${own_tap[@]}" $args; fi
    for entry in "${also[@]}"; do
      # shellcheck disable=SC2086
      measure "${entry%%=*}" "$kind" "$number" "${own_tap[@]}" $args ${entry#*=}
    done
    for entry in "${tap[@]}"; do
      command=${entry#*=}
      command=${command//\{sensor\}/$sensor}
      command=${command//\{port\}/$port}
      command=${command//\{interface\}/$interface}
      # shellcheck disable=SC2086
      measure "${entry%%=*}" "$kind" "$number" $command
    done
  done
done
