"""What is neither TCP nor UDP between two ends: ICMP, groups, neighbors, SCTP and other protocols."""
import ipaddress
import struct

from . import packets
from . import payload as marked
from .lab import SCTP_PORT, WEB
from .scenario import exchanges, scenario


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
    return _group(lab, "u", ["ff02::fb"]) + exchanges(lab, family, ("c", "tcp", "a", WEB), ("d", "tcp", "b", WEB))


def sctp_association(lab, client, to, real_server, family, source_port, port):
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
    return (sctp_association(lab, "a", "b", "b", family, 40100, SCTP_PORT) +
            sctp_association(lab, "d", "a", "a", family, 40101, SCTP_PORT) +
            sctp_association(lab, "a", "c", "c", family, SCTP_PORT, SCTP_PORT))


@scenario("sctp-vip")
def _(lab, family):
    return (sctp_association(lab, "a", "sigtran", "c", family, 40110, SCTP_PORT) +
            sctp_association(lab, "d", "sigtran", "c", family, 40111, SCTP_PORT))


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
