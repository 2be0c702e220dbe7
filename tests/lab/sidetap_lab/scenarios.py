"""Every situation in which a packet passes two taps, or one, or one twice. Each scenario sends and returns the markers
that the sensor must have seen; what else passed the wire is compared packet by packet (see judge.py)."""
import ipaddress
import struct

from . import packets
from . import payload as marked
from .cluster import gateway, node_outer_address
from .lab import DNS, GRPC, MQ, SCTP_PORT, WEB
from .payload import reply_marker

SCENARIOS = {}


def scenario(name, families=(4, 6)):
    """Registers a function of (lab, family) once for each family."""
    def register(function):
        for family in families:
            full = name if len(families) == 1 else f"{name}-ipv{family}"
            SCENARIOS[full] = lambda lab, family=family: function(lab, family)
        return function
    return register


def _all(lab, family, *conversations, **options):
    markers = []
    for client, protocol, to, port in conversations:
        markers += lab.exchange(client, protocol, to, port, family, **options)
    return markers


@scenario("tcp-same-node")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "b", WEB), ("b", "tcp", "a", WEB))


@scenario("tcp-across-nodes")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "c", WEB), ("d", "tcp", "b", WEB))


@scenario("tcp-high-port-50051")
def _(lab, family):
    return _all(lab, family, ("b", "tcp", "a", GRPC), ("c", "tcp", "a", GRPC), ("a", "tcp", "d", GRPC))


@scenario("tcp-high-port-61616")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "c", MQ), ("d", "tcp", "c", MQ), ("c", "tcp", "a", MQ))


@scenario("tcp-vip-80-to-50051")
def _(lab, family):
    return _all(lab, family, ("b", "tcp", "grpc", 80), ("c", "tcp", "grpc", 80), ("d", "tcp", "grpc", 80))


@scenario("tcp-vip-61616")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "mq", MQ), ("d", "tcp", "mq", MQ))


@scenario("tcp-vip-80-to-8080")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "web", 80), ("c", "tcp", "web", 80))


@scenario("tcp-vip-several-backends")
def _(lab, family):
    return _all(lab, family, *[("b", "tcp", "spread", 80)] * 8, *[("d", "tcp", "spread", 80)] * 8)


@scenario("tcp-equal-ports")
def _(lab, family):
    markers = []
    for client, server in (("a", "b"), ("b", "a"), ("a", "d"), ("d", "a")):
        with lab.serving(server, "tcp", 9000, family):
            markers += lab.exchange(client, "tcp", server, 9000, family, source_port=9000)
    return markers


@scenario("tcp-low-client-port")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "b", GRPC), ("c", "tcp", "grpc", 80), source_port=600)


@scenario("tcp-same-ports-again-other-way-round")
def _(lab, family):
    """One pair of addresses and ports, opened from one side, then from the other."""
    markers = []
    for client, source_port, server, port in (("a", 3333, "c", 2222), ("c", 2222, "a", 3333), ("a", 3333, "c", 2222)):
        with lab.serving(server, "tcp", port, family):
            markers += lab.exchange(client, "tcp", server, port, family, source_port=source_port)
    return markers


@scenario("tcp-refused")
def _(lab, family):
    for client, to, port in (("a", "b", 81), ("b", "a", 81), ("a", "d", 40123), ("c", "a", 40124)):
        lab.agents[client].call("knock", address=lab.address(to, family), port=port)
    return []


@scenario("tcp-bulk")
def _(lab, family):
    """Longer than any packet of the wire: the offloads of the interfaces are at work."""
    return [marker for marker in _all(lab, family, ("a", "tcp", "b", WEB), ("d", "tcp", "a", WEB),
                                      ("c", "tcp", "grpc", 80), ("a", "tcp", "outside", WEB), count=2, size=200_000)]


@scenario("dns-vip-lower-client")
def _(lab, family):
    return _all(lab, family, ("a", "udp", "dns", DNS), ("a", "tcp", "dns", DNS))


