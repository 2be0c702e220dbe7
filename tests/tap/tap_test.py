#!/usr/bin/env python3
"""The tap against the reference sensor: a pod and a node, one veth between them, real packets."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from sidetap_lab.namespaces import Namespace  # noqa: E402

BINARIES = sys.argv[1] if len(sys.argv) > 1 else "build/release/bin"
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

    def __init__(self, pod, folder, *arguments, confined=()):
        self.log_path = os.path.join(folder, "tap.log")
        self.log_file = open(self.log_path, "wb")
        command = [f"{BINARIES}/sidetap-sidecar", "run", "--pod-ips", f"{POD},{POD6}", "--pod-subnets",
                   "10.99.0.0/24,fd00:99::/64", "--pod-name", "web-1", "--pod-namespace", "shop", *arguments]
        self.process = pod.popen(command, confined, stderr=self.log_file, stdout=self.log_file)

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
        self.process.wait(10)
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

    def tap(self, *arguments, sensor=NODE, confined=()):
        tap = Tap(self.pod, self.folder, *(("--sensor", sensor) if sensor else ()), *arguments, confined=confined)
        self.addCleanup(tap.kill)
        return tap

    def sensor(self, *arguments, listen=NODE):
        sensor = Sensor(self.node, self.folder, *arguments, listen=listen)
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
        found = {}
        for name in os.listdir(self.folder):
            if name.endswith(".pcap"):
                with open(os.path.join(self.folder, name), "rb") as file:
                    for marker in re.findall(rb"marker-(\d+)-", file.read()):
                        found[int(marker)] = found.get(int(marker), 0) + 1
        return found

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
        self.assertEqual(ledger["owned"] + ledger["segments_added"], ledger["forwarded"] + ledger["filtered"] + dropped, ledger)


class Forwarding(TapTest):
    def forward(self, *sensor_arguments, tap_arguments=(), size=100, to=NODE, listen=NODE):
        sensor = self.sensor(*sensor_arguments, listen=listen)
        tap = self.tap(*tap_arguments, sensor=f"[{listen}]" if ":" in listen else listen)
        tap.wait_log("forwarding to sensor")
        self.sink(address=to)
        self.send(500, size=size, to=to)
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(500)}, ledger)
        self.assertEqual(totals["malformed"], 0, totals)
        self.assertEqual(totals["lost_datagrams"], 0, totals)
        self.assertEqual(totals["packets"], ledger["forwarded"], (totals, ledger))
        self.assert_balanced(ledger)
        return totals

    def test_udpstr_brings_every_packet_once(self):
        totals = self.forward()
        self.assertGreater(totals["datagrams"], 0)
        tap = totals["taps"][0]
        self.assertEqual(tap["interface"], "eth0")
        self.assertTrue(tap["description"].startswith("shop/web-1"), tap)
        self.assertIn(POD, tap["addresses"])
        self.assertIn(POD6, tap["addresses"])

    def test_udpstr_with_packets_larger_than_a_datagram(self):
        self.forward(size=9000)

    def test_plain_udp(self):
        self.forward(tap_arguments=("--udp-format", "plain"))

    def test_tcp(self):
        totals = self.forward("--data", "tcp", size=3000)
        self.assertEqual(totals["datagrams"], 0)

    def test_ipv6_sensor_and_traffic(self):
        self.forward(to=NODE6, listen=NODE6)

    def test_one_data_port_for_all(self):
        self.forward("--udp-port", "4444")

    def test_small_mtu_is_respected(self):
        self.forward(tap_arguments=("--data-mtu", "576"), size=1400)

    def test_password(self):
        path = os.path.join(self.folder, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write("geheim\n")
        self.forward("--user", "eh", "--password", "geheim", tap_arguments=("--user", "eh", "--password-file", path))

    def test_wrong_password_is_refused_and_dialled_again(self):
        path = os.path.join(self.folder, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write("geheim")
        sensor = self.sensor("--user", "eh", "--password", "geraten")
        tap = self.tap("--user", "eh", "--password-file", path)
        self.assertTrue(wait_for(lambda: "no session" in tap.log()), tap.log())
        time.sleep(1.5)
        tap.stop()
        totals = sensor.stop()
        self.assertEqual(totals["packets"], 0)
        self.assertGreater(len(totals["taps"]), 1, "dialled again")

    def test_sensor_filter_is_obeyed_and_replaced(self):
        sensor = self.sensor("--filter-bpf", "udp port 9000", "--update-filter", "udp port 9001",
                             "--update-filter-after", "2")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink(9000)
        self.sink(9001)
        self.send(10, port=9000)
        self.send(10, port=9001)
        time.sleep(2.5)
        self.send(10, port=9000)
        self.send(10, port=9001)
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertEqual(totals["packets"], 20, totals)
        self.assertGreaterEqual(ledger["filtered"], 20)
        self.assert_balanced(ledger)

    def test_sampling(self):
        sensor = self.sensor("--sampling", "one-in=10", "--filter-bpf", "udp port 9000")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(200)
        ledger = tap.stop()
        self.assertEqual(sensor.stop()["packets"], 20)
        self.assert_balanced(ledger)

    def test_a_bound_on_the_rate(self):
        for bound in (("--max-packet-rate", "100"), ("--max-rate", "1M")):
            with self.subTest(bound[0]):
                sensor = self.sensor("--filter-bpf", "udp port 9000")
                tap = self.tap(*bound)
                tap.wait_log("forwarding to sensor")
                sink = self.sink()
                self.send(2000, size=1000)
                ledger = tap.stop()
                sink.close()
                self.assertGreater(ledger["dropped_rate_limit"], 1000, ledger)
                self.assertEqual(sensor.stop()["packets"], ledger["forwarded"])
                self.assertGreater(ledger["forwarded"], 0)
                self.assert_balanced(ledger)

    def test_segments_are_in_every_count(self):
        """What the sensor got, the numbers it saw, its statistics, the metrics and the summary say the same."""
        sensor = self.sensor()
        tap = self.tap("--buffer-size", "8M", "--status-listen", ":15920")
        tap.wait_log("forwarding to sensor")
        self.stream(NODE, socket.AF_INET, 1_000_000)
        time.sleep(0.3)
        text = self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        metrics = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertGreater(ledger["segments_added"], 500)
        self.assert_balanced(ledger)
        self.assertEqual((totals["packets"], totals["missing_packets"], totals["lost_datagrams"]), (ledger["forwarded"], 0, 0))
        for name, value in (('sidetap_segments_added_total{interface="eth0"}', ledger["segments_added"]),
                            ('sidetap_packets_dropped_total{cause="socket-full",interface="eth0"}', 0)):
            self.assertEqual(int(float(metrics[name])), value, name)
        # A router's or a neighbour's packet may have come since.
        self.assertLessEqual(ledger["forwarded"] - int(float(metrics['sidetap_packets_forwarded_total{interface="eth0"}'])), 20)

    def test_snaplen_the_smaller_wins(self):
        sensor = self.sensor("--snaplen", "200", "--filter-bpf", "udp port 9000")
        tap = self.tap("--snaplen", "80")
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(10, size=500)
        tap.stop()
        self.assertEqual(sensor.stop()["bytes"], 10 * 80)

    def test_own_traffic_is_never_forwarded(self):
        sensor = self.sensor("--data", "tcp", "--stats-every", "1")
        tap = self.tap("--status-listen", ":15920")
        tap.wait_log("forwarding to sensor")
        for _ in range(20):
            self.node.run("curl", "-sf", f"http://{POD}:15920/metrics")
        time.sleep(1.2)
        ledger = tap.stop()
        totals = sensor.stop()
        with open(totals["taps"][0]["pcap"], "rb") as file:
            captured = file.read()
        self.assertNotIn(b"sidetap_packets_seen_total", captured)
        self.assertLess(ledger["seen"], 60, "of the tap's own packets none reaches the process")

    def test_several_sensors_get_everything(self):
        first = self.sensor("--filter-bpf", "udp port 9000")
        self.node.ip("addr add 10.99.0.3/24 dev veth0")
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        second = Sensor(self.node, other, "--filter-bpf", "udp port 9000", listen="10.99.0.3")
        self.addCleanup(second.kill)
        tap = self.tap(sensor=f"{NODE},10.99.0.3")
        tap.wait_log("forwarding to sensor", 2)
        self.sink()
        self.send(100)
        tap.stop()
        self.assertEqual(first.stop()["packets"], 100)
        self.assertEqual(second.stop()["packets"], 100)

    def test_balance_gives_each_flow_to_one_sensor(self):
        first = self.sensor("--filter-bpf", "udp port 9000")
        self.node.ip("addr add 10.99.0.3/24 dev veth0")
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        second = Sensor(self.node, other, "--filter-bpf", "udp port 9000", listen="10.99.0.3")
        self.addCleanup(second.kill)
        tap = self.tap("--sensor-mode", "balance", sensor=f"{NODE},10.99.0.3")
        tap.wait_log("forwarding to sensor", 2)
        self.sink()
        for _ in range(40):  # a new source port, so a new flow, each time
            self.send(5)
        tap.stop()
        counts = first.stop()["packets"], second.stop()["packets"]
        self.assertEqual(sum(counts), 200)
        self.assertTrue(all(count > 0 and count % 5 == 0 for count in counts), counts)


class Faults(TapTest):
    def test_sensor_killed_and_back(self):
        sensor = self.sensor()
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50)
        time.sleep(0.2)
        sensor.kill()
        tap.wait_log("dialling again")
        self.send(30)
        again = self.sensor()
        tap.wait_log("forwarding to sensor", 2)
        for name in os.listdir(self.folder):
            if name.endswith(".pcap"):
                os.remove(os.path.join(self.folder, name))
        again.kill()
        tap.wait_log("dialling again", 2)
        last = self.sensor()
        tap.wait_log("forwarding to sensor", 3)
        self.send(50)
        ledger = tap.stop()
        last.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(50)})
        self.assertGreaterEqual(ledger["dropped_no_session"] + ledger["dropped_disconnected"], 30)
        self.assert_balanced(ledger)

    def test_sensor_refuses(self):
        sensor = self.sensor("--fault", "refuse")
        tap = self.tap()
        tap.wait_log("not welcome")
        time.sleep(2)
        ledger = tap.stop()
        self.assertGreater(len(sensor.stop()["taps"]), 1)
        self.assertEqual(ledger["forwarded"], 0)

    def test_sensor_closes_and_is_dialled_again(self):
        sensor = self.sensor("--fault", "close-after=1")
        tap = self.tap()
        tap.wait_log("forwarding to sensor", 2)
        tap.stop()
        self.assertGreaterEqual(len(sensor.stop()["taps"]), 2)

    def test_stalled_tcp_sensor_costs_packets_not_the_application(self):
        sensor = self.sensor("--data", "tcp", "--fault", "stop-reading")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        sink = self.sink()
        sink.setblocking(False)
        self.send(4000, size=1400)
        received = 0
        while True:
            try:
                sink.recv(2000)
                received += 1
            except BlockingIOError:
                break
        self.assertGreater(received, 0)
        ledger = tap.stop()
        sensor.stop()
        self.assertGreater(ledger["dropped_socket_full"], 0)
        self.assert_balanced(ledger)

    def test_datagrams_lost_on_the_way_are_seen_by_their_sequence(self):
        sensor = self.sensor("--fault", "drop-every=10")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(1000, size=1000)
        tap.stop()
        totals = sensor.stop()
        self.assertGreater(totals["lost_datagrams"], 20)
        self.assertEqual(totals["malformed"], 0)

    def test_data_port_that_nobody_listens_on(self):
        sensor = self.sensor("--fault", "hang-after=1")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        time.sleep(1.3)
        self.sink()
        for _ in range(10):
            self.send(5)
            time.sleep(0.05)
        tap.wait_log("does not answer")
        ledger = tap.stop()
        self.assertGreater(ledger["dropped_disconnected"] + ledger["dropped_no_session"], 0)
        self.assert_balanced(ledger)
        sensor.kill()

    def test_mtu_lowered_while_it_runs(self):
        sensor = self.sensor()
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50, size=1300)
        time.sleep(0.2)
        self.pod.ip("link set eth0 mtu 1000")
        self.send(20, size=900)  # these meet the smaller MTU
        time.sleep(0.3)
        self.send(200, size=900)
        time.sleep(0.2)
        fragments = self.pod.run("cat", "/proc/net/snmp")
        header, values = [line.split() for line in fragments.splitlines() if line.startswith("Ip:")]
        self.assertEqual(dict(zip(header, values))["FragCreates"], "0")
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertGreater(ledger["dropped_too_large"], 0)
        self.assertEqual(totals["packets"], ledger["forwarded"])
        self.assertTrue(all(number in self.markers() for number in range(20, 200)), "what came later came whole")
        self.assert_balanced(ledger)

    @unittest.skipUnless(shutil.which("tc"), "tc is not installed")
    def test_a_slow_way_to_one_sensor_costs_the_other_nothing(self):
        fast = self.sensor()
        self.node.ip(f"link add veth1 type veth peer name eth1 netns {self.pod.path}", "link set veth1 up",
                     "addr add 10.97.0.1/24 dev veth1")
        self.pod.ip("link set eth1 up", "addr add 10.97.0.2/24 dev eth1")
        self.pod.run("tc", "qdisc", "add", "dev", "eth1", "root", "tbf", "rate", "2mbit", "burst", "10kb", "limit", "1mb")
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        slow = Sensor(self.node, other, listen="10.97.0.1")
        self.addCleanup(slow.kill)
        tap = self.tap("--buffer-size", "8M", sensor=f"{NODE},10.97.0.1")
        tap.wait_log("forwarding to sensor", 2)
        self.sink()
        self.send(40_000, size=1400)
        ledger = tap.stop()
        totals = fast.stop()
        self.assertEqual(ledger["dropped_kernel_ring"], 0, ledger)
        self.assertGreater(ledger["dropped_socket_full"], 0, ledger)
        self.assertEqual(sum(self.markers().values()), 40_000, "the fast one gets all")
        self.assertEqual(totals["packets"] + slow.stop()["packets"], ledger["forwarded"])

    def test_interface_down_and_up(self):
        self.interface_down_and_up("auto")

    def test_interface_down_and_up_with_libpcap(self):
        self.interface_down_and_up("libpcap")

    def interface_down_and_up(self, method):
        sensor = self.sensor()
        tap = self.tap("--capture", method)
        tap.wait_log("forwarding to sensor")
        self.pod.ip("link set eth0 down")
        time.sleep(0.5)
        self.pod.ip("link set eth0 up", f"addr replace {POD6}/64 dev eth0 nodad")
        time.sleep(0.5)
        self.sink()
        self.send(100)
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(100)}, tap.log())
        self.assert_balanced(ledger)


    def test_addresses_that_come_and_go_while_it_runs(self):
        # A router would answer for addresses that are not its own.
        self.pod.sysctl({"ipv4/ip_forward": 0, "ipv6/conf/all/forwarding": 0})
        sensor = self.sensor()
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        marker = 0
        for address, local in (("10.99.0.7", "10.99.0.7/32"), ("fd00:99::7", "fd00:99::7/128 nodad")):
            sender = self.node.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(sender.close)
            # The node may still send to the address when the pod has it no more.
            self.node.ip(f"route add {address} via {POD6 if ':' in address else POD}")
            for change, expected in (("add", True), ("del", False)):
                self.pod.ip(f"addr {change} {local.split()[0]} dev eth0 {' '.join(local.split()[1:]) if change == 'add' else ''}")
                tap.wait_log("the pod's addresses have changed", marker + 1)
                time.sleep(0.1)  # until the kernel has the filter that belongs to them
                sender.sendto(f"marker-{marker:06d}-".encode(), (address, 9000))
                self.assertEqual(bool(wait_for(lambda: marker in self.markers(), 2 if expected else 0.5)), expected,
                                 f"{change} {address}\n{tap.log()}")
                marker += 1
        ledger = tap.stop()
        sensor.stop()
        self.assert_balanced(ledger)

    def test_gateways_that_come_and_go_while_it_runs(self):
        sensor = self.sensor()
        self.sink()
        # By its address the node counts as tapped, and by the ports it is the server: as a gateway it has no tap.
        tap = self.tap("--tapped-peers", "10.99.0.0/24")
        tap.wait_log("forwarding to sensor")
        self.send(1)
        time.sleep(0.3)  # until the tap has read it
        for changes, change in enumerate(("add", "del"), 1):
            self.pod.ip(f"route {change} default via {NODE}")
            tap.wait_log("the pod's gateways have changed", changes)
            self.send(1)
            self.assertTrue(wait_for(lambda: self.markers(), 2), tap.log())
        time.sleep(0.3)
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {0: 1}, tap.log())
        self.assert_balanced(ledger)


class Outputs(TapTest):
    def vxlan(self, address, send, *options):
        """What a receiver gets of the packets that send() makes: (source port, VXLAN packet) each, and the ledger."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.node.socket(family, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            receiver.bind((address, 4789))
            tap = self.tap("--output", "vxlan", "--vxlan-vni", "77", *options,
                           sensor=f"[{address}]" if ":" in address else address)
            tap.wait_log("forwarding by VXLAN")
            send()
            time.sleep(0.3)
            ledger = tap.stop()
            self.assert_balanced(ledger)
            receiver.settimeout(0.2)
            packets = []
            with contextlib.suppress(TimeoutError):
                while True:
                    data, source = receiver.recvfrom(65536)
                    packets.append((source[1], data))
        self.assertEqual(len(packets), ledger["forwarded"])
        with self.pod, open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = [line.split() for line in file if line.startswith("Ip:")]
        self.assertEqual(values[names.index("FragCreates")], "0")
        for _, data in packets:
            self.assertEqual(data[:8], b"\x08\0\0\0\0\0\x4d\0")
        return packets, ledger

    def test_vxlan_carries_every_packet_once(self):
        for address, node in ((NODE, NODE), (NODE6, NODE6), (NODE, NODE6)):
            with self.subTest(f"{node} by {address}"), self.sink(address=node):
                sizes = {number: 100 if number < 100 else 1420 for number in range(200)}

                def send(to=node):
                    family = socket.AF_INET6 if ":" in to else socket.AF_INET
                    with self.pod.socket(family, socket.SOCK_DGRAM) as sender:
                        for number, size in sizes.items():
                            sender.sendto(f"marker-{number:06d}-".encode().ljust(size, b"."), (to, 9000))
                packets, _ = self.vxlan(address, send)
                found = {}
                for _, data in packets:
                    if marker := re.search(rb"marker-(\d+)-", data):
                        found[int(marker[1])] = len(data)
                headers = 8 + 14 + (48 if ":" in node else 28)
                most = 1452 if ":" in address else 1472  # what does not fit is cut
                self.assertEqual(found, {number: min(headers + size, most) for number, size in sizes.items()})

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_tshark_reads_what_vxlan_carries(self):
        self.sink()
        packets, _ = self.vxlan(NODE, lambda: self.send(50))
        path = os.path.join(self.folder, "vxlan.pcap")
        with open(path, "wb") as file:  # each as an Ethernet frame of IPv4 and UDP around it
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for source, data in packets:
                head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0, bytes(4), bytes(4))
                frame = bytes(12) + b"\x08\0" + head + struct.pack(">HHHH", source, 4789, 8 + len(data), 0) + data
                file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
        read = subprocess.run(["tshark", "-n", "-r", path, "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "aggregator=,",
                               "-e", "vxlan.vni", "-e", "udp.dstport", "-e", "udp.checksum.status"],
                              capture_output=True, text=True, check=True).stdout.splitlines()
        # The outer datagrams here have no sum (2, "unverified" is 2 or 3 by version); the inner ones are right (1).
        ours = [line.split("\t") for line in read if line.split("\t")[1] == "4789,9000"]
        self.assertEqual(len(ours), 50)
        self.assertEqual({(vni, sums.split(",")[1]) for vni, _, sums in ours}, {("77", "1")})

    def test_vxlan_leaves_out_what_does_not_fit_where_that_is_asked_for(self):
        self.sink()
        packets, ledger = self.vxlan(NODE, lambda: (self.send(100), self.send(100, size=1440)), "--vxlan-oversize", "drop")
        self.assertEqual(sum(b"marker-" in data for _, data in packets), 100)
        self.assertEqual(ledger["dropped_too_large"], 100)

    def test_vxlan_gives_both_directions_of_a_flow_one_source_port(self):
        echo = self.node.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(echo.close)
        echo.bind((NODE, 9007))

        def talk():
            for _ in range(100):
                with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
                    asker.settimeout(5)
                    asker.sendto(b"question", (NODE, 9007))
                    echo.sendto(b"answer", echo.recvfrom(100)[1])
                    asker.recv(100)
        flows = {}
        for outer, data in self.vxlan(NODE, talk)[0]:
            if data[20:22] == b"\x08\0" and data[31] == 17:  # UDP in IPv4
                ports = frozenset(struct.unpack_from(">HH", data, 42))
                if 9007 in ports:
                    flows.setdefault(ports, []).append(outer)
        self.assertEqual(sum(map(len, flows.values())), 200)
        for outer in flows.values():  # a port may have come twice
            self.assertEqual((len(outer) % 2, len(set(outer))), (0, 1))
        self.assertGreater(len({outer[0] for outer in flows.values()}), 1)

    def test_vxlan_to_a_port_that_nobody_listens_on_ends_nothing(self):
        tap = self.tap("--output", "vxlan")
        tap.wait_log("forwarding by VXLAN")
        self.sink()
        for _ in range(3):
            self.send(20)
            time.sleep(0.1)
        ledger = tap.stop()
        self.assertGreater(ledger["forwarded"], 0)
        self.assert_balanced(ledger)

    def pcap(self, folder, *options):
        tap = self.tap("--output", "pcap", "--pcap-dir", folder, *options, sensor=None)
        tap.wait_log("writing capture files")
        self.sink()
        return tap

    def test_files_rotate_and_are_whole(self):
        folder = os.path.join(self.folder, "files")
        os.mkdir(folder)
        tap = self.pcap(folder, "--pcap-file-size", "64K", "--pcap-files", "3")
        self.send(2000, size=200)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertEqual(ledger["forwarded"], ledger["owned"])
        names = sorted(os.listdir(folder))
        self.assertEqual(names, [f"shop_web-1_eth0-{number}.pcap" for number in range(3)])
        newest = 0
        for name in names:
            path = os.path.join(folder, name)
            self.assertLessEqual(os.path.getsize(path), 65536)
            if shutil.which("tshark"):
                read = subprocess.run(["tshark", "-n", "-r", path, "-Y", "udp.port == 9000"], capture_output=True, text=True, check=True)
                self.assertEqual(read.stderr.replace('Running as user "root" and group "root". This could be dangerous.', "").strip(), "")
            with open(path, "rb") as file:
                newest = max(newest, *(int(marker) for marker in re.findall(rb"marker-(\d+)-", file.read())))
        self.assertEqual(newest, 1999)

    def test_a_full_disk_costs_packets_which_are_counted(self):
        folder = os.path.join(self.folder, "small")
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        tap = self.pcap(folder, "--pcap-files", "1")
        self.send(3000, size=200)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertGreater(ledger["dropped_send_error"], 0)
        self.assertGreater(ledger["forwarded"], 0)
        self.assertIn("No space left on device", tap.log())
        if shutil.which("tshark"):
            subprocess.run(["tshark", "-n", "-r", os.path.join(folder, "shop_web-1_eth0-0.pcap")], capture_output=True, check=True)

    def test_a_folder_that_cannot_be_written_to_is_named(self):
        tap = self.tap("--output", "pcap", "--pcap-dir", "/nonexistent", sensor=None)
        self.assertEqual(tap.process.wait(10), 1)
        self.assertIn("/nonexistent: No such file", tap.log())


