"""Collectors between the taps and the sensor, and the ledger over both hops."""
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field

from . import cluster as places
from .taps import STATUS_PORT, Program, is_forwarding, metrics

PORT = 2003
SERVICE = "sidetap-collector.sidetap.svc"  # of which taps know nothing but the name
_PATIENCE = 90.0  # seconds; a tap looks only now and then whether a better collector has come
_DRAIN = 4  # seconds; less than some taps need to find out that a collector is leaving, and more than others
_STOPS_WITHIN = 30.0


def addresses(number):
    """Of a collector, of both families."""
    return f"172.18.0.{151 + number}", f"fd00:18::{151 + number}"


class Collector(Program):
    """`sidetap-sidecar collect` in a namespace of its own.

    It keeps its starter's rights, so that the kernel gives it the buffer it asks for: it shares few CPUs with everybody
    else here, and must not lose what it waited too long to read.
    """

    def __init__(self, binaries, number, namespace, folder, data="udp"):
        self._place = namespace
        super().__init__(f"collector {number}", namespace, [
            os.path.join(binaries, "sidetap-sidecar"), "collect", "--sensor", f"{places.SENSOR[0]}:{places.SENSOR_PORT}",
            "--data", data, "--pod-name", f"collector-{number}", "--pod-namespace", "sidetap",
            "--status-listen", f"127.0.0.1:{STATUS_PORT}"],
            log_of(folder, number), {"PATH": os.environ["PATH"], "DRAIN": f"{_DRAIN}s", "LOG_LEVEL": "debug"})

    def wait_forwarding(self):
        """Until the sensor has asked for its packets, and taps can connect."""
        self.wait_until(lambda: is_forwarding(self._place), "forwarding")
        self.wait_until(lambda: "waiting for taps" in self.log(lines=100), "waiting for taps")

    def metric(self, name):
        """0 while it does not answer, or has no such metric."""
        return metrics(self._place).get(name, 0)

    def taps(self):
        """Of how many taps it gets packets."""
        return int(self.metric('sidetap_collector_taps{state="capturing"}'))

    def received(self):
        """Packets that have come from taps."""
        return int(self.metric("sidetap_collector_packets_received_total"))


def log_of(folder, number):
    return os.path.join(folder, f"collector-{number}.log")


class Collectors:
    """Several of them, each at its own address, and the name of a headless Service that leads to those that run."""

    def __init__(self, binaries, cluster, folder, count, data="udp"):
        self._binaries, self._folder, self._data = binaries, folder, data
        self._places = [cluster.plug(f"collector{number}", [f"{addresses(number)[0]}/24", f"{addresses(number)[1]}/64"])
                        for number in range(count)]
        self._running = {}
        self._hosts = os.path.join(folder, "hosts")
        self._others = ""  # what that file says besides
        self._mounted = False
        self.killed = 0

    def count(self):
        return len(self._places)

    def all_addresses(self):
        return [address for number in range(self.count()) for address in addresses(number)]

    def logs(self):
        return [log_of(self._folder, number) for number in range(self.count())]

    def variables(self):
        """What leads a tap to them."""
        return {"SENSOR": f"{SERVICE}:{PORT}", "SENSOR_MODE": "hash"}

    def _lead_to_running(self):
        """What the cluster's DNS does. A name without an address would be another case: the last one stays."""
        if not self._running:
            return
        text = self._others + "\n" + "".join(f"{addresses(number)[0]} {SERVICE}\n" for number in self._running)
        # The same file as before, since it is mounted, and at once, since taps read it at any time.
        with open(self._hosts, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, number):
        self._running[number] = Collector(self._binaries, number, self._places[number], self._folder, self._data)
        self._running[number].wait_forwarding()
        self._lead_to_running()

    def start_all(self):
        if not self._mounted:
            with open("/etc/hosts", encoding="utf-8") as file:
                self._others = file.read()
            shutil.copyfile("/etc/hosts", self._hosts)
            subprocess.run(["mount", "--bind", self._hosts, "/etc/hosts"], check=True)  # in our own mount namespace
            self._mounted = True
        for number in range(self.count()):
            if number not in self._running:
                self.start(number)

    def stop(self, number):
        """Ends one as Kubernetes does: the name leads there no longer, and it is told to stop."""
        collector = self._running.pop(number)
        self._lead_to_running()
        if (status := collector.stop(_STOPS_WITHIN)) != 0:
            raise RuntimeError(f"{collector.name} ended with status {status} on SIGTERM: {collector.log()}")

    def stop_all(self):
        for number in list(self._running):
            self.stop(number)

    def close(self):
        self.stop_all()
        if self._mounted:
            subprocess.run(["umount", "/etc/hosts"], check=True)
            self._mounted = False

    def kill(self, number):
        """Nobody has told the name."""
        self._running.pop(number).stop(number=signal.SIGKILL)
        self.killed += 1

    def ended(self):
        """The names of those that ended by themselves."""
        return [collector.name for collector in self._running.values() if collector.ended()]

    def standing(self):
        """How many taps each has."""
        return {number: collector.taps() for number, collector in self._running.items()}

    def busiest(self):
        standing = self.standing()
        return max(standing, key=standing.get)

    def wait_for(self, condition, what):
        """Until the condition holds of standing()."""
        deadline = time.monotonic() + _PATIENCE
        while not condition(standing := self.standing()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"never: {what}; taps of each collector: {standing}")
            time.sleep(0.1)

    def wait_for_taps(self, count):
        self.wait_for(lambda standing: sum(standing.values()) == count, f"each of {count} taps is at one collector")


# The ledger.

