"""Capture streams over TCP (PCAP-over-IP) of one tap."""
import re
import socket
import struct
import unittest

from stream_reader import StreamReader
from tap_lab import NODE, POD, TapTest, wait_for

PORT = 57012


class Reader(StreamReader):
    def markers(self):
        return [int(marker) for marker in re.findall(rb"marker-(\d+)-", self.data)]

    def frames(self):
        data, at, frames = self.end(), 24, []
        while at < len(data):
            size, = struct.unpack_from("<8xI", data, at)
            frames.append(data[at + 16:at + 16 + size])
            at += 16 + size
        return frames


class Streams(TapTest):
    def assert_every_packet_once_and_nothing_of_itself(self, tap, reader):
        self.sink()
        self.send(500)
        self.assertTrue(wait_for(lambda: len(reader.markers()) == 500))
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertEqual(reader.markers(), list(range(500)))
        frames = reader.frames()
        self.assertEqual(len(frames), ledger["forwarded"])
        port = struct.pack(">H", PORT)
        own = [frame for frame in frames if frame[12:14] == b"\x08\0" and frame[23] == 6 and port in (frame[34:36], frame[36:38])]
        self.assertEqual(own, [], "the stream holds itself")

    def test_a_reader_gets_every_packet_once_and_the_stream_does_not_hold_itself(self):
        tap = self.tap("--output", "pcap-over-ip", "--pcap-listen", f":{PORT}", sensor=None)
        tap.wait_log("waiting for readers of capture streams")
        connection = self.node.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.connect((POD, PORT))
        reader = Reader(connection)
        tap.wait_log("sending a capture stream")
        self.assert_every_packet_once_and_nothing_of_itself(tap, reader)

    def test_a_receiver_that_is_dialled_gets_the_same(self):
        with self.node.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind((NODE, PORT))
            listener.listen()
            listener.settimeout(20)
            tap = self.tap("--output", "pcap-over-ip", "--pcap-connect", NODE, sensor=None)
            reader = Reader(listener.accept()[0])
        tap.wait_log("sending a capture stream")
        self.assert_every_packet_once_and_nothing_of_itself(tap, reader)

    def test_a_tap_does_not_dial_its_own_pod(self):
        with self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind((POD, PORT))
            listener.listen()
            tap = self.tap("--output", "pcap-over-ip", "--pcap-connect", POD, sensor=None)
            tap.wait_log(f"{POD} is an address of this pod")
            tap.stop()


if __name__ == "__main__":
    unittest.main()
