"""Some hundred taps at once, played by the load generator of the benchmarks."""
import json
import subprocess
import unittest

from collector_lab import COLLECTOR, SENSOR, CollectorTest
from tap_lab import BINARIES

POD, TAPS = "10.99.1.1", 300


class Load(CollectorTest):
    def setUp(self):
        super().setUp()
        self.pods["web-1"] = self.attach("web1", POD)
        # All of these are addresses of the pod, without being counted up.
        self.pods["web-1"].ip("route add local 10.128.0.0/16 dev lo")
        self.collector_pod.ip(f"route add 10.128.0.0/16 via {POD}")

    def play(self, *arguments):
        process = self.pods["web-1"].popen(
            [f"{BINARIES}/tap_load", "--collector", COLLECTOR, "--taps", str(TAPS), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        output, errors = process.communicate(timeout=150)
        self.assertEqual(process.returncode, 0, output + errors)
        return json.loads(output)

    def forward(self, collector_arguments=(), tap_arguments=()):
        """What the taps have sent, what came from them, and what the sensor has got."""
        sensor = self.sensor()
        collector = self.collector(*collector_arguments)
        collector.wait_log("forwarding to sensor")
        load = self.play("--rate", "3000", "--seconds", "1", "--payload", "200", *tap_arguments)
        collector.wait_log("session with tap ended")
        ledger, received = collector.stop()
        totals = sensor.stop()
        self.assertEqual(load["first"]["captured"], TAPS)
        self.assertEqual(load["send_errors"], 0, load)
        self.assertGreater(load["packets"], TAPS, "each has sent some")
        self.assert_balanced(ledger, received)
        self.assertEqual(len(totals["taps"]), 1)
        self.assertEqual(totals["packets"] + totals["missing_packets"], ledger["forwarded"], (totals, ledger))
        return load, received

    def test_streams_carry_every_packet(self):
        load, received = self.forward(("--data", "tcp"), ("--processes", "2"))
        self.assertEqual(received["packets"], load["packets"], (received, load))
        self.assertEqual(received["missing_packets"] + received["malformed"], 0, received)

    def test_encrypted_streams_carry_every_packet(self):
        files = self.certificate()
        load, received = self.forward(
            ("--data", "tcp", "--tap-tls-cert", files["tls.pem"], "--tap-tls-key", files["tls.key"]),
            ("--tls-ca", files["ca.pem"], "--tls-name", "collector"))
        self.assertEqual(received["packets"], load["packets"], (received, load))

    def test_datagrams_count_for_their_taps(self):
        load, received = self.forward()
        self.assertGreater(load["datagrams"], 0)
        self.assertEqual(received["packets"] + received["missing_packets"], load["packets"], (received, load))
        self.assertEqual(received["malformed"] + received["strange_datagrams"], 0, received)

    def test_all_come_back_at_once(self):
        load, received = self.forward(("--data", "tcp"), ("--storms", "2"))
        self.assertEqual([storm["captured"] for storm in load["storms"]], [TAPS, TAPS])
        self.assertEqual(received["packets"], load["packets"], (received, load))

    def test_a_limit_of_descriptors_that_is_too_low_is_told(self):
        process = self.collector_pod.popen(
            ["prlimit", "--nofile=200:200", f"{BINARIES}/sidetap-sidecar", "collect", "--sensor", SENSOR, "--max-taps", "150"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        said = []
        for line in process.stderr:
            said.append(line)
            if "waiting for taps" in line:
                break
        warning = [line for line in said if "limit of open files" in line]
        self.assertEqual(len(warning), 1, said)
        self.assertIn("limit=200", warning[0])
        self.assertIn("most_taps=136", warning[0])

    def test_more_taps_of_an_address_than_are_welcome(self):
        sensor = self.sensor()
        collector = self.collector("--max-taps-of-address", "4")
        process = self.pods["web-1"].popen(
            [f"{BINARIES}/tap_load", "--collector", COLLECTOR, "--taps", "8", "--taps-of-address", "8", "--limit", "2",
             "--seconds", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        output, _ = process.communicate(timeout=150)
        self.assertEqual(process.returncode, 1, output)
        self.assertEqual(json.loads(output)["first"]["captured"], 4, output)
        self.assertIn("sessions-of-address", collector.log())
        collector.stop()
        sensor.stop()


if __name__ == "__main__":
    unittest.main()
