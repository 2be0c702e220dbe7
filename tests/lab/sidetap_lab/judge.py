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
    on_the_way: int = 0  # the network lost them between sender and receiver: no tap can be blamed
    spared: int = 0  # lost, as they may be; the ledger must name the cause
    collected: int = None  # packets that a collector got meanwhile, where that is counted
    absent: list = field(default_factory=list)  # markers that a program sent, in no packet the sensor got
    notes: list = field(default_factory=list)

    @property
    def exact(self):
        return self.wire > 0 and not (self.lost or self.doubled or self.stray or self.spoiled or
                                      self.absent or self.notes)

    def line(self):
        verdict = "exact" if self.exact else "WRONG"
        if self.on_the_way:
            verdict += f", {self.on_the_way} lost by the network"
        if self.spared:
            verdict += f", but {self.spared} that may be lost"
        collected = "" if self.collected is None else f" {self.collected:>9}"
        text = f"{self.name:<44} {self.wire:>7}{collected} {self.forwarded:>9} {self.lost:>6} {self.doubled:>7}  {verdict}"
        extra = [f"{count} {what}" for count, what in (
            (self.stray, "in a wrong view"), (self.spoiled, "with a wrong checksum"),
            (len(self.absent), "messages of programs not seen"), (self.wire == 0, "no packets at all")) if count]
        return text + (f" ({'; '.join(extra + self.notes)})" if extra or self.notes else "")

    @staticmethod
    def heading(first="scenario", collected=False):
        return f"{first:<44} {'wire':>7}{' collected' if collected else ''} {'forwarded':>9} {'lost':>6} {'doubled':>7}"


class Account:
    """What is due and what came, in units (see packets.py), since it was opened.

    A node puts fragments together to translate their addresses, and what it sends on may be fragmented otherwise or not
    at all. So a datagram of which a fragment was seen anywhere is compared by its marked blocks everywhere.
    """

    def __init__(self):
        self.seen = defaultdict(Counter)  # pod -> unit -> times
        self.once_each = Counter()  # group packets of senders without a tap: every receiving tap forwards its own
        self.got = Counter()
        self.samples = {}
        self.messages = Counter()
        self.arrived = defaultdict(Counter)  # pod -> unit -> times that it came in there
        self.sent = defaultdict(set)  # marker -> destinations under which it left a pod
        self.reached = set()  # markers that came in at a pod
        self.known_neighbours = False  # every tap has seen enough of each neighbour to know whether it has a tap
        self.spoiled = Counter()  # what they are -> how many
        self.parts = defaultdict(Counter)  # pod, or "" for the sensor -> datagram -> packets it came in
        self._fragmented = set()
        self._whole = defaultdict(list)  # datagram -> (counter, place, packet)

    def add(self, counter, place, packet):
        datagram = _datagram(packet)
        if packet.fragment and not packet.units:
            return  # the last bytes of a datagram, too few to be recognised
        if packet.fragment and datagram not in self._fragmented:
            self._fragmented.add(datagram)
            for earlier in self._whole.pop(datagram, []):
                for unit in earlier[2].units:
                    earlier[0][unit] -= 1
                    if not earlier[0][unit]:
                        del earlier[0][unit]
                self._add_blocks(*earlier, datagram)
        if packet.fragment or packet.blocks and datagram in self._fragmented:
            self._add_blocks(counter, place, packet, datagram)
            return
        self._count(counter, packet.units, packet)
        if packet.blocks:
            self._whole[datagram].append((counter, place, packet))

    def _add_blocks(self, counter, place, packet, datagram):
        self._count(counter, packet.units if packet.fragment else packet.blocks, packet)
        self.parts[place][datagram] += 1

    def _count(self, counter, units, packet):
        for unit in units:
            counter[unit] += 1
            self.samples.setdefault(unit, packet)

    def due(self):
        due = Counter(self.once_each)
        for units in self.seen.values():
            for unit, times in units.items():
                if times > due[unit]:
                    due[unit] = times
        return due

    def packets(self, due):
        """(packets due, packets that came). Of a datagram that differs on its way the view that came counts."""
        def whole(counter):
            return sum(times for unit, times in counter.items() if "block" not in unit and "first" not in unit)
        wire = 0
        for datagram in self._fragmented:
            views = [counts[datagram] for place, counts in self.parts.items() if place and counts[datagram]]
            came = self.parts[""][datagram]
            wire += came if came in views else max(views, default=0)
        return whole(due) + wire, whole(self.got) + sum(self.parts[""].values())


def _within(address, networks):
    return any(address in network for network in networks if network.version == address.version)


def _datagram(packet):
    marker = packet.message[0] if packet.message else next((unit[4] for unit in packet.units if "block" in unit), None)
    return (packet.source, packet.destination, packet.protocol, marker)


