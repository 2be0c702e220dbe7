"""Taps that a test plays itself, byte by byte, and the reference sensor as a program that it runs them against.

The first argument of the command line is the folder of the programs; importing this module takes it away.
"""
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.join(sys.argv.pop(1) if len(sys.argv) > 1 else "build/release/bin", "sidetap-sensor")

ERROR, FINDALLIF, OPEN, STARTCAP, UPDATEFILTER, CLOSE, PACKET, AUTH, STATS, ENDCAP, SETSAMPLING = range(1, 12)
REPLY = 128
DATAGRAM = 2


def message(kind, payload=b"", value=0):
    return struct.pack(">BBHI", 0, kind, value, len(payload)) + payload


def sockaddr(address):
    if ":" in address:
        raw = struct.pack(">HHI16sI", 10, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0)
    else:
        raw = struct.pack(">HH4s", 2, 0, socket.inet_aton(address))
    return raw.ljust(128, b"\0")


def interface(name, description, addresses):
    entry = struct.pack(">HHIHH", len(name), len(description), 0, len(addresses), 0)
    return entry + name.encode() + description.encode() + b"".join(sockaddr(a) + bytes(384) for a in addresses)


def packet_header(number, body, seconds=1_700_000_000, micros=5):
    return struct.pack(">IIIII", seconds, micros, len(body), len(body), number)


def packet(number, body):
    return message(PACKET, packet_header(number, body) + body)


def udpstr(seqno, stream, first=8):
    return struct.pack(">BBHI", 0, 110, first, seqno) + stream


class Tap:
    """One control connection, and what it led to. `sock` is connected, its TLS handshake done."""

    def __init__(self, sock):
        self.control = sock
        self.data = None

    def read(self, size):
        got = b""
        while len(got) < size:
            part = self.control.recv(size - len(got))
            if not part:
                raise EOFError("the sensor closed")
            got += part
        return got

    def expect(self, kind):
        _, got, value, length = struct.unpack(">BBHI", self.read(8))
        payload = self.read(length)
        if got != kind:
            raise AssertionError(f"message {got} instead of {kind}: {payload[:80]}")
        return value, payload

    def answer(self, kind, payload=b"", value=0):
        request = self.expect(kind)
        self.control.sendall(message(kind + REPLY, payload, value))
        return request

    def until_start(self, interfaces=None, link_type=1):
        """AUTH, FINDALLIF and OPEN; returns the name that was opened."""
        self.auth = self.answer(AUTH)[1]
        interfaces = interfaces or [interface("eth0", "shop/web", ["10.1.2.3", "fd00::7"])]
        self.answer(FINDALLIF, b"".join(interfaces), len(interfaces))
        return self.answer(OPEN, struct.pack(">ii", link_type, 0))[1]

    def start_udp(self, bind=None, **options):
        self.until_start(**options)
        payload = self.expect(STARTCAP)[1]
        self.snaplen, _, self.flags, port, _, _, count = struct.unpack(">IIHHHHI", payload[:20])
        self.filter = [struct.unpack(">HBBI", payload[20 + 8 * i:28 + 8 * i]) for i in range(count)]
        self.data = socket.socket(self.control.family, socket.SOCK_DGRAM)
        if bind:
            self.data.bind((bind, 0))
        self.data.connect((self.control.getpeername()[0], port))
        self.control.sendall(message(STARTCAP + REPLY, struct.pack(">IHH", 2 << 20, 0, 0)))
        return self

    def start_tcp(self, wrap=lambda sock: sock):
        self.until_start()
        port = struct.unpack(">H", self.expect(STARTCAP)[1][10:12])[0]
        self.data = wrap(socket.create_connection((self.control.getpeername()[0], port), timeout=10))
        self.control.sendall(message(STARTCAP + REPLY, struct.pack(">IHH", 2 << 20, 0, 0)))
        return self

    def end(self, stats=(9, 0, 1, 8)):
        """What the sensor does to end a session."""
        self.answer(STATS, struct.pack(">IIII", *stats))
        self.answer(ENDCAP)
        if self.data is not None and self.data.type == socket.SOCK_STREAM:
            self.end_data()
        self.expect(CLOSE)

    def end_data(self):
        """In order: a socket that is closed with unread bytes in it (session tickets of TLS) resets the connection."""
        self.data.shutdown(socket.SHUT_WR)
        try:
            while self.data.recv(4096):
                pass
        except ConnectionResetError:
            pass

    def close(self):
        self.control.close()
        if self.data is not None:
            self.data.close()


class SensorTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sidetap-sensor-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.json = os.path.join(self.folder, "totals.json")

    def start(self, *arguments, mode="active", listen="127.0.0.1:0"):
        where = ("--listen", listen) if mode == "active" else ("--connect", listen)
        self.process = subprocess.Popen([PROGRAM, mode, *where, "--json", self.json, *arguments],
                                        stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        if mode == "active":
            line = self.process.stdout.readline()
            self.assertTrue(line.startswith("listening "), line)
            self.port = int(line.rsplit(":", 1)[1])

    def dial(self, source=None, host="127.0.0.1", wrap=lambda sock: sock):
        sock = socket.create_connection((host, self.port), timeout=10, source_address=(source, 0) if source else None)
        tap = Tap(wrap(sock))
        self.addCleanup(tap.close)
        return tap

    def running(self):
        """Waits until the sensor says that a capture runs."""
        self.assertTrue(self.process.stdout.readline().startswith("capturing "))

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def totals(self):
        self.assertEqual(self.process.wait(15), 0)
        with open(self.json, encoding="utf-8") as file:
            return json.load(file)

    def captured(self, pattern="*.pcap"):
        """Link type and packets of the one capture file, read without a library."""
        (path,) = glob.glob(os.path.join(self.folder, pattern))
        with open(path, "rb") as file:
            content = file.read()
        magic, major, minor, _, _, _, link_type = struct.unpack("=IHHiIII", content[:24])
        self.assertEqual((magic, major, minor), (0xa1b2c3d4, 2, 4))
        packets, at = [], 24
        while at < len(content):
            seconds, micros, captured, _ = struct.unpack("=IIII", content[at:at + 16])
            packets.append((seconds, micros, content[at + 16:at + 16 + captured]))
            at += 16 + captured
        return link_type, packets


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