@scenario("dns-vip-higher-client")
def _(lab, family):
    return _all(lab, family, ("c", "udp", "dns", DNS), ("d", "udp", "dns", DNS), ("d", "tcp", "dns", DNS))


@scenario("udp-vip")
def _(lab, family):
    return _all(lab, family, ("a", "udp", "statsd", 8125), ("c", "udp", "statsd", 8125))


@scenario("udp-direct")
def _(lab, family):
    return _all(lab, family, ("a", "udp", "b", DNS), ("b", "udp", "a", DNS), ("a", "udp", "d", 8125), ("d", "udp", "a", 8125))


@scenario("udp-high-ports")
def _(lab, family):
    markers = []
    for source_port, port in ((40000, 50000), (60000, 50000), (20000, 21000), (22000, 21000), (20000, 50000), (40000, 21000)):
        for client, server in (("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")):
            markers += lab.exchange(client, "udp", server, port, family, count=1, source_port=source_port)
    return markers


@scenario("udp-equal-ports")
def _(lab, family):
    """Gossip: both ends are bound to 7946, so the question is sent beside the server's socket."""
    markers = []
    for client, server in (("a", "b"), ("b", "a"), ("a", "d"), ("d", "a")):
        fresh = lab.mark(3)
        ends = [ipaddress.ip_address(lab.address(end, family)) for end in (client, server)]
        lab.agents[client].call("raw", whole_packets=[
            part for marker in fresh for part in packets.ip_packets(
                *ends, packets.UDP, packets.udp(*ends, 7946, 7946, marked.make(marker, 64)), marker)])
        markers += fresh + [reply_marker(marker) for marker in fresh]
    return markers


@scenario("egress-to-outside")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "outside", WEB), ("c", "tcp", "outside", GRPC), ("b", "udp", "outside", DNS),
                ("d", "udp", "outside", 50000)) + lab.ping("a", "outside", family)


@scenario("ingress-through-nodeport")
def _(lab, family):
    markers = []
    for node in (1, 2):
        address = node_outer_address(node, family)
        markers += lab.exchange("outside", "tcp", address, 30080, family)
        markers += lab.exchange("outside", "udp", address, 30053, family)
    return markers


@scenario("kubelet-probe")
def _(lab, family):
    """From the bridge's address, which lies in the pod subnet."""
    markers = []
    for node, pod in (("node1", "a"), ("node1", "b"), ("node2", "c")):
        source = gateway(lab.pods[pod].node, family)
        markers += lab.exchange(node, "tcp", pod, WEB, family, source=source)
        markers += lab.ping(node, pod, family, count=1)
    return markers


@scenario("untapped-client")
def _(lab, family):
    return _all(lab, family, ("u", "tcp", "a", WEB), ("u", "tcp", "c", GRPC), ("u", "udp", "b", DNS), ("u", "udp", "d", 50000))


@scenario("untapped-client-vip")
def _(lab, family):
    return _all(lab, family, ("u", "tcp", "grpc", 80), ("u", "tcp", "mq", MQ), ("u", "udp", "dns", DNS))


@scenario("untapped-server")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "u", WEB), ("c", "tcp", "u", GRPC), ("b", "udp", "u", DNS), ("d", "udp", "u", 50000))


@scenario("untapped-behind-vip")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "plain", 80), ("c", "tcp", "plain", 80), ("b", "udp", "plain-dns", DNS))


@scenario("hairpin-through-own-vip")
def _(lab, family):
    return _all(lab, family, ("a", "tcp", "grpc", 80), ("b", "udp", "dns", DNS), ("c", "tcp", "mq", MQ))


@scenario("udp-fragments-direct")
def _(lab, family):
    return _all(lab, family, ("a", "udp", "b", DNS), ("b", "udp", "a", 50000), ("a", "udp", "d", DNS), ("d", "udp", "a", 8125),
                count=2, size=5000)


