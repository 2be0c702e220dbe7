#!/usr/bin/env python3
"""The lab's judge must find every fault there can be; otherwise "exact" would say nothing."""
import ipaddress
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sidetap_lab import packets  # noqa: E402
from sidetap_lab import payload as marked  # noqa: E402
from sidetap_lab.capture import Frame  # noqa: E402
from sidetap_lab.judge import Judge  # noqa: E402

MACS = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b", "u": "02:00:00:00:00:0c"}
ADDRESSES = {4: {"a": "10.244.1.10", "b": "10.244.1.20", "u": "10.244.1.30", "vip": "10.96.0.10"},
             6: {"a": "fd00::a", "b": "fd00::b", "u": "fd00::c", "vip": "fd00:96::a"}}
ADDRESSES[4] |= {"node": "172.18.0.11", "gateway": "10.244.1.1", "outside": "203.0.113.10", "sensor": "172.18.0.100"}
ADDRESSES[6] |= {"link": "fe80::c"}
TAPPED = ("a", "b")


class List:
    """A source of frames that the test fills."""

    def __init__(self):
        self.frames = []

    def take(self):
        frames, self.frames = self.frames, []
        return frames


def ends(source, destination, family=4):
    return [ipaddress.ip_address(ADDRESSES[family][end]) for end in (source, destination)]


def frame(source, destination, body, protocol=packets.UDP, family=4, identification=7, to=None, fragment=0):
    """The frames of one IP packet on the link between two pods."""
    link = bytes.fromhex((to or MACS.get(destination, "02:00:00:00:00:01")).replace(":", "")) + \
        bytes.fromhex(MACS.get(source, "02:00:00:00:00:01").replace(":", "")) + (b"\x08\x00" if family == 4 else b"\x86\xdd")
    return [link + packet for packet in
            packets.ip_packets(*ends(source, destination, family), protocol, body, identification, fragment)]


def datagram(source, destination, marker, family=4, size=64, ports=(40000, 53), **options):
    body = packets.udp(*ends(source, destination, family), *ports, marked.make(marker, size))
    return frame(source, destination, body, family=family, **options)


