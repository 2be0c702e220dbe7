"""A tap never forwards what a tap of the same pod sends: lists that repeat, two taps in one pod, a sensor's own pod."""
import os
import socket
import struct
import subprocess
import time
import unittest

from tap_lab import BINARIES, NODE, NODE6, POD, POD6, Sensor, Tap, TapTest

OTHER = "10.99.0.3"


def packets(folder):
    """(protocol, ports, UDP payload) of every IP packet in the capture files there."""
    for name in os.listdir(folder):
        if not name.endswith(".pcap"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        at = 24
        while at < len(data):
            size, = struct.unpack_from("<8xI", data, at)
            frame = data[at + 16:at + 16 + size]
            at += 16 + size
            kind, = struct.unpack_from(">H", frame, 12)
            if kind not in (0x0800, 0x86DD):
                continue
            head = 14 + (4 * (frame[14] & 15) if kind == 0x0800 else 40)
            protocol = frame[23] if kind == 0x0800 else frame[20]
            if protocol in (6, 17) and len(frame) >= head + 8:
                yield protocol, struct.unpack_from(">HH", frame, head), frame[head + 8:]


class Feeding(TapTest):
    def second_tap(self, *arguments, sensor=OTHER):
        folder = os.path.join(self.folder, "other")
        os.makedirs(folder, exist_ok=True)
        tap = Tap(self.pod, folder, *(("--sensor", sensor) if sensor else ()), *arguments)
        self.addCleanup(tap.kill)
        return tap

    def own_ports(self, tap):
        """Of the connections that the process has in the pod."""
        inodes = set()
        for descriptor in os.listdir(f"/proc/{tap.process.pid}/fd"):
            target = os.readlink(f"/proc/{tap.process.pid}/fd/{descriptor}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        ports = set()
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for line in self.pod.run("cat", f"/proc/net/{table}").splitlines()[1:]:
                fields = line.split()
                if fields[9] in inodes:
                    ports.add(int(fields[1].rsplit(":", 1)[1], 16))
        return ports

    def assert_nothing_of(self, ports, *folders):
        for folder in folders:
            seen = {port for _, pair, _ in packets(folder) for port in pair}
            self.assertEqual(seen & set(ports), set(), folder)

    def assert_markers(self, folder, count):
        numbers = [payload[7:13] for protocol, ports, payload in packets(folder)
                   if protocol == 17 and ports[1] == 9000 and payload.startswith(b"marker-")]
        self.assertEqual(sorted(numbers), [f"{number:06d}".encode() for number in range(count)], folder)

    def once(self, *arguments, sensor=NODE):
        """One sensor gets each packet once, and the tap reads no more packets than there are."""
        taker = self.sensor()
        tap = self.tap("--status-listen", "127.0.0.1:15920", *arguments, sensor=sensor)
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(200)
        time.sleep(1)
        series = [line.rsplit(" ", 1)[0] for line in
                  self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics").splitlines() if not line.startswith("#")]
        self.assertEqual(len(series), len(set(series)), "no series comes twice")
        ledger = tap.stop()
        taker.stop()
        self.assert_markers(self.folder, 200)
        self.assertLess(ledger["seen"], 400, ledger)
        self.assert_balanced(ledger)
        return tap

    def test_an_interface_that_is_named_twice_is_captured_once(self):
        self.once("--interface", "eth0,eth0")

    def test_an_interface_by_two_names_is_captured_once(self):
        self.pod.ip("link property add dev eth0 altname uplink")
        self.assertIn("two names", self.once("--interface", "eth0,uplink").log())

    def test_a_sensor_that_is_named_twice_gets_everything_once(self):
        self.once(sensor=f"{NODE},{NODE}:2003,[::ffff:{NODE}]")

    def two_taps(self, *sensor_arguments, tap_arguments=(), listen=NODE):
        first = self.sensor(*sensor_arguments, listen=listen)
        second = self.second_sensor(*sensor_arguments)
        taps = [self.tap(*tap_arguments, sensor=f"[{listen}]" if ":" in listen else listen)]
        taps[0].wait_log("forwarding to sensor")
        taps.append(self.second_tap(*tap_arguments))
        taps[1].wait_log("forwarding to sensor")
        taps[0].wait_log("another tap runs in this pod")
        self.sink()
        self.send(300)
        time.sleep(1)
        self.send(0)
        ports = self.own_ports(taps[0]) | self.own_ports(taps[1])
        self.assertGreaterEqual(len(ports), 4, "control and data of both")
        ledgers = [tap.stop() for tap in taps]
        first.stop()
        second.stop()
        for ledger, folder in zip(ledgers, (self.folder, os.path.join(self.folder, "other"))):
            self.assert_markers(folder, 300)
            self.assertLess(ledger["owned"], 500, ledgers)
            self.assert_balanced(ledger)
        self.assert_nothing_of(ports, self.folder, os.path.join(self.folder, "other"))

    def test_two_taps_with_two_sensors_over_udp(self):
        self.two_taps()

    def test_two_taps_with_two_sensors_over_tcp(self):
        self.two_taps("--data", "tcp")

    def test_two_taps_with_libpcap_and_a_sensor_by_ipv6(self):
        self.two_taps(tap_arguments=("--capture", "libpcap"), listen=NODE6)

    def test_two_taps_by_vxlan(self):
        self.node.ip(f"addr add {OTHER}/24 dev veth0")
        with self.node.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            receiver.bind(("0.0.0.0", 4789))
            taps = [self.tap("--output", "vxlan"), self.second_tap("--output", "vxlan")]
            for tap in taps:
                tap.wait_log("forwarding by VXLAN")
            for tap in taps:
                tap.wait_log("another tap runs in this pod")
            time.sleep(1)
            self.sink()
            self.send(300)
            time.sleep(1)
            ledgers = [tap.stop() for tap in taps]
            for ledger in ledgers:
                self.assertLess(ledger["owned"], 500, ledgers)
                self.assertGreaterEqual(ledger["owned"], 300, ledgers)

    def test_a_client_of_one_tap_and_the_sensor_of_another(self):
        taker = self.sensor("--data", "tcp")
        looked = self.tap("--passive-listen", ":2002", sensor=None)
        other = self.second_tap(sensor=NODE)
        other.wait_log("forwarding to sensor")
        looked.wait_log("another tap runs in this pod")
        folder = os.path.join(self.folder, "client")
        os.mkdir(folder)
        client = self.node.popen([f"{BINARIES}/sidetap-sensor", "passive", "--connect", POD, "--data", "tcp", "--output-dir", folder,
                                  "--json", os.path.join(folder, "totals.json")], stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        while (line := client.stdout.readline()) and not line.startswith("capturing "):
            pass
        self.assertTrue(line, "the session ended before the capture")
        self.sink()
        self.send(200)
        time.sleep(1)
        ports = self.own_ports(looked) | self.own_ports(other)
        ledgers = [looked.stop(), other.stop()]
        taker.stop()
        client.terminate()
        client.wait(10)
        for ledger in ledgers:
            self.assertLess(ledger["owned"], 400, ledgers)
        self.assert_markers(self.folder, 200)
        self.assert_markers(folder, 200)
        self.assert_nothing_of(ports, self.folder, folder)

    def test_what_a_proxy_of_the_pod_sends_to_the_sensor_is_a_taps(self):
        """A mesh's proxy opens the tap's connections anew, from ports of its own."""
        taker = self.sensor("--udp-port", "4444")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50)
        time.sleep(0.5)
        self.send(50, port=4444)  # last, since the sensor can make nothing of them
        with self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as proxy:
            proxy.connect((NODE, 2003))
            time.sleep(0.3)
        tap.stop()
        taker.stop()
        self.assert_markers(self.folder, 50)
        self.assert_nothing_of((2003, 4444), self.folder)

    def test_the_tap_of_a_sensors_pod_forwards_nothing(self):
        for sensors in (f"{NODE},{POD}", f"[{POD6}]:2003,{NODE}"):
            with self.subTest(sensors):
                taker = self.sensor()
                tap = self.tap("--status-listen", "127.0.0.1:15920", sensor=sensors)
                tap.wait_log("this pod is a sensor itself; its tap forwards nothing")
                self.sink(9000 if sensors.startswith(NODE) else 9001)
                self.send(50)
                self.pod.run("curl", "-sf", "http://127.0.0.1:15920/readyz")
                ledger = tap.stop()
                taker.stop()
                self.assertEqual(ledger["forwarded"], 0, tap.log())
                self.assertEqual(list(packets(self.folder)), [])
                self.assertEqual(tap.log().count("this pod is a sensor itself"), 1)

    def test_the_tap_of_a_sensors_pod_forwards_nothing_by_vxlan(self):
        tap = self.tap("--output", "vxlan", sensor=f"{NODE},{POD}")
        tap.wait_log("this pod is a sensor itself; its tap forwards nothing")
        self.sink()
        self.send(50)
        ledger = tap.stop()
        self.assertEqual(ledger["forwarded"], 0, tap.log())

    def test_a_sensor_beside_the_application_is_fed(self):
        """By the loopback interface, which the tap may capture as well."""
        taker = Sensor(self.pod, self.folder, listen="127.0.0.1")
        self.addCleanup(taker.kill)
        tap = self.tap("--interface", "eth0,lo", sensor="127.0.0.1")
        tap.wait_log("forwarding to sensor", 2)
        self.sink()
        self.send(100)
        time.sleep(1)
        ledger = tap.stop()
        taker.stop()
        self.assert_markers(self.folder, 100)
        self.assertLess(ledger["owned"], 300, tap.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
