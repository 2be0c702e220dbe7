"""Capture files of a collector: which pod each packet comes from, as other programs read it."""
import os
import re
import shutil
import struct
import subprocess
import unittest

from collector_lab import CollectorTest, wait_for

INTERFACE, STATISTICS, PACKET = 1, 5, 6
RECEIVED, DROPPED = 4, 5
NAME = {f"shop/web-{pod} eth0": pod for pod in (1, 2)}


def blocks(path):
    """The blocks of a whole pcapng file in this machine's byte order: type and body."""
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("=II", data, at)
        found.append((kind, data[at + 8:at + length - 4]))
        at += max(length, 12)
    return found


def options(body, at):
    """Of a block, by code."""
    found = {}
    while at + 4 <= len(body):
        code, size = struct.unpack_from("=HH", body, at)
        if code == 0:
            break
        found[code] = body[at + 4:at + 4 + size]
        at += 4 + (size + 3) // 4 * 4
    return found


def whole(path):
    """A file that has ended: nothing of it is missing, and the last block tells what was counted."""
    found = blocks(path)
    size = sum(12 + len(body) for _, body in found)
    return bool(found) and size == os.path.getsize(path) and found[-1][0] == STATISTICS


@unittest.skipUnless(shutil.which("tshark") and shutil.which("capinfos"), "tshark is not installed")
class PcapngFiles(CollectorTest):
    def setUp(self):
        super().setUp()
        self.files = os.path.join(self.folder, "files")
        os.mkdir(self.files)

    def write(self, *arguments):
        collector = self.collector("--output", "pcap", "--pcap-dir", self.files, "--pcap-files", "100", *arguments, sensor=None)
        collector.wait_log("writing capture files")
        return collector

    def paths(self, ending="pcapng"):
        names = sorted(os.listdir(self.files), key=lambda name: int(re.search(r"-(\d+)\.\w+$", name)[1]))
        self.assertEqual(names, [f"sidetap_collector-0_collector-{number}.{ending}" for number in range(len(names))])
        return [os.path.join(self.files, name) for name in names]

    def read(self, path):
        """Of each marked packet: the interface's name and description, the sender's name, and the marker."""
        fields = ("frame.interface_name", "frame.interface_description", "ip.src_host", "udp.payload")
        arguments = [argument for field in fields for argument in ("-e", field)]
        text = subprocess.run(["tshark", "-N", "n", "-r", path, "-Y", "udp.port == 9000", "-T", "fields", *arguments],
                              capture_output=True, text=True, check=True).stdout
        rows = [line.split("\t") for line in text.splitlines()]
        return [(*row[:3], int(re.match(rb"marker-(\d{7})-", bytes.fromhex(row[3].replace(":", "")))[1])) for row in rows]

    def assert_of_their_pods(self, *sent):
        """In all files together each marker is there once, and on the interface of its pod."""
        markers = []
        for path in self.paths():
            for name, description, sender, marker in self.read(path):
                pod = marker // 1_000_000
                self.assertEqual(NAME.get(name), pod, path)
                self.assertEqual(description, f"k8s.podName=web-{pod};k8s.namespace=shop")
                self.assertEqual(sender, f"web-{pod}.shop")
                markers.append(marker)
        self.assertEqual(sorted(markers), [pod * 1_000_000 + number for pod, count in sent for number in range(count)])

    def assert_counted(self, ledger):
        """The statistics of each file count the packets in it, interface by interface."""
        packets = 0
        for path in self.paths():
            self.assertTrue(whole(path), path)
            found = blocks(path)
            interfaces = sum(kind == INTERFACE for kind, _ in found)
            of_interface = [0] * interfaces
            for kind, body in found:
                if kind == PACKET:
                    of_interface[struct.unpack_from("=I", body)[0]] += 1
            told = [options(body, 12) for kind, body in found if kind == STATISTICS]
            self.assertEqual([struct.unpack("=Q", each[RECEIVED])[0] for each in told], of_interface, path)
            self.assertEqual([struct.unpack("=Q", each[DROPPED])[0] for each in told], [0] * interfaces, path)
            self.assertNotIn(0, of_interface, "only interfaces that the file needs")
            about = subprocess.run(["capinfos", path], capture_output=True, text=True, check=True).stdout
            self.assertEqual(int(re.search(r"Number of interfaces in file: +(\d+)", about)[1]), interfaces, about)
            self.assertEqual(about.count("Number of stat entries = 1"), interfaces, about)
            self.assertEqual(about.count("Time precision = nanoseconds (9)"), interfaces, about)
            self.assertEqual(int(re.search(r"Number of packets: +(\d+)", about)[1]), sum(of_interface), about)
            packets += sum(of_interface)
        self.assertEqual(packets, ledger["forwarded"])

    def taps_of_two_pods(self):
        taps = [self.tap(1), self.tap(2)]
        for tap in taps:
            tap.wait_log("forwarding to sensor")
        return taps

    def test_files_of_a_size_tell_the_pod_of_every_packet(self):
        collector = self.write("--pcap-format", "pcapng", "--pcap-file-size", "64K")
        taps = self.taps_of_two_pods()
        for begin in range(0, 400, 100):
            self.send(1, begin, 100, size=200)
            self.send(2, begin, 100, size=200)
        for tap in taps:
            tap.stop()
        ledger, received = collector.stop()
        self.assert_balanced(ledger, received)
        self.assertEqual(ledger["forwarded"], ledger["owned"])
        self.assertGreater(len(self.paths()), 2)
        for path in self.paths():
            self.assertLessEqual(os.path.getsize(path), 65_536)
            if shutil.which("tcpdump"):  # libpcap reads no file whose interfaces differ
                subprocess.run(["tcpdump", "-n", "-r", path], capture_output=True, check=True)
        self.assert_of_their_pods((1, 400), (2, 400))
        self.assert_counted(ledger)

    def test_a_tap_that_comes_again_has_the_same_interface(self):
        collector = self.write("--pcap-format", "pcapng")
        self.tap_comes_again(collector)
        ledger, _ = collector.stop()
        (path,) = self.paths()
        self.assertEqual(sum(kind == INTERFACE for kind, _ in blocks(path)), 1)
        self.assert_of_their_pods((1, 300))
        self.assert_counted(ledger)

    def test_a_file_of_age_ends_though_no_packet_comes(self):
        collector = self.write("--pcap-format", "pcapng", "--pcap-file-age", "300ms")
        taps = self.taps_of_two_pods()
        self.send(1, 0, 50)
        self.send(2, 0, 50)
        self.assertTrue(wait_for(lambda: self.paths() and all(whole(path) for path in self.paths())), self.paths())
        before = len(self.paths())
        self.send(2, 50, 50)
        self.assertTrue(wait_for(lambda: len(self.paths()) > before), self.paths())
        for tap in taps:
            tap.stop()
        ledger, _ = collector.stop()
        self.assert_of_their_pods((1, 50), (2, 100))
        self.assert_counted(ledger)

    def test_classic_files_know_no_pods(self):
        collector = self.write()
        taps = self.taps_of_two_pods()
        self.send(1, 0, 50)
        self.send(2, 0, 50)
        for tap in taps:
            tap.stop()
        ledger, _ = collector.stop()
        (path,) = self.paths("pcap")
        about = subprocess.run(["capinfos", path], capture_output=True, text=True, check=True).stdout
        self.assertEqual(int(re.search(r"Number of packets: +(\d+)", about)[1]), ledger["forwarded"], about)
        self.assertEqual(sorted(marker for *_, marker in self.read(path)),
                         [pod * 1_000_000 + number for pod in (1, 2) for number in range(50)])


if __name__ == "__main__":
    unittest.main()
