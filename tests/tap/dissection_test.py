"""What tshark reads of the tap's sessions and in the sensor's captures."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

from tap_lab import NODE, NODE6, UDP_SEGMENT, Sensor, Tap, TapTest


def records(capture):
    """(bytes, length on the wire) of each packet in a capture file."""
    with open(capture, "rb") as file:
        data = file.read()
    at, found = 24, []
    while at < len(data):
        size, length = struct.unpack_from("<8xII", data, at)
        found.append((data[at + 16:at + 16 + size], length))
        at += 16 + size
    return found


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
                self.assertGreater(self.packets_of_the_wire(capture), 4000)
                os.remove(capture)

    @unittest.skipUnless(shutil.which("tshark") and shutil.which("tcpdump"), "tshark and tcpdump are not installed")
    def test_packets_of_more_than_64_kilobytes_are_cut_too(self):
        self.set_longest_packet(200_000)
        dump, large = self.watch_packets_longer_than(66_000)
        for method in ("auto", "libpcap"):
            with self.subTest(method):
                sensor = self.sensor()
                tap = self.tap("--capture", method, "--buffer-size", "32M")
                tap.wait_log("forwarding to sensor")
                self.stream(NODE6, socket.AF_INET6, 20_000_000)
                ledger = tap.stop()
                sensor.stop()
                self.assertEqual(ledger["dropped_kernel_ring"], 0, ledger)
                capture, = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(".pcap")]
                self.assertGreater(self.packets_of_the_wire(capture), 20_000_000 // 1428)
                os.remove(capture)
        dump.send_signal(signal.SIGINT)
        dump.wait(5)
        self.assertGreater(os.path.getsize(large), 66_000, "there was no such packet")

    @unittest.skipUnless(shutil.which("tshark") and shutil.which("tcpdump"), "tshark and tcpdump are not installed")
    def test_packets_that_become_longer_while_the_tap_runs_are_cut_too(self):
        # In blocks of a ring that has to be opened anew for it, and in libpcap's.
        for arguments, reopens in ((("--buffer-size", "32M"), True),
                                   (("--buffer-size", "32M", "--capture", "libpcap"), False)):
            with self.subTest(arguments):
                self.set_longest_packet(65_536)
                sensor = self.sensor()
                tap = self.tap(*arguments, "--status-listen", ":15920")
                tap.wait_log("forwarding to sensor")
                self.set_longest_packet(400_000 if "libpcap" not in arguments else 200_000)
                if reopens:
                    tap.wait_log("the interface is open")
                time.sleep(2)  # the kernel does not tell: the tap looks once a second
                dump, large = self.watch_packets_longer_than(140_000)
                self.stream(NODE6, socket.AF_INET6, 20_000_000)
                dump.send_signal(signal.SIGINT)
                dump.wait(5)
                self.assertGreater(os.path.getsize(large), 140_000, "there was no such packet")
                metrics = self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
                for name in ("truncated", "unsplit"):
                    self.assertIn(f'sidetap_packets_{name}_total{{interface="eth0"}} 0', metrics)
                ledger = tap.stop()
                sensor.stop()
                self.assertEqual(ledger["dropped_kernel_ring"], 0, ledger)
                capture, = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(".pcap")]
                self.assertGreater(self.packets_of_the_wire(capture), 20_000_000 // 1428)
                os.remove(capture)

    def set_longest_packet(self, size):
        """BIG TCP: more than the length in an IP header can tell."""
        for side, link in ((self.pod, "eth0"), (self.node, "veth0")):
            try:
                side.ip(f"link set {link} gso_max_size {size}")
            except RuntimeError:
                self.skipTest("kernel or iproute2 knows no BIG TCP")

    def watch_packets_longer_than(self, size):
        """A running tcpdump, and the file where it puts them."""
        large = os.path.join(self.folder, "large")
        dump = self.pod.popen(["tcpdump", "-i", "eth0", "--immediate-mode", "-U", "-Z", "root", "-B", "16384", "-w", large,
                               f"greater {size}"], stderr=subprocess.PIPE, text=True)
        self.addCleanup(dump.stderr.close)
        dump.stderr.readline()
        return dump, large

    def packets_of_the_wire(self, capture):
        """How many there are, each of which could have been on the wire as it is."""
        checks = [option for protocol in ("ip", "tcp", "udp") for option in ("-o", f"{protocol}.check_checksum:TRUE")]
        # The bytes are random: a dissector that takes the port for its own may need minutes for them.
        checks += ["-d", "tcp.port==9100,data"]
        lengths = [length for _, length in records(capture)]
        self.assertLessEqual(max(lengths), 1514)
        self.assertEqual(self.tshark(capture, *checks, "-Y", "ip.checksum.status == 0 or tcp.checksum.status == 0 or "
                                     "udp.checksum.status == 0 or _ws.malformed or tcp.analysis.lost_segment"), "")
        return len(lengths)

    def test_a_small_snaplen_cuts_packets_as_they_were_on_the_wire(self):
        def taken_from(folder):
            """The packets of the one capture file there, which goes."""
            capture, = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".pcap")]
            found = records(capture)
            os.remove(capture)
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
                whole = taken_from(self.folder)
                self.assertGreater(len(whole), 600)
                # Of packets that pass on two CPUs at once, either socket may get either first.
                self.assertEqual(sorted(taken_from(other)), sorted((data[:128], length) for data, length in whole))

    @staticmethod
    def tshark(capture, *arguments):
        decode = ["-d", "tcp.port==2003,rpcap"]
        base = ["tshark", "-n", "-r", capture, *arguments]
        done = subprocess.run([*base, *decode], capture_output=True, text=True)
        if done.returncode != 0:  # older versions find RPCAP by its look alone
            done = subprocess.run(base, capture_output=True, text=True, check=True)
        return done.stdout.strip()


if __name__ == "__main__":
    unittest.main(verbosity=2)
