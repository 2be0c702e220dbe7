"""Taps that choose among several collectors by a hash of their own, while collectors go and come."""
import ipaddress
import os
import socket
import subprocess
import threading
import time
import unittest

from collector_lab import SENSOR, Collector, CollectorTest, PodTap, wait_for

COLLECTORS = ("10.99.0.2", "10.99.0.4", "10.99.0.5")
PODS = (1, 2, 3, 4)
WORD = 2**64


def score(tap, collector, port=2003):
    """The hash, as it is documented in sidecar/session/collector_choice.h."""
    mapped = bytes(10) + b"\xff\xff" + ipaddress.IPv4Address(collector).packed
    value = 0xCBF29CE484222325
    for byte in tap.encode() + b"\0" + mapped + port.to_bytes(2, "big"):
        value = (value ^ byte) * 0x100000001B3 % WORD
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB % WORD
    return value ^ value >> 31


def ranking(pod, collectors=COLLECTORS):
    return sorted(collectors, key=lambda collector: score(f"10.99.1.{pod}", collector), reverse=True)


class Stream(threading.Thread):
    """Datagrams of one pod, until it is told to stop."""

    def __init__(self, test, pod):
        super().__init__()
        self.test, self.pod, self.sent, self.over = test, pod, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            self.test.send(self.pod, self.sent, 20, pause=0)
            self.sent += 20
            time.sleep(0.02)

    def stop(self):
        self.over.set()
        self.join()
        return self.sent


class Collectors(CollectorTest):
    def setUp(self):
        super().setUp()
        self.places = {COLLECTORS[0]: self.collector_pod}
        for number, address in enumerate(COLLECTORS[1:], 2):
            self.places[address] = self.attach(f"collector{number}", address)

    def collector_at(self, address, *arguments):
        collector = Collector(self.places[address], self.folder, "--sensor", SENSOR, *arguments)
        self.addCleanup(collector.kill)
        collector.wait_log("waiting for taps")
        collector.wait_log("forwarding to sensor")
        return collector

    def hash_tap(self, number, to=",".join(COLLECTORS)):
        name, address = f"web-{number}", f"10.99.1.{number}"
        self.pods[name] = self.attach(f"web{number}", address)
        tap = PodTap(self.pods[name], name, address, os.path.join(self.folder, f"{name}-tap"), "--sensor-mode", "hash", to=to)
        self.addCleanup(tap.kill)
        return tap

    def wait_at(self, tap, collector, times=1):
        """Until the tap forwards there for the nth time."""
        for line in ('forwarding to sensor sensor=', 'passed to other sensors interface="eth0" sensors='):
            if not wait_for(lambda text=f'{line}"{collector}:2003"': tap.log().count(text) >= times, seconds=60):
                raise AssertionError(f"not at {collector}:\n{tap.log()}")

    def assert_never_left(self, tap, collector):
        """Its first session is its only one."""
        self.assertEqual(tap.log().count("passed to other sensors"), 1, tap.log())
        self.assertIn(f'forwarding to sensor sensor="{collector}:2003"', tap.log())

    def assert_exact(self, sensor, taps, collectors, sent):
        """Each marker at the sensor once, and what taps have forwarded at some collector."""
        forwarded = sum(tap.stop()["forwarded"] for tap in taps)
        ends = [collector if isinstance(collector, tuple) else collector.stop() for collector in collectors]
        sensor.stop()
        self.assert_all_once(*sent)
        for ledger, received in ends:
            self.assert_balanced(ledger, received)
            self.assertEqual(received["missing_packets"], 0, received)
        self.assertEqual(forwarded, sum(received["packets"] for _, received in ends))


