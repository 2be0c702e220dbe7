"""Compares what passed the wire with what the sensor got: each packet once, none twice, in the right view."""
import ipaddress
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from . import packets


@dataclass
class Verdict:
    name: str
    wire: int = 0  # packets of the wire that the sensor should have
    forwarded: int = 0
    lost: int = 0
    doubled: int = 0
    stray: int = 0  # forwarded, but not on the wire like this: a VIP view, or somebody else's packet
    spoiled: int = 0  # forwarded with a checksum that no receiver would take
    missing_messages: int = 0  # sent by a program, in no packet the sensor got
    notes: list = field(default_factory=list)

    @property
    def exact(self):
        return self.wire > 0 and not (self.lost or self.doubled or self.stray or self.spoiled or
                                      self.missing_messages or self.notes)

    def line(self):
        verdict = "exact" if self.exact else "WRONG"
        text = (f"{self.name:<44} {self.wire:>7} {self.forwarded:>9} {self.lost:>6} {self.doubled:>7}  {verdict}")
        extra = [f"{count} {what}" for count, what in (
            (self.stray, "in a wrong view"), (self.spoiled, "with a wrong checksum"),
            (self.missing_messages, "messages of programs not seen"), (self.wire == 0, "no packets at all")) if count]
        return text + (f" ({'; '.join(extra + self.notes)})" if extra or self.notes else "")

    @staticmethod
    def heading(first="scenario"):
        return f"{first:<44} {'wire':>7} {'forwarded':>9} {'lost':>6} {'doubled':>7}"


class Account:
    """What is due and what came, in units (see packets.py), since it was opened."""

    def __init__(self):
        self.seen = defaultdict(Counter)  # pod -> unit -> times
        self.once_each = Counter()  # group packets of senders without a tap: every receiving tap forwards its own
        self.got = Counter()
        self.samples = {}
        self.messages = Counter()
        self.spoiled = 0
        self.fragments_seen = defaultdict(Counter)  # pod -> (ends, marker) -> fragments
        self.fragments_got = Counter()

    def due(self):
        due = Counter(self.once_each)
        for units in self.seen.values():
            for unit, times in units.items():
                if times > due[unit]:
                    due[unit] = times
        return due


