"""Taps prove their pod by what the registry has proved; a server that the test plays is the registry."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from collector_lab import SENSOR, CollectorTest, PodTap  # noqa: E402
from json_server import JsonServer  # noqa: E402
from tap_lab import BINARIES  # noqa: E402


class Registry:
    """Tells one reader what it is given, as /v1/identities/stream does."""

    def __init__(self, test, pods):
        self.lines, self.more, self.ended, self.asked = [], threading.Condition(), False, []
        self.number = 0
        for pod in pods:
            self.lines.append(json.dumps(pod) + "\n")
        self.lines.append(json.dumps({"position": "7-0"}) + "\n")
        files = test.certificate()
        folder = pathlib.Path(test.folder)
        shutil.copy(files["tls.pem"], folder / "tls.crt")
        self.ca = files["ca.pem"]
        self.token = folder / "token"
        self.token.write_text("t0ken\n", encoding="ascii")
        with test.collector_pod:
            self.server = JsonServer(folder, self.answer)
        test.addCleanup(self.close)

    @staticmethod
    def pod(name, address, **changes):
        return {"ip": [address], "namespace": "shop", "pod": name, "uid": f"uid-{name}", "node": "n1",
                "from": "2026-01-02T03:04:05.678Z", "to": None, **changes}

    def tell(self, pod):
        with self.more:
            self.number += 1
            self.lines.append(json.dumps({"position": f"7-{self.number}", **pod}) + "\n")
            self.more.notify_all()

    def answer(self, method, path, headers, _body):
        self.asked.append((method, path, headers.get("Authorization")))
        return 200, self.stream()

    def stream(self):
        told = 0
        while True:
            with self.more:
                self.more.wait_for(lambda: self.ended or len(self.lines) > told)
                if self.ended:
                    return
                piece = "".join(self.lines[told:])
                told = len(self.lines)
            yield piece.encode()

    def close(self):
        with self.more:
            self.ended = True
            self.more.notify_all()
        self.server.close()

    def options(self):
        return ("--registry", f"127.0.0.1:{self.server.port}", "--registry-name", "collector", "--registry-ca", self.ca,
                "--registry-token-file", str(self.token))


class Proof(CollectorTest):
    def setUp(self):
        super().setUp()
        self.sensor_program = self.sensor()

    def nowhere(self):
        """A registry that does not answer."""
        token = pathlib.Path(self.folder) / "token"
        token.write_text("t0ken\n", encoding="ascii")
        return ("--registry", "127.0.0.1:1", "--registry-ca", self.certificate()["ca.pem"], "--registry-token-file", str(token))

    def finish(self, collector, taps, *sent):
        for tap in taps:
            tap.stop()
        ledger, received = collector.stop()
        self.sensor_program.stop()
        self.assert_all_once(*sent)
        self.assert_balanced(ledger, received)

    def test_only_a_tap_that_dials_from_its_pods_address_is_taken(self):
        registry = Registry(self, [Registry.pod("web-1", "10.99.1.1"), Registry.pod("web-2", "10.99.1.2")])
        collector = self.collector(*registry.options())
        collector.wait_log("following the addresses that the registry proves")
        self.assertEqual(registry.asked[0], ("GET", "/v1/identities/stream", "Bearer t0ken"))
        taps = [self.tap(1), self.tap(2)]
        for tap in taps:
            tap.wait_log("forwarding to sensor")
        # The third pod's tap says that it is the first pod.
        self.pods["web-3"] = self.attach("web3", "10.99.1.3")
        liar = PodTap(self.pods["web-3"], "web-1", "10.99.1.3", os.path.join(self.folder, "liar"))
        self.addCleanup(liar.kill)
        collector.wait_log('reason="other-address"')
        collector.wait_log("forwarding to sensor")
        for pod in (1, 2):
            self.send(pod, 0, 200)
        self.assertNotIn("forwarding to sensor", liar.log())
        liar.kill()
        self.finish(collector, taps, (1, 200), (2, 200))

    def test_a_tap_that_is_listed_late_is_kept_waiting(self):
        registry = Registry(self, [])
        collector = self.collector(*registry.options())
        collector.wait_log("following the addresses that the registry proves")
        tap = self.tap(1)
        registry.tell(Registry.pod("web-1", "10.99.1.1"))
        tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        self.assertNotIn("a tap is refused", collector.log())
        self.send(1, 0, 100)
        self.finish(collector, [tap], (1, 100))

    def test_a_pod_that_is_not_listed_is_refused_and_counted(self):
        registry = Registry(self, [Registry.pod("web-1", "10.99.1.1", to="2026-01-02T04:00:00.000Z")])
        collector = self.collector(*registry.options())
        collector.wait_log("following the addresses that the registry proves")
        tap = self.tap(1)
        collector.wait_log('reason="unlisted"')
        self.assertNotIn("forwarding to sensor", tap.log())

    def test_a_ca_that_is_none_is_refused_at_once(self):
        broken = pathlib.Path(self.folder) / "broken.pem"
        broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", encoding="ascii")
        process = self.collector_pod.popen(
            [f"{BINARIES}/sidetap-sidecar", "collect", "--sensor", SENSOR, "--registry", "127.0.0.1:1", "--registry-ca",
             str(broken)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("--registry-ca: ", said)

    def test_without_a_registry_that_answers_taps_are_admitted_on_their_word(self):
        collector = self.collector(*self.nowhere())
        collector.wait_log("no tap is proved")
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        collector.wait_log("admitted without proof")
        collector.wait_log("forwarding to sensor")
        self.send(1, 0, 100)
        self.finish(collector, [tap], (1, 100))

    def test_or_refused_if_the_operator_wants_that(self):
        collector = self.collector(*self.nowhere(), "--unproven", "refuse")
        collector.wait_log("no tap is proved")
        tap = self.tap(1)
        collector.wait_log('reason="registry"')
        self.assertNotIn("forwarding to sensor", tap.log())

    def test_what_was_proved_counts_while_the_registry_is_away(self):
        registry = Registry(self, [Registry.pod("web-1", "10.99.1.1")])
        collector = self.collector(*registry.options(), "--unproven", "refuse")
        collector.wait_log("following the addresses that the registry proves")
        registry.close()
        collector.wait_log("what it has proved counts")
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        self.send(1, 0, 100)
        self.finish(collector, [tap], (1, 100))


if __name__ == "__main__":
    unittest.main()
