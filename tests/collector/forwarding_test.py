"""What arrives at the sensor of what several taps forward to one collector."""
import os
import unittest

from collector_lab import COLLECTOR, CollectorTest, wait_for

PODS, PACKETS = 3, 300


class Forwarding(CollectorTest):
    def forward(self, sensor_arguments=(), collector_arguments=(), tap_arguments=(), size=100):
        """Every packet, exactly once, over two hops."""
        sensor = self.sensor(*sensor_arguments)
        collector = self.collector(*collector_arguments)
        taps = [self.tap(number, *tap_arguments) for number in range(1, PODS + 1)]
        for tap in taps:
            tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        for number in range(1, PODS + 1):
            self.send(number, 0, PACKETS, size=size)
        of_taps = [tap.stop() for tap in taps]
        ledger, received = collector.stop()
        totals = sensor.stop()
        self.assert_all_once(*((number, PACKETS) for number in range(1, PODS + 1)))
        self.assert_balanced(ledger, received)
        self.assertEqual(received["packets"], sum(tap["forwarded"] for tap in of_taps), (received, of_taps))
        self.assertEqual(received["missing_packets"] + received["malformed"] + received["lost_datagrams"], 0, received)
        self.assertEqual(totals["packets"], ledger["forwarded"], (totals, ledger))
        self.assertEqual(totals["malformed"], 0, totals)
        return totals, received

    def test_datagrams(self):
        totals, received = self.forward()
        self.assertGreater(received["datagrams"], 0)
        self.assertEqual(len(totals["taps"]), 1, "one session, however many taps")
        tap = totals["taps"][0]
        self.assertEqual(tap["interface"], "collector")
        self.assertTrue(tap["description"].startswith("sidetap/collector-0"), tap)
        self.assertIn(COLLECTOR, tap["addresses"])

    def test_plain_datagrams(self):
        self.forward(tap_arguments=("--udp-format", "plain"))

    def test_packets_larger_than_a_datagram(self):
        self.forward(size=9000)

    def test_streams(self):
        _, received = self.forward(collector_arguments=("--data", "tcp"), size=3000)
        self.assertEqual(received["datagrams"], 0)

    def test_tls_towards_taps(self):
        files = self.certificate()
        self.forward(collector_arguments=("--data", "tcp", "--tap-tls-cert", files["tls.pem"], "--tap-tls-key", files["tls.key"]),
                     tap_arguments=("--sensor-tls", "client", "--sensor-tls-ca", files["ca.pem"], "--sensor-tls-name", "collector"))

    def test_streams_on_both_sides(self):
        self.forward(sensor_arguments=("--data", "tcp"), collector_arguments=("--data", "tcp"))

    def test_password_towards_taps(self):
        path = os.path.join(self.folder, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write("geheim\n")
        self.forward(collector_arguments=("--tap-user", "eh", "--tap-password-file", path),
                     tap_arguments=("--user", "eh", "--password-file", path))

    def test_the_sensors_filter_and_the_operators(self):
        sensor = self.sensor("--filter-bpf", "udp port 9000")
        collector = self.collector("--filter", "not greater 600")
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        self.send(1, 0, 100)
        self.send(1, 100, 50, size=800)
        tap.stop()
        ledger, received = collector.stop()
        sensor.stop()
        self.assert_all_once((1, 100))
        self.assertGreaterEqual(received["refused_by_filter"], 50)
        self.assert_balanced(ledger, received)

    def test_metrics_tell_both_hops(self):
        self.sensor()
        collector = self.collector("--status-listen", ":15920")
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        self.send(1, 0, 100)
        self.assertTrue(wait_for(lambda: self.metric("sidetap_collector_packets_received_total") >= 100))
        self.assertEqual(self.metric('sidetap_collector_taps{state="capturing"}'), 1)
        self.assertTrue(wait_for(lambda: self.metric("sidetap_packets_forwarded_total") >= 100))
        self.assertEqual(self.metric("sidetap_collector_packets_missing_total"), 0)


if __name__ == "__main__":
    unittest.main()