class Privileges(TapTest):
    def capture_and_end(self, confined):
        """A tap with these rights captures; gives what /proc says of each of its threads meanwhile."""
        sensor = self.sensor()
        tap = self.tap("--status-listen", ":15920", confined=confined)
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50)
        self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        threads = tap.threads()
        tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(50)}, tap.log())
        for warning in ("kept", "without a sandbox"):
            self.assertNotIn(warning, tap.log())
        return threads

    def assert_given_up(self, threads):
        self.assertGreater(len(threads), 1)
        for thread in threads:
            for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                self.assertEqual(int(thread[kind], 16), 0, (kind, thread["Name"]))
            self.assertEqual(thread["NoNewPrivs"], "1")
            self.assertEqual(thread["Seccomp"], "2")

    def test_root_with_every_right_gives_all_up(self):
        self.assert_given_up(self.capture_and_end(()))

    def test_root_with_net_raw_alone(self):
        self.assert_given_up(self.capture_and_end(
            ("--inh-caps", "-all", "--bounding-set", "-all,+net_raw", "--no-new-privs")))

    def test_another_user_with_net_raw(self):
        os.chmod(self.folder, 0o755)
        threads = self.capture_and_end(("--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all,+net_raw",
                                        "--ambient-caps", "-all,+net_raw", "--bounding-set", "-all,+net_raw", "--no-new-privs"))
        self.assert_given_up(threads)
        self.assertEqual({thread["Uid"].split()[0] for thread in threads}, {"65534"})

    def test_a_root_file_system_that_is_read_only(self):
        # Every mount point of a container's own; here, of the test's own mount namespace.
        read_only = ["unshare", "--mount", "sh", "-c",
                     'mount -o remount,bind,ro / && exec "$@"', "tap"]
        self.assert_given_up(self.capture_and_end(("--no-new-privs", *read_only)))

    def test_without_net_raw_it_says_so(self):
        tap = self.tap(confined=("--inh-caps", "-all", "--bounding-set", "-all", "--no-new-privs"))
        tap.wait_log("needs the capability NET_RAW")