@scenario("udp-fragments-vip")
def _(lab, family):
    return _all(lab, family, ("a", "udp", "dns", DNS), ("c", "udp", "dns", DNS), ("d", "udp", "dns", DNS), count=2, size=5000)


@scenario("udp-fragments-outside")
def _(lab, family):
    return _all(lab, family, ("a", "udp", "outside", DNS), ("d", "udp", "outside", DNS), ("c", "udp", "u", DNS),
                count=2, size=5000)


@scenario("icmp-echo")
def _(lab, family):
    return (lab.ping("a", "b", family) + lab.ping("b", "a", family) + lab.ping("a", "d", family) +
            lab.ping("d", "a", family) + lab.ping("u", "a", family) + lab.ping("c", "u", family))


@scenario("icmp-echo-fragments")
def _(lab, family):
    return lab.ping("a", "b", family, size=4000) + lab.ping("d", "a", family, size=4000)


@scenario("icmp-errors")
def _(lab, family):
    """Datagrams to closed ports, each refused with a quote of it."""
    markers = []
    for client, to, port in (("a", "b", 54), ("b", "a", 54), ("a", "d", 40001), ("d", "a", 40001), ("a", "u", 54), ("u", "a", 54)):
        conversation = lab.open(client, "udp", to, port, family)
        fresh = lab.mark(2)
        lab.agents[client].call("tell", name=conversation[1], markers=fresh)
        markers += fresh
        lab.pause(0.02)
        lab.close(conversation)
    return markers


def _group(lab, sender, addresses):
    markers = []
    for address in addresses:
        fresh = lab.mark(2)
        lab.agents[sender].call("group", address=address, port=5353, markers=fresh)
        markers += fresh
    return markers


def _group_addresses(family, node):
    return ["239.1.2.3", "224.0.0.251", f"10.244.{node}.255", "255.255.255.255"] if family == 4 else ["ff02::fb", "ff05::1:3"]


@scenario("multicast-and-broadcast")
def _(lab, family):
    """On a bridge in hairpin mode: everything comes back to its sender."""
    before = lab.judge.echoes
    markers = []
    for pod in ("a", "b", "c"):
        markers += _group(lab, pod, _group_addresses(family, lab.pods[pod].node))
    if not lab.judge.comes_to(lambda: lab.judge.echoes > before):
        raise RuntimeError("the bridge has returned nothing to its sender: it is not in hairpin mode")
    return markers


@scenario("multicast-from-untapped")
def _(lab, family):
    """Every tap that receives it forwards its own copy: nobody else could."""
    addresses = _group_addresses(family, 1)
    # From a link-local address it cannot be told yet whether the sender has a tap: see link-local-neighbours.
    return _group(lab, "u", [address for address in addresses if not address.startswith("ff02:")])


@scenario("link-local-neighbours", families=(6,))
def _(lab, family):
    """What comes from link-local addresses of a pod without a tap, and of the gateway, once the taps know both."""
    node, pod = lab.cluster.nodes[1], lab.pods["u"].namespace
    with lab.unwatched():
        for name in lab.taps:
            lab.ping(name, "outside", 4, count=1)
        pod.ip("neigh flush dev eth0")
        lab.ping("u", "a", 4, count=1)  # it asks everybody for a
    lab.judge.account.known_neighbours = True
    node.ip("neigh flush dev cbr0")  # so that the gateway has to ask, by its link-local address
    return _group(lab, "u", ["ff02::fb"]) + _all(lab, family, ("c", "tcp", "a", WEB), ("d", "tcp", "b", WEB))


