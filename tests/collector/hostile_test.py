"""What anybody may do who reaches the collector's ports."""
import os
import socket
import struct
import time
import unittest

from collector_lab import COLLECTOR, CollectorTest, wait_for


def message(kind, payload=b"", value=0, length=None):
    return struct.pack(">BBHI", 0, kind, value, len(payload) if length is None else length) + payload


# A tap's answers, one after the other: its login is fine, it has one interface without addresses, which can be opened.
AUTH = message(136)
INTERFACE = message(130, struct.pack(">HHIHH", 4, 0, 2, 0, 0) + b"eth0", value=1)
OPENED = message(131, struct.pack(">ii", 1, 0))
STARTED = message(132, struct.pack(">iHH", 1 << 20, 0, 0))


def packet(number, size, captured=None, length=None):
    """Header and bytes of a packet, either of which may lie."""
    captured = size if captured is None else captured
    return struct.pack(">IIIII", 1, 1, captured, captured if length is None else length, number) + bytes(size)


def packed(number, payload, first=8):
    """A datagram of the packed format."""
    return struct.pack(">BBHI", 0, 110, first, number) + payload


def read_exactly(client, size):
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise ConnectionError("the collector has hung up")
        data += piece
    return data


def read_request(client):
    _, kind, _, length = struct.unpack(">BBHI", read_exactly(client, 8))
    return kind, read_exactly(client, length)


def play(client, *answers):
    """Answers one request after the other."""
    for answer in answers:
        read_request(client)
        client.sendall(answer)


def port_for_data(client):
    """Of the request to start, which comes next."""
    kind, request = read_request(client)
    assert kind == 4, kind
    return struct.unpack_from(">IIHH", request)[3]


def has_ended(client):
    """Whether the collector has hung up; takes what it has said."""
    client.setblocking(False)
    try:
        while client.recv(65_536):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


