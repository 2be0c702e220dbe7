"""The sensor gets what the application says and hears, each byte once, whatever mesh the pod is in."""
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

import meshes
from mesh_lab import BAD_CHECKSUM, CLIENT, DATABASE_USER, MeshTest, SENSOR
from meshes import APPLICATION_PORT, POD
from sidetap_lab.suricata import alerts_on


class EveryMesh(MeshTest):
    """Run by each class below, with its mesh."""

    def count(self, packets, text):
        """How often the text was seen, not counting TCP retransmissions, which differ in their IP or TCP header."""
        first = {}

        def is_sent_again(packet):
            segment = (packet.source, packet.destination, packet.source_port, packet.destination_port, packet.sequence,
                       packet.payload)
            return first.setdefault(segment, packet.frame[14:]) != packet.frame[14:]

        return sum(packet.payload.count(text) for packet in packets if not is_sent_again(packet))

    def stream(self, packets, **wanted):
        """The payload of the packets with these attributes, by their sequence numbers."""
        parts = {}
        for packet in packets:
            if packet.payload and all(getattr(packet, name) == value for name, value in wanted.items()):
                flow = parts.setdefault(packet.destination_port, {})
                flow[packet.sequence] = max(flow.get(packet.sequence, b""), packet.payload, key=len)
        whole = bytearray()
        for flow in parts.values():
            end = 0
            for sequence, part in sorted(flow.items()):
                whole += part[max(end - sequence, 0):]  # what was sent again may begin elsewhere
                end = max(end, sequence + len(part))
        return bytes(whole)

    def serve(self, mode, kind="http", proxy_mode="http", upstream_protocol="", address="::"):
        self.start_application(kind, address)
        self.start_proxy(proxy_mode, upstream_protocol)
        self.start_tap(mode)

    def assert_ciphertext(self, packets, mode):
        ciphertext = [packet for packet in packets if packet.is_ciphertext]
        if mode == "both":
            self.assertTrue(ciphertext)
        else:
            self.assertEqual(ciphertext, [])

    def each_mode(self, check):
        for number, mode in enumerate(self.MODES):
            if number != 0:
                self.doCleanups()
                self.setUp()
            with self.subTest(mode=mode):
                check(mode)

    def test_requests_are_seen_once(self):
        self.each_mode(self.check_requests)

    def check_requests(self, mode):
        self.serve(mode)
        for number in range(20):
            with self.connect() as connection:
                self.assertEqual(self.ask(connection, f"marker-{number:03}"), f"answer-to-marker-{number:03}".encode())
        packets = self.finish()
        for number in range(20):
            for text in (f"GET /marker-{number:03} ", f"answer-to-marker-{number:03}"):
                self.assertEqual(self.count(packets, text.encode()), 1, f"{text}: {self.ledger()}")
        self.assert_ciphertext(packets, mode)
        leg = next(packet for packet in packets if b"GET /marker-000 " in packet.payload)
        self.assertEqual((leg.source, leg.destination), (self.MESH.client or CLIENT, POD))
        self.assertEqual(leg.destination_port, APPLICATION_PORT)
        self.assertNotEqual(leg.frame[:6], bytes(6))
        self.assertNotEqual(leg.frame[6:12], bytes(6))

    def test_a_connection_that_is_kept(self):
        self.each_mode(self.check_kept)

    def check_kept(self, mode):
        self.serve(mode)
        connections = [self.connect() for _ in range(3)]
        for number in range(30):
            self.ask(connections[number % 3], f"kept-{number:03}", close=False)
            time.sleep(0.01)
        for connection in connections:
            connection.close()
        packets = self.finish()
        for number in range(30):
            self.assertEqual(self.count(packets, f"GET /kept-{number:03} ".encode()), 1)
        self.assert_ciphertext(packets, mode)

    def test_between_two_proxies(self):
        self.each_mode(self.check_two_proxies)

    def check_two_proxies(self, mode):
        self.serve(mode)
        self.start_client_proxy()
        for number in range(20):
            with self.connect_in_the_clear() as connection:
                self.assertEqual(self.ask(connection, f"peer-{number:03}"), f"answer-to-peer-{number:03}".encode())
        with self.connect_in_the_clear() as connection:
            for number in range(20, 40):
                self.ask(connection, f"peer-{number:03}", close=False)
        packets = self.finish()
        for number in range(40):
            self.assertEqual(self.count(packets, f"GET /peer-{number:03} ".encode()), 1)
            self.assertEqual(self.count(packets, f"answer-to-peer-{number:03}".encode()), 1)
        self.assert_ciphertext(packets, mode)

    def test_ipv6(self):
        if not self.MESH.client6:
            self.skipTest("this mesh's data path has no IPv6 in this lab")
        self.each_mode(self.check_ipv6)

    def check_ipv6(self, mode):
        self.serve(mode)
        for number in range(5):
            with self.connect(address=meshes.POD6) as connection:
                self.ask(connection, f"six-{number}")
        packets = self.finish()
        for number in range(5):
            self.assertEqual(self.count(packets, f"GET /six-{number} ".encode()), 1)
        leg = next(packet for packet in packets if b"GET /six-0 " in packet.payload)
        self.assertEqual((leg.source, leg.destination), (self.MESH.client6, meshes.POD6))
        self.assert_ciphertext(packets, mode)

    def test_large_bodies_come_whole_in_packets_of_the_mtu(self):
        self.each_mode(self.check_large_bodies)

    def check_large_bodies(self, mode):
        self.serve(mode)
        size = 3_000_000
        with self.connect() as connection:
            body = self.ask(connection, f"bytes/{size}")
        self.assertEqual(len(body), size)
        packets = self.finish()
        self.assertLessEqual(max(len(packet.frame) for packet in packets), 1514)
        self.assertTrue(body in self.stream(packets, source_port=APPLICATION_PORT), f"the body is not whole: {self.ledger()}")
        self.assert_ciphertext(packets, mode)

    def test_raw_tcp(self):
        self.each_mode(self.check_raw)

    def check_raw(self, mode):
        self.serve(mode, kind="raw", proxy_mode="tcp")
        with self.connect() as connection:
            connection.sendall(b"raw-marker" * 30)
            got = b""
            while len(got) < 300:
                got += connection.recv(1000)
            time.sleep(0.1)  # who opened a connection is known only while it is there
        packets = self.finish()
        self.assertEqual(self.count(packets, b"raw-marker" * 30), 2, "there and back")
        self.assert_ciphertext(packets, mode)

    def test_http2(self):
        self.each_mode(self.check_http2)

    def check_http2(self, mode):
        self.serve(mode, kind="h2", upstream_protocol="h2")
        certificates = self.certificates
        got = self.client.run("curl", "-sS", "--http2", "-k", "--cert", certificates.path("client.crt"), "--key",
                              certificates.path("client.key"), "--data", "h2-body-marker",
                              f"https://{POD}:{self.MESH.mutual}/")
        self.assertEqual(got, "answer-of-h2")
        packets = self.finish()
        self.assertEqual(self.count(packets, b"PRI * HTTP/2.0"), 1)
        self.assertEqual(self.count(packets, b"h2-body-marker"), 1)
        self.assertEqual(self.count(packets, b"answer-of-h2"), 1)
        self.assert_ciphertext(packets, mode)

    @unittest.skipUnless(shutil.which("suricata"), "Suricata is not installed")
    def test_a_rule_of_suricata_fires_on_it(self):
        self.serve("plaintext")
        with self.connect() as connection:
            self.ask(connection, "suricata-marker")
        self.finish()
        rule = 'alert http any any -> any any (msg:"a request"; http.uri; content:"/suricata-marker"; sid:1;)\n'
        alerts = [alert for number, capture in enumerate(self.capture_files())
                  for alert in alerts_on(capture, os.path.join(self.folder, f"suricata-{number}"), rule)]
        self.assertEqual(len(alerts), 1, alerts)

    def test_what_is_no_leg_stays_in_the_pod(self):
        self.start_python("database", "127.0.0.1", 5432, DATABASE_USER)
        self.start_application()
        self.start_proxy()
        self.start_tap("both", "--status-listen", "127.0.0.1:15920")
        with self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as query:
            query.connect(("127.0.0.1", 5432))
            for _ in range(200):
                query.sendall(b"database-marker")
                query.recv(100)
        with self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as admin:
            admin.connect(("127.0.0.1", self.MESH.others[0]))
            admin.sendall(b"GET /admin-marker HTTP/1.0\r\n\r\n")
            admin.recv(1000)
        with self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as local:
            local.connect(("127.0.0.1", APPLICATION_PORT))
            local.sendall(b"GET /local-marker HTTP/1.0\r\n\r\n")
            local.recv(1000)
        self.pod.run("curl", "-sS", "http://127.0.0.1:15920/metrics")
        packets = self.finish()
        for marker in (b"database-marker", b"admin-marker", b"local-marker", b"sidetap_packets"):
            self.assertEqual(self.count(packets, marker), 0, marker)

    def test_a_handshake_that_fails_stays_visible(self):
        self.serve("plaintext")
        with self.connect() as connection:
            self.ask(connection, "served")
        with self.assertRaises(OSError), self.connect(certificate=False) as connection:
            self.ask(connection, "refused")
        packets = self.finish()
        self.assertTrue([packet for packet in packets if packet.is_ciphertext])
        self.assertEqual(self.count(packets, b"GET /served "), 1)

    def test_a_proxy_that_starts_after_the_tap(self):
        self.start_application()
        self.start_tap("both", wait_for_mesh=False)
        self.start_proxy()
        self.wait_for_mesh()
        with self.connect() as connection:
            self.ask(connection, "late-marker")
        self.assertEqual(self.count(self.finish(), b"GET /late-marker "), 1)

    def test_the_ledger_balances(self):
        self.serve("plaintext")
        for _ in range(5):
            with self.connect() as connection:
                self.ask(connection, "counted")
        self.finish()
        ledger = self.ledger()
        self.assertGreater(ledger["mesh_legs"], 0)
        self.assertGreater(ledger["mesh_covered"], 0)
        self.assertEqual(ledger["seen"], ledger["not_owned"] + ledger["owned"] + ledger["dropped_kernel_ring"], ledger)


