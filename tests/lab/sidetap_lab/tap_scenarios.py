"""Taps that start, restart and end while traffic of every kind runs."""
from .cluster import gateway, node_outer_address
from .lab import DNS, GRPC, MQ, SCTP_PORT, WEB
from .link_scenarios import sctp_association
from .scenario import scenario


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
                sctp_association(lab, "a", "b", "b", family, 40120, SCTP_PORT) + \
                sctp_association(lab, "d", "b", "b", family, SCTP_PORT, SCTP_PORT)
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
