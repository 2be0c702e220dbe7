"""Judges traffic while taps come and go: what was lost or doubled, and whether that is within the documented windows.

Unlike judge.py it takes a packet and its copy with a Service's address for one: while a tap is away its peers forward
what they see. Compared are the marked messages and every segment of TCP; the rest (ARP, neighbour discovery) is left out.
"""
import enum
import ipaddress
import math
import struct
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from . import packets
from . import payload as marked

_PAYLOAD_AT = {packets.UDP: 8, packets.ICMP: 8, packets.ICMP6: 8, packets.SCTP: 28}
_WITH_PORTS = (packets.TCP, packets.UDP, packets.SCTP)


class Whose(enum.Enum):
    """Which view of a packet through a Service the sensor is to have."""
    BACKENDS = enum.auto()  # while their taps forward; otherwise the client's
    CLIENTS = enum.auto()
    BOTH = enum.auto()  # documented: the packet comes in each view
    EITHER = enum.auto()  # one of them; which one changes meanwhile


class View(NamedTuple):
    """A packet as somebody on its way sees it: addresses as bytes, ports 0 where there are none."""
    source: bytes
    destination: bytes
    protocol: int
    source_port: int = 0
    destination_port: int = 0

    def __str__(self):
        ends = ((self.source, self.source_port), (self.destination, self.destination_port))
        return " > ".join(f"{ipaddress.ip_address(address)}{f' {port}' if port else ''}" for address, port in ends)


@dataclass
class Span:
    """A time in which a pod's tap forwarded beyond doubt."""
    pod: str
    begin: float = -math.inf
    end: float = math.inf


@dataclass
class Window:
    """A time in which packets of some pods may be lost or doubled after a change, and what of it came to pass."""
    change: str
    may: tuple  # of "lost" and "doubled"
    event: float  # when the change took place
    told: float  # when every tap knew of it
    documented: float = None  # seconds between the two at most; None: no limit is documented
    pods: frozenset = None  # None: packets of all pods
    before: float = 0.0  # it begins so long before the event,
    after: float = 0.0  # and ends so long after the taps were told
    times: dict = field(default_factory=lambda: defaultdict(list))  # kind -> seconds from the event, of each packet

    @property
    def length(self):
        return self.told - self.event

    def holds(self, kind, when, pods):
        return (kind in self.may and (self.pods is None or not self.pods.isdisjoint(pods)) and
                self.event - self.before <= when <= self.told + self.after)

    def add(self, kind, when, count):
        self.times[kind] += [when - self.event] * count

    @staticmethod
    def heading():
        return f"{'change':<44} {'documented':>10} {'told after':>10}   packets, from when to when"

    def line(self):
        documented = "-" if self.documented is None else f"{self.documented:g} s"
        found = "; ".join(f"{len(times)} {kind}, {min(times):+.2f} to {max(times):+.2f} s"
                          for kind, times in sorted(self.times.items(), reverse=True))
        return f"{self.change:<44} {documented:>10} {self.length:>8.2f} s   {found or 'none ' + ' or '.join(self.may)}"


@dataclass
class Verdict:
    name: str
    wire: int = 0
    forwarded: int = 0
    lost: int = 0  # outside of the windows, as the next two
    doubled: int = 0
    wrong_view: int = 0  # with a Service's address where the pod's was due, or the reverse
    stray: int = 0  # never on the wire
    uncovered: int = 0  # passed while no tap on the way forwarded: nobody is to blame
    twice: int = 0  # seen once in each view, as documented of such Services
    overrun: int = 0  # dropped by the kernel since a busy machine let no tap look at them
    notes: list = field(default_factory=list)
    windows: list = field(default_factory=list)
    faults: list = field(default_factory=list)  # descriptions

    @property
    def within(self):
        """Whether everything was as the documents say."""
        return self.wire > 0 and not (self.lost or self.doubled or self.wrong_view or self.stray or self.notes)

    @staticmethod
    def heading():
        return (f"{'scenario':<34} {'wire':>6} {'forwarded':>9}   {'lost':>4} {'doubled':>7}   "
                f"{'in windows: lost':>16} {'doubled':>7}")

    def line(self):
        inside = Counter()
        for window in self.windows:
            inside.update({kind: len(times) for kind, times in window.times.items()})
        text = (f"{self.name:<34} {self.wire:>6} {self.forwarded:>9}   {self.lost:>4} {self.doubled:>7}   "
                f"{inside['lost']:>16} {inside['doubled']:>7}  {'ok' if self.within else 'WRONG'}")
        extra = [f"{count} {what}" for count, what in (
            (self.wrong_view, "in a wrong view"), (self.stray, "that were never on the wire"),
            (self.uncovered, "passed no tap that forwarded"), (self.twice, "in both views, as documented")) if count]
        extra += self.notes + (["no packets at all"] if not self.wire else [])
        return text + (f" ({'; '.join(extra)})" if extra else "")