class Hostile(CollectorTest):
    def setUp(self):
        super().setUp()
        self.sensor_program = self.sensor()

    def assert_still_works(self, collector, pod=2):
        """Another pod's tap gets every packet to the sensor."""
        tap = self.tap(pod)
        tap.wait_log("forwarding to sensor")
        self.send(pod, 0, 100)
        tap.stop()
        ledger, received = collector.stop()
        self.sensor_program.stop()
        self.assert_all_once((pod, 100))
        self.assert_balanced(ledger, received)
        return received

    def attacker(self):
        self.pods["web-1"] = self.attach("web1", "10.99.1.1")
        return self.pods["web-1"]

    def test_clients_that_are_no_taps_are_left(self):
        self.attacker()
        collector = self.collector()
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00" + bytes(20), os.urandom(64),
                        message(136, length=0xFFFFFFFF), message(7, bytes(100)), message(6), message(1, b"no")):
            (client,) = self.open_sockets(1, garbage)
            self.assertTrue(wait_for(lambda: has_ended(client)), garbage)
        self.assert_still_works(collector)

    def test_answers_that_lie(self):
        self.attacker()
        collector = self.collector()
        named = struct.pack(">HHIHH", 65_535, 65_535, 2, 65_535, 0) + b"eth0"
        for answers in ((AUTH, message(130, value=65_535)), (AUTH, message(130, named, value=1)),
                        (AUTH, message(130, named, value=65_535, length=1 << 20)), (AUTH, message(130, bytes(64_000), value=64)),
                        (AUTH, AUTH), (AUTH, INTERFACE, message(131, b"")), (AUTH, INTERFACE, message(131, bytes(60_000))),
                        (AUTH, INTERFACE, message(131, struct.pack(">ii", 147, 0))), (AUTH, INTERFACE, OPENED, OPENED),
                        (AUTH, INTERFACE, OPENED, STARTED + message(137, bytes(16))),
                        (AUTH, INTERFACE, OPENED, STARTED + message(7, packet(1, 60)))):
            (client,) = self.open_sockets(1)
            play(client, *answers)
            self.assertTrue(wait_for(lambda: has_ended(client)), answers)
        self.assert_still_works(collector)

    def test_one_address_has_a_bounded_number_of_sessions(self):
        self.attacker()
        collector = self.collector("--max-taps-of-address", "4")
        clients = self.open_sockets(40)
        self.assertTrue(wait_for(lambda: "sessions-of-address" in collector.log()))
        self.assertTrue(wait_for(lambda: sum(map(has_ended, clients)) == 36), sum(map(has_ended, clients)))
        self.assert_still_works(collector)

    def test_twenty_thousand_connections_leave_nothing_behind(self):
        attacker = self.attacker()
        attacker.ip("route add local 10.128.0.0/16 dev lo")
        self.collector_pod.ip("route add 10.128.0.0/16 via 10.99.1.1")
        collector = self.collector()
        before, memory = collector.descriptors(), collector.resident_kib()
        with attacker:
            for first in range(0, 20_000, 200):
                clients = []
                for number in range(first, first + 200):
                    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if number % 2 == 1:  # an address of its own; the others are too many for theirs
                        client.bind((f"10.128.{number >> 8}.{number & 255}", 0))
                    client.connect((COLLECTOR, 2003))
                    clients.append(client)
                for client in clients:
                    client.close()
        self.assertTrue(wait_for(lambda: collector.descriptors() <= before + 2, 30), collector.descriptors())
        self.assertLess(collector.resident_kib(), memory + 16_384)
        self.assertLess(len(collector.log().splitlines()), 500)
        self.assert_still_works(collector)

    def test_addresses_that_may_not_connect(self):
        self.attacker()
        collector = self.collector("--tap-allow", "10.99.1.2/32")
        (client,) = self.open_sockets(1)
        try:
            self.assertEqual(client.recv(100), b"")
        except ConnectionResetError:
            pass
        self.assert_still_works(collector)

    def test_slow_clients_end_in_time(self):
        self.attacker()
        collector = self.collector()
        silent, half, by_bytes, by_payload = self.open_sockets(4)
        half.sendall(AUTH[:5])
        play(by_payload, AUTH, message(130, value=1, length=60_000))
        slow = {silent: 0, half: 0, by_bytes: 2, by_payload: 0.2}  # seconds from byte to byte; 0: none comes
        begin = time.monotonic()
        said = dict.fromkeys(slow, begin)
        while slow and time.monotonic() < begin + 30:
            for client, pause in list(slow.items()):
                if has_ended(client):
                    del slow[client]
                elif pause and time.monotonic() > said[client] + pause:
                    said[client] = time.monotonic()
                    try:
                        client.send(b"\0")
                    except OSError:
                        pass  # which the next look tells too
            time.sleep(0.05)
        self.assertEqual(len(slow), 0)
        self.assertLess(time.monotonic() - begin, 20)
        self.assert_still_works(collector)

    def test_datagrams_whose_numbers_and_lengths_lie(self):
        attacker = self.attacker()
        collector = self.collector("--incomplete-memory", "1M")
        memory = collector.resident_kib()
        (client,) = self.open_sockets(1)
        play(client, AUTH, INTERFACE, OPENED)
        port = port_for_data(client)
        client.sendall(STARTED)
        with attacker.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
            liar.connect((COLLECTOR, port))
            for number in (0, 1, 1 << 31, (1 << 32) - 1, 0, 5, 1 << 20, 3):
                liar.send(packed(number, packet(number, 60)))
            lies = [packed(4, packet(4, 60), first=0xFFF0), packed(5, packet(5, 60), first=3), packed(6, b"", first=8),
                    packed(7, packet(7, 60, captured=0xFFFFFFFF)), packed(8, packet(8, 60, captured=60, length=50)), b"\0\x6e\0",
                    message(7, packet(9, 60), length=0xFFFFFFFF), message(7, packet(10, 60, captured=1 << 30))]
            for lie in lies:
                liar.send(lie)
            # A packet that is announced, and never comes, again and again.
            for number in range(100, 1_100):
                liar.send(packed(number, packet(number, 1_000, captured=262_144)))
        client.close()
        collector.wait_log("session with tap ended")
        self.assertLess(collector.resident_kib(), memory + 16_384)
        received = self.assert_still_works(collector)
        self.assertGreaterEqual(received["malformed"], len(lies))
        self.assertGreater(received["packets"], 100)

    def test_streams_whose_lengths_lie(self):
        attacker = self.attacker()
        collector = self.collector("--data", "tcp")
        for lie in (message(7, length=0xFFFFFFFF) + bytes(20), message(110, packet(1, 60)), message(7, packet(1, 60, captured=1 << 30)),
                    message(7, packet(1, 60, captured=50, length=40)), message(7, packet(1, 60)) + os.urandom(100),
                    message(7, packet(1, 60, captured=4_000), length=4_020)):
            (client,) = self.open_sockets(1)
            play(client, AUTH, INTERFACE, OPENED)
            port = port_for_data(client)
            with attacker.socket(socket.AF_INET, socket.SOCK_STREAM) as liar:
                liar.connect((COLLECTOR, port))
                client.sendall(STARTED)
                liar.sendall(lie)
                # The last one is a whole beginning: only its end tells that the rest does not come.
            self.assertTrue(wait_for(lambda: has_ended(client)), lie)
        received = self.assert_still_works(collector)
        self.assertGreaterEqual(received["malformed"], 5)

    def test_datagrams_of_strangers_count_for_nobody(self):
        attacker = self.attacker()
        collector = self.collector()
        with attacker.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(500):
                header = struct.pack(">IIIII", 1, 1, 40, 40, number + 1)
                stranger.sendto(struct.pack(">BBHI", 0, 110, 8, number) + header + bytes(40), (COLLECTOR, 2004))
        received = self.assert_still_works(collector)
        self.assertEqual(received["strange_datagrams"], 500)
        self.assertEqual(received["missing_packets"], 0)

    def test_streams_of_strangers_are_closed(self):
        attacker = self.attacker()
        collector = self.collector("--data", "tcp")
        with attacker.socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
            stranger.connect((COLLECTOR, 2004))
            stranger.sendall(message(7, packet(1, 60)))
            self.assertTrue(wait_for(lambda: has_ended(stranger)))
        self.assertEqual(self.assert_still_works(collector)["strange_streams"], 1)


if __name__ == "__main__":
    unittest.main()
