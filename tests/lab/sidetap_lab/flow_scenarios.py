"""TCP and UDP between pods with and without taps, Services, nodes and the outside."""
import ipaddress

from . import packets
from . import payload as marked
from .cluster import gateway, node_outer_address
from .lab import DNS, GRPC, MQ, WEB
from .payload import reply_marker
from .scenario import exchanges, scenario


@scenario("tcp-same-node")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "b", WEB), ("b", "tcp", "a", WEB))


@scenario("tcp-across-nodes")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "c", WEB), ("d", "tcp", "b", WEB))


@scenario("tcp-high-port-50051")
def _(lab, family):
    return exchanges(lab, family, ("b", "tcp", "a", GRPC), ("c", "tcp", "a", GRPC), ("a", "tcp", "d", GRPC))


@scenario("tcp-high-port-61616")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "c", MQ), ("d", "tcp", "c", MQ), ("c", "tcp", "a", MQ))


@scenario("tcp-vip-80-to-50051")
def _(lab, family):
    return exchanges(lab, family, ("b", "tcp", "grpc", 80), ("c", "tcp", "grpc", 80), ("d", "tcp", "grpc", 80))


@scenario("tcp-vip-61616")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "mq", MQ), ("d", "tcp", "mq", MQ))


@scenario("tcp-vip-80-to-8080")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "web", 80), ("c", "tcp", "web", 80))


@scenario("tcp-vip-several-backends")
def _(lab, family):
    return exchanges(lab, family, *[("b", "tcp", "spread", 80)] * 8, *[("d", "tcp", "spread", 80)] * 8)


@scenario("tcp-equal-ports")
def _(lab, family):
    markers = []
    for client, server in (("a", "b"), ("b", "a"), ("a", "d"), ("d", "a")):
        with lab.serving(server, "tcp", 9000, family):
            markers += lab.exchange(client, "tcp", server, 9000, family, source_port=9000)
    return markers


@scenario("tcp-low-client-port")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "b", GRPC), ("c", "tcp", "grpc", 80), source_port=600)


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
    return [marker for marker in exchanges(lab, family, ("a", "tcp", "b", WEB), ("d", "tcp", "a", WEB),
                                      ("c", "tcp", "grpc", 80), ("a", "tcp", "outside", WEB), count=2, size=200_000)]


@scenario("dns-vip-lower-client")
def _(lab, family):
    return exchanges(lab, family, ("a", "udp", "dns", DNS), ("a", "tcp", "dns", DNS))


@scenario("dns-vip-higher-client")
def _(lab, family):
    return exchanges(lab, family, ("c", "udp", "dns", DNS), ("d", "udp", "dns", DNS), ("d", "tcp", "dns", DNS))


@scenario("udp-vip")
def _(lab, family):
    return exchanges(lab, family, ("a", "udp", "statsd", 8125), ("c", "udp", "statsd", 8125))


@scenario("udp-direct")
def _(lab, family):
    return exchanges(lab, family, ("a", "udp", "b", DNS), ("b", "udp", "a", DNS), ("a", "udp", "d", 8125), ("d", "udp", "a", 8125))


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
    return exchanges(lab, family, ("a", "tcp", "outside", WEB), ("c", "tcp", "outside", GRPC), ("b", "udp", "outside", DNS),
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
    return exchanges(lab, family, ("u", "tcp", "a", WEB), ("u", "tcp", "c", GRPC), ("u", "udp", "b", DNS), ("u", "udp", "d", 50000))


@scenario("untapped-client-vip")
def _(lab, family):
    return exchanges(lab, family, ("u", "tcp", "grpc", 80), ("u", "tcp", "mq", MQ), ("u", "udp", "dns", DNS))


@scenario("untapped-server")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "u", WEB), ("c", "tcp", "u", GRPC), ("b", "udp", "u", DNS), ("d", "udp", "u", 50000))


@scenario("untapped-behind-vip")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "plain", 80), ("c", "tcp", "plain", 80), ("b", "udp", "plain-dns", DNS))


@scenario("hairpin-through-own-vip")
def _(lab, family):
    return exchanges(lab, family, ("a", "tcp", "grpc", 80), ("b", "udp", "dns", DNS), ("c", "tcp", "mq", MQ))


@scenario("udp-fragments-direct")
def _(lab, family):
    return exchanges(lab, family, ("a", "udp", "b", DNS), ("b", "udp", "a", 50000), ("a", "udp", "d", DNS), ("d", "udp", "a", 8125),
                count=2, size=5000)


@scenario("udp-fragments-vip")
def _(lab, family):
    return exchanges(lab, family, ("a", "udp", "dns", DNS), ("c", "udp", "dns", DNS), ("d", "udp", "dns", DNS), count=2, size=5000)


@scenario("udp-fragments-outside")
def _(lab, family):
    return exchanges(lab, family, ("a", "udp", "outside", DNS), ("d", "udp", "outside", DNS), ("c", "udp", "u", DNS),
                count=2, size=5000)