class Dissection(TapTest):
    @unittest.skipUnless(shutil.which("tshark") and shutil.which("tcpdump"), "tshark and tcpdump are not installed")
    def test_tshark_reads_the_control_session_without_a_malformed_packet(self):
        capture = os.path.join(self.folder, "control")
        dump = self.node.popen(["tcpdump", "-i", "veth0", "--immediate-mode", "-U", "-Z", "root", "-w", capture, "tcp port 2003"],
                               stderr=subprocess.PIPE, text=True)
        self.addCleanup(dump.stderr.close)
        dump.stderr.readline()
        sensor = self.sensor("--filter-bpf", "ip or ip6 and not port 22", "--stats-every", "1", "--sampling",
                             "one-in=1", "--update-filter", "udp or icmp", "--update-filter-after", "1")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.send(50)
        time.sleep(2.5)
        sensor.stop()
        time.sleep(0.3)
        tap.stop()
        dump.send_signal(signal.SIGINT)
        dump.wait(5)
        lines = self.tshark(capture)
        for message in ("Authentication request", "Authentication reply", "Find all interfaces reply", "Open reply",
                        "Set sampling reply", "Start capture request", "Start capture reply", "Update filter reply",
                        "Statistics reply", "End capture reply", "Close"):
            self.assertIn(message, lines)
        self.assertEqual(self.tshark(capture, "-Y", "_ws.malformed or rpcap.error or _ws.expert.severity >= 0x00800000"), "")

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_tshark_finds_no_packet_that_was_never_on_the_wire(self):
        for method in ("auto", "libpcap"):  # offloads told by the kernel, and guessed
            with self.subTest(method):
                sensor = self.sensor()
                tap = self.tap("--capture", method, "--buffer-size", "8M")
                tap.wait_log("forwarding to sensor")
                for address, family in ((NODE, socket.AF_INET), (NODE6, socket.AF_INET6)):
                    self.stream(address, family, 3_000_000)
                    with self.node.socket(family, socket.SOCK_DGRAM) as sink, self.pod.socket(family, socket.SOCK_DGRAM) as source:
                        sink.bind((address, 9000))
                        if method == "auto":  # nobody can guess how large the datagrams were
                            source.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
                        for _ in range(20):
                            source.sendto(b"." * (20_500 if method == "auto" else 1000), (address, 9000))
                ledger = tap.stop()
                sensor.stop()
                capture, = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(".pcap")]
                self.assertGreater(ledger["segments_added"], 500, "the kernel has cut everything by itself")
                checks = [option for protocol in ("ip", "tcp", "udp") for option in ("-o", f"{protocol}.check_checksum:TRUE")]
                lengths = self.tshark(capture, *checks, "-T", "fields", "-e", "frame.len").split()
                self.assertGreater(len(lengths), 4000)
                self.assertLessEqual(max(map(int, lengths)), 1514)
                self.assertEqual(self.tshark(capture, *checks, "-Y", "ip.checksum.status == 0 or tcp.checksum.status == 0 or "
                                             "udp.checksum.status == 0 or _ws.malformed or tcp.analysis.lost_segment"), "")
                os.remove(capture)

    def test_a_small_snaplen_cuts_packets_as_they_were_on_the_wire(self):
        def records(folder):
            """(bytes, length on the wire) of each packet in the one capture file there."""
            capture, = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".pcap")]
            with open(capture, "rb") as file:
                data = file.read()
            os.remove(capture)
            at, found = 24, []
            while at < len(data):
                size, length = struct.unpack_from("<8xII", data, at)
                found.append((data[at + 16:at + 16 + size], length))
                at += 16 + size
            return found

        self.node.ip("addr add 10.99.0.3/24 dev veth0")
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        for method in ("auto", "libpcap"):
            with self.subTest(method):
                # Two taps, which see the same; what one of them sends the other is told to leave out.
                sensors = [self.sensor("--filter-bpf", "tcp port 9100"),
                           Sensor(self.node, other, "--filter-bpf", "tcp port 9100", listen="10.99.0.3")]
                self.addCleanup(sensors[1].kill)
                taps = [self.tap("--capture", method, "--buffer-size", "8M"),
                        Tap(self.pod, other, "--capture", method, "--buffer-size", "8M", "--snaplen", "128",
                            "--sensor", "10.99.0.3")]
                self.addCleanup(taps[1].kill)
                for tap in taps:
                    tap.wait_log("forwarding to sensor")
                self.stream(NODE, socket.AF_INET, 1_000_000)
                ledgers = [tap.stop() for tap in taps]
                for sensor in sensors:
                    sensor.stop()
                self.assertGreater(ledgers[1]["segments_added"], 100, ledgers)
                whole = records(self.folder)
                self.assertGreater(len(whole), 600)
                # Of packets that pass on two CPUs at once, either socket may get either first.
                self.assertEqual(sorted(records(other)), sorted((data[:128], length) for data, length in whole))

    @staticmethod
    def tshark(capture, *arguments):
        decode = ["-d", "tcp.port==2003,rpcap"]
        base = ["tshark", "-n", "-r", capture, *arguments]
        done = subprocess.run([*base, *decode], capture_output=True, text=True)
        if done.returncode != 0:  # older versions find RPCAP by its look alone
            done = subprocess.run(base, capture_output=True, text=True, check=True)
        return done.stdout.strip()