def _sctp_association(lab, client, to, real_server, family, source_port, port):
    """A whole association, made by hand on both sides: the kernel may not speak SCTP."""
    def chunk(kind, flags, body):
        return struct.pack(">BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)
    ends = {end: ipaddress.ip_address(lab.address(end, family)) for end in (client, real_server)}
    asked = ipaddress.ip_address(lab.address(to, family))
    to_tag, from_tag = 0x11111111, 0x22222222
    start = struct.pack(">IIHHI", to_tag, 65536, 1, 1, 1)
    answer = struct.pack(">IIHHI", from_tag, 65536, 1, 1, 1) + struct.pack(">HHI", 7, 8, 0xC00C1E)
    markers = lab.mark(4)

    def data(marker, number):
        return chunk(0, 3, struct.pack(">IHHI", number, 0, number, 0) + marked.make(marker, 64))

    def sack(number):
        return chunk(3, 0, struct.pack(">IIHH", number, 65536, 0, 0))
    steps = [("client", 0, chunk(1, 0, start)), ("server", to_tag, chunk(2, 0, answer)),
             ("client", from_tag, chunk(10, 0, b"\x00\xc0\x0c\x1e")), ("server", to_tag, chunk(11, 0, b""))]
    for number, marker in enumerate(markers, 1):
        from_client = number % 2 == 1
        steps.append(("client" if from_client else "server", from_tag if from_client else to_tag, data(marker, number)))
        steps.append(("server" if from_client else "client", to_tag if from_client else from_tag, sack(number)))
    steps += [("client", from_tag, chunk(7, 0, struct.pack(">I", 4))), ("server", to_tag, chunk(8, 0, b"")),
              ("client", from_tag, chunk(14, 0, b""))]
    for identification, (side, tag, chunks) in enumerate(steps, 1):
        if side == "client":
            whole = packets.ip_packets(ends[client], asked, packets.SCTP,
                                       packets.sctp(source_port, port, tag, chunks), identification)
        else:
            whole = packets.ip_packets(ends[real_server], ends[client], packets.SCTP,
                                       packets.sctp(port, source_port, tag, chunks), identification)
        lab.agents[client if side == "client" else real_server].call("raw", whole_packets=list(whole))
        lab.pause(0.005)
    return markers


@scenario("sctp-direct")
def _(lab, family):
    return (_sctp_association(lab, "a", "b", "b", family, 40100, SCTP_PORT) +
            _sctp_association(lab, "d", "a", "a", family, 40101, SCTP_PORT) +
            _sctp_association(lab, "a", "c", "c", family, SCTP_PORT, SCTP_PORT))


@scenario("sctp-vip")
def _(lab, family):
    return (_sctp_association(lab, "a", "sigtran", "c", family, 40110, SCTP_PORT) +
            _sctp_association(lab, "d", "sigtran", "c", family, 40111, SCTP_PORT))


@scenario("other-protocols")
def _(lab, family):
    markers = []
    for sender, receiver in (("a", "b"), ("b", "a"), ("d", "a"), ("a", "u"), ("u", "a")):
        fresh = lab.mark(2)
        ends = [ipaddress.ip_address(lab.address(end, family)) for end in (sender, receiver)]
        lab.agents[sender].call("raw", whole_packets=[
            part for marker in fresh for part in packets.ip_packets(*ends, 253, marked.make(marker, 120), marker)])
        markers += fresh
    return markers


def open_every_kind(lab, family):
    """Conversations of every kind, between all sorts of ends; the list grows no packet that a tap's absence hides."""
    kinds = [
        ("a", "tcp", "b", WEB), ("b", "tcp", "a", WEB), ("d", "tcp", "a", WEB), ("a", "tcp", "c", MQ), ("c", "tcp", "a", GRPC),
        ("b", "tcp", "grpc", 80), ("d", "tcp", "grpc", 80), ("a", "tcp", "web", 80), ("c", "tcp", "web", 80),
        ("a", "tcp", "mq", MQ), ("d", "tcp", "mq", MQ), ("d", "tcp", "spread", 80), ("a", "tcp", "grpc", 80),
        ("a", "udp", "b", DNS), ("d", "udp", "a", 50000), ("a", "udp", "dns", DNS), ("c", "udp", "dns", DNS),
        ("a", "tcp", "outside", WEB), ("c", "tcp", "outside", GRPC), ("u", "tcp", "a", WEB), ("c", "tcp", "u", WEB),
        ("a", "tcp", "plain", 80), ("u", "tcp", "grpc", 80),
    ]
    conversations = [lab.open(*kind, family) for kind in kinds]
    conversations.append(lab.open("outside", "tcp", node_outer_address(2, family), 30080, family))
    conversations.append(lab.open("node1", "tcp", "a", WEB, family, source=gateway(1, family)))
    return conversations


def talk_in_every_kind(lab, family, conversations):
    markers = []
    for conversation in conversations:
        markers += lab.talk(conversation, count=2)
    markers += lab.exchange("a", "udp", "d", DNS, family, count=1, size=4000)
    return markers + lab.ping("a", "b", family, count=1) + lab.ping("d", "a", family, count=1)


@scenario("connections-older-than-the-taps")
def _(lab, family):
    with lab.unwatched():
        lab.stop_taps()
        conversations = open_every_kind(lab, family)
        talk_in_every_kind(lab, family, conversations)
        lab.start_taps()
    markers = talk_in_every_kind(lab, family, conversations)
    for conversation in conversations:
        lab.close(conversation)
    return markers


@scenario("one-tap-restarts-midway")
def _(lab, family):
    """Each tap in turn, in the middle of every kind of flow."""
    conversations = open_every_kind(lab, family)
    markers = talk_in_every_kind(lab, family, conversations)
    for pod in lab.tapped:
        lab.restart_tap(pod.name)
        markers += talk_in_every_kind(lab, family, conversations)
    for conversation in conversations:
        lab.close(conversation)
    return markers


@scenario("the-servers-tap-restarts-whatever-the-ports")
def _(lab, family):
    """Connections whose ports do not tell the server from the client, or tell wrong; and SCTP."""
    with lab.serving("b", "tcp", 9000, family):
        conversations = [lab.open("a", "tcp", "b", 9000, family, source_port=9000),
                         lab.open("d", "tcp", "b", 9000, family, source_port=9000),
                         lab.open("c", "tcp", "b", GRPC, family, source_port=600),
                         lab.open("d", "tcp", "web", 80, family, source_port=601)]

        def talk():
            return [marker for conversation in conversations for marker in lab.talk(conversation)] + \
                _sctp_association(lab, "a", "b", "b", family, 40120, SCTP_PORT) + \
                _sctp_association(lab, "d", "b", "b", family, SCTP_PORT, SCTP_PORT)
        markers = talk()
        lab.restart_tap("b")
        markers += talk()  # while the port listens: the tap asks with the first packet that it sees
        lab.judge.settle()  # a busy machine lets it look late
        for conversation in conversations:
            lab.close(conversation)
    return markers


@scenario("taps-started-late", families=(4,))
def _(lab, _family):
    """Taps start one after the other while flows of both families run; all is exact once the last one forwards."""
    with lab.unwatched():
        lab.stop_taps()
        conversations = {family: open_every_kind(lab, family) for family in (4, 6)}
        for pod in lab.tapped:
            lab.start_tap(pod.name)
            lab.taps[pod.name].wait_forwarding()
            for family in (4, 6):
                talk_in_every_kind(lab, family, conversations[family])
    markers = []
    for family in (4, 6):
        markers += talk_in_every_kind(lab, family, conversations[family])
        for conversation in conversations[family]:
            lab.close(conversation)
    return markers


@scenario("a-tap-ends-with-nothing-lost", families=(4,))
def _(lab, _family):
    """What a tap has captured is sent before it ends."""
    markers = []
    for server in ("a", "b"):
        conversation = lab.open("u", "udp", server, DNS)
        markers += lab.talk(conversation, count=50)
        lab.close(conversation)
        # No pause: the last packets are still in the tap.
        lab.restart_tap_at_once(server)
    return markers