class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.wire, self.sensor = List(), List()
        services = ["10.96.0.0/16", "fd00:96::/112"]
        addresses = {pod: [ADDRESSES[family][pod] for family in (4, 6)] for pod in MACS}
        self.judge = Judge(self.wire, self.sensor, TAPPED, MACS, addresses, services, [], ["172.18.0.100"])

    def seen(self, pod, frames, outgoing=False):
        self.wire.frames += [Frame(pod, outgoing, data) for data in frames]

    def got(self, *frames):
        self.sensor.frames += [Frame("x.pcap", False, data) for data in frames]

    def verdict(self, messages=()):
        self.judge.collect()
        return self.judge.verdict("test", messages)

    def pass_between(self, frames, sender="a", receiver="b"):
        self.seen(sender, frames, outgoing=True)
        self.seen(receiver, frames)

    def test_once_is_exact(self):
        for family in (4, 6):
            sent = datagram("a", "b", 1, family)
            self.pass_between(sent)
            self.got(*sent)
        verdict = self.verdict([1])
        self.assertTrue(verdict.exact, verdict.line())
        self.assertEqual((verdict.wire, verdict.forwarded), (2, 2))

    def test_nothing_is_not_exact(self):
        self.assertFalse(self.verdict().exact)

    def test_lost(self):
        self.pass_between(datagram("a", "b", 1))
        verdict = self.verdict([1])
        self.assertEqual((verdict.lost, verdict.absent, verdict.exact), (1, [1], False))

    def test_what_may_be_lost_is_counted_by_itself(self):
        may, must = datagram("a", "b", 1, ports=(62000, 53)), datagram("a", "b", 2)
        self.pass_between(may)
        self.pass_between(must)
        self.judge.collect()
        verdict = self.judge.verdict("test", may_lose=lambda packet: packet.source_port == 62000)
        self.assertEqual((verdict.lost, verdict.spared, verdict.exact), (1, 1, False))
        self.got(*must)
        self.judge.collect()
        verdict = self.judge.verdict("test", may_lose=lambda packet: packet.source_port == 62000)
        self.assertEqual((verdict.lost, verdict.spared, verdict.exact), (0, 1, True), verdict.line())
        self.got(*may, *may)
        self.judge.collect()
        self.assertEqual(self.judge.verdict("test", may_lose=lambda packet: True).doubled, 1)

    def test_what_the_network_lost_is_no_taps_fault(self):
        sent = datagram("a", "b", 1)
        self.seen("a", sent, outgoing=True)
        verdict = self.verdict([1])
        self.assertEqual((verdict.lost, verdict.absent, verdict.on_the_way), (0, [], 1))
        self.got(*sent)  # a tap that forwards what it sends is right as well
        self.assertEqual((self.verdict([1]).exact, self.verdict().on_the_way), (True, 0))
        self.got(*sent)
        self.assertEqual(self.verdict().doubled, 1)

    def test_what_reached_its_receiver_under_another_address_is_due(self):
        self.seen("a", datagram("a", "b", 1), outgoing=True)
        self.seen("b", datagram("u", "b", 1))
        self.assertEqual(self.verdict().lost, 2)

    def test_of_a_packet_sent_twice_and_lost_once_one_is_due(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.seen("a", sent, outgoing=True)
        self.assertEqual(self.verdict().lost, 2)
        self.got(*sent)
        self.assertEqual((self.verdict().lost, self.verdict().on_the_way), (0, 1))

    def test_what_comes_in_is_due_whoever_sent_it(self):
        for number, sender in enumerate(("node", "gateway", "outside", "b"), 1):
            self.seen("a", datagram(sender, "a", number))
            verdict = self.verdict([number])
            self.assertEqual((verdict.lost, verdict.absent, verdict.on_the_way), (1, [number], 0), sender)
            self.got(*datagram(sender, "a", number))
            self.assertTrue(self.verdict([number]).exact)
            self.judge.open()

    def test_what_goes_to_nobody_with_a_tap_is_due(self):
        for number, receiver in enumerate(("node", "gateway", "outside", "u"), 1):
            self.seen("a", datagram("a", receiver, number), outgoing=True)
            verdict = self.verdict([number])
            self.assertEqual((verdict.lost, verdict.absent, verdict.on_the_way), (1, [number], 0), receiver)
            self.judge.open()

    def test_what_comes_back_through_the_pods_own_service_is_due(self):
        self.seen("a", datagram("a", "vip", 1), outgoing=True)
        self.seen("a", datagram("gateway", "a", 1))
        verdict = self.verdict([1])
        self.assertEqual((verdict.lost, verdict.absent), (1, [1]))

    def test_a_message_that_a_service_lost_is_no_taps_fault(self):
        self.seen("a", datagram("a", "vip", 1), outgoing=True)
        self.assertEqual(self.verdict([1]).absent, [])

    def test_what_came_in_more_often_than_it_left_is_due(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.seen("b", sent)
        self.got(*sent)
        self.assertEqual(self.verdict().lost, 1)

    def test_link_local_of_somebody_untapped_is_due_once_the_taps_know_him(self):
        sent = datagram("link", "b", 1, family=6, to="33:33:00:00:00:fb")
        for known in (False, True):
            self.judge.account.known_neighbours = known
            self.seen("b", sent)
            self.assertEqual(self.verdict().lost, int(known))
            self.judge.open()

    def test_doubled(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.got(*sent, *sent)
        self.assertEqual((self.verdict().doubled, self.judge.verdict("again").exact), (1, False))

    def test_the_service_view_is_a_stray(self):
        asked = datagram("a", "vip", 1)
        answered = datagram("a", "b", 1)
        self.seen("a", asked, outgoing=True)
        self.seen("b", answered)
        self.got(*answered)
        self.assertTrue(self.verdict([1]).exact)
        self.got(*asked)
        self.assertEqual((self.verdict().stray, self.judge.verdict("again").exact), (1, False))

    def test_ttl_and_link_addresses_may_change_on_the_way(self):
        sent = datagram("a", "b", 1)
        routed = [data[:6] + bytes(6) + data[12:22] + b"\x3f" + data[23:] for data in sent]
        self.seen("a", sent, outgoing=True)
        self.seen("b", routed)
        self.got(*routed)
        self.assertTrue(self.verdict([1]).exact)

    def test_a_changed_byte_does_not_pass(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.got(*[data[:-1] + bytes([data[-1] ^ 1]) for data in sent])
        verdict = self.verdict()
        self.assertEqual((verdict.lost, verdict.stray, verdict.spoiled), (1, 1, 1))

    def test_a_wrong_checksum_does_not_pass(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.got(*[data[:40] + b"\x12\x34" + data[42:] for data in sent])
        self.assertEqual((self.verdict().lost, self.judge.verdict("again").spoiled), (0, 1))

    def test_fragments_with_other_identifications_are_the_same(self):
        for family in (4, 6):
            self.seen("a", datagram("a", "b", 1, family, size=4000, fragment=1432, identification=1), outgoing=True)
            self.seen("b", datagram("a", "b", 1, family, size=4000, fragment=1432, identification=2))
            self.got(*datagram("a", "b", 1, family, size=4000, fragment=1432, identification=2))
        verdict = self.verdict([1])
        self.assertTrue(verdict.exact, verdict.line())
        self.assertEqual((verdict.wire, verdict.forwarded), (6, 6))

    def test_a_node_may_put_fragments_together_for_good(self):
        for family in (4, 6):
            for marker, owner_sees in ((1, 1400), (2, 96)):
                self.seen("a", datagram("a", "b", marker, family, size=1200, fragment=96), outgoing=True)
                self.seen("b", datagram("a", "b", marker, family, size=1200))
                self.got(*datagram("a", "b", marker, family, size=1200, fragment=owner_sees))
        verdict = self.verdict([1, 2])
        self.assertTrue(verdict.exact, verdict.line())
        self.assertEqual((verdict.wire, verdict.forwarded), (28, 28))
        self.got(*datagram("a", "b", 1, size=1200))
        self.assertGreater(self.verdict().doubled, 0)

    def test_one_fragment_lost_or_doubled(self):
        sent = datagram("a", "b", 1, size=4000, fragment=1432)
        self.pass_between(sent)
        self.got(sent[0], sent[0], sent[2])
        verdict = self.verdict([1])
        self.assertGreater(verdict.lost, 0)
        self.assertGreater(verdict.doubled, 0)

    def test_a_broadcast_is_due_once_and_its_echo_never(self):
        sent = datagram("a", "b", 1, to="ff:ff:ff:ff:ff:ff")
        self.seen("a", sent, outgoing=True)
        self.seen("a", sent)
        self.seen("b", sent)
        self.got(*sent)
        self.assertTrue(self.verdict([1]).exact)
        self.assertEqual(self.judge.echoes, 1)

    def test_a_broadcast_without_a_tapped_sender_is_due_from_each_receiver(self):
        sent = datagram("u", "b", 1, to="ff:ff:ff:ff:ff:ff")
        self.seen("a", sent)
        self.seen("b", sent)
        self.got(*sent)
        self.assertEqual(self.verdict().lost, 1)

    def test_a_long_segment_equals_the_packets_it_becomes(self):
        body = packets.tcp(*ends("a", "b"), 40000, 80, 0x19, 0xFFFFFF00, 1, marked.make(1, 3000))
        long = frame("a", "b", body, protocol=packets.TCP)
        self.pass_between(long)
        parts = [part.frame for part in packets.read(long[0])]
        self.assertEqual([len(part) for part in parts], [1514, 1514, 134])
        self.got(*parts)
        verdict = self.verdict([1])
        self.assertEqual((verdict.lost, verdict.stray, verdict.wire), (0, 0, 3))

    def test_no_reply_is_taken_for_a_message(self):
        for size in range(20):
            message = marked.make(0x7FFFFFFF, size)
            self.assertFalse(marked.is_reply(message))
            self.assertTrue(marked.is_reply(marked.reply(message)))

    def test_the_taps_own_traffic_is_left_out(self):
        self.seen("a", datagram("a", "sensor", 1), outgoing=True)
        self.assertEqual(self.verdict().wire, 0)


if __name__ == "__main__":
    unittest.main()