class Probed:
    """Of a mesh whose agent hands on the kubelet's probes."""

    def test_probes_through_the_agent_are_no_legs(self):
        self.start_application()
        self.start_python("agent", "0.0.0.0", 15020, self.MESH.user)
        self.start_proxy()
        self.start_tap("both")
        for _ in range(5):
            self.node.run("curl", "-sS", "-A", "kube-probe/1.31", f"http://{POD}:15020/app-health/web/livez")
        packets = self.finish()
        self.assertEqual(self.count(packets, b"probe-marker"), 0)


class LocalOnly:
    """Of a mesh that reaches the application at 127.0.0.1."""

    def test_an_application_on_localhost_only_is_shown_at_the_pods_address(self):
        self.each_mode(self.check_local_only)

    def check_local_only(self, mode):
        self.serve(mode, address="127.0.0.1")
        with self.connect() as connection:
            self.ask(connection, "local-only")
        packets = self.finish()
        self.assertEqual(self.count(packets, b"GET /local-only "), 1)
        leg = next(packet for packet in packets if b"GET /local-only " in packet.payload)
        self.assertEqual(leg.destination, POD)
        self.assert_ciphertext(packets, mode)


class Istio(Probed, EveryMesh):
    MESH = meshes.ISTIO

    def test_a_dump_shows_the_plaintext_and_nothing_else_of_the_loopback_interface(self):
        self.start_python("database", "127.0.0.1", 5432, DATABASE_USER)
        self.start_application()
        self.start_proxy()
        self.start_dump("--mesh")
        with self.connect() as connection:
            size = 200_000
            self.assertEqual(len(self.ask(connection, f"bytes/{size}", close=False)), size)
            self.ask(connection, "dump-marker")
        with self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as query:
            query.connect(("127.0.0.1", 5432))
            query.sendall(b"database-marker")
            query.recv(100)
        self.end_dump()
        self.assertIn("showing the plaintext of the mesh: istio", self.log("dump.log"))
        fields = ("frame.interface_name", "ip.src", "ip.dst", "eth.dst")
        shown = self.dissect(self.dumped, 'http.request.uri == "/dump-marker"', *fields)
        address = re.search(r"link/ether (\S+)", self.pod.run("ip", "-o", "link", "show", "eth0"))[1]
        self.assertEqual(shown, [("shop/web-1 lo (mesh)", "127.0.0.6", POD, address)])
        self.assertTrue(self.dissect(self.dumped, "tcp.payload[0:2] == 17:03 && frame.interface_id == 0", "frame.number"))
        self.assertEqual(self.dissect(self.dumped, f"{BAD_CHECKSUM} || frame.len > 1514", "frame.number"), [])
        self.assertEqual(self.dissect(self.dumped, "frame.interface_id == 1 && tcp.port != 8080", "frame.number"), [])
        with open(self.dumped, "rb") as file:
            self.assertNotIn(b"database-marker", file.read())

    def test_a_stand_in_of_the_operators_choice(self):
        self.start_application()
        self.start_proxy()
        self.start_tap("both", "--mesh-client", "192.0.2.7")
        with self.connect() as connection:
            self.ask(connection, "stand-in-marker")
        packets = self.finish()
        leg = next(packet for packet in packets if b"GET /stand-in-marker " in packet.payload)
        self.assertEqual(leg.source, "192.0.2.7")


