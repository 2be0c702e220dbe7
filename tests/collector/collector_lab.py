"""Pods with a tap each, a collector and a sensor, each in a network namespace of its own on one bridge."""
import collections
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tap"), os.path.join(HERE, "..", "lab")]
from sidetap_lab.namespaces import Namespace  # noqa: E402
from tap_lab import BINARIES, Sensor, Tap, markers_in, wait_for  # noqa: E402

SINK, COLLECTOR, SENSOR = "10.99.0.1", "10.99.0.2", "10.99.0.3"
SUBNET = "10.99.0.0/16"


def numbers_of(line):
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}


class PodTap(Tap):
    """The tap of one pod; its base class begins the process with other arguments."""

    def __init__(self, pod, name, address, folder, *arguments, to=COLLECTOR):
        os.makedirs(folder, exist_ok=True)
        self.log_path = os.path.join(folder, f"{name}.log")
        self.log_file = open(self.log_path, "wb")
        self.process = pod.popen(
            [f"{BINARIES}/sidetap-sidecar", "run", "--sensor", to, "--pod-ips", address, "--pod-subnets", SUBNET,
             "--pod-name", name, "--pod-namespace", "shop", *arguments],
            (), stderr=self.log_file, stdout=self.log_file, env=dict(os.environ))


class Collector(Tap):
    def __init__(self, namespace, folder, *arguments):
        self.log_path = os.path.join(folder, f"collector-{time.monotonic_ns()}.log")
        self.log_file = open(self.log_path, "wb")
        self.process = namespace.popen(
            [f"{BINARIES}/sidetap-sidecar", "collect", "--pod-name", "collector-0", "--pod-namespace", "sidetap", *arguments],
            (), stderr=self.log_file, stdout=self.log_file, env={"DRAIN": "0s", **os.environ})

    def stop(self):
        """Ends it as the kubelet does; returns the ledger, and what came from taps."""
        ledger = super().stop()
        line = [line for line in self.log().splitlines() if "totals from taps" in line][-1]
        return ledger, numbers_of(line)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1])


class CollectorTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sidetap-collector-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.hub = self.namespace("hub")
        self.hub.ip("link add br0 type bridge", "link set br0 up", f"addr add {SINK}/16 dev br0")
        self.collector_pod = self.attach("collector", COLLECTOR)
        self.sensor_host = self.attach("sensor", SENSOR)
        self.pods = {}
        self.sink = self.hub.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind((SINK, 9000))
        self.addCleanup(self.sink.close)

    def namespace(self, name):
        namespace = Namespace(name)
        self.addCleanup(namespace.close)
        namespace.sysctl({"ipv6/conf/default/disable_ipv6": 1, "ipv6/conf/all/disable_ipv6": 1})
        namespace.ip("link set lo up")
        return namespace

    def attach(self, name, address):
        namespace = self.namespace(name)
        self.hub.ip(f"link add to-{name} type veth peer name eth0 netns {namespace.path}", f"link set to-{name} master br0 up")
        namespace.ip("link set eth0 up", f"addr add {address}/16 dev eth0")
        return namespace

    def sensor(self, *arguments):
        sensor = Sensor(self.sensor_host, self.folder, *arguments, listen=SENSOR)
        self.addCleanup(sensor.kill)
        return sensor

    def collector(self, *arguments, sensor=SENSOR):
        collector = Collector(self.collector_pod, self.folder, *(("--sensor", sensor) if sensor else ()), *arguments)
        self.addCleanup(collector.kill)
        collector.wait_log("waiting for taps")
        return collector

    def tap(self, number, *arguments, to=COLLECTOR):
        """In pod number so and so, which is made with its first tap."""
        name, address = f"web-{number}", f"10.99.1.{number}"
        if name not in self.pods:
            self.pods[name] = self.attach(f"web{number}", address)
        tap = PodTap(self.pods[name], name, address, os.path.join(self.folder, f"{name}-{time.monotonic_ns()}"), *arguments, to=to)
        self.addCleanup(tap.kill)
        return tap

    def send(self, pod, first, count, size=100, pause=0.001):
        """Datagrams from a pod, each marked with pod and number; nobody answers."""
        with self.pods[f"web-{pod}"].socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(first, first + count):
                sender.sendto(f"marker-{pod}{number:06d}-".encode().ljust(size, b"."), (SINK, 9000))
                if pause and number % 20 == 19:
                    time.sleep(pause)  # a burst may overflow a ring, which is not what is tested

    def markers(self):
        """How often each marker is in the sensor's capture files: a pod's digit, then six of the number."""
        return dict(collections.Counter(markers_in(self.folder)))

    def assert_all_once(self, *sent):
        """Each of `sent` is a pod and the number of its datagrams."""
        wanted = {pod * 1_000_000 + number: 1 for pod, count in sent for number in range(count)}
        found = self.markers()
        missing, twice = sorted(set(wanted) - set(found)), [marker for marker, times in found.items() if times > 1]
        self.assertEqual((missing[:5], len(missing), twice[:5], len(twice)), ([], 0, [], 0))

    def assert_balanced(self, ledger, received):
        """What came from taps went on, or is lost by a cause that has a name."""
        self.assertEqual(ledger["seen"], received["packets"] - received["refused_by_filter"] + received["missing_packets"],
                         (ledger, received))
        self.assertEqual(ledger["dropped_kernel_ring"], received["missing_packets"])
        self.assertEqual(ledger["owned"], received["packets"] - received["refused_by_filter"])
        dropped = sum(value for key, value in ledger.items() if key.startswith("dropped_") and key != "dropped_kernel_ring")
        left_out = ledger["filtered"] + ledger["sampled_flows"] + ledger["paused"]
        self.assertEqual(ledger["owned"], ledger["forwarded"] + left_out + dropped, ledger)

    def metrics(self):
        """What the collector tells, with --status-listen :15920."""
        with self.collector_pod:
            connection = http.client.HTTPConnection("127.0.0.1", 15920, timeout=5)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
        return text

    def metric(self, name):
        """The sum of all that begin so."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.metrics().splitlines() if line.startswith(name))

    def tap_comes_again(self, collector):
        """The first pod's, three times, with a hundred datagrams each time."""
        for begin in (0, 100, 200):
            tap = self.tap(1)
            tap.wait_log("forwarding to sensor")
            self.send(1, begin, 100)
            tap.stop()
        collector.wait_log("session with tap ended", 3)

    def certificate(self):
        """Of a CA, and of a collector that it has signed; returns the folder's file names."""
        path = {name: os.path.join(self.folder, name) for name in ("ca.pem", "ca.key", "tls.pem", "tls.key", "tls.csr", "ext")}
        with open(path["ext"], "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:collector\n")
        ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        for command in (
                ("req", "-x509", *ec, "-days", "1", "-subj", "/CN=ca", "-keyout", path["ca.key"], "-out", path["ca.pem"]),
                ("req", "-new", *ec, "-subj", "/CN=collector", "-keyout", path["tls.key"], "-out", path["tls.csr"]),
                ("x509", "-req", "-in", path["tls.csr"], "-CA", path["ca.pem"], "-CAkey", path["ca.key"], "-CAcreateserial",
                 "-days", "1", "-extfile", path["ext"], "-out", path["tls.pem"])):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        return path

    def open_sockets(self, count, first_bytes=b""):
        """Connections to the collector by somebody in the first pod."""
        sockets = []
        for _ in range(count):
            client = self.pods["web-1"].socket(socket.AF_INET, socket.SOCK_STREAM)
            client.settimeout(10)
            client.connect((COLLECTOR, 2003))
            if first_bytes:
                client.sendall(first_bytes)
            self.addCleanup(client.close)
            sockets.append(client)
        return sockets


__all__ = ["COLLECTOR", "SENSOR", "SINK", "Collector", "CollectorTest", "wait_for"]
