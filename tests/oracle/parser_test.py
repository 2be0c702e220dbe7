#!/usr/bin/python3
"""The tap's parser against scapy, which makes the packets, and tshark, which reads them, each by itself.

Usage: tests/oracle/parser_test.py BINARIES
"""
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

logging.getLogger("scapy").setLevel(logging.ERROR)
try:
    from scapy.all import (Dot1AD, Dot1Q, Ether, ICMP, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                           ICMPv6PacketTooBig, ICMPv6TimeExceeded, IP, IPOption, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                           IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, CookedLinux, CookedLinuxV2, PadN, PcapWriter, Raw, SCTP,
                           SCTPChunkData, TCP, UDP)
except ImportError:
    print("skipped: scapy is not installed (python3-scapy)")
    sys.exit(77)
if not shutil.which("tshark"):
    print("skipped: tshark is not installed")
    sys.exit(77)

BINARIES = sys.argv.pop(1) if len(sys.argv) > 1 else "build/release/bin"
COUNT = 1500  # packets of each link layer
LINKS = {"Ethernet": 1, "raw IP": 101, "Linux cooked": 113, "Linux cooked v2": 276}
WITH_PORTS = {"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136}
FIELDS = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.frag_offset", "ipv6.fraghdr.offset", "tcp.flags", "icmp.type",
          "icmp.code", "icmpv6.type", "icmpv6.code",
          *(f"{protocol}.{end}port" for protocol in ("tcp", "udp", "dccp", "sctp") for end in ("src", "dst"))]


