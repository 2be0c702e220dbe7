"""The registry's orders to a running tap: other sensors, filter, pause. No packet is lost or doubled by them."""
import os
import socket
import threading
import time

from registry_lab import Registry
from tap_lab import NODE, TapTest, markers_in, wait_for

OTHER = "10.99.0.3"
FOLLOWING = "following the registry's settings"


def configuration(generation, sensor=NODE, **sidecar):
    return {"generation": generation, "sensor": {"address": sensor}, "sidecar": sidecar}


class Control(TapTest):
    def setUp(self):
        super().setUp()
        self.marked = 0
        self.sink(9000)
        self.sink(9001)
        sender = self.sender = self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sender.close)

    def mark(self, count, port=9000):
        """Sends datagrams with numbers that no others have; returns the numbers."""
        numbers = range(self.marked, self.marked + count)
        for number in numbers:
            self.sender.sendto(f"marker-{number:06d}-".encode(), (NODE, port))
            self.marked += 1
            time.sleep(0.002)
        return set(numbers)

    def controlled_tap(self, registry, *arguments, sensor=NODE):
        # As the webhook writes it: a flag would win over the registry.
        tap = self.tap("--interface", "eth0", *registry.options(), *arguments, sensor=None, environment={"SENSOR": sensor})
        tap.wait_log("forwarding to sensor")
        return tap

    def order(self, registry, tap, *arguments, **sidecar):
        """Returns when the tap follows this configuration, with all packets from then on."""
        lines = len(tap.log())
        registry.configure(configuration(*arguments, **sidecar))
        if not wait_for(lambda: f"generation={arguments[0]}" in tap.log()[lines:]):
            raise AssertionError(f"the tap does not follow:\n{tap.log()}\n{registry.log()}")
        time.sleep(0.3)  # the capture thread has been told, and does not say when it has done it

    def test_a_running_tap_moves_to_another_sensor(self):
        first, second = self.sensor(), self.second_sensor()
        registry = Registry(self, self.node, NODE, configuration(1))
        tap = self.controlled_tap(registry)
        moved = threading.Event()

        def send():
            self.mark(200)
            while not moved.is_set():
                self.mark(10)
            self.mark(200)
        sending = threading.Thread(target=send)
        sending.start()
        try:
            self.assertTrue(wait_for(lambda: self.marked > 100))
            self.order(registry, tap, 2, OTHER)
            tap.wait_log("passed to other sensors")
        finally:
            moved.set()
            sending.join()
        ledger = tap.stop()
        first.stop()
        second.stop()
        before, after = markers_in(self.folder), markers_in(os.path.join(self.folder, "other"))
        self.assertEqual(sorted(before + after), list(range(self.marked)), tap.log())
        self.assertTrue(before and after, tap.log())
        self.assertLess(max(before), min(after), "it passes from one to the other between two packets")
        self.assert_balanced(ledger)

    def test_a_running_tap_filters_and_pauses(self):
        sensor = self.sensor()
        registry = Registry(self, self.node, NODE, configuration(1))
        tap = self.controlled_tap(registry)
        expected = self.mark(20)
        self.order(registry, tap, 2, filter="not udp port 9000")
        self.mark(20)
        expected |= self.mark(20, port=9001)
        self.order(registry, tap, 3, paused=True)
        self.mark(20, port=9001)
        registry.configure(configuration(2))  # older: the tap does not follow it
        time.sleep(1)
        self.assertNotIn("generation=2", tap.log()[tap.log().index("generation=3"):])
        self.mark(20)
        self.order(registry, tap, 4)
        expected |= self.mark(20)
        tap.stop()
        sensor.stop()
        self.assertEqual(sorted(markers_in(self.folder)), sorted(expected), tap.log())

    def test_a_tap_takes_no_orders_if_its_operator_says_so(self):
        sensor, other = self.sensor(), self.second_sensor()
        registry = Registry(self, self.node, NODE, configuration(1, OTHER, paused=True))
        tap = self.controlled_tap(registry, "--registry-control", "off")
        registry.configure(configuration(2, OTHER, filter="tcp"))
        time.sleep(1)
        expected = self.mark(20)
        tap.stop()
        sensor.stop()
        other.stop()
        self.assertEqual(sorted(markers_in(self.folder)), sorted(expected), tap.log())
        self.assertEqual(markers_in(os.path.join(self.folder, "other")), [])
        self.assertNotIn(FOLLOWING, tap.log())

    def test_what_a_tap_cannot_do_leaves_it_as_it_was(self):
        sensor = self.sensor()
        registry = Registry(self, self.node, NODE, configuration(1))
        # One family for each of two sensors: the registry's one sensor does not go with that.
        tap = self.controlled_tap(registry, "--ipv6-family", "linux,windows", sensor=f"{NODE},{OTHER}")
        tap.wait_log("cannot be applied")
        self.assertIn("--ipv6-family: 2 names", tap.log())
        expected = self.mark(20)
        tap.stop()
        sensor.stop()
        self.assertEqual(sorted(markers_in(self.folder)), sorted(expected), tap.log())
