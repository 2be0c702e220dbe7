#!/usr/bin/env python3
"""What collector_table.py makes of the results of a measurement."""
import json
import os
import tempfile
import unittest

import collector_table


class CollectorTable(unittest.TestCase):
    def result(self, row, **files):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
                    json.dump(content, file)
            return collector_table.result(row, folder)

    def test_costs_are_by_what_arrived(self):
        found = self.result("large", figures={"cpu_ns": 3_000, "sent_seconds": 2}, load={"packets": 12, "send_errors": 1},
                            sensor={"packets": 10, "bytes": 15_000})
        self.assertEqual(found, {"row": "large", "ns_per_byte": 0.2, "ns_per_packet": 300, "packets_per_second": 5, "lost": 3})

    def test_nothing_arrived(self):
        found = self.result("small", figures={"cpu_ns": 3_000, "sent_seconds": 2}, load={"packets": 12, "send_errors": 0},
                            sensor={"packets": 0, "bytes": 0})
        self.assertIsNone(found["ns_per_packet"])
        self.assertIn("<= 0", collector_table.table([found]))

    def test_sessions(self):
        found = self.result("sessions", figures={"cpu_ns": 2_000_000_000, "seconds": 40, "resident_kib": 50_000}, load={
            "taps": 100, "first": {"captured": 100, "p50_seconds": 1, "most_seconds": 2},
            "storms": [{"captured": 99, "p50_seconds": 3, "most_seconds": 4}]})
        self.assertEqual((found["cpu_percent"], found["megabytes"]), (5, 51.2))
        self.assertEqual((found["not_capturing"], found["storm_seconds"], found["storm_p50_seconds"]), (1, 4, 3))

    def test_the_busiest_session_tells_the_latency(self):
        taps = [{"packets": packets, "latency_us": {"p50": packets, "p99": 2 * packets}} for packets in (3, 7)]
        self.assertEqual(self.result("latency", figures={}, sensor={"taps": taps}), {"row": "latency", "p50_us": 7, "p99_us": 14})

    def test_the_table_has_the_median_and_the_target_of_what_was_measured(self):
        text = collector_table.table([{"row": "dies", "seconds": value} for value in (0.5, 0.1, 0.3)])
        self.assertEqual(len(text.splitlines()), 2)
        self.assertRegex(text, r"a collector dies.* 0\.30 +0\.10 +0\.50 +<= 3$")


if __name__ == "__main__":
    unittest.main()
