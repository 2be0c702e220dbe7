"""A pod and a node, one veth between them, and in them a tap and the reference sensor."""
import collections
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from sidetap_lab.namespaces import Namespace  # noqa: E402

BINARIES = os.environ.get("SIDETAP_BINARIES", "build/release/bin")
NODE, POD = "10.99.0.1", "10.99.0.2"
UDP_SEGMENT = 103  # linux/udp.h
NODE6, POD6 = "fd00:99::1", "fd00:99::2"


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    return condition()


class Tap:
    """A running sidetap-sidecar; its log is read as it grows."""

    def __init__(self, pod, folder, *arguments, confined=(), environment=None, stdin=None):
        self.log_path = os.path.join(folder, "tap.log")
        self.log_file = open(self.log_path, "wb")
        command = [f"{BINARIES}/sidetap-sidecar", "run", "--pod-ips", f"{POD},{POD6}", "--pod-subnets",
                   "10.99.0.0/24,fd00:99::/64", "--pod-name", "web-1", "--pod-namespace", "shop", *arguments]
        self.process = pod.popen(command, confined, stdin=stdin, stderr=self.log_file, stdout=self.log_file,
                                 env={**os.environ, **(environment or {})})

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_log(self, text, count=1):
        if not wait_for(lambda: self.log().count(text) >= count):
            raise AssertionError(f"no {text!r} in the tap's log:\n{self.log()}")

    def threads(self):
        """What /proc says of each of its threads."""
        threads = []
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/status", encoding="ascii") as file:
                threads.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
        return threads

    def stop(self):
        """Ends the tap as the kubelet does; returns the ledger from its last line."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        if code != 0:
            raise AssertionError(f"the tap ended with {code}:\n{self.log()}")
        summary = [line for line in self.log().splitlines() if "what became of the packets" in line][-1]
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", summary)}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log_file.close()


def markers_in(folder):
    """The numbers of all markers in a sensor's capture files, with repetitions."""
    found = []
    for name in os.listdir(folder):
        if name.endswith(".pcap"):
            with open(os.path.join(folder, name), "rb") as file:
                found += [int(marker) for marker in re.findall(rb"marker-(\d+)-", file.read())]
    return found


def assert_given_up(test, threads):
    """Every right, of a program with these threads(), which is in its sandbox."""
    test.assertGreater(len(threads), 1)
    for thread in threads:
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            test.assertEqual(int(thread[kind], 16), 0, (kind, thread["Name"]))
        test.assertEqual(thread["NoNewPrivs"], "1")
        test.assertEqual(thread["Seccomp"], "2")


class Sensor:
    def __init__(self, node, folder, *arguments, listen=NODE):
        self.json_path = os.path.join(folder, "totals.json")
        self.process = node.popen(
            [f"{BINARIES}/sidetap-sensor", "active", "--listen", listen, "--output-dir", folder, "--json",
             self.json_path, *arguments], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening"):
            raise AssertionError(f"the sensor does not listen: {line!r}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if (code := self.process.wait(10)) != 0:
            raise AssertionError(f"the sensor ended with {code}")
        with open(self.json_path, encoding="utf-8") as file:
            return json.load(file)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class TapTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sidetap-tap-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.node, self.pod = Namespace("node"), Namespace("pod")
        self.addCleanup(self.node.close)
        self.addCleanup(self.pod.close)
        for namespace in (self.node, self.pod):
            namespace.sysctl({"ipv6/conf/default/accept_dad": 0, "ipv6/conf/all/accept_dad": 0})
            namespace.ip("link set lo up")
        self.node.ip(f"link add veth0 type veth peer name eth0 netns {self.pod.path}")
        self.node.ip("link set veth0 up", f"addr add {NODE}/24 dev veth0", f"addr add {NODE6}/64 dev veth0 nodad")
        self.pod.ip("link set eth0 up", f"addr add {POD}/24 dev eth0", f"addr add {POD6}/64 dev eth0 nodad")

    def tap(self, *arguments, sensor=NODE, confined=(), environment=None, stdin=None):
        tap = Tap(self.pod, self.folder, *(("--sensor", sensor) if sensor else ()), *arguments, confined=confined,
                  environment=environment, stdin=stdin)
        self.addCleanup(tap.kill)
        return tap

    def sensor(self, *arguments, listen=NODE):
        sensor = Sensor(self.node, self.folder, *arguments, listen=listen)
        self.addCleanup(sensor.kill)
        return sensor

    def second_sensor(self, *arguments):
        """With an address and a folder of its own."""
        self.node.ip("addr add 10.99.0.3/24 dev veth0")
        folder = os.path.join(self.folder, "other")
        os.mkdir(folder)
        sensor = Sensor(self.node, folder, *arguments, listen="10.99.0.3")
        self.addCleanup(sensor.kill)
        return sensor

    def send(self, count, size=100, port=9000, to=NODE):
        """Marked datagrams from the pod; nobody listens, so each is answered by an ICMP error or not."""
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        with self.pod.socket(family, socket.SOCK_DGRAM) as sender:
            for number in range(count):
                sender.sendto(f"marker-{number:06d}-".encode().ljust(size, b"."), (to, port))
                if number % 20 == 19:
                    time.sleep(0.001)  # a burst may overflow the ring of the kernel, which is not what is tested

    def sink(self, port=9000, address=NODE):
        """A socket that takes datagrams silently."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sink = self.node.socket(family, socket.SOCK_DGRAM)
        sink.bind((address, port))
        self.addCleanup(sink.close)
        return sink

    def markers(self):
        """How often each marker is in the sensor's capture files."""
        return dict(collections.Counter(markers_in(self.folder)))

    def stream(self, address, family, size):
        """So many bytes over TCP from the pod to the node, which the pod's kernel leaves to be cut."""
        with self.node.socket(family, socket.SOCK_STREAM) as listener, self.pod.socket(family, socket.SOCK_STREAM) as source:
            listener.bind((address, 9100))
            listener.listen()
            source.connect((address, 9100))
            sender = threading.Thread(target=lambda: (source.sendall(os.urandom(size)), source.shutdown(socket.SHUT_WR)))
            sender.start()
            with listener.accept()[0] as taken:
                got = 0
                while data := taken.recv(1 << 20):
                    got += len(data)
                    time.sleep(0.001)  # the ring's size is not what is tested
            sender.join()
        self.assertEqual(got, size)

    def assert_balanced(self, ledger):
        self.assertEqual(ledger["seen"], ledger["not_owned"] + ledger["owned"] + ledger["dropped_kernel_ring"], ledger)
        dropped = sum(value for key, value in ledger.items() if key.startswith("dropped_") and key != "dropped_kernel_ring")
        left_out = ledger["filtered"] + ledger["sampled_flows"] + ledger["paused"]
        self.assertEqual(ledger["owned"] + ledger["segments_added"], ledger["forwarded"] + left_out + dropped, ledger)