class Judge:
    """Collects truth and captures; opens an account for each scenario and gives its verdict.

    hidden: networks whose addresses may not appear (Services with tapped backends); shown: exceptions from it.
    ignored: addresses of the sensor; the taps' own traffic is no part of the comparison.
    """

    def __init__(self, wire, sensor, tapped, macs, hidden, shown, ignored):
        self._wire, self._sensor = wire, sensor
        self._tapped = set(tapped)
        self._tapped_macs = {bytes.fromhex(macs[pod].replace(":", "")) for pod in tapped}
        self._macs = {pod: bytes.fromhex(mac.replace(":", "")) for pod, mac in macs.items()}
        self._hidden = [ipaddress.ip_network(network) for network in hidden]
        self._shown = {ipaddress.ip_address(address) for address in shown}
        self._ignored = {ipaddress.ip_address(address) for address in ignored}
        self._keep = None
        self.account = Account()
        self.echoes = 0

    def keep_truth(self, writer):
        self._keep = writer

    def is_hidden(self, address):
        return address is not None and address not in self._shown and any(
            address in network for network in self._hidden if network.version == address.version)

    def collect(self):
        """Takes in what came; returns the number of frames."""
        wire, sensor = self._wire.take(), self._sensor.take()
        for frame in wire:
            self._add_truth(frame)
        for frame in sensor:
            self._add_capture(frame)
        return len(wire) + len(sensor)

    def _add_truth(self, frame):
        if self._keep:
            self._keep.write(frame)
        if frame.place not in self._tapped or frame.other_host:
            return
        # A bridge in hairpin mode returns to its sender what it floods. What is for one receiver may carry the
        # receiver's own link address as well: it comes from the pod itself, translated on the bridge.
        if frame.data[0] & 1 and not frame.outgoing and frame.data[6:12] == self._macs[frame.place]:
            self.echoes += 1
            return
        for packet in packets.read(frame.data):
            if packet.source in self._ignored or packet.destination in self._ignored:
                continue
            if self.is_hidden(packet.source) or self.is_hidden(packet.destination):
                continue
            if not self._is_excused(packet):
                self._count_truth(frame.place, packet)

    def _is_excused(self, packet):
        """Link-local IPv6 of somebody without a tap: the documented exception, since its address does not tell."""
        for address, mac in ((packet.source, packet.frame[6:12]), (packet.destination, packet.frame[:6])):
            if packet.family == 6 and address.is_link_local and mac not in self._tapped_macs:
                return True
        return False

    def _count_truth(self, place, packet):
        account = self.account
        for unit in packet.units:
            account.samples.setdefault(unit, packet)
            if packet.group and packet.source_mac not in self._tapped_macs:
                account.once_each[unit] += 1
            else:
                account.seen[place][unit] += 1
        if packet.fragment:
            account.fragments_seen[place][_datagram(packet)] += 1

    def _add_capture(self, frame):
        account = self.account
        for packet in packets.read(frame.data):
            if self._is_excused(packet):
                continue
            for unit in packet.units:
                account.got[unit] += 1
                account.samples.setdefault(unit, packet)
            if packet.fragment:
                account.fragments_got[_datagram(packet)] += 1
            if packet.message and packet.message[1] == 0:
                account.messages[packet.message[0]] += 1
            if not packet.checksum_ok:
                account.spoiled += 1

    def open(self):
        """Starts a new account. What has come so far belongs to the old one."""
        self.collect()
        self.account = Account()

    def settle(self, patience=4.0, quiet=0.15):
        """Waits until everything due has come and nothing more comes for a while, or until patience ends."""
        self._wait(patience, quiet, lambda: self.account.due() == self.account.got)

    def calm(self, quiet=0.2):
        """Waits until nothing more comes for a while."""
        self._wait(2.0, quiet, lambda: True)

    def _wait(self, patience, quiet, enough):
        calm_since = time.monotonic()
        deadline = calm_since + patience
        while time.monotonic() < deadline:
            if self.collect():
                calm_since = time.monotonic()
            elif time.monotonic() - calm_since >= quiet and enough():
                return
            time.sleep(0.02)

    def verdict(self, name, messages=()):
        """Judges the open account. messages: markers that programs sent, each of which the sensor must have seen."""
        account = self.account
        due = account.due()
        result = Verdict(name, spoiled=account.spoiled)
        faults = {"lost": [], "doubled": [], "stray": []}
        for unit in due.keys() | account.got.keys():
            want, have = due[unit], account.got[unit]
            if want == have:
                continue
            kind = "stray" if want == 0 else "lost" if have < want else "doubled"
            setattr(result, kind, getattr(result, kind) + abs(want - have))
            faults[kind].append(account.samples[unit].describe())
        result.wire, result.forwarded = _packets(account, due)
        absent = [marker for marker in messages if account.messages[marker] == 0]
        result.missing_messages = len(absent)
        self.faults = {kind: Counter(lines).most_common(5) for kind, lines in faults.items() if lines}
        return result


def _datagram(packet):
    block = next((unit for unit in packet.units if "block" in unit), None)
    return (packet.source, packet.destination, packet.protocol, block[4] if block else None)


def _packets(account, due):
    """Packets due and packets that came; a fragment counts as one, not by its blocks."""
    fragments = Counter()
    for counts in account.fragments_seen.values():
        for datagram, times in counts.items():
            fragments[datagram] = max(fragments[datagram], times)

    def whole(counter):
        return sum(times for unit, times in counter.items() if "block" not in unit and "first" not in unit)
    return whole(due) + sum(fragments.values()), whole(account.got) + sum(account.fragments_got.values())
