"""What can happen to collectors, to the sensor behind them and to a tap, in the middle of flows.

The flows that run meanwhile have ports of their own: where something may be lost, it is theirs alone, and the ledger must
name each loss (see collectors.py). Everything else is exact, also conversations that are older than what happens.
"""
import contextlib
import itertools
import signal
from dataclasses import dataclass
from typing import Callable

from . import packets
from .lab import DNS, GRPC, WEB
from .scenario import exchanges
from .tap_scenarios import open_every_kind, talk_in_every_kind

EVENTS = {}

# (client, protocol, to, port, family); every tap has to forward some of them.
_FLOWS = [
    ("a", "tcp", "b", WEB, 4), ("b", "tcp", "c", WEB, 6), ("c", "tcp", "a", GRPC, 4), ("a", "tcp", "d", WEB, 6),
    ("d", "tcp", "grpc", 80, 4), ("b", "udp", "d", DNS, 4), ("d", "udp", "b", DNS, 6), ("c", "tcp", "outside", WEB, 4),
    ("u", "tcp", "c", WEB, 4),
]
_INTERVAL = 1 / 30  # between two messages of a flow, each of which is answered
_CALM = 0.8  # seconds of traffic before, between and after what happens
_STALL = 2.0  # seconds; all that comes meanwhile finds room on the way
_FLOOD = 10_000  # datagrams, as fast as a pod can send them
_MARKERS_OF_A_FLOW = 1 << 16
# Out of reach of those that the lab gives away, and of the ports that other flows choose.
_markers = itertools.count(0x40000000, _MARKERS_OF_A_FLOW)
_PORTS = range(62_000, 65_000)
_ports = itertools.cycle(_PORTS)


@dataclass
class Event:
    happen: Callable  # (lab) -> markers that the sensor must have seen
    least: int  # collectors that it takes
    may_lose: Callable  # (packet) -> whether it may be lost


def _nothing(_packet):
    return False


def _of_these_flows(packet):
    """A packet of the flows that run meanwhile; or none of any flow, such as a question for a neighbour."""
    if packet.protocol not in (packets.TCP, packets.UDP):
        return True
    return packet.source_port in _PORTS or packet.destination_port in _PORTS


def _event(name, least=1, may_lose=_nothing):
    def register(function):
        EVENTS[name] = Event(function, least, may_lose)
        return function
    return register


def _take_in(lab):
    """Lets the judge have all of it: over so much it takes longer than it waits for what is still on its way."""
    while lab.judge.collect():
        lab.pause(0.2)


@contextlib.contextmanager
def _traffic(lab):
    """Flows that run while something happens, and some time before and after."""
    conversations = [lab.open(*flow, source_port=next(_ports)) for flow in _FLOWS]
    clients = {client for client, _ in conversations}
    for client, name in conversations:
        lab.agents[client].call("repeat", what="talk", first=next(_markers), interval=_INTERVAL, name=name)
    try:
        lab.pause(_CALM)
        yield
        lab.pause(_CALM)
    finally:
        results = [result for client in clients for result in lab.agents[client].call("end_repeating")]
    for answered, unanswered in results:
        if not answered:
            raise RuntimeError(f"a flow has got no answer to {unanswered} messages")
    for conversation in conversations:
        lab.close(conversation)
    _take_in(lab)


def _wait_for_taps(lab):
    lab.collectors.wait_for_taps(len(lab.taps))


@_event("a-collector-stops-and-comes-back")
def _(lab):
    """In good order: its taps go elsewhere, or wait where it is the only one, and come back."""
    before = lab.collectors.standing()
    with _traffic(lab):
        number = lab.collectors.busiest()
        lab.collectors.stop(number)
        if lab.collectors.count() > 1:
            _wait_for_taps(lab)
        lab.pause(_CALM)
        lab.collectors.start(number)
        lab.collectors.wait_for(lambda standing: standing == before, "every tap is at its first choice again")
    return []


@_event("a-collector-is-killed", least=2, may_lose=_of_these_flows)
def _(lab):
    """What it had, and what was on its way to it, is lost; nothing else, and nothing comes twice."""
    conversations = open_every_kind(lab, 4)
    markers = talk_in_every_kind(lab, 4, conversations)
    lab.judge.settle()
    before = lab.collectors.standing()
    number = lab.collectors.busiest()
    with _traffic(lab):
        lab.collectors.kill(number)
        _wait_for_taps(lab)
    markers += talk_in_every_kind(lab, 4, conversations)
    for conversation in conversations:
        lab.close(conversation)
    lab.judge.settle()
    lab.collectors.start(number)
    lab.collectors.wait_for(lambda standing: standing == before, "every tap is at its first choice again")
    return markers


@_event("a-sensor-stalls")
def _(lab):
    """For as long as what stands between has room."""
    with _traffic(lab):
        lab.sensor.tell(signal.SIGSTOP)
        try:
            lab.pause(_STALL)
        finally:
            lab.sensor.tell(signal.SIGCONT)
    return []


@_event("a-tap-floods", may_lose=_of_these_flows)
def _(lab):
    """Its own packets may be lost, and those of nobody else."""
    flood = lab.open("d", "udp", "outside", 9, source_port=next(_ports))
    first = next(_markers)
    lab.agents["d"].start("tell", name=flood[1], markers=list(range(first, first + _FLOOD)))
    markers = []
    try:
        for family in (4, 6) * 4:
            markers += exchanges(lab, family, ("a", "tcp", "b", WEB), ("c", "tcp", "a", GRPC), ("b", "tcp", "grpc", 80),
                                 ("c", "udp", "dns", DNS), ("u", "tcp", "c", WEB), ("a", "udp", "outside", DNS))
    finally:
        lab.agents["d"].wait()
    lab.close(flood)
    _take_in(lab)
    return markers
