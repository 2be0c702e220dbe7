# shellcheck shell=bash
# Creates a pod and its node as network namespaces, and reads figures of them and of a tap's processes. For bash scripts
# to source. The pod's traffic passes its interface. The sensor has a separate link, so no tap must exclude its own
# packets.

# shellcheck disable=SC2034  # for the script that sources this
pod_address=10.90.0.2
node_address=10.90.0.1
pod_side=10.91.0.2
sensor=10.91.0.1
interface=eth0
pod=sidetap-bench-$$-pod
node=sidetap-bench-$$-node

# Only existing ones, because it also runs at the end, whatever was created by then.
remove_namespaces() {
  ip netns del "$pod" 2>/dev/null || true
  ip netns del "$node" 2>/dev/null || true
}

# Only the traffic may be on the pod's interface: no IPv6, and fixed neighbours.
make_namespaces() {
  local name
  for name in "$pod" "$node"; do
    ip netns add "$name"
    ip netns exec "$name" sh -c 'cd /proc/sys/net && echo 1024 65535 >ipv4/ip_local_port_range &&
      { [ ! -d ipv6 ] || echo 1 | tee ipv6/conf/all/disable_ipv6 >ipv6/conf/default/disable_ipv6; }'
  done
  ip -n "$pod" link add "$interface" type veth peer name pod0 netns "$node"
  ip -n "$pod" link add data0 type veth peer name sensor0 netns "$node"
  ip -n "$pod" addr add "$pod_address/24" dev "$interface"
  ip -n "$node" addr add "$node_address/24" dev pod0
  ip -n "$pod" addr add "$pod_side/24" dev data0
  ip -n "$node" addr add "$sensor/24" dev sensor0
  local link
  for link in "$interface" data0 lo; do ip -n "$pod" link set "$link" up; done
  for link in pod0 sensor0 lo; do ip -n "$node" link set "$link" up; done
  ip -n "$pod" neigh replace "$node_address" dev "$interface" nud permanent \
    lladdr "$(ip netns exec "$node" cat /sys/class/net/pod0/address)"
  ip -n "$node" neigh replace "$pod_address" dev pod0 nud permanent \
    lladdr "$(ip netns exec "$pod" cat "/sys/class/net/$interface/address")"
}

# The processes of a tap. It leads a session, because some taps fork and some signal their group. Fields by proc(5); the
# second may hold blanks, so they are counted from behind its parenthesis. Processes that end meanwhile make cat fail.
all_stats() { { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed 's/.*) //'; }
cpu_ticks() {  # user and system time, of children that have ended too
  all_stats | awk -v session="$1" '$4 == session {sum += $12 + $13 + $14 + $15} END {print sum + 0}'
}

resident() {  # KiB
  all_stats | awk -v session="$1" -v page="$(getconf PAGESIZE)" \
    '$4 == session {sum += $22} END {print int(sum * page / 1024)}'
}

highest_resident() {  # KiB
  { cat /proc/[0-9]*/status 2>/dev/null || true; } |
    awk -v session="$1" '/^NSsid:/ {mine = $2 == session} /^VmHWM:/ && mine {sum += $2} END {print sum + 0}'
}

# Packets and bytes on the pod's interface as a capture sees them, including those that the other end had no room for.
on_the_wire() {
  local rx tx dropped rx_bytes tx_bytes
  read -r rx tx dropped rx_bytes tx_bytes < <(ip netns exec "$pod" sh -c \
    "cd /sys/class/net/$interface/statistics && cat rx_packets tx_packets tx_dropped rx_bytes tx_bytes" | paste -sd ' ')
  echo "$((rx + tx + dropped)) $((rx_bytes + tx_bytes + (tx > 0 ? dropped * tx_bytes / tx : 0)))"
}

socket_drops() {  # socket_drops PORT: what the node's UDP sockets of that port had no room for
  ip netns exec "$node" cat /proc/net/udp |
    awk -v port="$(printf ':%04X$' "$1")" '$2 ~ port {sum += $NF} END {print sum + 0}'
}

# Returns when the tap has nothing more to send, apart from the few packets of the session itself.
wait_until_quiet() {
  local before=-100 now
  for _ in $(seq 100); do
    now=$(ip netns exec "$pod" cat /sys/class/net/data0/statistics/tx_packets)
    [ $((now - before)) -ge 10 ] || break
    before=$now
    sleep 0.3
  done
}
