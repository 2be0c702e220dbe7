"""Two nodes with bridges, pods, Services, an outside host and a place for the sensor; all of it in namespaces.

    pods ── veth ── cbr0 (10.244.N.1, hairpin) node N eth0 ── underlay ── other node, outside, sensor

As kube-proxy does it, each node translates Service addresses (DNAT), masquerades what leaves the cluster, what
comes in by a NodePort and what a pod sends to itself through a Service. Everything is IPv4 and IPv6.
"""
from dataclasses import dataclass, field

from .namespaces import Namespace

POD_SUBNETS = ("10.244.0.0/16", "fd00:10:244::/48")
SERVICE_SUBNETS = ("10.96.0.0/16", "fd00:10:96::/112")
NODE_SUBNETS = ("172.18.0.0/24", "fd00:18::/64")
OUTSIDE = ("203.0.113.10", "2001:db8:113::10")
SENSOR = ("172.18.0.100", "fd00:18::100")
SENSOR_PORT = 2003
# Marks what has to be masqueraded, as kube-proxy does.
MASQUERADE_MARK = "0x4000"


@dataclass
class Service:
    """One port of a Service. Backends are (pod name, target port)."""
    name: str
    number: int  # 10.96.0.NUMBER and fd00:10:96::NUMBER (in hexadecimal); below 100 with addresses outside
    protocol: str
    port: int
    backends: list
    node_port: int = 0
    namespace: str = "lab"
    object_name: str = ""  # of the Kubernetes object, which may have several ports; default: name
    headless: bool = False  # it has no cluster IP
    at_nodes: bool = False  # each node has the cluster IP on an interface, as kube-proxy's IPVS mode does it
    translated: bool = True  # False: at the cluster IP answers whoever listens there on the client's node
    outside: bool = False  # it has an external IP and a load balancer's address, of both families
    local: bool = False  # externalTrafficPolicy: Local, so that clients keep their address

    @property
    def object(self):
        """NAMESPACE/NAME of the Kubernetes object."""
        return f"{self.namespace}/{self.object_name or self.name}"

    @property
    def v4(self):
        return f"10.96.0.{self.number}"

    @property
    def v6(self):
        return f"fd00:10:96::{self.number:x}"

    def address(self, family):
        return self.v4 if family == 4 else self.v6

    def external_address(self, family):
        return f"198.51.100.{self.number}" if family == 4 else f"2001:db8:51:1::{self.number:x}"

    def balancer_address(self, family):
        return f"198.51.100.{100 + self.number}" if family == 4 else f"2001:db8:51:2::{self.number:x}"


@dataclass
class Pod:
    name: str
    node: int  # 1 or 2
    number: int  # 10.244.NODE.NUMBER and fd00:10:244:NODE::NUMBER (in hexadecimal)
    tapped: bool = True
    namespace: Namespace = field(default=None, repr=False)

    @property
    def v4(self):
        return f"10.244.{self.node}.{self.number}"

    @property
    def v6(self):
        return f"fd00:10:244:{self.node}::{self.number:x}"

    @property
    def mac(self):
        return f"02:00:0a:f4:{self.node:02x}:{self.number:02x}"

    def address(self, family):
        return self.v4 if family == 4 else self.v6


def gateway(node, family):
    return f"10.244.{node}.1" if family == 4 else f"fd00:10:244:{node}::1"


def node_address(node, family):
    """The node's address among nodes."""
    return f"172.18.0.1{node}" if family == 4 else f"fd00:18::1{node}"


def node_outer_address(node, family):
    """The node's address as outside hosts know it."""
    return f"203.0.113.1{node}" if family == 4 else f"2001:db8:113::1{node}"


# No duplicate address detection: a bridge in hairpin mode returns a pod's own probe to it, and the address would be
# given up. No router solicitations: nobody answers them.
_QUIET = {
    "ipv6/conf/all/accept_dad": 0, "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/all/dad_transmits": 0, "ipv6/conf/default/dad_transmits": 0,
    "ipv6/conf/all/router_solicitations": 0, "ipv6/conf/default/router_solicitations": 0,
    "ipv6/conf/all/accept_ra": 0, "ipv6/conf/default/accept_ra": 0,
}


