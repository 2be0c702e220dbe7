"""The cluster of the lab of Services: pods with and without taps, and a Service of every kind over them."""
from .cluster import Cluster, Pod, Service

CLIENTS = "ac"  # tapped, on node 1 and on node 2; no backends
STEADY = "abcd"  # whose taps forward all the time; u and v have none
ROLLING = ("r1", "r2", "r3", "r4", "r5", "r6")  # whose taps come and go
NEVER_TAPPED = "uv"
DNS, GRPC, PARTLY_GRPC, ROLLED = 53, 50051, 50052, 8090
LOOK_ALIKE = (5060, 50053, 4789)  # target ports that look like a client's


def make_cluster():
    pods = [Pod("a", 1, 10), Pod("b", 1, 20), Pod("c", 2, 10), Pod("d", 2, 20),
            Pod("u", 1, 30, tapped=False), Pod("v", 2, 30, tapped=False)]
    pods += [Pod(name, 1 + number // 3, 41 + number) for number, name in enumerate(ROLLING)]
    services = [
        *_both("all", 10, 8080, "bd", node_port=30080, outside=True),
        *_both("none", 11, 8081, "uv", node_port=30081, outside=True),
        *_both("all-local", 12, 8082, "bd", node_port=30082, outside=True, local=True),
        *_both("none-local", 13, 8083, "uv", node_port=30083, outside=True, local=True),
        *_both("part", 14, 8084, "bv", node_port=30084),
        # All backends of the first are tapped, and the second has one of them.
        *_both("whole", 15, 8085, "d"),
        *_both("sharing", 16, 8085, "du"),
        *_both("headless", 17, 8086, "dv", headless=True),
        *_both("held", 18, 8087, "bd", at_nodes=True),
        Service("grpc", 19, "tcp", 80, [("b", GRPC)]),
        Service("part-grpc", 20, "tcp", 80, [("b", PARTLY_GRPC), ("v", PARTLY_GRPC)]),
        *_dns("kube-dns", 53, at_nodes=True, translated=False),
        *_dns("kube-dns-upstream", 54),
        *_both("roll", 60, ROLLED, ROLLING),
    ]
    for number, port in enumerate(LOOK_ALIKE):
        services.append(Service(f"udp-{port}", 30 + number, "udp", port, [("b", port), ("d", port)]))
        services.append(Service(f"sctp-{port}", 40 + number, "sctp", port, [("b", port)]))
    return Cluster(pods, services)


def _both(name, number, target, pods, **more):
    """Port 80 of a Service, of TCP and, with the name NAME-udp, of UDP."""
    return [Service(name + suffix, number, protocol, 80, [(pod, target) for pod in pods], object_name=name, **more)
            for protocol, suffix in (("tcp", ""), ("udp", "-udp"))]


def _dns(name, number, **more):
    """Cluster DNS: UDP, and with the name NAME-tcp TCP."""
    return [Service(name + suffix, number, protocol, DNS, [("b", DNS), ("d", DNS)], namespace="kube-system", object_name=name,
                    **more) for protocol, suffix in (("udp", ""), ("tcp", "-tcp"))]
