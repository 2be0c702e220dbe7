"""What can happen to taps, sensors and the registry while flows run. Each scenario makes it happen and returns nothing:
what was lost or doubled, and whether it may have been, is the judge's to say."""
import time

from .control import REPLICAS
from .lab import DNS, GRPC, SCTP_PORT, WEB
from .registry_lab import LEAVES_AT_LAST, MOVING, SILENCE, TOLD_WITHIN, TWIN

SCENARIOS = {}

# (client, kind, to, port, family, source port of SCTP). To and from the tap that comes and goes, on low and high ports,
# and through Services of which it is the client or the server.
WITH_TAPPED = [
    ("a", "tcp", "b", WEB, 4), ("b", "tcp", "a", GRPC, 4), ("c", "tcp", "b", GRPC, 6), ("b", "tcp", "d", WEB, 6),
    ("a", "udp", "b", DNS, 4), ("b", "udp", "d", 50000, 4), ("c", "udp", "b", 21000, 6),
    ("a", "icmp", "b", 0, 4), ("b", "icmp", "c", 0, 6),
    ("a", "sctp", "b", SCTP_PORT, 4, 40000), ("b", "sctp", "a", 40000, 4, SCTP_PORT),
    ("c", "tcp", "web", 80, 4), ("d", "udp", "dns", DNS, 6), ("b", "tcp", "grpc", 80, 4),
]
# No tap can take the place of another here.
WITH_UNTAPPED = [
    ("u", "tcp", "b", WEB, 4), ("b", "udp", "u", DNS, 4), ("b", "tcp", "outside", WEB, 4), ("u", "icmp", "b", 0, 6),
    ("c", "tcp", "plain", 80, 4), ("d", "udp", "plain-dns", DNS, 6),
]
# Whatever happens to b is nothing to these.
ELSEWHERE = [("a", "tcp", "c", GRPC, 4), ("d", "udp", "a", DNS, 6), ("u", "tcp", "d", WEB, 4)]
EVERYTHING = WITH_TAPPED + WITH_UNTAPPED + ELSEWHERE
# Of a Service with both kinds of backends; enough conversations to meet both.
THROUGH_BLEND = [("c", "tcp", "blend", 80, 4)] * 3 + [("d", "tcp", "blend", 80, 6)] * 3
# What another pod with the same address takes over without noticing.
WITHOUT_CONNECTIONS = [
    ("a", "udp", "b", DNS, 4), ("c", "udp", "b", 21000, 6), ("a", "icmp", "b", 0, 4), ("d", "icmp", "b", 0, 6),
    ("a", "sctp", "b", SCTP_PORT, 4, 40000), ("u", "udp", "b", DNS, 4),
]


def scenario(name):
    def register(function):
        SCENARIOS[name] = function
        return function
    return register


@scenario("a-tap-ends-and-another-starts")
def _(lab):
    """In good order: nothing is lost."""
    with lab.traffic(EVERYTHING):
        lab.tap_ends()
        lab.calm()
        lab.tap_starts()


@scenario("a-tap-crashes-and-comes-back")
def _(lab):
    with lab.traffic(EVERYTHING):
        lab.tap_dies()
        lab.calm()
        lab.tap_starts()


@scenario("a-tap-loses-its-sensor")
def _(lab):
    """The sensor is killed, then another refuses, then one is there again."""
    with lab.traffic(EVERYTHING):
        lab.sensor_dies()
        lab.sensor_refuses()
        lab.sensor_returns()


@scenario("untapped-beside-tapped")
def _(lab):
    """As peers, and behind Services whose backends are untapped, or of both kinds."""
    with lab.traffic(WITH_UNTAPPED + ELSEWHERE + THROUGH_BLEND):
        lab.calm()


@scenario("a-replica-dies-and-comes-back")
def _(lab):
    """The other one tells the same. A tap that ends meanwhile is heard of all the same."""
    with lab.traffic(EVERYTHING):
        lab.replica_dies(0)
        lab.calm()
        lab.tap_ends(documented=LEAVES_AT_LAST)
        lab.calm()
        lab.tap_starts()
        lab.replica_returns(0)


@scenario("an-address-goes-to-an-untapped-pod")
def _(lab):
    """The pod is killed, and its successor has the address at once."""
    with lab.traffic(WITHOUT_CONNECTIONS + ELSEWHERE):
        def change_places():
            lab.link(MOVING, False)
            lab.link(TWIN, True)
        lab.tap_dies(change="a pod's address goes to an untapped one", meanwhile=change_places)
    lab.link(TWIN, False)
    lab.link(MOVING, True)
    lab.start_taps()


@scenario("an-address-is-left-without-a-word")
def _(lab):
    """The pod is cut off before it dies, so that nobody is told; then an untapped one gets the address."""
    with lab.traffic(WITHOUT_CONNECTIONS + ELSEWHERE):
        lab.link(MOVING, False)
        lab.tap_dies(change="a pod vanishes, and its address is used anew", documented=SILENCE + TOLD_WITHIN,
                     meanwhile=lambda: lab.link(TWIN, True))
    lab.link(TWIN, False)
    lab.link(MOVING, True)
    lab.start_taps()


@scenario("forged-registrations")
def _(lab):
    """Nobody can register another's address, neither without a token nor with one: all goes on as before."""
    taken = {"an untapped peer's": [lab.pods["u"].v4, lab.pods["u"].v6], "a tap's": [lab.pods["a"].v4, lab.pods["a"].v6]}
    attempts = [("u", None, "401"), ("u", "made-up", "403"), ("u", "other-token-of-u", "403"),
                ("d", "token-of-d", "refused")]
    with lab.traffic(WITH_UNTAPPED + ELSEWHERE + WITH_TAPPED):
        for whose, addresses in taken.items():
            for place, token, expected in attempts:
                for replica in range(len(REPLICAS)):
                    answer = lab.control.claim(lab.pods[place].namespace, replica, token, addresses)
                    if answer != expected:
                        lab.notes.append(f"{whose} address claimed with token {token}: {answer} instead of {expected}")
        # Longer than it takes to tell of a change.
        time.sleep(2 * TOLD_WITHIN)
        for reason, times in (("no-token", 1), ("token", 2), ("addresses", 1)):
            if (count := lab.control.refused(reason)) < times * len(taken) * len(REPLICAS):
                lab.notes.append(f"only {count:.0f} refusals counted for reason {reason}")


@scenario("every-replica-dies-and-comes-back")
def _(lab):
    """The last word holds for the grace, even of a tap that dies meanwhile; then everybody forwards everything."""
    with lab.traffic(EVERYTHING):
        killed = lab.replicas_die_and_a_tap()
        lab.calm()
        lab.replicas_return(killed)
        lab.calm()
        lab.tap_starts()


@scenario("services-not-watched")
def _(lab):
    """The registry knows nothing of Services: what is untapped is named, and one tap keeps every view."""
    untapped = ",".join(address for name in ("plain", "plain-dns")
                        for address in (lab.address(name, 4), lab.address(name, 6)))
    lab.reconfigure(services=False, variables={
        name: {"UNTAPPED_SERVICES": untapped, **({"SERVICE_VIEW": "always"} if name == "c" else {})} for name in "abcd"})
    flows = [flow for flow in EVERYTHING if flow[2] not in ("web", "dns")] + [
        ("c", "tcp", "web", 80, 4), ("c", "tcp", "blend", 80, 4), ("c", "tcp", "blend", 80, 4)]
    with lab.traffic(flows):
        lab.tap_ends()
        lab.calm()
        lab.tap_starts()
