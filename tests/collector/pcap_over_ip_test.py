"""Capture streams over TCP behind a collector: dumpcap reads them, and what a reader does harms no other."""
import os
import re
import shutil
import socket
import subprocess
import unittest

from collector_lab import COLLECTOR, SENSOR, Collector, CollectorTest, wait_for
from stream_reader import StreamReader  # its folder is found through collector_lab

PORT = 57012
PODS, PACKETS = 3, 300


@unittest.skipUnless(shutil.which("dumpcap") and shutil.which("tshark") and shutil.which("capinfos"), "Wireshark's tools are not installed")
class PcapOverIp(CollectorTest):
    def stream_collector(self, *arguments):
        return self.collector("--output", "pcap-over-ip", "--status-listen", ":15920", *arguments)

    def connect(self, rcvbuf=None):
        reader = self.sensor_host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(reader.close)
        if rcvbuf:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        reader.settimeout(60)
        reader.connect((COLLECTOR, PORT))
        return reader

    def dumpcap(self, name):
        """On the sensor's host; returns the process and its file."""
        path = os.path.join(self.folder, name)
        process = self.sensor_host.popen(["dumpcap", "-q", "-i", f"TCP@{COLLECTOR}:{PORT}", "-w", path],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, path

    def taps(self, count=PODS):
        taps = [self.tap(number) for number in range(1, count + 1)]
        for tap in taps:
            tap.wait_log("forwarding to sensor")
        return taps

    def send_all(self, first=0, count=PACKETS, size=100):
        for number in range(1, len(self.pods) + 1):
            self.send(number, first, count, size=size)

    @staticmethod
    def markers_of(data):
        return [int(marker) for marker in re.findall(rb"marker-(\d{7})-", data)]

    @staticmethod
    def wanted(pods=PODS, count=PACKETS):
        return sorted(pod * 1_000_000 + number for pod in range(1, pods + 1) for number in range(count))

    def end(self, collector, taps):
        for tap in taps:
            tap.stop()
        return collector.stop()

    def assert_whole(self, data):
        """A pcap stream of whole records. Returns how many."""
        self.assertEqual(data[:4], b"\xd4\xc3\xb2\xa1")
        at, records = 24, 0
        while at < len(data):
            at += 16 + int.from_bytes(data[at + 8:at + 12], "little")
            records += 1
        self.assertEqual(at, len(data), "the last record is cut")
        return records

    def test_dumpcap_reads_every_packet_once(self):
        collector = self.stream_collector("--pcap-listen", f":{PORT}")
        dumpcap, path = self.dumpcap("taps.pcap")
        collector.wait_log("sending a capture stream")
        taps = self.taps()
        self.send_all()
        ledger, received = self.end(collector, taps)
        dumpcap.wait(20)
        self.assert_balanced(ledger, received)
        with open(path, "rb") as file:
            self.assertEqual(sorted(self.markers_of(file.read())), self.wanted())
        about = subprocess.run(["capinfos", path], capture_output=True, text=True, check=True).stdout
        self.assertEqual(int(re.search(r"Number of packets: +(\d+)", about)[1].replace(",", "")), ledger["forwarded"], about)

    def test_pcapng_has_an_interface_for_each_pod_and_names_their_addresses(self):
        collector = self.stream_collector("--pcap-listen", f":{PORT}", "--pcap-format", "pcapng")
        dumpcap, path = self.dumpcap("taps.pcapng")
        collector.wait_log("sending a capture stream")
        plain = StreamReader(self.connect())
        plain_path = os.path.join(self.folder, "plain.pcapng")
        collector.wait_log("sending a capture stream", 2)
        taps = self.taps()
        self.send_all()
        self.end(collector, taps)
        dumpcap.wait(20)
        with open(plain_path, "wb") as file:
            file.write(plain.end())
        for each in (path, plain_path):
            about = subprocess.run(["capinfos", each], capture_output=True, text=True, check=True).stdout
            for number in range(1, PODS + 1):
                self.assertIn(f"Name = shop/web-{number} eth0", about)
                self.assertIn(f"k8s.podName=web-{number};k8s.namespace=shop", about)
            rows = subprocess.run(["tshark", "-n", "-r", each, "-Y", "udp.port == 9000", "-T", "fields", "-e", "frame.interface_name",
                                   "-e", "ip.src"], capture_output=True, text=True, check=True).stdout.splitlines()
            self.assertEqual(len(rows), PODS * PACKETS)
            self.assertEqual({row.split("\t")[1]: row.split("\t")[0] for row in rows},
                             {f"10.99.1.{number}": f"shop/web-{number} eth0" for number in range(1, PODS + 1)})
        names = subprocess.run(["tshark", "-N", "n", "-r", plain_path, "-Y", "udp.port == 9000", "-T", "fields", "-e", "ip.src_host"],
                               capture_output=True, text=True, check=True).stdout.split()
        self.assertEqual(set(names), {f"web-{number}.shop" for number in range(1, PODS + 1)})

    def test_a_slow_reader_loses_its_own_packets_only(self):
        collector = self.stream_collector("--data", "tcp", "--pcap-listen", f":{PORT}", "--pcap-reader-buffer", "512K")
        fast = StreamReader(self.connect())
        slow = self.connect(rcvbuf=16_384)
        collector.wait_log("sending a capture stream", 2)
        self.assertEqual(self.metric("sidetap_pcap_readers "), 2)
        taps = self.taps(1)
        sent = 0
        while sent < 40_000 and not self.metric('sidetap_packets_dropped_total{cause="socket-full"'):
            self.send(1, sent, 2000, size=1400)
            sent += 2000
        slow_reader = StreamReader(slow)  # it wakes up, and gets what comes from now on

        def gets_the_next():
            nonlocal sent
            self.send(1, sent, 1)
            sent += 1
            return wait_for(lambda: 1_000_000 + sent - 1 in self.markers_of(slow_reader.data), 0.5)
        self.assertTrue(wait_for(gets_the_next, 30), collector.log())
        ledger, _ = self.end(collector, taps)
        of_fast, of_slow = fast.end(), slow_reader.end()
        self.assertEqual(sorted(self.markers_of(of_fast)), list(range(1_000_000, 1_000_000 + sent)))
        self.assertGreater(ledger["dropped_socket_full"], 0)
        found = self.markers_of(of_slow)
        self.assertEqual((found, len(set(found))), (sorted(found), len(found)))
        self.assertLess(len(found), sent)
        records = self.assert_whole(of_fast) + self.assert_whole(of_slow)
        self.assertEqual(records, ledger["forwarded"])
        # Each reader counts for itself.
        self.assertEqual(2 * ledger["owned"], ledger["forwarded"] + ledger["dropped_socket_full"])

    def test_packets_wait_for_the_first_reader(self):
        collector = self.stream_collector("--pcap-listen", f":{PORT}")
        taps = self.taps(1)
        self.send_all()
        self.assertTrue(wait_for(lambda: self.metric("sidetap_collector_packets_received_total") >= PACKETS))
        reader = StreamReader(self.connect())
        self.assertTrue(wait_for(lambda: len(self.markers_of(reader.data)) == PACKETS))
        ledger, received = self.end(collector, taps)
        self.assertEqual(sorted(self.markers_of(reader.end())), self.wanted(1))
        self.assert_balanced(ledger, received)

    def test_who_may_connect_and_how_many(self):
        collector = self.stream_collector("--pcap-listen", f":{PORT}", "--pcap-allow", f"{SENSOR}/32", "--pcap-readers", "1")
        stranger = self.hub.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(stranger.close)
        stranger.settimeout(10)
        stranger.connect((COLLECTOR, PORT))
        self.assertEqual(stranger.recv(100), b"")
        first = self.connect()
        self.assertEqual(first.recv(100)[:4], b"\xd4\xc3\xb2\xa1")
        self.assertEqual(self.connect().recv(100), b"")
        for reason in ("address", "readers"):
            self.assertEqual(self.metric(f'sidetap_pcap_readers_refused_total{{reason="{reason}"}}'), 1)
        first.close()  # its place is free as soon as it has gone, though no packet is sent
        self.assertTrue(wait_for(lambda: self.metric('sidetap_pcap_reader_ends_total{cause="closed"}') == 1))
        self.assertEqual(self.connect().recv(4), b"\xd4\xc3\xb2\xa1")
        collector.stop()

    def test_one_that_talks_is_no_reader(self):
        collector = self.stream_collector("--pcap-listen", f":{PORT}")
        talker = self.connect()
        talker.sendall(b"x" * 4096)
        self.assertTrue(wait_for(lambda: self.metric('sidetap_pcap_reader_ends_total{cause="talked"}') == 1))
        self.assertEqual(self.metric("sidetap_pcap_readers "), 0)
        collector.stop()

    def test_it_dials_and_dials_again(self):
        listener = self.sensor_host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind((SENSOR, PORT))
        collector = self.stream_collector("--pcap-connect", SENSOR)
        collector.wait_log("cannot send a capture stream; trying again")
        listener.listen()
        listener.settimeout(20)
        first = StreamReader(listener.accept()[0])
        collector.wait_log("sending a capture stream")
        taps = self.taps(1)
        self.send(1, 0, PACKETS)
        self.assertTrue(wait_for(lambda: len(self.markers_of(first.data)) == PACKETS))
        first.connection.shutdown(socket.SHUT_RDWR)
        before = first.end()
        self.assertTrue(wait_for(lambda: self.metric('sidetap_pcap_reader_ends_total') == 1))
        self.send(1, PACKETS, PACKETS)  # these wait
        second = StreamReader(listener.accept()[0])
        self.assertTrue(wait_for(lambda: len(self.markers_of(second.data)) == PACKETS))
        ledger, received = self.end(collector, taps)
        after = second.end()
        self.assert_whole(after)
        self.assertEqual(sorted(self.markers_of(before) + self.markers_of(after)), self.wanted(1, 2 * PACKETS))
        self.assert_balanced(ledger, received)
        self.assertEqual(collector.log().count("a capture stream has ended"), 1, collector.log())

    def test_an_address_that_is_taken_is_named(self):
        taken = self.collector_pod.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(taken.close)
        taken.bind((COLLECTOR, PORT))
        taken.listen()
        collector = Collector(self.collector_pod, self.folder, "--output", "pcap-over-ip", "--pcap-listen", f"{COLLECTOR}:{PORT}")
        self.addCleanup(collector.kill)
        self.assertEqual(collector.process.wait(10), 1)
        self.assertIn(f"--pcap-listen {COLLECTOR}:{PORT}", collector.log())


if __name__ == "__main__":
    unittest.main()
