#!/usr/bin/env python3
"""The tap against other peers: libpcap's client, and the reference sensor over TLS and in passive mode."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tap")]
import libpcap_client as libpcap  # noqa: E402
from tap_lab import BINARIES, NODE, NODE6, POD, POD6, TapTest, wait_for  # noqa: E402

MARKER = re.compile(rb"marker-(\d+)-")


class PassiveTest(TapTest):
    def setUp(self):
        super().setUp()
        self.running = self.tap("--passive-listen", ":2002", sensor=None)
        self.assertTrue(wait_for(self.listens), self.running.log())
        self.sink()

    def listens(self):
        try:
            self.connect((POD, 2002)).close()
            return True
        except ConnectionRefusedError:
            return False

    def connect(self, address):
        sock = self.node.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        sock.settimeout(10)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return sock


class LibpcapClient(PassiveTest):
    def control(self, **options):
        control = libpcap.Control(self.connect, POD, **options)
        self.addCleanup(control.sock.close)
        return control

    def capture(self, **options):
        control = self.control()
        with self.node:
            capture = libpcap.Capture(control, "eth0", **options)
        self.addCleanup(capture.data.close)
        capture.stats()  # answered when the capture runs, which is after the data connection came
        return capture

    def markers_of(self, capture, count):
        numbers, found = [], []
        while len(found) < count:
            number, body = capture.packet()
            numbers.append(number)
            found += [int(marker) for marker in MARKER.findall(body)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "npkt counts from 1 without a gap")
        return found

    def test_interfaces_are_listed_with_windows_family_of_ipv6(self):
        control = self.control()
        interfaces = libpcap.find_interfaces(control)
        control.close()
        self.assertEqual(list(interfaces), ["eth0"])
        self.assertIn(POD, interfaces["eth0"][2])
        self.assertIn(POD6, interfaces["eth0"][2])

    def test_capture_over_tcp(self):
        capture = self.capture()
        self.assertEqual(capture.link_type, 1)
        self.assertGreater(capture.buffer_size, 0)
        self.send(200, size=1000)
        self.assertEqual(self.markers_of(capture, 200), list(range(200)))
        self.assertGreaterEqual(capture.stats()[0], 200)
        capture.close()

    def test_statistics_begin_with_the_capture(self):
        first = self.capture()
        self.send(200)
        self.markers_of(first, 200)
        second = self.capture()
        self.send(10)
        self.markers_of(second, 10)
        self.assertGreaterEqual(first.stats()[0], 210)
        received, _, _, captured = second.stats()
        self.assertGreaterEqual(received, 10)
        self.assertLess(received, 200, "packets from before")
        self.assertEqual(captured, received)
        first.close()
        second.close()

    def test_capture_over_udp_is_one_packet_a_datagram(self):
        capture = self.capture(datagram=True)
        self.send(200)
        self.assertEqual(self.markers_of(capture, 200), list(range(200)))
        capture.close()

    def test_filter_from_the_start_and_replaced(self):
        self.sink(9001)
        capture = self.capture(filter_program=libpcap.udp_to_port(9001))
        self.send(10, port=9000)
        self.send(10, port=9001)
        self.assertEqual(self.markers_of(capture, 10), list(range(10)))
        capture.set_filter(libpcap.udp_to_port(9000))
        self.send(20, port=9001)
        self.send(20, port=9000)
        numbers = []
        while len(numbers) < 20:
            numbers += [int(marker) for marker in MARKER.findall(capture.packet()[1])]
        self.assertEqual(numbers, list(range(20)))
        capture.close()

    def test_snaplen(self):
        capture = self.capture(snaplen=64, filter_program=libpcap.udp_to_port(9000))
        self.send(1, size=500)
        self.assertEqual(len(capture.packet()[1]), 64)

    def test_sampling_with_the_value_that_little_endian_clients_send(self):
        control = self.control()
        control.ask(libpcap.OPEN, b"eth0")
        self.assertEqual(control.ask(libpcap.SETSAMPLING, bytes([1, 0, 0, 0, 0, 0, 0, 0]))[1], b"")

    def test_an_interface_that_is_not_there(self):
        with self.assertRaises(libpcap.RpcapError):
            self.control().ask(libpcap.OPEN, b"eth7")

    def test_a_user_where_none_is_wanted_is_refused_as_by_rpcapd(self):
        with self.assertRaises(libpcap.RpcapError):
            self.control(user="somebody", password="else")

    def test_a_client_that_goes_without_a_word_leaves_room_for_the_next(self):
        for _ in range(8):
            capture = self.capture()
            capture.control.sock.close()
            capture.data.close()
        capture = None
        for _ in range(50):  # until the tap has noticed
            try:
                capture = self.capture()
                break
            except (libpcap.RpcapError, EOFError, ConnectionError):
                pass
        self.send(5)
        self.assertEqual(self.markers_of(capture, 5), list(range(5)))


class ReferenceSensor(PassiveTest):
    def passive_sensor(self, host, *arguments):
        json_path = os.path.join(self.folder, "passive.json")
        process = self.node.popen([f"{BINARIES}/sidetap-sensor", "passive", "--connect", host, "--json", json_path,
                                   *arguments], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while (line := process.stdout.readline()) and not line.startswith("capturing "):
            pass
        self.assertTrue(line, "the session ended before the capture")
        return process, json_path

    def check_passive(self, host, *arguments):
        process, json_path = self.passive_sensor(host, *arguments)
        self.send(300, size=1200)
        time.sleep(1)  # at its end, a capture has 0.2 s for what waits
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(15), 0)
        ledger = self.running.stop()
        with open(json_path, encoding="utf-8") as file:
            totals = json.load(file)
        self.assertEqual(totals["malformed"], 0)
        self.assertGreaterEqual(totals["packets"], 300)
        self.assertEqual(totals["packets"], ledger["forwarded"])

    def test_passive_over_tcp(self):
        self.check_passive(POD, "--data", "tcp")

    def test_passive_over_udp(self):
        self.check_passive(POD, "--data", "udp")

    def test_passive_over_ipv6(self):
        self.check_passive(f"[{POD6}]", "--data", "tcp")


class Tls(TapTest):
    def setUp(self):
        super().setUp()
        self.sink()
        self.ca = self.path("ca.pem")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                     "/CN=test CA", "-keyout", self.path("ca.key"), "-out", self.ca)
        for name, names in (("tap", "DNS:tap.test"), ("sensor", f"DNS:sensor.test,IP:{NODE},IP:{NODE6}")):
            with open(self.path(f"{name}.ext"), "w", encoding="ascii") as file:
                file.write(f"subjectAltName={names}\n")
            self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                         f"/CN={name}", "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))
            self.openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.ca, "-CAkey", self.path("ca.key"),
                         "-days", "1", "-extfile", self.path(f"{name}.ext"), "-out", self.path(f"{name}.pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def rpcaps(self, **sensor_options):
        sensor = self.sensor("--data", "tcp", "--tls", "rpcaps", "--tls-ca", self.ca, "--tls-name",
                             sensor_options.get("name", "tap.test"))
        tap = self.tap("--sensor-tls", "rpcaps", "--sensor-tls-cert", self.path("tap.pem"), "--sensor-tls-key",
                       self.path("tap.key"))
        return sensor, tap

    def check_every_packet_arrives(self, sensor, tap, stop_sensor_first):
        tap.wait_log("forwarding to sensor")
        self.send(2000, size=1400)
        if stop_sensor_first:
            totals = sensor.stop()
            tap.stop()
        else:
            ledger = tap.stop()
            totals = sensor.stop()
            self.assertEqual(totals["packets"], ledger["forwarded"])
            self.assertEqual(self.markers(), {number: 1 for number in range(2000)}, ledger)
        self.assertEqual(totals["malformed"], 0)
        self.assertEqual(totals["missing_packets"], 0)

    def test_the_sensor_begins_the_handshake(self):
        self.check_every_packet_arrives(*self.rpcaps(), stop_sensor_first=False)

    def test_the_sensor_begins_the_handshake_and_ends_the_session(self):
        self.check_every_packet_arrives(*self.rpcaps(), stop_sensor_first=True)

    def test_the_tap_begins_the_handshake(self):
        # The sensor's session tickets are never asked for: what the tap sends last must arrive all the same.
        for _ in range(3):
            sensor = self.sensor("--data", "tcp", "--tls", "server", "--tls-cert", self.path("sensor.pem"), "--tls-key",
                                 self.path("sensor.key"))
            tap = self.tap("--sensor-tls", "client", "--sensor-tls-ca", self.ca)
            self.check_every_packet_arrives(sensor, tap, stop_sensor_first=False)
            for name in os.listdir(self.folder):
                if name.endswith(".pcap"):
                    os.remove(self.path(name))

    def test_a_sensor_without_tls_gets_nothing(self):
        sensor = self.sensor("--data", "tcp")
        tap = self.tap("--sensor-tls", "client", "--sensor-tls-ca", self.ca)
        tap.wait_log("no session with sensor")
        tap.stop()
        self.assertEqual(sensor.stop()["packets"], 0)

    def test_a_tap_of_another_name_is_refused_by_the_sensor(self):
        sensor, tap = self.rpcaps(name="other.test")
        tap.wait_log("no session with sensor")
        tap.stop()
        self.assertEqual(sensor.stop()["packets"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
