"""A dump beside a running tap: what it shows, what ends it, and that the tap loses nothing by it."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from tap_lab import BINARIES, NODE, POD, POD6, TapTest, wait_for

SENSOR_PORT = 2003


@unittest.skipUnless(shutil.which("tshark") and shutil.which("capinfos"), "tshark is not installed")
class Dump(TapTest):
    def dump(self, *arguments, stdout=None, env=()):
        """A running dump that captures; it writes to standard output, which is the file self.path unless given."""
        self.path = os.path.join(self.folder, "dump.pcapng")
        self.said = os.path.join(self.folder, "dump.err")
        with open(self.path, "wb") as output, open(self.said, "wb") as said:
            process = self.pod.popen(["env", f"POD_IPS={POD},{POD6}", "POD_NAME=web-1", "POD_NAMESPACE=shop", *env,
                                      f"{BINARIES}/sidetap-sidecar", "dump", *arguments], stdout=stdout or output, stderr=said)
        self.addCleanup(self.end, process)
        self.assertTrue(wait_for(lambda: "capturing" in self.errors() or process.poll() is not None), self.errors())
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()

    def errors(self):
        with open(self.said, encoding="utf-8") as file:
            return file.read()

    def summary(self):
        """(packets, bytes, dropped by the kernel) of the last line."""
        return tuple(map(int, re.search(r"(\d+) packets, (\d+) bytes, (\d+) dropped by the kernel\n$", self.errors()).groups()))

    def stop(self, process):
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0, self.errors())

    def read(self, condition, *fields):
        """These fields of each packet that fits the condition, as tshark reads them from the dump."""
        arguments = [argument for field in fields for argument in ("-e", field)]
        done = subprocess.run(["tshark", "-N", "n", "-o", "tcp.check_checksum:TRUE", "-r", self.path, "-Y", condition, "-T", "fields",
                               *arguments], capture_output=True, text=True, check=True)
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def shown(self):
        """How often each marker is in the dump."""
        found = {}
        with open(self.path, "rb") as file:
            for marker in re.findall(rb"marker-(\d+)-", file.read()):
                found[int(marker)] = found.get(int(marker), 0) + 1
        return found

    def beside_a_tap(self, *sensor_arguments, arguments=()):
        sensor = self.sensor(*sensor_arguments)
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        dump = self.dump(*arguments)
        self.sink()
        self.send(300)
        self.stop(dump)
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertEqual(self.shown(), {number: 1 for number in range(300)})
        self.assertEqual(self.markers(), {number: 1 for number in range(300)}, ledger)
        self.assertEqual(totals["packets"], ledger["forwarded"], (totals, ledger))
        self.assert_balanced(ledger)
        self.assertEqual(self.read(f"tcp.port == {SENSOR_PORT}", "frame.number"), [], "of the tap nothing")
        packets, size, dropped = self.summary()
        self.assertEqual((size, dropped), (os.path.getsize(self.path), 0))
        self.assertEqual(packets, len(self.read("frame", "frame.number")))

    def test_it_shows_each_packet_once_and_takes_none_from_the_sensor(self):
        self.beside_a_tap()
        self.assertEqual(set(self.read("udp.port == 9000", "ip.src_host", "frame.interface_name", "frame.interface_description")),
                         {("web-1.shop", "shop/web-1 eth0", "k8s.podName=web-1;k8s.namespace=shop")})
        about = subprocess.run(["capinfos", self.path], capture_output=True, text=True, check=True).stdout
        self.assertIn("Number of stat entries = 1", about)

    def test_it_shows_nothing_of_a_tap_that_forwards_over_tcp(self):
        self.beside_a_tap("--data", "tcp")

    def test_with_libpcap(self):
        self.beside_a_tap(arguments=("--capture", "libpcap"))

    def test_it_shows_nothing_of_a_session_that_begins_later(self):
        tap = self.tap()
        dump = self.dump()
        tap.wait_log("another tap runs in this pod")
        sensor = self.sensor("--data", "tcp")
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(300)
        self.stop(dump)
        tap.stop()
        sensor.stop()
        self.assertEqual(self.shown(), {number: 1 for number in range(300)})
        self.assertEqual(self.markers(), {number: 1 for number in range(300)})

    def test_without_a_mesh_nothing_of_the_loopback_interface_is_shown(self):
        dump = self.dump("--mesh")
        with self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as server, \
                self.pod.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            server.bind(("127.0.0.1", 8080))
            server.listen()
            client.connect(("127.0.0.1", 8080))
            client.sendall(b"loopback-marker")
            accepted, _ = server.accept()
            self.assertEqual(accepted.recv(100), b"loopback-marker")
            accepted.close()
        self.stop(dump)
        self.assertIn("no proxy of a mesh listens in this pod now", self.errors())
        with open(self.path, "rb") as file:
            self.assertNotIn(b"loopback-marker", file.read())
        about = subprocess.run(["capinfos", self.path], capture_output=True, text=True, check=True).stdout
        self.assertIn("Interface #1 info", about)

    def test_plaintext_of_a_mesh_needs_an_interface_whose_form_it_can_have(self):
        dump = self.dump("--mesh", "--interface", "any")
        self.assertEqual(dump.wait(10), 1)
        self.assertIn("--mesh: plaintext is shown in the form of an interface with Ethernet or raw IP", self.errors())

    def test_the_kernel_applies_the_expression(self):
        dump = self.dump("--", "udp", "port", "9001")
        sinks = [self.sink(9000), self.sink(9001)]
        self.send(200, port=9000)
        self.send(20, port=9001)
        self.stop(dump)
        for sink in sinks:
            sink.close()
        self.assertEqual(self.shown(), {number: 1 for number in range(20)})
        self.assertEqual(self.summary()[0], 20)

    def test_an_expression_that_is_none_is_refused(self):
        for expression, reason in ((["port", "http"], "names are not looked up"), (["not ("], "syntax error")):
            done = subprocess.run([f"{BINARIES}/sidetap-sidecar", "dump", *expression], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(reason, done.stderr)

    def test_each_bound_ends_it(self):
        self.sink()
        for arguments, most_packets, most_bytes in ((("--packets", "10"), 10, None), (("--bytes", "8K"), None, 8192)):
            with self.subTest(arguments):
                dump = self.dump(*arguments)
                self.send(200)
                self.assertEqual(dump.wait(10), 0, self.errors())
                packets, size, _ = self.summary()
                self.assertEqual(size, os.path.getsize(self.path))
                self.assertEqual(packets, len(self.read("frame", "frame.number")), "the file is whole")
                if most_packets:
                    self.assertEqual(packets, most_packets)
                if most_bytes:
                    self.assertLessEqual(size, most_bytes)
                    self.assertGreater(packets, 20)
        begin = time.monotonic()
        self.assertEqual(self.dump("--time", "1s").wait(10), 0, self.errors())
        self.assertLess(time.monotonic() - begin, 5)
        self.summary()

    def test_it_ends_silently_when_its_reader_goes_away(self):
        for traffic in (0, 100):
            with self.subTest(packets=traffic):
                dump = self.dump(stdout=subprocess.PIPE)
                self.assertEqual(dump.stdout.read(4), b"\x0a\x0d\x0d\x0a")
                dump.stdout.close()
                self.send(traffic)
                self.assertEqual(dump.wait(3), 0)
                self.assertEqual(self.errors().strip(), "sidetap-sidecar dump: capturing")

    def test_a_reader_that_stands_still_does_not_hold_it_beyond_its_time(self):
        self.sink()
        dump = self.dump("--time", "1s", stdout=subprocess.PIPE)
        self.send(500, size=1000)  # more than a pipe holds
        self.assertEqual(dump.wait(6), 0, self.errors())

    def test_each_packet_comes_at_once(self):
        self.sink()
        dump = self.dump("udp port 9000", stdout=subprocess.PIPE)
        begin = time.monotonic()
        self.send(1)
        data = b""
        while b"marker-000000-" not in data:
            piece = os.read(dump.stdout.fileno(), 65536)
            self.assertTrue(piece)
            data += piece
        self.assertLess(time.monotonic() - begin, 1)

    def test_packets_are_what_they_were_on_the_wire_unless_they_are_to_be_raw(self):
        for raw in (False, True):
            with self.subTest(raw=raw):
                dump = self.dump(*(("--raw",) if raw else ()), "tcp port 9100")
                self.stream(NODE, socket.AF_INET, 300_000)
                self.stop(dump)
                sent = self.read(f"ip.src == {POD}", "frame.len", "tcp.checksum.status")
                self.assertEqual(max(int(size) for size, _ in sent) > 1514, raw)
                if not raw:
                    self.assertEqual({status for _, status in sent}, {"1"})

    def test_a_snaplen_cuts_what_is_kept(self):
        dump = self.dump("--snaplen", "96", "udp port 9000")
        self.sink()
        self.send(5, size=1000)
        self.stop(dump)
        self.assertEqual(set(self.read("frame", "frame.cap_len", "frame.len")), {("96", "1042")})

    def test_only_what_the_tap_would_own(self):
        self.sink()
        for peers, count in (("none", 50), ("all", 0)):
            with self.subTest(peers):
                dump = self.dump("--owned", "udp port 9000", env=(f"TAPPED_PEERS={peers}", "PODNET=10.99.0.0/24"))
                self.send(50)
                self.stop(dump)
                self.assertEqual(len(self.shown()), count, "the node is the server")
                self.assertEqual("assumed: no peer is tapped" in self.errors(), peers == "none")

    def test_classic_pcap_to_a_file(self):
        path = os.path.join(self.folder, "classic.pcap")
        dump = self.dump("--pcap-format", "pcap", "--write", path, "udp port 9000")
        self.sink()
        self.send(20)
        self.stop(dump)
        self.path = path
        with open(path, "rb") as file:
            self.assertEqual(file.read(4), (0xA1B2C3D4).to_bytes(4, "little"))
        self.assertEqual(len(self.read("frame", "frame.number")), 20)

    def test_it_needs_net_raw_alone_and_gives_it_up(self):
        self.path, self.said = os.path.join(self.folder, "dump.pcapng"), os.path.join(self.folder, "dump.err")
        net_raw = ("--inh-caps", "-all", "--bounding-set", "-all,+net_raw", "--no-new-privs")
        with open(self.path, "wb") as output, open(self.said, "wb") as said:
            dump = self.pod.popen([f"{BINARIES}/sidetap-sidecar", "dump"], net_raw, stdout=output, stderr=said)
        self.addCleanup(self.end, dump)
        self.assertTrue(wait_for(lambda: "capturing" in self.errors()), self.errors())
        self.sink()
        self.send(20)
        with open(f"/proc/{dump.pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.stop(dump)
        self.assertEqual({int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")}, {0})
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"].strip()), ("1", "2"))
        self.assertEqual(self.shown(), {number: 1 for number in range(20)}, self.errors())

    def test_without_net_raw_it_says_so(self):
        done = subprocess.run(self.pod.command([f"{BINARIES}/sidetap-sidecar", "dump"],
                                               ("--inh-caps", "-all", "--bounding-set", "-all", "--no-new-privs")),
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("needs the capability NET_RAW", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