_NUMBER = re.compile(r'\b([a-z_]+)(?:=|":)(\d+)')  # in a line of text, or of JSON


def counts(paths, words):
    """The numbers of each log line with these words."""
    found = []
    for path in paths:
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                found += [{key: int(value) for key, value in _NUMBER.findall(line)} for line in file if words in line]
    return found


def drops(ledgers):
    """Cause -> packets, but those that the kernel dropped before anybody looked at them."""
    causes = Counter()
    for ledger in ledgers:
        causes.update({key.removeprefix("dropped_"): value for key, value in ledger.items()
                       if key.startswith("dropped_") and key != "dropped_kernel_ring" and value})
    return causes


def _agree(forwarded, known, dropped):
    """Whether a receiver knows of each packet that was forwarded; it may know of the dropped ones."""
    return forwarded <= known <= forwarded + dropped.total()


@dataclass
class Ledger:
    """What became of packets between the taps' captures and the sensor, in packets.

    A collector that was killed has written nothing down: what was lost with it is what taps forwarded and nobody else has.
    """
    forwarded: int = 0  # by taps
    dropped_by_taps: Counter = field(default_factory=Counter)
    overrun: int = 0  # dropped by the kernel before a tap read them; not all of them were for this tap to forward
    received: int = 0  # by collectors
    missing: int = 0  # on the way to them
    dropped_by_collectors: Counter = field(default_factory=Counter)
    handed_on: int = 0
    arrived: int = 0  # at the sensor
    missing_at_sensor: int = 0
    killed: int = 0  # collectors
    unbalanced: list = field(default_factory=list)  # what is wrong with a collector's own numbers

    @property
    def without_trace(self):
        """Packets that taps forwarded, and that neither a collector which ended in good order nor the sensor knows of."""
        in_collectors = self.received - self.handed_on
        return self.forwarded - self.missing - in_collectors - self.missing_at_sensor - self.arrived

    @property
    def named(self):
        """Every loss that has a name."""
        return self.dropped_by_taps.total() + self.forwarded - self.arrived

    def faults(self, lost):
        """What does not add up. lost: packets of the wire that the sensor lacks, as the judge has counted them."""
        faults = list(self.unbalanced)
        if self.arrived == 0:
            faults.append("nothing has arrived")
        # What a process drops may have had its number already: then the receiver misses it, too.
        drops_on_both = self.dropped_by_taps.total() + self.dropped_by_collectors.total()
        if self.without_trace < -drops_on_both or self.without_trace > 0 and not self.killed:
            faults.append(f"{self.without_trace} packets are nowhere, and {self.killed} collectors were killed")
        if not self.killed and not _agree(self.forwarded, self.received + self.missing, self.dropped_by_taps):
            faults.append(f"taps forwarded {self.forwarded}, collectors have {self.received} and miss {self.missing}")
        if not self.killed and not _agree(self.handed_on, self.arrived + self.missing_at_sensor, self.dropped_by_collectors):
            faults.append(f"collectors forwarded {self.handed_on}, the sensor has {self.arrived} and misses "
                          f"{self.missing_at_sensor}")
        if lost > self.named + self.overrun:
            faults.append(f"{lost} packets of the wire are lost, and only {self.named} have a name")
        return faults

    def line(self):
        def by_cause(causes):
            return "".join(f", {count} {cause}" for cause, count in sorted(causes.items())) or ", none dropped"
        parts = [f"taps forwarded {self.forwarded}{by_cause(self.dropped_by_taps)}",
                 f"{self.missing} lost on the way",
                 f"collectors received {self.received} and forwarded {self.handed_on}{by_cause(self.dropped_by_collectors)}"]
        if self.killed:
            parts.append(f"{self.without_trace} lost with {self.killed} killed")
        return "; ".join([*parts, f"{self.missing_at_sensor} lost on the way", f"the sensor has {self.arrived}"])


def balance(ledger, received):
    """What is wrong with the two lines of one collector: what came must have gone on, or be lost by a cause with a name."""
    taken = received["packets"] - received["refused_by_filter"]
    left_out = ledger["filtered"] + ledger["sampled_flows"] + ledger["paused"]
    rules = {
        "seen": ledger["seen"] == taken + received["missing_packets"],
        "owned": ledger["owned"] == taken,
        "forwarded": ledger["owned"] == ledger["forwarded"] + left_out + drops([ledger]).total(),
        "format": received["malformed"] == 0,
    }
    return [f"a collector's numbers do not add up ({rule}): {ledger} {received}" for rule, holds in rules.items() if not holds]


def ledger_of(tap_logs, collector_logs, totals, killed=0):
    """Of programs that have ended; a log may be that of several, one after the other. totals: the sensor's report."""
    taps, collectors = (counts(logs, "what became of the packets") for logs in (tap_logs, collector_logs))
    received = counts(collector_logs, "totals from taps")
    result = Ledger(
        forwarded=sum(tap["forwarded"] for tap in taps), dropped_by_taps=drops(taps),
        overrun=sum(tap["dropped_kernel_ring"] for tap in taps),
        received=sum(of["packets"] for of in received), missing=sum(of["missing_packets"] for of in received),
        dropped_by_collectors=drops(collectors), handed_on=sum(of["forwarded"] for of in collectors),
        arrived=totals["packets"], missing_at_sensor=totals["missing_packets"], killed=killed)
    if len(collectors) != len(received):
        result.unbalanced.append(f"{len(collectors)} ledgers and {len(received)} counts of what came, of collectors")
    for ledger, of in zip(collectors, received):
        result.unbalanced += balance(ledger, of)
    return result
