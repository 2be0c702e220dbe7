"""The other outputs: VXLAN and capture files."""
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import unittest

from tap_lab import NODE, NODE6, TapTest, wait_for


class Outputs(TapTest):
    def vxlan(self, address, send, *options):
        """What a receiver gets of the packets that send() makes: (source port, VXLAN packet) each, and the ledger."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.node.socket(family, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            receiver.bind((address, 4789))
            tap = self.tap("--output", "vxlan", "--vxlan-vni", "77", *options,
                           sensor=f"[{address}]" if ":" in address else address)
            tap.wait_log("forwarding by VXLAN")
            send()
            time.sleep(0.3)
            ledger = tap.stop()
            self.assert_balanced(ledger)
            receiver.settimeout(0.2)
            packets = []
            with contextlib.suppress(TimeoutError):
                while True:
                    data, source = receiver.recvfrom(65536)
                    packets.append((source[1], data))
        self.assertEqual(len(packets), ledger["forwarded"])
        with self.pod, open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = [line.split() for line in file if line.startswith("Ip:")]
        self.assertEqual(values[names.index("FragCreates")], "0")
        for _, data in packets:
            self.assertEqual(data[:8], b"\x08\0\0\0\0\0\x4d\0")
        return packets, ledger

    def test_vxlan_carries_every_packet_once(self):
        for address, node in ((NODE, NODE), (NODE6, NODE6), (NODE, NODE6)):
            with self.subTest(f"{node} by {address}"), self.sink(address=node):
                sizes = {number: 100 if number < 100 else 1420 for number in range(200)}

                def send(to=node):
                    family = socket.AF_INET6 if ":" in to else socket.AF_INET
                    with self.pod.socket(family, socket.SOCK_DGRAM) as sender:
                        for number, size in sizes.items():
                            sender.sendto(f"marker-{number:06d}-".encode().ljust(size, b"."), (to, 9000))
                packets, _ = self.vxlan(address, send)
                found = {}
                for _, data in packets:
                    if marker := re.search(rb"marker-(\d+)-", data):
                        found[int(marker[1])] = len(data)
                headers = 8 + 14 + (48 if ":" in node else 28)
                most = 1452 if ":" in address else 1472  # what does not fit is cut
                self.assertEqual(found, {number: min(headers + size, most) for number, size in sizes.items()})

    @unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
    def test_tshark_reads_what_vxlan_carries(self):
        self.sink()
        packets, _ = self.vxlan(NODE, lambda: self.send(50))
        path = os.path.join(self.folder, "vxlan.pcap")
        with open(path, "wb") as file:  # each as an Ethernet frame of IPv4 and UDP around it
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for source, data in packets:
                head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0, bytes(4), bytes(4))
                frame = bytes(12) + b"\x08\0" + head + struct.pack(">HHHH", source, 4789, 8 + len(data), 0) + data
                file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
        read = subprocess.run(["tshark", "-n", "-r", path, "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "aggregator=,",
                               "-e", "vxlan.vni", "-e", "udp.dstport", "-e", "udp.checksum.status"],
                              capture_output=True, text=True, check=True).stdout.splitlines()
        # The outer datagrams here have no sum (2, "unverified" is 2 or 3 by version); the inner ones are right (1).
        ours = [line.split("\t") for line in read if line.split("\t")[1] == "4789,9000"]
        self.assertEqual(len(ours), 50)
        self.assertEqual({(vni, sums.split(",")[1]) for vni, _, sums in ours}, {("77", "1")})

    def test_vxlan_leaves_out_what_does_not_fit_where_that_is_asked_for(self):
        self.sink()
        packets, ledger = self.vxlan(NODE, lambda: (self.send(100), self.send(100, size=1440)), "--vxlan-oversize", "drop")
        self.assertEqual(sum(b"marker-" in data for _, data in packets), 100)
        self.assertEqual(ledger["dropped_too_large"], 100)

    def test_vxlan_gives_both_directions_of_a_flow_one_source_port(self):
        echo = self.node.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(echo.close)
        echo.bind((NODE, 9007))

        def talk():
            for _ in range(100):
                with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
                    asker.settimeout(5)
                    asker.sendto(b"question", (NODE, 9007))
                    echo.sendto(b"answer", echo.recvfrom(100)[1])
                    asker.recv(100)
        flows = {}
        for outer, data in self.vxlan(NODE, talk)[0]:
            if data[20:22] == b"\x08\0" and data[31] == 17:  # UDP in IPv4
                ports = frozenset(struct.unpack_from(">HH", data, 42))
                if 9007 in ports:
                    flows.setdefault(ports, []).append(outer)
        self.assertEqual(sum(map(len, flows.values())), 200)
        for outer in flows.values():  # a port may have come twice
            self.assertEqual((len(outer) % 2, len(set(outer))), (0, 1))
        self.assertGreater(len({outer[0] for outer in flows.values()}), 1)

    def sniffed(self, *options):
        """Sizes of the VXLAN frames' datagrams, as one sees them who sniffs on the node and has bound no port."""
        with self.node.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as sniffer:
            sniffer.bind(("veth0", 0x0800))
            sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            tap = self.tap("--output", "vxlan", *options)
            tap.wait_log("forwarding by VXLAN")
            self.sink()
            for _ in range(5):  # each is answered by an ICMP error, as far as the node's limit goes
                self.send(200, size=500)
                time.sleep(0.05)
            self.stream(NODE, socket.AF_INET, 300_000)
            time.sleep(0.3)
            ledger = tap.stop()
            sizes = []
            sniffer.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while True:
                    frame = sniffer.recv(70_000)
                    if frame[23] == 17 and frame[36:38] == struct.pack(">H", 4789):
                        sizes.append(len(frame))
        self.assert_balanced(ledger)
        return sizes, ledger

    def test_vxlan_to_one_that_sniffs_is_one_datagram_a_frame_and_loses_none(self):
        sizes, ledger = self.sniffed()
        self.assertLessEqual(max(sizes), 1514)
        self.assertEqual(len(sizes), ledger["forwarded"])
        # A packet of the kernel's own can come before the output is there.
        taken = ledger["owned"] - ledger["dropped_no_session"]
        self.assertEqual(ledger["forwarded"], taken + ledger["segments_added"], ledger)

    def test_vxlan_in_pieces_is_what_one_that_sniffs_cannot_read(self):
        sizes, ledger = self.sniffed("--vxlan-segmentation", "on")
        self.assertGreater(max(sizes), 1514, "this device cuts pieces; the test above shows nothing then")
        self.assertLess(len(sizes), ledger["forwarded"])

    def pcap(self, folder, *options):
        tap = self.tap("--output", "pcap", "--pcap-dir", folder, *options, sensor=None)
        tap.wait_log("writing capture files")
        self.sink()
        return tap

    def test_files_rotate_and_are_whole(self):
        folder = os.path.join(self.folder, "files")
        os.mkdir(folder)
        tap = self.pcap(folder, "--pcap-file-size", "64K", "--pcap-files", "3")
        self.send(2000, size=200)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertEqual(ledger["forwarded"], ledger["owned"])
        names = sorted(os.listdir(folder))
        self.assertEqual(names, [f"shop_web-1_eth0-{number}.pcap" for number in range(3)])
        newest = 0
        for name in names:
            path = os.path.join(folder, name)
            self.assertLessEqual(os.path.getsize(path), 65536)
            if shutil.which("tshark"):
                read = subprocess.run(["tshark", "-n", "-r", path, "-Y", "udp.port == 9000"], capture_output=True, text=True, check=True)
                self.assertEqual(read.stderr.replace('Running as user "root" and group "root". This could be dangerous.', "").strip(), "")
            with open(path, "rb") as file:
                newest = max(newest, *(int(marker) for marker in re.findall(rb"marker-(\d+)-", file.read())))
        self.assertEqual(newest, 1999)

    @unittest.skipUnless(shutil.which("tshark") and shutil.which("capinfos"), "tshark is not installed")
    def test_files_of_pcapng_are_whole_and_say_whose_packets_they_hold(self):
        folder = os.path.join(self.folder, "files")
        os.mkdir(folder)
        tap = self.pcap(folder, "--pcap-file-size", "64K", "--pcap-files", "20", "--pcap-format", "pcapng", "--node-name", "node-2")
        self.send(600, size=200)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertEqual(ledger["forwarded"], ledger["owned"])
        names = sorted(os.listdir(folder), key=lambda name: int(re.search(r"-(\d+)\.pcapng$", name)[1]))
        self.assertEqual(names, [f"shop_web-1_eth0-{number}.pcapng" for number in range(len(names))])
        self.assertGreater(len(names), 2)
        found, packets = [], 0
        for name in names:
            path = os.path.join(folder, name)
            self.assertLessEqual(os.path.getsize(path), 65536)
            about = subprocess.run(["capinfos", path], capture_output=True, text=True, check=True)
            for line in (r"Name = shop/web-1 eth0", r"Description = k8s\.podName=web-1;k8s\.namespace=shop;k8s\.node=node-2",
                         r"Time precision = nanoseconds \(9\)", r"Number of stat entries = 1",
                         r"Number of resolved IPv4 addresses in file: 1"):
                self.assertRegex(about.stdout, line)
            packets += int(re.search(r"Number of packets: +(\d+)", about.stdout)[1])
            read = subprocess.run(["tshark", "-N", "n", "-r", path, "-Y", "udp.port == 9000", "-T", "fields", "-e", "ip.src_host"],
                                  capture_output=True, text=True, check=True).stdout.split()
            self.assertEqual(set(read), {"web-1.shop"})
            with open(path, "rb") as file:
                found += [int(marker) for marker in re.findall(rb"marker-(\d+)-", file.read())]
        self.assertEqual(found, list(range(600)))
        self.assertEqual(packets, ledger["forwarded"])

    def test_a_full_disk_costs_packets_which_are_counted(self):
        folder = os.path.join(self.folder, "small")
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        tap = self.pcap(folder, "--pcap-files", "1")
        self.send(3000, size=200)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertGreater(ledger["dropped_send_error"], 0)
        self.assertGreater(ledger["forwarded"], 0)
        self.assertIn("No space left on device", tap.log())
        if shutil.which("tshark"):
            subprocess.run(["tshark", "-n", "-r", os.path.join(folder, "shop_web-1_eth0-0.pcap")], capture_output=True, check=True)

    def test_a_full_disk_is_not_ready_until_there_is_room_again(self):
        folder = os.path.join(self.folder, "small")
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        filler = os.path.join(folder, "filler")
        with open(filler, "wb") as file:
            file.write(bytes(900_000))
        tap = self.pcap(folder, "--status-listen", "127.0.0.1:15920")

        def ready():
            return self.pod.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:15920/readyz")
        self.assertEqual(ready(), "200")
        for _ in range(5):
            self.send(500, size=200)
        self.assertTrue(wait_for(lambda: ready() == "503"), tap.log())
        os.remove(filler)
        self.assertTrue(wait_for(lambda: ready() == "200"), tap.log())
        time.sleep(0.1)
        self.send(100, size=201)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertGreater(ledger["dropped_send_error"], 0)
        self.assertEqual(tap.log().count("capture files cannot be written"), 1, tap.log())
        self.assertEqual(tap.log().count("capture files can be written again"), 1, tap.log())
        self.assertEqual(os.listdir(folder), ["shop_web-1_eth0-0.pcap"])
        with open(os.path.join(folder, "shop_web-1_eth0-0.pcap"), "rb") as file:
            data = file.read()
        at, last = 24, 0
        while at < len(data):  # whole records only
            size, = struct.unpack_from("<8xI", data, at)
            at += 16 + size
            last += size == 14 + 28 + 201
        self.assertEqual((at, last), (len(data), 100))

    def test_a_folder_that_cannot_be_written_to_is_named(self):
        tap = self.tap("--output", "pcap", "--pcap-dir", "/nonexistent", sensor=None)
        self.assertEqual(tap.process.wait(10), 1)
        self.assertIn("/nonexistent: No such file", tap.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