def identity(data):
    """(key, View) of a frame; None where it is not compared.

    The key is what a packet keeps whatever addresses it is given on its way; the protocol is its first part. Segments of TCP
    are as the lab's flows send them: shorter than the MTU.
    """
    ethertype = data[12:14]
    if data[0] & 1:
        return None
    if ethertype == b"\x08\x00" and not (data[20] & 0x3F or data[21]):
        start, end, protocol = 14 + (data[14] & 15) * 4, 14 + int.from_bytes(data[16:18], "big"), data[23]
        source, destination = data[26:30], data[30:34]
    elif ethertype == b"\x86\xdd":
        start, end, protocol = 54, 54 + int.from_bytes(data[18:20], "big"), data[20]
        source, destination = data[22:38], data[38:54]
    else:
        return None
    ports = struct.unpack_from(">HH", data, start) if protocol in _WITH_PORTS and len(data) >= start + 4 else (0, 0)
    view = View(source, destination, protocol, *ports)
    if protocol == packets.TCP:  # all but the ports and the checksum
        return (protocol, data[start + 4:start + 16], data[start + 18:end]), view
    message = marked.block(data, start + _PAYLOAD_AT[protocol]) if protocol in _PAYLOAD_AT else None
    if message is None:
        return None
    # A reply to an echo request has the marker of the request.
    kind = data[start] if protocol in (packets.ICMP, packets.ICMP6) else 0
    return (protocol, kind, *message), view