class Cluster:
    """Made by build(); close() forgets the namespaces, which the kernel then removes."""

    def __init__(self, pods, services):
        self.pods = {pod.name: pod for pod in pods}
        self.services = {service.name: service for service in services}
        self.nodes = {}
        self.underlay = self.outside = self.sensor = None
        self._plugged = []

    def namespaces(self):
        """Every place where traffic starts or ends, by name."""
        places = {name: pod.namespace for name, pod in self.pods.items()}
        places.update({f"node{number}": namespace for number, namespace in self.nodes.items()})
        places["outside"] = self.outside
        return places

    def build(self):
        self.underlay = self._namespace("underlay")
        self.underlay.ip("link add ub0 type bridge mcast_snooping 0", "link set ub0 up")
        # The underlay is a cable, not a node.
        self.underlay.sysctl({f"bridge/bridge-nf-call-{table}": 0 for table in ("iptables", "ip6tables", "arptables")})
        self.outside = self.plug("outside", [f"{OUTSIDE[0]}/24", f"{OUTSIDE[1]}/64"])
        self.sensor = self.plug("sensor", [f"{SENSOR[0]}/24", f"{SENSOR[1]}/64"])
        for number in (1, 2):
            self._build_node(number)
        for pod in self.pods.values():
            self._build_pod(pod)
        for number, node in self.nodes.items():
            node.nft(self._rules(4, number))
            node.nft(self._rules(6, number))

    def close(self):
        for namespace in [self.underlay, *self._plugged, *(pod.namespace for pod in self.pods.values())]:
            if namespace is not None:
                namespace.close()

    def _namespace(self, name):
        namespace = Namespace(name)
        namespace.sysctl(_QUIET)
        namespace.ip("link set lo up")
        return namespace

    def plug(self, name, addresses):
        """A namespace whose eth0 is on the underlay, with ways to every pod."""
        namespace = self._namespace(name)
        self._plugged.append(namespace)
        self.underlay.ip(f"link add p-{name} type veth peer name eth0 netns {namespace.path}",
                         f"link set p-{name} master ub0 up")
        namespace.ip(*[f"address add {address} dev eth0{' nodad' if ':' in address else ''}" for address in addresses],
                     "link set eth0 up")
        for number in (1, 2):
            if name != f"node{number}" and name != "outside":
                namespace.ip(f"route add 10.244.{number}.0/24 via {node_address(number, 4)}",
                             f"route add fd00:10:244:{number}::/64 via {node_address(number, 6)}")
        return namespace

    def _build_node(self, number):
        node = self.plug(f"node{number}", [
            f"{node_address(number, 4)}/24", f"{node_outer_address(number, 4)}/24",
            f"{node_address(number, 6)}/64", f"{node_outer_address(number, 6)}/64"])
        self.nodes[number] = node
        # rp_filter as in most distributions' nodes: loose. bridge-nf: what crosses the bridge is translated back.
        node.sysctl({"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1,
                     "bridge/bridge-nf-call-iptables": 1, "bridge/bridge-nf-call-ip6tables": 1})
        node.ip(f"link add cbr0 address 02:00:0a:f4:{number:02x}:01 type bridge mcast_snooping 0",
                f"address add {gateway(number, 4)}/24 broadcast + dev cbr0",
                f"address add {gateway(number, 6)}/64 dev cbr0 nodad", "link set cbr0 up",
                # The ports of a Service share its addresses.
                *sorted({f"address add {address} dev lo" for service in self.services.values() if service.at_nodes
                         for address in (f"{service.v4}/32", f"{service.v6}/128")}))

    def filter_bridges(self, on):
        """Whether what only crosses a node's bridge is translated too. Otherwise a pod of the node that answers a client
        beside it, through a Service, answers from its own address, which the client refuses."""
        for node in self.nodes.values():
            node.sysctl({"bridge/bridge-nf-call-iptables": int(on), "bridge/bridge-nf-call-ip6tables": int(on)})

    def _build_pod(self, pod):
        pod.namespace = self._namespace(pod.name)
        node = self.nodes[pod.node]
        port = f"v-{pod.name}"[:15]
        node.ip(f"link add {port} type veth peer name eth0 address {pod.mac} netns {pod.namespace.path}",
                f"link set {port} master cbr0 up", f"link set {port} type bridge_slave hairpin on")
        pod.namespace.ip(f"address add {pod.v4}/24 broadcast + dev eth0", f"address add {pod.v6}/64 dev eth0 nodad",
                         "link set eth0 up", f"route add default via {gateway(pod.node, 4)}",
                         f"route add default via {gateway(pod.node, 6)}")

    def _entries(self, service, family):
        """(the service's chain, rules that lead to it, rules that lead to it from addresses outside of the cluster)."""
        ip = "ip" if family == 4 else "ip6"
        chain = f"service-{service.name}"
        port = f"{service.protocol} dport {service.port}"
        outside = f"outside-{service.name}" if service.local else chain
        mark = "" if service.local else f"meta mark set mark or {MASQUERADE_MARK} "
        outer = [f"{ip} daddr {address} {port} {mark}goto {outside};" for address in (
            service.external_address(family), service.balancer_address(family)) if service.outside]
        if service.node_port:
            outer.append(f"fib daddr type local {service.protocol} dport {service.node_port} {mark}goto {outside};")
        return chain, [f"{ip} daddr {service.address(family)} {port} goto {chain};"], outer

    def _rules(self, family, node):
        """A node's NAT, for one family."""
        ip = "ip" if family == 4 else "ip6"
        pods = POD_SUBNETS[family == 6]
        chains, entries, node_ports = [], [], []
        for service in self.services.values():
            if service.headless or not service.translated:
                continue
            chain, inner, outer = self._entries(service, family)
            targets, nearby = [], []
            for index, (pod, port) in enumerate(service.backends):
                address = self.pods[pod].address(family)
                target = f"{address}:{port}" if family == 4 else f"[{address}]:{port}"
                hairpin = f"{ip} saddr {address} meta mark set mark or {MASQUERADE_MARK}"
                chains.append(f"chain {chain}-{index} {{ {hairpin}; meta l4proto {service.protocol} dnat to {target}; }}")
                targets.append(f"{chain}-{index}")
                nearby += targets[-1:] if self.pods[pod].node == node else []
            chains.append(f"chain {chain} {{ {_one_of(targets)} }}")
            if service.local:
                chains.append(f"chain outside-{service.name} {{ {_one_of(nearby)} }}")
            entries += inner
            node_ports += outer
        every = "\n    ".join(entries + node_ports)
        chains = "\n  ".join(chains)
        return f"""
table {ip} cluster {{
  {chains}
  chain services {{
    {every}
  }}
  chain prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
  chain output {{ type nat hook output priority -100; jump services; }}
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    meta mark and {MASQUERADE_MARK} == {MASQUERADE_MARK} masquerade
    oifname "eth0" {ip} saddr {pods} {ip} daddr != {{ {pods}, {NODE_SUBNETS[family == 6]} }} masquerade
  }}
}}
"""


def _one_of(chains):
    """A rule that goes to one of them, whichever; nothing if there is none."""
    entries = ", ".join(f"{index} : goto {chain}" for index, chain in enumerate(chains))
    return f"numgen random mod {len(chains)} vmap {{ {entries} }};" if chains else ""