class IstioLocalhost(LocalOnly, EveryMesh):
    MESH = meshes.ISTIO_LOCALHOST


class IstioTproxy(Probed, EveryMesh):
    MESH = meshes.ISTIO_TPROXY


class Kuma(EveryMesh):
    MESH = meshes.KUMA


class Linkerd(EveryMesh):
    MESH = meshes.LINKERD


class Consul(LocalOnly, EveryMesh):
    MESH = meshes.CONSUL


class Ambient(EveryMesh):
    MESH = meshes.AMBIENT

    def test_a_client_outside_the_mesh_is_seen_once_in_plaintext(self):
        self.serve("plaintext")
        with self.client.socket(socket.AF_INET, socket.SOCK_STREAM) as outside:
            outside.settimeout(10)
            outside.connect((POD, APPLICATION_PORT))
            self.ask(outside, "outside-marker")
        packets = self.finish()
        self.assertEqual(self.count(packets, b"GET /outside-marker "), 1)


class WithoutTls(unittest.TestCase):
    def test_plaintext_is_refused_with_one_line(self):
        program = os.path.join(os.environ.get("SIDETAP_BINARIES", "build/release/bin"), "sidetap-sidecar")
        done = subprocess.run([program, "run", "--sensor", SENSOR, "--mesh", "plaintext"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn("in the clear", done.stderr)


del EveryMesh, MeshTest  # they have no mesh
