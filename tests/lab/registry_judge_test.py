#!/usr/bin/env python3
"""The registry lab's judge must find every fault there can be, and must not take what is documented for one."""
import struct
import unittest

from judge_test import ADDRESSES, List, datagram, ends, frame
from sidetap_lab import packets
from sidetap_lab import payload as marked
from sidetap_lab.capture import Frame
from sidetap_lab.registry_judge import RegistryJudge, Span, Whose, Window

SENSOR = "172.18.0.100"
NODE_PORT = 30080


def segment(source, destination, sequence, timestamp, family=4, ports=(40000, 80)):
    """A segment of TCP without data, with the time in its options."""
    options = struct.pack(">BBBBII", 1, 1, 8, 10, timestamp, 0)
    header = struct.pack(">HHIIBBHHH", *ports, sequence, 1, 0x80, 0x10, 4096, 0, 0)
    return frame(source, destination, header + options, protocol=packets.TCP, family=family)


def echo(source, destination, kind, marker):
    body = packets.icmp_echo(*ends(source, destination), kind, 7, 1, marked.make(marker, 64))
    return frame(source, destination, body, protocol=packets.ICMP)


class RegistryJudgeTest(unittest.TestCase):
    def setUp(self):
        self.wire, self.sensor = List(), List()
        self.judge = RegistryJudge(self.wire, self.sensor, {pod: (ADDRESSES[4][pod], ADDRESSES[6][pod]) for pod in "ab"},
                                   ["10.96.0.0/16", "fd00:96::/112"], [SENSOR],
                                   {(ADDRESSES[4]["node"], packets.UDP, NODE_PORT): "front end"})
        self.spans = [Span("a"), Span("b")]
        self.windows = []

    def seen(self, pod, frames, when=0.0):
        self.wire.frames += [Frame(pod, False, data, time=when) for data in frames]

    def pass_between(self, frames, when=0.0):
        self.seen("a", frames, when)
        self.seen("b", frames, when)

    def got(self, *frames):
        self.sensor.frames += [Frame("x.pcap", False, data) for data in frames]

    def verdict(self, right=Whose.BACKENDS):
        """right: whose view of a Service is right for the client, which is a."""
        def whose(pod, service, protocol):
            self.asked.add((pod, str(service), protocol))
            return right
        self.asked = set()
        self.judge.collect()
        return self.judge.verdict("test", self.spans, self.windows, whose)

    def window(self, may=("lost",), pods=("b",), **margins):
        self.windows.append(Window("a change", may, 10.0, 11.0, 1.0, pods and frozenset(pods), **margins))
        return self.windows[-1]

    def test_once_is_within(self):
        for family in (4, 6):
            sent = datagram("a", "b", 1, family)
            self.pass_between(sent)
            self.got(*sent)
        verdict = self.verdict()
        self.assertTrue(verdict.within, verdict.line())
        self.assertEqual((verdict.wire, verdict.forwarded), (2, 2))

    def test_nothing_is_not_within(self):
        self.assertFalse(self.verdict().within)

    def test_lost(self):
        self.pass_between(datagram("a", "b", 1))
        verdict = self.verdict()
        self.assertEqual((verdict.lost, verdict.within), (1, False))
        self.assertIn("lost: UDP 10.244.1.10 > 10.244.1.20", verdict.faults[0])

    def test_lost_though_one_tap_of_two_forwarded(self):
        self.spans = [Span("a"), Span("b", end=5.0)]
        self.pass_between(datagram("a", "b", 1), when=6.0)
        self.assertEqual(self.verdict().lost, 1)

    def test_what_passed_no_tap_that_forwarded_is_nobodys_fault(self):
        self.spans = [Span("a"), Span("b", end=5.0), Span("b", begin=8.0)]
        for marker, when in ((1, 4.9), (2, 5.1), (3, 7.9), (4, 8.1)):
            self.seen("b", datagram("u", "b", marker), when)
        verdict = self.verdict()
        self.assertEqual((verdict.lost, verdict.uncovered), (2, 2))

    def test_lost_in_a_window_is_measured(self):
        window = self.window(before=0.5, after=0.25)
        for marker, when in ((1, 9.6), (2, 10.5), (3, 11.2)):
            self.pass_between(datagram("a", "b", marker), when)
        verdict = self.verdict()
        self.assertTrue(verdict.within, verdict.line())
        self.assertEqual([round(when, 3) for when in sorted(window.times["lost"])], [-0.4, 0.5, 1.2])
        self.assertIn("3 lost, -0.40 to +1.20 s", window.line())

    def test_lost_before_or_after_a_window(self):
        self.window(before=0.5, after=0.25)
        for marker, when in ((1, 9.4), (2, 11.3)):
            self.pass_between(datagram("a", "b", marker), when)
        self.assertEqual(self.verdict().lost, 2)

    def test_a_window_is_for_the_packets_of_its_pods(self):
        self.window()
        self.seen("a", datagram("a", "u", 1), 10.5)
        self.assertEqual(self.verdict().lost, 1)
        self.seen("a", datagram("a", "b", 2), 10.5)  # which never got there
        self.assertEqual(self.verdict().lost, 1)
        self.window(pods=None)
        self.assertEqual(self.verdict().lost, 0)

    def test_doubled(self):
        for marker, when in ((1, 9.0), (2, 10.5)):
            sent = datagram("a", "b", marker)
            self.pass_between(sent, when)
            self.got(*sent, *sent)
        self.assertEqual((self.verdict().doubled, self.verdict().within), (2, False))
        window = self.window(may=("doubled",))
        self.assertEqual((self.verdict().doubled, len(window.times["doubled"])), (1, 1))

    def test_a_window_for_duplicates_excuses_no_loss(self):
        self.window(may=("doubled",))
        self.pass_between(datagram("a", "b", 1), 10.5)
        self.assertEqual(self.verdict().lost, 1)

    def through_service(self, marker=1, when=0.0):
        """(the client's view, the pod's view) of a message from a to b."""
        views = datagram("a", "vip", marker), datagram("a", "b", marker)
        self.seen("a", views[0], when)
        self.seen("b", views[1], when)
        return views

    def test_both_views_are_one_packet(self):
        client, pod = self.through_service()
        self.got(*pod)
        self.assertTrue(self.verdict().within)
        self.got(*client)
        self.assertEqual(self.verdict().doubled, 1)

    def test_both_views_where_that_is_documented(self):
        client, pod = self.through_service()
        self.got(*client, *pod)
        verdict = self.verdict(Whose.BOTH)
        self.assertTrue(verdict.within, verdict.line())
        self.assertEqual(verdict.twice, 1)
        self.assertEqual(self.asked, {("a", ADDRESSES[4]["vip"], packets.UDP)})
        self.got(*pod)
        self.assertEqual(self.verdict(Whose.BOTH).doubled, 2)

    def test_both_views_where_the_clients_is_right(self):
        client, pod = self.through_service()
        self.got(*client, *pod)
        self.assertEqual(self.verdict(Whose.CLIENTS).doubled, 1)

    def test_the_backends_view_where_the_clients_is_right(self):
        client, pod = self.through_service(when=6.0)
        self.got(*pod)
        self.assertEqual((self.verdict(Whose.CLIENTS).wrong_view, self.verdict(Whose.CLIENTS).within), (1, False))
        self.assertTrue(self.verdict(Whose.EITHER).within)
        self.spans = [Span("a", end=5.0), Span("b")]
        self.assertTrue(self.verdict(Whose.CLIENTS).within)

    def test_the_clients_view_where_it_is_right(self):
        client, _ = self.through_service()
        self.got(*client)
        self.assertTrue(self.verdict(Whose.CLIENTS).within)
        self.assertTrue(self.verdict(Whose.EITHER).within)

    def test_a_front_end_is_a_clients_view(self):
        client = datagram("a", "node", 1, ports=(40000, NODE_PORT))
        self.seen("a", client)
        self.seen("b", datagram("node", "b", 1, ports=(40001, 8080)))
        self.got(*client)
        self.assertEqual(self.verdict().wrong_view, 1)
        self.assertEqual(self.asked, {("a", "front end", packets.UDP)})
        self.assertTrue(self.verdict(Whose.CLIENTS).within)

    def test_another_port_of_a_front_ends_address_is_none(self):
        sent = datagram("a", "node", 1, ports=(40000, NODE_PORT + 1))
        self.seen("a", sent)
        self.got(*sent)
        self.assertTrue(self.verdict().within)
        self.assertEqual(self.asked, set())

    def test_a_fault_says_who_saw_and_who_forwarded_the_packet(self):
        client, pod = self.through_service()
        self.sensor.frames += [Frame(f"{ADDRESSES[4]['a']}-eth0.pcap", False, data) for data in client]
        self.sensor.frames += [Frame(f"{ADDRESSES[4]['b']}-eth0.pcap", False, data) for data in pod]
        fault = self.verdict().faults[0]
        views = (f"a as {ADDRESSES[4]['a']} 40000 > {ADDRESSES[4]['vip']} 53; "
                 f"b as {ADDRESSES[4]['a']} 40000 > {ADDRESSES[4]['b']} 53")
        self.assertIn(f"seen by {views}, forwarded by {views}, 1 times", fault)
        self.seen("a", datagram("a", "b", 2))
        self.assertIn("forwarded by nobody", " ".join(self.verdict().faults))

    def test_the_clients_view_alone_is_wrong_while_the_backends_tap_forwards(self):
        client, _ = self.through_service(when=6.0)
        self.got(*client)
        self.assertEqual((self.verdict().wrong_view, self.verdict().within), (1, False))
        self.spans = [Span("a"), Span("b", end=5.0)]
        self.assertTrue(self.verdict().within)

    def test_what_was_never_on_the_wire(self):
        self.got(*datagram("a", "b", 1))
        self.assertEqual((self.verdict().stray, self.verdict().within), (1, False))

    def test_segments_are_the_same_whatever_their_address(self):
        for family in (4, 6):
            self.seen("a", segment("a", "vip", 5, 100, family))
            self.seen("b", segment("a", "b", 5, 100, family, ports=(40000, 8080)))
            self.got(*segment("a", "b", 5, 100, family, ports=(40000, 8080)))
        self.assertTrue(self.verdict().within)

    def test_a_segment_sent_again_is_another(self):
        for timestamp in (100, 300):
            self.pass_between(segment("a", "b", 5, timestamp))
        self.got(*segment("a", "b", 5, 100))
        self.assertEqual((self.verdict().wire, self.verdict().lost), (2, 1))

    def test_a_reply_is_not_its_request(self):
        self.pass_between(echo("a", "b", 8, 1))
        self.pass_between(echo("b", "a", 0, 1))
        self.got(*echo("a", "b", 8, 1))
        self.assertEqual(self.verdict().lost, 1)

    def test_the_same_packet_twice_is_due_twice(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.pass_between(sent, 0.1)
        self.got(*sent)
        self.assertEqual(self.verdict().lost, 1)

    def test_what_the_bridge_floods_is_for_somebody_else(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.wire.frames += [Frame("a", False, data, other_host=True) for data in sent]
        self.got(*sent)
        self.assertTrue(self.verdict().within)

    def test_the_taps_own_traffic_is_left_out(self):
        ADDRESSES[4]["sensor"] = SENSOR
        self.seen("a", datagram("a", "sensor", 1))
        self.got(*datagram("a", "sensor", 2))
        self.assertEqual(self.verdict().wire, 0)

    def test_a_note_is_a_fault(self):
        sent = datagram("a", "b", 1)
        self.pass_between(sent)
        self.got(*sent)
        verdict = self.verdict()
        verdict.notes.append("longer than documented")
        self.assertFalse(verdict.within)

    def test_open_forgets(self):
        self.pass_between(datagram("a", "b", 1))
        self.judge.collect()
        self.judge.open()
        self.assertEqual(self.verdict().wire, 0)


if __name__ == "__main__":
    unittest.main()
