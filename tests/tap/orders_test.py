"""Orders on a tap's standard input: a token, a time, an end. As `kubectl attach` brings them."""
import os
import subprocess
import time
import unittest

from registry_lab import Registry
from tap_lab import NODE, TapTest


class Orders(TapTest):
    def ordered_tap(self, *arguments):
        reader, self.writer = os.pipe()
        self.addCleanup(lambda: self.writer is None or os.close(self.writer))
        tap = self.tap("--stdin-orders", "on", *arguments, stdin=reader)
        os.close(reader)
        return tap

    def say(self, text):
        os.write(self.writer, text.encode())

    def test_an_order_ends_it_with_every_packet_forwarded(self):
        sensor = self.sensor()
        tap = self.ordered_tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50)
        self.say("stop\n")
        self.assertEqual(tap.process.wait(10), 0, tap.log())
        self.assertIn("an order", tap.log())
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(50)}, tap.log())

    def test_it_ends_when_its_time_is_up_and_an_order_gives_it_more(self):
        self.sensor()
        tap = self.ordered_tap("--run-for", "1s")
        self.say("for 3s\n")
        tap.wait_log("order taken")
        time.sleep(1.5)
        self.assertIsNone(tap.process.poll(), tap.log())
        self.assertEqual(tap.process.wait(10), 0, tap.log())
        self.assertIn("the time is up", tap.log())

    def test_it_begins_when_it_has_its_token(self):
        self.sensor()
        registry = Registry(self, self.node, NODE)
        tap = self.ordered_tap(*registry.options(), "--registry-token-file", "-")
        time.sleep(1)
        self.assertNotIn("sensor", tap.log())
        self.say("token c2VjcmV0.e30.c2ln\n")
        tap.wait_log("forwarding to sensor")
        self.assertNotIn("c2VjcmV0", tap.log())
        # The one who said it may go; what comes next comes by the same way.
        self.say("stop\n")
        self.assertEqual(tap.process.wait(15), 0, tap.log())

    def test_it_can_be_ended_while_it_waits_for_its_token(self):
        registry = Registry(self, self.node, NODE)
        tap = self.ordered_tap(*registry.options(), "--registry-token-file", "-")
        tap.wait_log("starting")
        time.sleep(0.3)
        tap.process.terminate()
        self.assertEqual(tap.process.wait(10), 0, tap.log())

    def test_it_goes_on_when_nobody_is_there_to_order(self):
        self.sensor()
        tap = self.ordered_tap()
        os.close(self.writer)
        self.writer = None
        tap.wait_log("forwarding to sensor")
        tap.stop()

    def test_nothing_is_read_without_the_option(self):
        self.sensor()
        tap = self.tap(stdin=subprocess.DEVNULL)
        tap.wait_log("forwarding to sensor")
        tap.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