class RegistryJudge:
    """Collects truth and captures since open(), and gives a verdict.

    tapped: pods with a tap, to their addresses. hidden: networks of the Services. ignored: addresses of the sensor and the
    registry. front_ends: (address, protocol, port) at which a Service can be asked besides its cluster IP, to what `whose` of
    verdict() is to be told of it.
    """

    def __init__(self, wire, sensor, tapped, hidden, ignored, front_ends=None):
        self._wire, self._sensor = wire, sensor
        self._tapped = set(tapped)
        self._pods = {ipaddress.ip_address(address).packed: pod for pod, addresses in tapped.items() for address in addresses}
        self._hidden = [ipaddress.ip_network(network) for network in hidden]
        self._services = {}  # address as bytes -> the Service's address; None: it is none
        self._front_ends = {(ipaddress.ip_address(address).packed, *port): told
                            for (address, *port), told in (front_ends or {}).items()}
        self._ignored = {ipaddress.ip_address(address).packed for address in ignored}
        self._keep = None
        self.open()

    def keep_truth(self, writer):
        self._keep = writer

    def open(self):
        """Forgets what has come so far."""
        self._truth, self._captured = [], []
        self._passages = defaultdict(lambda: defaultdict(list))  # identity -> pod -> times
        self._views = defaultdict(set)  # identity -> (pod, View)
        self._got = defaultdict(list)  # identity -> (pod whose tap forwarded it, View)
        self._samples = {}
        self.last_of = {}  # sensor's capture file -> time of the last packet in it

    def collect(self):
        """Takes in what came; returns how many frames the sensor got. Nothing is looked at before the verdict."""
        captured = self._sensor.take()
        self._truth += self._wire.take()
        self._captured += captured
        for frame in captured:
            self.last_of[frame.place] = frame.time
        return len(captured)

    def calm(self, quiet=0.3, patience=4.0):
        """Waits until the sensor gets nothing more for a while."""
        deadline = time.monotonic() + patience
        calm_since = time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - calm_since < quiet:
            if self.collect():
                calm_since = time.monotonic()
            time.sleep(0.03)

    def _read(self):
        for frame in self._truth:
            if self._keep:
                self._keep.write(frame)
            if frame.other_host or frame.place not in self._tapped:
                continue
            if found := self._identify(frame):
                key, view = found
                self._passages[key][frame.place].append(frame.time)
                self._views[key].add((frame.place, view))
        for frame in self._captured:
            if found := self._identify(frame):
                key, view = found
                self._got[key].append((self._tap_of(frame.place), view))
        self._truth, self._captured = [], []

    def _tap_of(self, capture):
        """The pod whose tap a capture file is of: its name begins with the pod's address."""
        try:
            return self._pods[ipaddress.ip_address(capture.split("-")[0]).packed]
        except (ValueError, KeyError):
            return capture

    def _identify(self, frame):
        found = identity(frame.data)
        if found is None or not self._ignored.isdisjoint((found[1].source, found[1].destination)):
            return None
        self._samples.setdefault(found[0], frame.data)
        return found

    def _service_of(self, view):
        """What `whose` is to be told of the Service in a client's view; None in a pod's view."""
        for packed, port in ((view.source, view.source_port), (view.destination, view.destination_port)):
            if (packed, view.protocol, port) in self._front_ends:
                return self._front_ends[packed, view.protocol, port]
            if packed not in self._services:
                address = ipaddress.ip_address(packed)
                self._services[packed] = address if any(
                    address in network for network in self._hidden if network.version == address.version) else None
            if self._services[packed] is not None:
                return self._services[packed]
        return None

    def verdict(self, name, spans, windows, whose=lambda pod, service, protocol: Whose.BACKENDS):
        """whose(pod, Service's address or what front_ends has of it, protocol): which view of it is right for this client."""
        self._read()
        result = Verdict(name, windows=windows)
        begun = min((times[0] for passages in self._passages.values() for times in passages.values()), default=0)
        faults = defaultdict(list)
        for key in self._passages.keys() | self._got.keys():
            kind, count = self._judge(key, result, spans, windows, whose)
            if kind is not None:
                setattr(result, kind, getattr(result, kind) + count)
                faults[f"{kind}: {self._describe(key)}"] += [self._passed(key) - begun] * count
        result.faults = [f"{what}, {len(times)} times, {min(times):.2f} to {max(times):.2f} s after the first packet"
                         for what, times in sorted(faults.items(), key=lambda fault: -len(fault[1]))[:12]]
        return result

    def _describe(self, key):
        """The packet, and who saw and who forwarded it as what."""
        def views(seen):
            return "; ".join(f"{pod} as {view}" for pod, view in sorted(seen)) or "nobody"
        return (f"{packets.read(self._samples[key])[0].describe()}, seen by {views(self._views.get(key, ()))}, "
                f"forwarded by {views(self._got.get(key, ()))}")

    def _passed(self, key):
        return min((when for times in self._passages[key].values() for when in times), default=math.inf)

    def _judge(self, key, result, spans, windows, whose):
        """(kind, count) of the fault; counts everything else in the result."""
        passages, got = self._passages.get(key, {}), self._got.get(key, [])
        due = max((len(times) for times in passages.values()), default=0)
        result.wire += due
        result.forwarded += len(got)
        if not passages:
            return "stray", len(got)
        both_views = any(right is Whose.BOTH for _, _, right in self._client_views(key, whose))
        if len(got) > due and both_views and len(got) == due * len({view for _, view in self._views[key]}):
            result.twice += due
            return None, 0
        passed, pods = self._passed(key), self._concerned(key)
        kind = "lost" if len(got) < due else "doubled" if len(got) > due else None
        if kind is None:
            in_window = any(window.holds(kind, passed, pods) for window in windows for kind in window.may)
            if both_views or in_window or not self._is_wrong_view(key, spans, whose):
                return None, 0
            return "wrong_view", due
        count = abs(due - len(got))
        if kind == "lost" and not any(self._covered(spans, pod, times) for pod, times in passages.items()):
            result.uncovered += count
            return None, 0
        for window in windows:
            if window.holds(kind, passed, pods):
                window.add(kind, passed, count)
                return None, 0
        return kind, count

    def _concerned(self, key):
        """Pods that the packet passed, or that it is from or for: it may not get there."""
        pods = set(self._passages[key])
        for _, view in self._views[key]:
            pods |= {self._pods[end] for end in (view.source, view.destination) if end in self._pods}
        return pods

    def _client_views(self, key, whose):
        """(pod, View, whose view is right) of each who sees a Service's address."""
        for pod, view in self._views[key]:
            if (service := self._service_of(view)) is not None:
                yield pod, view, whose(pod, service, key[0])

    @staticmethod
    def _covered(spans, pod, times):
        return any(span.pod == pod and span.begin <= when <= span.end for span in spans for when in times)

    def _is_wrong_view(self, key, spans, whose):
        """Whether the sensor has another view than that of the tap that had to forward, and did."""
        got = {view for _, view in self._got[key]}

        def forwarded(pod):
            return self._covered(spans, pod, self._passages[key][pod])
        for client, seen, right in self._client_views(key, whose):
            if right is Whose.CLIENTS and seen not in got and forwarded(client):
                return True
            if right is Whose.BACKENDS and seen in got and any(
                    forwarded(pod) for pod, view in self._views[key] if self._service_of(view) is None):
                return True
        return False
