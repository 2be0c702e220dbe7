"""Collectors that come and go, taps that flood, and sensors that stall."""
import threading
import time
import unittest

from collector_lab import CollectorTest


class Order(CollectorTest):
    def test_a_collector_that_stops_in_good_order_loses_nothing(self):
        sensor = self.sensor()
        first = self.collector()
        taps = [self.tap(1), self.tap(2)]
        for tap in taps:
            tap.wait_log("forwarding to sensor")
        first.wait_log("forwarding to sensor")
        count = 2_000
        senders = [threading.Thread(target=self.send, args=(pod, 0, count)) for pod in (1, 2)]
        for sender in senders:
            sender.start()
        time.sleep(0.03)
        of_first = first.stop()
        second = self.collector()
        for tap in taps:
            tap.wait_log("forwarding to sensor", 2)
        second.wait_log("forwarding to sensor")
        for sender in senders:
            sender.join()
        forwarded = sum(tap.stop()["forwarded"] for tap in taps)
        of_second = second.stop()
        sensor.stop()
        self.assert_all_once((1, count), (2, count))
        for ledger, received in (of_first, of_second):
            self.assert_balanced(ledger, received)
            self.assertEqual(received["missing_packets"], 0, received)
        self.assertEqual(forwarded, of_first[1]["packets"] + of_second[1]["packets"])

    def test_a_collector_that_is_killed_loses_what_is_under_way_and_no_more(self):
        sensor = self.sensor()
        first = self.collector()
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        first.wait_log("forwarding to sensor")
        self.send(1, 0, 200)
        time.sleep(0.5)
        first.kill()
        tap.wait_log("dialling again")
        self.send(1, 200, 200)
        second = self.collector()
        tap.wait_log("forwarding to sensor", 2)
        second.wait_log("forwarding to sensor")
        self.send(1, 400, 200)
        tap.stop()
        ledger, received = second.stop()
        sensor.stop()
        self.assert_balanced(ledger, received)
        found = self.markers()
        self.assertEqual([n for n in range(400, 600) if found.get(1_000_000 + n) != 1], [])
        self.assertTrue(all(times == 1 for times in found.values()))

    def test_a_tap_that_comes_again_counts_anew(self):
        sensor = self.sensor()
        collector = self.collector()
        self.tap_comes_again(collector)
        ledger, received = collector.stop()
        sensor.stop()
        self.assert_all_once((1, 300))
        self.assert_balanced(ledger, received)
        self.assertEqual(received["missing_packets"] + received["strange_datagrams"], 0, received)

    def test_a_tap_that_floods_costs_nobody_else(self):
        sensor = self.sensor()
        collector = self.collector()
        loud, quiet = self.tap(1, "--backlog", "0"), self.tap(2)
        for tap in (loud, quiet):
            tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        flood = threading.Thread(target=self.send, args=(1, 0, 60_000), kwargs={"size": 18 + 16, "pause": 0})
        flood.start()
        self.send(2, 0, 500)
        flood.join()
        of_taps = [tap.stop() for tap in (loud, quiet)]
        ledger, received = collector.stop()
        totals = sensor.stop()
        self.assert_balanced(ledger, received)
        found = self.markers()
        self.assertEqual([n for n in range(500) if found.get(2_000_000 + n) != 1], [])
        self.assertLessEqual(received["packets"], sum(tap["forwarded"] for tap in of_taps))
        self.assertEqual(totals["packets"] + totals["missing_packets"], ledger["forwarded"], (totals, ledger))

    def test_a_sensor_that_stalls_is_a_loss_with_a_name(self):
        sensor = self.sensor("--data", "tcp", "--fault", "stop-reading")
        collector = self.collector("--backlog", "0")
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        self.send(1, 0, 8_000, size=1_400)
        of_tap = tap.stop()
        ledger, received = collector.stop()
        self.assert_balanced(ledger, received)
        self.assertGreater(ledger["dropped_socket_full"] + ledger["dropped_disconnected"], 0, ledger)
        self.assertEqual(of_tap["forwarded"], received["packets"] + received["missing_packets"],
                         "the sensor's fault is nothing to the tap")
        sensor.kill()


if __name__ == "__main__":
    unittest.main()