class Maker:
    """Packets, and what has to be read in each."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def address(self, v6):
        if v6:
            return "2001:db8:" + ":".join(f"{self.random.randrange(1, 65536):x}" for _ in range(6))
        return "10." + ".".join(str(self.random.randrange(1, 255)) for _ in range(3))

    def port(self):
        # Not those of tunnels, in which tshark would look for more packets.
        return self.random.choice([0, 1, 53, 80, 443, 32768, 60999, 65535, self.random.randrange(20000, 30000)])

    def data(self):
        return Raw(self.random.randbytes(self.random.randrange(0, 200)))

    def transport(self, kind):
        """(layers, expected)"""
        source, destination = self.port(), self.port()
        ports = {"source_port": source, "destination_port": destination, "protocol": WITH_PORTS.get(kind)}
        if kind == "tcp":
            flags = self.random.randrange(256)
            options = self.random.choice([[], [("MSS", 1460)], [("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]])
            return TCP(sport=source, dport=destination, flags=flags, options=options) / self.data(), {**ports, "tcp_flags": flags}
        if kind == "udp":
            return UDP(sport=source, dport=destination) / self.data(), ports
        if kind == "udplite":
            data = bytes(self.data())
            head = source.to_bytes(2, "big") + destination.to_bytes(2, "big") + (8 + len(data)).to_bytes(2, "big") + b"\1\1"
            return Raw(head + data), ports
        if kind == "sctp":
            return SCTP(sport=source, dport=destination) / SCTPChunkData(data=bytes(self.data())), ports
        # A DCCP-Data packet with a short sequence number (RFC 4340).
        head = source.to_bytes(2, "big") + destination.to_bytes(2, "big") + bytes([4, 0, 0, 0, 2 << 1, 0, 0, 1]) + bytes(4)
        return Raw(head + bytes(self.data())), ports

    def icmp(self, v6, quoting):
        """(layers, expected)"""
        if quoting:
            ends = self.address(v6), self.address(v6)
            inner, expected = self.transport(self.random.choice(["tcp", "udp"]))
            head = (IPv6 if v6 else IP)(src=ends[0], dst=ends[1])
            head.add_payload(inner)
            quote = {key: expected[key] for key in ("protocol", "source_port", "destination_port")}
            quote |= {"source": ends[0], "destination": ends[1]}
            whole = bytes(head)[:self.random.choice([len(bytes(head)), (40 if v6 else 20) + 8])]
            if v6:
                kind = self.random.choice([ICMPv6DestUnreach(), ICMPv6PacketTooBig(), ICMPv6TimeExceeded()])
                return kind / Raw(whole), {"protocol": 58, "icmp_type": kind.type, "icmp_code": kind.code, "quoted": quote}
            kind = self.random.choice([3, 11, 12])
            return ICMP(type=kind, code=0) / Raw(whole), {"protocol": 1, "icmp_type": kind, "icmp_code": 0, "quoted": quote}
        if v6:
            kind = self.random.choice([ICMPv6EchoRequest, ICMPv6EchoReply])()
            return kind / self.data(), {"protocol": 58, "icmp_type": kind.type, "icmp_code": 0}
        kind = self.random.choice([0, 8])
        return ICMP(type=kind) / self.data(), {"protocol": 1, "icmp_type": kind, "icmp_code": 0}

    def network(self):
        """(IP packet, expected)"""
        v6 = self.random.random() < 0.5
        kind = self.random.choice([*WITH_PORTS, "icmp", "quote", "other"])
        if kind in ("icmp", "quote"):
            upper, expected = self.icmp(v6, kind == "quote")
        elif kind == "other":
            upper, expected = Raw(self.random.randbytes(40)), {"protocol": 253}
        else:
            upper, expected = self.transport(kind)
        source, destination = self.address(v6), self.address(v6)
        expected |= {"source": source, "destination": destination}
        fragment = self.random.random() < 0.2
        offset = self.random.choice([0, 1, 185]) if fragment else 0
        if fragment:
            expected["fragment"] = "later" if offset else "first"
        if offset:
            for key in ("source_port", "destination_port", "tcp_flags", "icmp_type", "icmp_code", "quoted"):
                expected.pop(key, None)
        if not v6:
            options = [IPOption(b"\x94\x04\0\0"), IPOption(b"\1\1\1\1")][:self.random.randrange(3)]
            head = IP(src=source, dst=destination, proto=expected["protocol"], frag=offset, flags="MF" if fragment else 0,
                      id=self.random.randrange(65536), options=options)
            return head / upper, expected
        chain = []
        if self.random.random() < 0.3:
            chain.append(IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(self.random.choice([4, 12])))]))
        if self.random.random() < 0.2:
            chain.append(IPv6ExtHdrRouting(addresses=[], segleft=0))
        if fragment:
            chain.append(IPv6ExtHdrFragment(offset=offset, m=1, id=self.random.getrandbits(32)))
        if not offset and self.random.random() < 0.3:
            chain.append(IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]))
        numbers = {IPv6ExtHdrHopByHop: 0, IPv6ExtHdrRouting: 43, IPv6ExtHdrFragment: 44, IPv6ExtHdrDestOpt: 60}
        following = [numbers[type(header)] for header in chain[1:]] + [expected["protocol"]]
        packet = IPv6(src=source, dst=destination, nh=numbers[type(chain[0])] if chain else expected["protocol"])
        for header, number in zip(chain, following):
            header.nh = number
            packet = packet / header
        return packet / upper, expected

    def link(self, kind, packet):
        ether_type = 0x86DD if packet.version == 6 else 0x0800
        if kind == 101:
            return packet
        if kind == 113:
            return CookedLinux(proto=ether_type) / packet
        if kind == 276:
            return CookedLinuxV2(proto=ether_type) / packet
        head = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        for number in range(self.random.choice([0, 0, 1, 2, 4])):
            head = head / (Dot1AD if number == 0 and self.random.random() < 0.5 else Dot1Q)(vlan=self.random.randrange(1, 4095))
        return head / packet


def number(text):
    return int(text, 16) if text.startswith("0x") else int(text)


class ParserTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sidetap-oracle-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.file = os.path.join(self.folder, "packets.pcap")

    def write(self, link, packets):
        with PcapWriter(self.file, linktype=link) as writer:
            for packet in packets:
                writer.write(packet)

    def ours(self):
        done = subprocess.run([f"{BINARIES}/sidetap-sidecar", "explain", "--pcap", self.file, "--pod-ips", "192.0.2.1",
                               "--pod-subnets", "10.0.0.0/8", "--output", "json"], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()[:-1]]

    def tshark(self):
        """Of each packet the first value of every field, and all of them."""
        command = ["tshark", "-r", self.file, "-T", "fields", "-E", "separator=;", "-E", "aggregator=,", "-o",
                   "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]
        for field in FIELDS:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [{field: text.split(",") for field, text in zip(FIELDS, line.split(";")) if text}
                for line in done.stdout.splitlines()]

    def compare(self, ours, theirs):
        """What both tell of the outermost packet."""
        family = "ip" if "." in ours["source"] else "ipv6"
        self.assertEqual(ours["source"], theirs[f"{family}.src"][0])
        self.assertEqual(ours["destination"], theirs[f"{family}.dst"][0])
        name = {6: "tcp", 17: "udp", 136: "udp", 33: "dccp", 132: "sctp"}.get(ours["protocol"])
        if name and "source_port" in ours and f"{name}.srcport" in theirs:
            self.assertEqual(ours["source_port"], int(theirs[f"{name}.srcport"][0]))
            self.assertEqual(ours["destination_port"], int(theirs[f"{name}.dstport"][0]))
        name = {1: "icmp", 58: "icmpv6"}.get(ours["protocol"])
        if name and "icmp_type" in ours and f"{name}.type" in theirs:
            self.assertEqual(ours["icmp_type"], int(theirs[f"{name}.type"][0]))
        if "quoted" in ours and len(theirs.get(f"{family}.src", [])) > 1:
            self.assertEqual(ours["quoted"]["source"], theirs[f"{family}.src"][1])
            self.assertEqual(ours["quoted"]["destination"], theirs[f"{family}.dst"][1])
        if "tcp_flags" in ours and "tcp.flags" in theirs:
            self.assertEqual(ours["tcp_flags"], number(theirs["tcp.flags"][0]) & 0xFF)

    def test_whole_packets(self):
        for name, link in LINKS.items():
            maker = Maker(link)
            made = [maker.network() for _ in range(COUNT)]
            self.write(link, [maker.link(link, packet) for packet, _ in made])
            ours, theirs = self.ours(), self.tshark()
            self.assertEqual((len(ours), len(theirs)), (COUNT, COUNT))
            for position, (_, expected) in enumerate(made):
                with self.subTest(link=name, packet=position + 1):
                    told = {key: value for key, value in ours[position].items() if key in (
                        "source", "destination", "protocol", "source_port", "destination_port", "tcp_flags", "icmp_type",
                        "icmp_code", "fragment", "quoted")}
                    self.assertEqual(told, expected)
                    self.compare(ours[position], theirs[position])

    def test_cut_and_damaged_packets(self):
        """Where both can tell, they tell the same; and a decision there is always."""
        told = 0
        for name, link in LINKS.items():
            maker = Maker(link + 1000)
            packets = []
            for _ in range(COUNT):
                data = bytearray(bytes(maker.link(link, maker.network()[0])))
                start = {1: 14, 101: 0, 113: 16, 276: 20}[link]
                if maker.random.random() < 0.5:
                    data = data[:maker.random.randrange(start, len(data) + 1)] or data[:1]
                else:
                    at = maker.random.randrange(start, min(start + 60, len(data)))
                    data[at] = maker.random.randrange(256)
                packets.append(bytes(data))
            self.write(link, packets)
            ours, theirs = self.ours(), self.tshark()
            self.assertEqual((len(ours), len(theirs)), (COUNT, COUNT))
            for position, (mine, other) in enumerate(zip(ours, theirs)):
                with self.subTest(link=name, packet=position + 1, bytes=packets[position].hex()):
                    self.assertIn("rule", mine)
                    family = "ip" if "." in mine.get("source", ".") else "ipv6"
                    if "source" in mine and f"{family}.dst" in other:
                        told += 1
                        self.compare(mine, other)
        self.assertGreater(told, COUNT)


if __name__ == "__main__":
    unittest.main()