class CommandLine(unittest.TestCase):
    @staticmethod
    def run_tap(*arguments, **environment):
        return subprocess.run([f"{BINARIES}/sidetap-sidecar", *arguments], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", **environment}, timeout=10)

    def test_wrong_values_get_one_line_and_exit_2(self):
        cases = {
            ("--snaplen", "many"): "--snaplen",
            ("--pod-subnets", "10.0.0.0/33"): "--pod-subnets",
            ("--service-view", "sometimes"): "auto, never, always",
            ("--tapped-peers", "everybody"): "all, none",
            ("--sensor-mode", "both"): "replicate, failover, balance",
            ("--interface", "a/b"): "--interface",
            ("--user", "eh"): "--password-file",
            ("--sensor-tls", "rpcaps"): "--sensor-tls-cert",
            ("--ipv6-family", "bsd"): "linux, windows",
            ("--ipv6-family", "linux,windows"): "one for each of the 1 sensors",
            ("--output", "erspan"): "rpcap, vxlan, pcap",
            ("--output", "pcap"): "--pcap-dir",
            ("--output", "vxlan", "--sensor-mode", "failover"): "--sensor-mode failover",
            ("--output", "vxlan", "--vxlan-vni", "16777216"): "--vxlan-vni",
            ("--pcap-dir", "/tmp"): "--output pcap",
            ("--passive-allow", "10.0.0.0/8"): "--passive-listen",
            ("--passive-listen", ":2002", "--passive-allow", "10.0.0.0/33"): "--passive-allow",
            ("--passive-listen", ":2002", "--passive-sessions", "0"): "--passive-sessions",
            ("--passive-listen", ":2002", "--interface", "eth0,eth1"): "--interface",
            ("--nonsense",): "--nonsense",
        }
        for arguments, expected in cases.items():
            done = self.run_tap("run", "--sensor", "10.0.0.1", *arguments)
            self.assertEqual(done.returncode, 2, (arguments, done))
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(expected, done.stderr)

    def test_sensor_is_required(self):
        done = self.run_tap("run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("SENSOR", done.stderr)

    def test_the_daemonset_variables_stand_in_for_the_sensor(self):
        done = self.run_tap("run", "--snaplen", "1", EXTRAHOP_SENSOR_IP="10.0.0.1", RPCAPD_TARGET_PORT="x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("10.0.0.1:x", done.stderr)

    def test_help_names_every_option_with_its_variable(self):
        done = self.run_tap("run", "--help")
        self.assertEqual(done.returncode, 0)
        for flag, variable in (("--sensor", "SENSOR"), ("--pod-subnets", "PODNET"), ("--service-subnets", "SVCNET"),
                               ("--interface", "INTERFACE"), ("--tapped-peers", "TAPPED_PEERS"), ("--pod-ips", "POD_IPS"),
                               ("--snaplen", "SNAPLEN"), ("--buffer-size", "BUFFER_SIZE"), ("--data-mtu", "DATA_MTU"),
                               ("--status-listen", "STATUS_LISTEN"), ("--log-format", "LOG_FORMAT"),
                               ("--log-level", "LOG_LEVEL"), ("--service-view", "SERVICE_VIEW"),
                               ("--untapped-services", "UNTAPPED_SERVICES")):
            self.assertIn(flag, done.stdout)
            self.assertIn(variable, done.stdout)

    def test_check_says_when_nobody_answers(self):
        done = self.run_tap("check", "--status-listen", "127.0.0.1:1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no answer", done.stderr)


class Status(TapTest):
    def test_health_readiness_and_metrics(self):
        tap = self.tap("--status-listen", ":15920")
        tap.wait_log("serving health")
        for path in ("healthz", "readyz"):
            self.pod.run("curl", "-sf", f"http://127.0.0.1:15920/{path}")
        metrics = self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        self.assertIn('sidetap_interface_open{interface="eth0"} 1', metrics)
        self.assertIn("sidetap_packets_dropped_total", metrics)
        self.pod.run(f"{BINARIES}/sidetap-sidecar", "check", "--status-listen", ":15920")

    def test_a_port_that_is_taken_is_a_warning_only(self):
        other = self.pod.popen([sys.executable, "-m", "http.server", "15920"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        self.pod.run("sh", "-c", "until curl -s -o /dev/null http://127.0.0.1:15920/; do sleep 0.05; done")
        sensor = self.sensor()
        tap = self.tap("--status-listen", ":15920")
        tap.wait_log("health and metrics are not served")
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(10)
        tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(10)}, tap.log())

    def test_an_interface_that_comes_late_is_captured(self):
        sensor = self.sensor()
        tap = self.tap("--interface", "eth1", "--status-listen", ":15920")
        tap.wait_log("the sandbox waits")
        with_rights = [thread for thread in tap.threads() if int(thread["CapEff"], 16) != 0]
        self.assertEqual(len(with_rights), 1, "the thread that will open the interface, and no other")
        with self.assertRaises(RuntimeError):
            self.pod.run(f"{BINARIES}/sidetap-sidecar", "check", "--status-listen", ":15920")
        self.node.ip(f"link add veth1 type veth peer name eth1 netns {self.pod.path}", "link set veth1 up",
                     "addr add 10.98.0.1/24 dev veth1")
        self.pod.ip("addr add 10.98.0.2/24 dev eth1", "link set eth1 up")
        tap.wait_log("the interface is open")
        tap.wait_log("forwarding to sensor")
        self.assertTrue(wait_for(lambda: all(int(thread["CapEff"], 16) == 0 and thread["Seccomp"] == "2"
                                             for thread in tap.threads())), tap.threads())
        for warning in ("are kept", "without a sandbox"):
            self.assertNotIn(warning, tap.log())
        self.sink(address="10.98.0.1")
        self.send(20, to="10.98.0.1")
        tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(20)})


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
