#!/usr/bin/env python3
"""What must hold of alerts and dashboard."""
import functools
import json
import pathlib
import re
import shutil
import subprocess
import unittest

import rendering
from rendering import CHART

HERE = pathlib.Path(__file__).resolve().parent


class Monitoring(unittest.TestCase):
    """Rules and dashboard ask for metrics that the programs have."""

    FOREIGN = {"apiserver_admission_webhook_fail_open_count", "apiserver_admission_webhook_rejection_count"}
    NAME = r"\b(?:sidetap|apiserver)_[a-z_]+"

    @staticmethod
    @functools.cache
    def sources():
        return "".join(path.read_text() for folder in ("shared", "sidecar", "webhook")
                       for path in (rendering.ROOT / folder).rglob("*") if path.suffix in (".cpp", ".h"))

    @classmethod
    def declared(cls):
        names = set(re.findall(r'"(sidetap_[a-z_]+)"', cls.sources()))
        return names | {f"{name}_bucket" for name in names}

    def test_the_metrics_asked_for_exist(self):
        for name in ("alerts.yaml", "dashboard.json"):
            asked = set(re.findall(self.NAME, (CHART / "monitoring" / name).read_text()))
            self.assertEqual(asked - self.declared() - self.FOREIGN, set(), name)

    def test_the_labels_and_values_asked_for_exist(self):
        known = set(re.findall(r'"([^"\n]+)"', self.sources()))
        asked = 0
        for name in ("alerts.yaml", "dashboard.json"):
            text = (CHART / "monitoring" / name).read_text().replace('\\"', '"')
            for selector in re.findall(r"sidetap_[a-z_]+\{([^}]+)\}", text):
                for label, values in re.findall(r'(\w+)(?:=|=~|!=|!~)"([^"]*)"', selector):
                    # Prometheus adds these; Grafana fills in variables.
                    if label in ("namespace", "pod") or "$" in values:
                        continue
                    asked += 1
                    self.assertLessEqual({label, *values.split("|")}, known, f"{name}: {selector}")
        self.assertTrue(asked)

    def test_the_dashboard_counts_no_packet_twice_that_passes_a_collector(self):
        """A collector has the metrics of a tap, so every sum says which of the two it is about."""
        both = set(re.findall(r'"(sidetap_[a-z_]+)"', "".join((rendering.ROOT / path).read_text() for path in
                                                             ("sidecar/tap/tap_metrics.cpp", "sidecar/session/metrics.h"))))
        dashboard = json.loads((CHART / "monitoring/dashboard.json").read_text())
        row, asked = None, 0
        for panel in dashboard["panels"]:
            row = panel["title"] if panel["type"] == "row" else row
            side = "and" if row == "Collectors" else "unless"
            for expression in (target["expr"] for target in panel.get("targets", [])):
                for metric in re.findall(r"(?:rate\()?\b(?:%s)\b(?:\{[^}]*\})?(?:\[5m\]\))?(.*)" % "|".join(both), expression):
                    asked += 1
                    self.assertTrue(metric.startswith(f" {side} on (namespace, pod) sidetap_collector_taps)"), f"{panel['title']}: {expression}")
        self.assertGreater(asked, 10)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_alerts_fire_on_their_faults_alone(self):
        for command in (["check", "rules", CHART / "monitoring/alerts.yaml"], ["test", "rules", HERE / "alerts_test.yaml"]):
            result = subprocess.run(["promtool", *command], capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_panels_have_their_own_places(self):
        dashboard = json.loads((CHART / "monitoring/dashboard.json").read_text())
        taken = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