class Hash(Collectors):
    def start_all(self):
        sensor = self.sensor()
        collectors = {address: self.collector_at(address) for address in COLLECTORS}
        taps = {pod: self.hash_tap(pod) for pod in PODS}
        for pod, tap in taps.items():
            self.wait_at(tap, ranking(pod)[0])
        return sensor, collectors, taps

    def test_each_tap_has_one_session_with_its_first_choice(self):
        sensor, collectors, taps = self.start_all()
        self.assertGreater(len({ranking(pod)[0] for pod in PODS}), 1, "the test's pods spread")
        for pod in PODS:
            self.send(pod, 0, 300)
        for pod, tap in taps.items():
            self.assert_never_left(tap, ranking(pod)[0])
        self.assert_exact(sensor, taps.values(), collectors.values(), [(pod, 300) for pod in PODS])

    def test_a_collector_that_is_killed_costs_only_its_own_taps_what_was_under_way(self):
        sensor, collectors, taps = self.start_all()
        gone = ranking(PODS[0])[0]
        moving = [pod for pod in PODS if ranking(pod)[0] == gone]
        streams = {pod: Stream(self, pod) for pod in PODS}
        time.sleep(0.3)
        collectors.pop(gone).kill()
        for pod in moving:
            self.wait_at(taps[pod], ranking(pod)[1])
        after = {pod: streams[pod].sent + 20 for pod in moving}
        time.sleep(0.3)
        sent = {pod: stream.stop() for pod, stream in streams.items()}
        of_taps = [tap.stop() for tap in taps.values()]
        ends = [collector.stop() for collector in collectors.values()]
        sensor.stop()
        found = self.markers()
        self.assertTrue(all(times == 1 for times in found.values()), "none is there twice")
        lost = 0
        for pod in PODS:
            missing = [number for number in range(sent[pod]) if pod * 1_000_000 + number not in found]
            self.assertEqual([number for number in missing if pod not in moving or number >= after[pod]], [], pod)
            lost += len(missing)
        for ledger, received in ends:
            self.assert_balanced(ledger, received)
        # What no collector that is left has received went to the one that was killed, or the taps say why not.
        sent_or_dropped = sum(value for ledger in of_taps for key, value in ledger.items()
                              if key == "forwarded" or key.startswith("dropped_"))
        self.assertLessEqual(lost, sent_or_dropped - sum(received["packets"] for _, received in ends))
        for pod in set(PODS) - set(moving):
            self.assert_never_left(taps[pod], ranking(pod)[0])

    def test_a_collector_that_stops_in_good_order_loses_nothing(self):
        sensor, collectors, taps = self.start_all()
        gone = ranking(PODS[0])[0]
        streams = {pod: Stream(self, pod) for pod in PODS}
        time.sleep(0.3)
        ended = collectors.pop(gone).stop()
        for pod in PODS:
            self.wait_at(taps[pod], ranking(pod)[1 if ranking(pod)[0] == gone else 0])
        time.sleep(0.3)
        sent = [(pod, stream.stop()) for pod, stream in streams.items()]
        self.assert_exact(sensor, taps.values(), [ended, *collectors.values()], sent)

    def test_taps_return_to_a_collector_that_comes_back_and_lose_nothing(self):
        sensor = self.sensor()
        away = ranking(PODS[0])[0]
        collectors = {address: self.collector_at(address) for address in COLLECTORS if address != away}
        taps = {pod: self.hash_tap(pod) for pod in PODS}
        for pod, tap in taps.items():
            self.wait_at(tap, next(address for address in ranking(pod) if address != away))
        streams = {pod: Stream(self, pod) for pod in PODS}
        time.sleep(0.3)
        collectors[away] = self.collector_at(away)
        for pod, tap in taps.items():
            if ranking(pod)[0] == away:
                self.wait_at(tap, away)
        time.sleep(0.3)
        sent = [(pod, stream.stop()) for pod, stream in streams.items()]
        for pod, tap in taps.items():
            if ranking(pod)[0] != away:
                self.assertNotIn(f'forwarding to sensor sensor="{away}:2003"', tap.log())
        self.assert_exact(sensor, taps.values(), collectors.values(), sent)


class Names(Collectors):
    """One name, whose addresses change; the hosts file is that of this test's mount namespace alone."""

    def setUp(self):
        super().setUp()
        self.hosts = os.path.join(self.folder, "hosts")
        self.name(COLLECTORS[:2])
        subprocess.run(["mount", "--bind", self.hosts, "/etc/hosts"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/etc/hosts"], check=True)
        found = {entry[4][0] for entry in socket.getaddrinfo("collectors.test", 2003, proto=socket.IPPROTO_TCP)}
        if found != set(COLLECTORS[:2]):
            self.skipTest(f"this system's look-ups give {found} for a name with two addresses in /etc/hosts")

    def name(self, addresses):
        with open(self.hosts, "w", encoding="ascii") as file:  # the mount is of this very file
            file.write("127.0.0.1 localhost\n" + "".join(f"{address} collectors.test\n" for address in addresses))

    def test_a_tap_follows_the_addresses_of_the_name_and_loses_nothing(self):
        sensor = self.sensor()
        collectors = [self.collector_at(address) for address in COLLECTORS[:2]]
        tap = self.hash_tap(1, to="collectors.test")
        first, second = ranking(1, COLLECTORS[:2])
        self.wait_at(tap, first)
        stream = Stream(self, 1)
        self.name([second])
        self.wait_at(tap, second)
        self.name([first, second])
        self.wait_at(tap, first, 2)
        time.sleep(0.3)
        self.assert_exact(sensor, [tap], collectors, [(1, stream.stop())])


if __name__ == "__main__":
    unittest.main()