class Judge:
    """Collects truth and captures; opens an account for each scenario and gives its verdict.

    addresses: those of each pod, by its name.
    hidden: networks whose addresses may not appear (Services with tapped backends); shown: exceptions from it.
    ignored: addresses of the sensor; the taps' own traffic is no part of the comparison.
    """

    def __init__(self, wire, sensor, tapped, macs, addresses, hidden, shown, ignored):
        self._wire, self._sensor = wire, sensor
        self._tapped = set(tapped)
        self._tapped_macs = {bytes.fromhex(macs[pod].replace(":", "")) for pod in tapped}
        self._macs = {pod: bytes.fromhex(mac.replace(":", "")) for pod, mac in macs.items()}
        self._tapped_addresses = {ipaddress.ip_address(address) for pod in tapped for address in addresses[pod]}
        self._hidden = [ipaddress.ip_network(network) for network in hidden]
        self._shown = {ipaddress.ip_address(address) for address in shown}
        self._ignored = {ipaddress.ip_address(address) for address in ignored}
        self._keep = None
        self.account = Account()
        self.echoes = 0
        self.faults = {}

    def keep_truth(self, writer):
        self._keep = writer

    def is_hidden(self, address):
        return address is not None and address not in self._shown and _within(address, self._hidden)

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
        if frame.other_host:
            return
        whole = packets.read(frame.data)
        for packet in whole:
            if packet.message and frame.outgoing:
                self.account.sent[packet.message[0]].add(packet.destination)
            elif packet.message:
                self.account.reached.add(packet.message[0])
        if frame.place not in self._tapped:
            return
        # A bridge in hairpin mode returns to its sender what it floods. What is for one receiver may carry the
        # receiver's own link address as well: it comes from the pod itself, translated on the bridge.
        if frame.data[0] & 1 and not frame.outgoing and frame.data[6:12] == self._macs[frame.place]:
            self.echoes += 1
            return
        for packet in whole:
            if packet.source in self._ignored or packet.destination in self._ignored:
                continue
            if self.is_hidden(packet.source) or self.is_hidden(packet.destination):
                continue
            if not self._is_excused(packet):
                self._count_truth(frame, packet)

    def _is_excused(self, packet):
        """Link-local IPv6 of somebody without a tap, until the taps know that: the documented exception."""
        if self.account.known_neighbours:
            return False
        for address, mac in ((packet.source, packet.frame[6:12]), (packet.destination, packet.frame[:6])):
            if packet.family == 6 and address.is_link_local and mac not in self._tapped_macs:
                return True
        return False

    def _count_truth(self, frame, packet):
        untapped_group = packet.group and packet.source_mac not in self._tapped_macs
        self.account.add(self.account.once_each if untapped_group else self.account.seen[frame.place], frame.place, packet)
        if not frame.outgoing:
            self.account.arrived[frame.place].update(packet.units + packet.blocks)

    def _add_capture(self, frame):
        account = self.account
        for packet in packets.read(frame.data):
            if self._is_excused(packet):
                continue
            account.add(account.got, "", packet)
            if packet.message and packet.message[1] == 0:
                account.messages[packet.message[0]] += 1
            if not packet.checksum_ok:
                account.spoiled[packet.describe()] += 1

    def _least(self, unit):
        """How often the sensor must have a unit at least.

        What left one end more often than it came in at the other has got lost in between, and whether it was forwarded
        depends on which end's tap has to. That can only be between two tapped pods, and what has come in is due. A unit of
        one wire only may have got another address on its way: its marker tells.
        """
        account = self.account
        counts = [units[unit] for units in account.seen.values() if units[unit]]
        arrived = max((units[unit] for units in account.arrived.values()), default=0)
        if len(counts) != 1:
            return max(min(counts, default=0), arrived if counts else 0) + account.once_each[unit]
        packet = account.samples[unit]
        marker = unit[4][0] if "first" in unit and unit[4] else unit[4] if "block" in unit else \
            packet.message[0] if packet.message else None
        lost = packet.destination in self._tapped_addresses and marker not in account.reached
        return min(arrived, counts[0]) if lost else counts[0]

    def _sent_in_vain(self, marker):
        """Whether a message left for a tapped pod or a Service and came in nowhere. Two nodes' worth of address
        translation loses some."""
        destinations = self.account.sent.get(marker, ())
        return bool(destinations) and marker not in self.account.reached and all(
            address in self._tapped_addresses or self.is_hidden(address) for address in destinations)

    def open(self):
        """Starts a new account. What has come so far belongs to the old one.

        Not before it is quiet: the sensor may have a packet sooner than the wire's own capture hands it over, and the two
        must not fall into different accounts.
        """
        self.calm(quiet=0.05)
        self.account = Account()

    def settle(self, patience=4.0, quiet=0.15):
        """Waits until everything due has come and nothing more comes for a while, or until patience ends."""
        self._wait(patience, quiet, lambda: self.account.due() == self.account.got)

    def calm(self, quiet=0.2):
        """Waits until nothing more comes for a while."""
        self._wait(2.0, quiet, lambda: True)

    def comes_to(self, condition, patience=2.0):
        """Takes in what comes until the condition holds, or until patience ends; whether it holds."""
        deadline = time.monotonic() + patience
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
            self.collect()
        return condition()

    def _wait(self, patience, quiet, enough):
        calm_since = time.monotonic()
        deadline = calm_since + patience
        while time.monotonic() < deadline:
            if self.collect():
                calm_since = time.monotonic()
            elif time.monotonic() - calm_since >= quiet and enough():
                return
            time.sleep(0.02)

    def verdict(self, name, messages=(), may_lose=lambda packet: False):
        """Judges the open account. messages: markers that programs sent, each of which the sensor must have seen.
        may_lose: whether it is right that the sensor lacks this packet."""
        account = self.account
        due = account.due()
        result = Verdict(name, spoiled=account.spoiled.total())
        faults = {"lost": [], "doubled": [], "stray": [], "spoiled": account.spoiled}
        for unit in due.keys() | account.got.keys():
            want, have = due[unit], account.got[unit]
            if want == have:
                continue
            if self._least(unit) <= have < want:
                result.on_the_way += want - have
                continue
            if have < want and may_lose(account.samples[unit]):
                result.spared += want - have
                continue
            kind = "stray" if want == 0 else "lost" if have < want else "doubled"
            setattr(result, kind, getattr(result, kind) + abs(want - have))
            faults[kind].append(account.samples[unit].describe())
        result.wire, result.forwarded = account.packets(due)
        result.absent = [marker for marker in messages
                         if account.messages[marker] == 0 and not self._sent_in_vain(marker)]
        self.faults = {kind: Counter(lines).most_common(5) for kind, lines in faults.items() if lines}
        return result

