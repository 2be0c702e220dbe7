"""Traffic through Services while what the registry tells of them is settled: each packet comes once, in the view that is
right. The last one changes that: taps roll out and back in the middle of flows."""
from .link_scenarios import sctp_association
from .services_lab import WAYS
from .services_plan import CLIENTS, LOOK_ALIKE, ROLLED, ROLLING

SCENARIOS = {}
FILTERED = []  # names of those whose flows need answers, and so bridges that filter

# Below the ports that look like a client's, and above; inside of the ephemeral range, and outside.
_UDP_SOURCES = (4000, 6000, 33000, 60500, 62000)
_SCTP_SOURCES = {5060: (4000, 40000), 50053: (40000, 62000), 4789: (4000, 40000)}
# (client, kind, to, port, family), each over 120 packets a second.
_THROUGH_ROLLOUT = [
    *[("a", "tcp", "roll", 80, 4), ("c", "tcp", "roll", 80, 6)] * 3,
    ("a", "udp", "roll-udp", 80, 4), ("a", "udp", "roll-udp", 80, 6), ("c", "udp", "roll-udp", 80, 4),
    ("a", "tcp", "r1", ROLLED, 4), ("c", "tcp", "r1", ROLLED, 6), ("a", "udp", "r4", ROLLED, 6), ("c", "udp", "r6", ROLLED, 4),
    ("u", "tcp", "r2", ROLLED, 4),
]


def scenario(name, filtered=False):
    """A function of the lab, run with bridges that filter and with bridges that do not; or with the former only."""
    def register(function):
        SCENARIOS[name] = function
        if filtered:
            FILTERED.append(name)
        return function
    return register


def everywhere(lab, clients, services, ways=(None,), times=1):
    """Conversations of both families by each way; several, so that they meet several backends."""
    for family in (4, 6):
        for client in clients:
            for service in services:
                for way in ways:
                    for _ in range(times):
                        lab.converse(client, service, family, way)


def direct(lab, clients, server, port, protocols=("tcp", "udp")):
    for family in (4, 6):
        for client in clients:
            for protocol in protocols:
                lab.exchange(client, protocol, server, port, family)


@scenario("tcp-older-than-the-taps")
def _(lab):
    """The target port is ephemeral; so is the client's port, or it is the lower one."""
    with lab.steady():
        for conversation, beside in lab.older:
            if lab.bridges_filter or not beside:
                lab.talk(conversation)


@scenario("partly-tapped-by-cluster-ip")
def _(lab):
    with lab.steady():
        everywhere(lab, "acu", ("part", "part-udp"), times=4)


@scenario("partly-tapped-direct")
def _(lab):
    """On one node and across nodes, and from a client without a tap."""
    with lab.steady():
        direct(lab, "acdu", "b", 8084)


@scenario("an-endpoint-of-two-services")
def _(lab):
    """All backends of one Service are tapped; the other, which shares them, is partly tapped."""
    with lab.steady():
        everywhere(lab, "abc", ("whole", "whole-udp", "sharing", "sharing-udp"), times=2)
        direct(lab, "abcu", "d", 8085)


@scenario("partly-tapped-and-headless")
def _(lab):
    with lab.steady():
        direct(lab, "abcu", "d", 8086)


@scenario("all-tapped-and-none-tapped")
def _(lab):
    with lab.steady():
        everywhere(lab, "acu", ("all", "all-udp"), times=2)
        everywhere(lab, "acb", ("none", "none-udp"), times=2)


@scenario("front-ends-masqueraded")
def _(lab):
    """Node ports of the client's node and of the other, external and load balancer addresses: backends see a node."""
    with lab.steady():
        everywhere(lab, CLIENTS, ("all", "all-udp", "none", "none-udp"), WAYS, times=2)


@scenario("front-ends-not-masqueraded")
def _(lab):
    """externalTrafficPolicy: Local, with a backend on each node."""
    with lab.steady():
        everywhere(lab, CLIENTS, ("all-local", "all-local-udp", "none-local", "none-local-udp"), WAYS)


@scenario("front-ends-partly-tapped")
def _(lab):
    """The exception that remains: the backend sees a node, which has no tap, so both taps forward."""
    with lab.steady():
        everywhere(lab, CLIENTS, ("part", "part-udp"), ("own node", "other node"), times=2)


@scenario("udp-on-ports-like-a-clients")
def _(lab):
    with lab.steady():
        for family in (4, 6):
            for port in LOOK_ALIKE:
                for source_port in _UDP_SOURCES:
                    for client, server in (("a", "d"), ("c", "b")):
                        lab.converse(client, f"udp-{port}", family, source_port=source_port)
                        # The same port would make the node change it: the next conversation would look like the first.
                        lab.exchange(client, "udp", server, port, family, source_port=source_port + 1)


@scenario("sctp-on-ports-like-a-clients")
def _(lab):
    with lab.steady():
        for family in (4, 6):
            for port, sources in _SCTP_SOURCES.items():
                for source_port in sources:
                    # The node may still know the association of the other setting.
                    source_port += 2 * lab.bridges_filter
                    sctp_association(lab, "c", f"sctp-{port}", "b", family, source_port, port)
                    sctp_association(lab, "a", "d", "d", family, source_port + 1, port)


@scenario("echo-to-a-cluster-ip")
def _(lab):
    """Answered by the node, which has the address on an interface, or by nobody."""
    with lab.steady():
        for family in (4, 6):
            for client in CLIENTS:
                lab.echo(client, "held", family, answered=True)
                for service in ("all", "part", "none"):
                    lab.echo(client, service, family, answered=False)
        everywhere(lab, CLIENTS, ("held", "held-udp"))


@scenario("node-local-dns")
def _(lab):
    """The node answers at the cluster IP of the cluster DNS; what asks by another way gets to the pods."""
    with lab.steady():
        everywhere(lab, "acu", ("kube-dns", "kube-dns-tcp", "kube-dns-upstream", "kube-dns-upstream-tcp"), times=2)
        direct(lab, "acu", "d", 53)


@scenario("a-rollout-and-back", filtered=True)
def _(lab):
    """From no tapped backend to all, one by one, and back. They are few, so that it ends within half a minute."""
    with lab.traffic(_THROUGH_ROLLOUT):
        for name in ROLLING:
            lab.roll_out(name)
        lab.calm()
        for name in ROLLING:
            lab.roll_back(name)
