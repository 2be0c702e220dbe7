"""What a collector may still do once it runs, and that this is all it needs."""
import os
import shutil
import unittest

from collector_lab import COLLECTOR, CollectorTest, wait_for
from tap_lab import assert_given_up


class Sandbox(CollectorTest):
    def forward(self, collector, tap):
        """With everything that a collector does only later: accept, shake hands, dial the sensor, tell its metrics."""
        tap.wait_log("forwarding to sensor")
        collector.wait_log("forwarding to sensor")
        self.send(1, 0, 100)
        self.collector_pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        threads = collector.threads()
        tap.stop()
        ledger, received = collector.stop()
        self.sensor_program.stop()
        self.assert_all_once((1, 100))
        self.assert_balanced(ledger, received)
        for warning in ("cannot drop", "without a sandbox", "not permitted"):
            self.assertNotIn(warning, collector.log())
        return threads

    def setUp(self):
        super().setUp()
        self.sensor_program = self.sensor()

    def test_root_with_every_right_gives_all_up(self):
        collector = self.collector("--status-listen", ":15920")
        assert_given_up(self, self.forward(collector, self.tap(1)))

    def test_it_is_left_off_where_that_is_wanted(self):
        collector = self.collector("--status-listen", ":15920", "--sandbox", "off")
        for thread in self.forward(collector, self.tap(1)):
            self.assertNotEqual(int(thread["CapEff"], 16), 0, thread["Name"])

    def test_streams_with_tls_and_a_certificate_that_is_renewed(self):
        self.pods["web-1"] = self.attach("web1", "10.99.1.1")
        files = self.certificate()
        collector = self.collector("--status-listen", ":15920", "--data", "tcp", "--tap-tls-cert", files["tls.pem"],
                                   "--tap-tls-key", files["tls.key"])
        former = os.path.join(self.folder, "former.pem")
        shutil.copyfile(files["ca.pem"], former)
        self.assertTrue(self.serves(former))
        self.certificate()  # of a new CA, in the same files
        # The key comes first: meanwhile the two do not fit, which is told, and no reason to stop.
        self.assertTrue(wait_for(lambda: self.serves(files["ca.pem"]), 60), collector.log())
        self.assertFalse(self.serves(former))
        tap = self.tap(1, "--sensor-tls", "client", "--sensor-tls-ca", files["ca.pem"], "--sensor-tls-name", "collector")
        assert_given_up(self, self.forward(collector, tap))

    def serves(self, authority):
        """Whether the collector's certificate is of this CA; openssl says so with its exit code."""
        try:
            self.pods["web-1"].run("openssl", "s_client", "-connect", f"{COLLECTOR}:2003", "-CAfile", authority,
                                   "-verify_return_error", "-brief", text="")
        except RuntimeError:
            return False
        return True

    def test_a_sensor_that_comes_late_is_dialled(self):
        self.sensor_program.stop()
        collector = self.collector("--status-listen", ":15920")
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        collector.wait_log("no session with sensor")
        self.sensor_program = self.sensor()
        assert_given_up(self, self.forward(collector, tap))


if __name__ == "__main__":
    unittest.main()
