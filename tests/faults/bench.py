"""A pod with a tap, an application beside it, and a sensor behind a router: what the fault tests act upon."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab"))
from memory_group import MemoryGroup, NoGroup  # noqa: E402
from sidetap_lab.namespaces import Namespace  # noqa: E402

POD, ROUTER = "10.99.0.2", "10.99.0.1"
SENSOR, OTHER_SENSOR = "10.98.0.1", "10.98.0.3"
STATUS_PORT = 15920
PATIENCE = 20  # seconds; what does not happen in this time does not happen


class Failure(Exception):
    pass


class Skipped(Exception):
    """What the test needs cannot be had here."""


def expect(holds, what):
    if not holds:
        raise Failure(what)


def wait_for(what, condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def read_ledger(line):
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}


def outcomes(ledger):
    """Owned packets by what became of them; what the kernel dropped was never looked at."""
    return sum(value for name, value in ledger.items() if name in ("forwarded", "filtered", "paused", "sampled_flows", "left_to_peers")
               or (name.startswith("dropped_") and name != "dropped_kernel_ring")) - ledger["segments_added"]


class Application(threading.Thread):
    """Asks a peer in the router's namespace all the time, and remembers how long the slowest answer took."""

    def __init__(self, pod, router, size):
        super().__init__(daemon=True)
        self.pod = pod
        self.sink = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind((ROUTER, 9998))
        self.ask = pod.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ask.bind((POD, 0))
        self.ask.settimeout(1)
        self.answer = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answer.bind((ROUTER, 9999))
        self.size = size
        self.ended = threading.Event()
        self.slowest = 0.0
        self.answered = 0
        self.unanswered = 0

    def echo(self):
        while not self.ended.is_set():
            try:
                data, peer = self.answer.recvfrom(65536)
                self.answer.sendto(data, peer)
            except OSError:
                return

    def run(self):
        threading.Thread(target=self.echo, daemon=True).start()
        number = 0
        while not self.ended.is_set():
            number += 1
            question = number.to_bytes(8, "big") + bytes(self.size - 8)
            begin = time.monotonic()
            try:
                self.ask.sendto(question, (ROUTER, 9999))
                while self.ask.recv(65536) != question:
                    pass
                self.answered += 1
                self.slowest = max(self.slowest, time.monotonic() - begin)
            except OSError:
                self.unanswered += 1
            time.sleep(0.005)

    def flood(self, megabytes):
        """So much to a port where it is only swallowed."""
        with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
            source.bind((POD, 0))
            for _ in range(megabytes * 1_000_000 // self.size):
                source.sendto(bytes(self.size), (ROUTER, 9998))

    def send(self, count, pause):
        """So many large datagrams to a port where they are only swallowed."""
        with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
            source.bind((POD, 0))
            for _ in range(count):
                source.sendto(bytes(1400), (ROUTER, 9998))
                time.sleep(pause)

    def end(self):
        self.ended.set()
        self.join()
        self.sink.close()
        self.answer.close()
        self.ask.close()


class Bench:
    NO_SESSION = 'sidetap_packets_dropped_total{cause="no-session",interface="eth0"}'

    def __init__(self, programs, size=200):
        self.programs = programs
        self.folder = tempfile.TemporaryDirectory(prefix="sidetap-faults-")
        self.pod, self.router, self.outside = Namespace("pod"), Namespace("router"), Namespace("sensor")
        self.processes = []
        for namespace in (self.pod, self.router, self.outside):
            # What IPv6 says by itself (router solicitations, multicast reports) would come when the tap is about to end.
            namespace.sysctl({"ipv6/conf/default/disable_ipv6": 1, "ipv6/conf/all/disable_ipv6": 1})
        self.router.ip(f"link add pod type veth peer name eth0 netns {self.pod.path}",
                       f"link add out type veth peer name eth0 netns {self.outside.path}",
                       f"address add {ROUTER}/24 dev pod", "address add 10.98.0.254/24 dev out",
                       "link set pod up", "link set out up", "link set lo up")
        self.pod.ip(f"address add {POD}/24 dev eth0", "link set lo up", "link set eth0 up",
                    f"route add default via {ROUTER}")
        self.outside.ip(f"address add {SENSOR}/24 dev eth0", f"address add {OTHER_SENSOR}/24 dev eth0",
                        "link set lo up", "link set eth0 up", "route add default via 10.98.0.254")
        self.router.sysctl({"ipv4/ip_forward": 1})
        self.application = Application(self.pod, self.router, size)
        self.application.start()
        self.tap = None
        self.tap_prefix = []  # of its command line

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def folder_for(self, name):
        os.mkdir(self.path(name))
        return self.path(name)

    @contextlib.contextmanager
    def memory_limited(self, limit):
        """A group of so many bytes for the taps that are started meanwhile."""
        try:
            group = MemoryGroup(f"sidetap-faults-{os.getpid()}", limit)
        except NoGroup as reason:
            raise Skipped(str(reason)) from reason
        self.tap_prefix = group.command([])
        try:
            yield group
        finally:
            self.tap_prefix = []
            if self.tap and self.tap.poll() is None:
                self.tap.kill()
                self.tap.wait()
            group.remove()

    def start(self, namespace, argv, name):
        with open(self.path(name), "ab") as output:
            process = namespace.popen(argv, stdout=output, stderr=output)
        self.processes.append(process)
        return process

    def start_tap(self, *options, sensor=SENSOR):
        argv = [*self.tap_prefix, os.path.join(self.programs, "sidetap-sidecar"), "run", "--sensor", sensor, "--pod-ips", POD,
                "--pod-subnets", "10.99.0.0/24", "--status-listen", f":{STATUS_PORT}", *options]
        self.tap = self.start(self.pod, argv, "tap.log")

    def start_sensor(self, *options, address=SENSOR):
        name = f"sensor-{len(self.processes)}"
        argv = [os.path.join(self.programs, "sidetap-sensor"), "active", "--listen", f"{address}:2003",
                "--json", self.path(name + ".json"), *options]
        process = self.start(self.outside, argv, name + ".log")
        process.totals = self.path(name + ".json")
        wait_for("the sensor listens", lambda: "listening" in self.text(name + ".log"))
        return process

    def text(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def metrics(self):
        """Name and labels to value; empty while the tap does not answer."""
        try:
            with self.pod:
                connection = http.client.HTTPConnection("127.0.0.1", STATUS_PORT, timeout=5)
                connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
        except OSError:
            return {}
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def capturing(self):
        return self.metrics().get('sidetap_sessions{state="capturing"}', 0)

    def ends(self, *kinds):
        metrics = self.metrics()
        return sum(metrics.get(f'sidetap_session_ends_total{{kind="{kind}"}}', 0) for kind in kinds)

    def forwarded(self):
        return sum(value for name, value in self.metrics().items() if name.startswith("sidetap_packets_forwarded_total"))

    def forwarded_to(self, address):
        return self.metrics().get(
            f'sidetap_sensor_packets_total{{interface="eth0",result="forwarded",sensor="{address}:2003"}}', 0)

    def waiting(self):
        return self.metrics().get('sidetap_packets_waiting{interface="eth0"}', 0)

    def wait_for_capture(self):
        wait_for("a capture runs", lambda: self.capturing() == 1)

    def wait_for_packets(self, count=50):
        before = self.forwarded()
        wait_for("packets are forwarded", lambda: self.forwarded() >= before + count)

    def stop_tap(self, sensors=1, meanwhile=lambda: None):
        """Ends the tap as Kubernetes does; gives what became of the packets, which must add up.

        While several sensors have a capture a packet counts for each of them. Does `meanwhile` once the tap has been told to
        end.
        """
        self.application.end()
        self.tap.send_signal(signal.SIGTERM)
        meanwhile()
        try:
            status = self.tap.wait(20)
        except subprocess.TimeoutExpired as late:
            raise Failure("the tap does not end on SIGTERM") from late
        if status != 0:
            raise Failure(f"the tap ended with status {status}")
        lines = self.text("tap.log").splitlines()
        line = [line for line in lines if "what became of the packets" in line][-1]
        ledger = read_ledger(line)
        # Of each of several sensors, by its address.
        ledger["sensors"] = {re.search(r'sensor="?([\d.]+)', line)[1]: read_ledger(line)
                             for line in lines if "packets of one sensor of several" in line}
        owned = outcomes(ledger)
        fits = ledger["owned"] == owned if sensors == 1 else ledger["owned"] <= owned <= sensors * ledger["owned"]
        if ledger["seen"] != ledger["not_owned"] + ledger["owned"] + ledger["dropped_kernel_ring"] or not fits:
            raise Failure(f"the ledger does not add up: {line}")
        return ledger

    def stop_sensor(self, sensor):
        """What it says of all its sessions."""
        sensor.send_signal(signal.SIGTERM)
        if (status := sensor.wait(20)) != 0:
            raise Failure(f"the sensor ended with status {status}")
        with open(sensor.totals, encoding="utf-8") as file:
            return json.load(file)

    def close(self):
        self.application.ended.set()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for namespace in (self.pod, self.router, self.outside):
            namespace.close()
        self.folder.cleanup()
