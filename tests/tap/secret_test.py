"""TLS and the password towards a sensor come from a Secret that the kubelet mounts, and updates in place."""
import os
import re
import shutil
import subprocess
import unittest

from tap_lab import NODE, TapTest, wait_for


class Secret:
    """A folder as the kubelet keeps it: each file a link through ..data, which is renamed to the newest version."""

    def __init__(self, folder):
        self.folder = folder
        self.version = 0
        os.mkdir(folder)
        self.set({})

    def set(self, files):
        previous, self.version = f"..{self.version}", self.version + 1
        newest = f"..{self.version}"
        os.mkdir(os.path.join(self.folder, newest))
        for name, content in files.items():
            with open(os.path.join(self.folder, newest, name), "w", encoding="ascii") as file:
                file.write(content)
        os.symlink(newest, os.path.join(self.folder, "..data_tmp"))
        os.rename(os.path.join(self.folder, "..data_tmp"), os.path.join(self.folder, "..data"))
        for name in files:
            if not os.path.islink(os.path.join(self.folder, name)):
                os.symlink(os.path.join("..data", name), os.path.join(self.folder, name))
        for name in os.listdir(self.folder):
            if not name.startswith("..") and name not in files:
                os.remove(os.path.join(self.folder, name))
        shutil.rmtree(os.path.join(self.folder, previous), ignore_errors=True)


class SensorSecret(TapTest):
    def setUp(self):
        super().setUp()
        self.certificates = os.path.join(self.folder, "certificates")
        os.mkdir(self.certificates)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                     "/CN=test CA", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))
        with open(self.path("sensor.ext"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName=IP:{NODE}\n")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=sensor",
                     "-keyout", self.path("sensor.key"), "-out", self.path("sensor.csr"))
        self.openssl("x509", "-req", "-in", self.path("sensor.csr"), "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"),
                     "-CAcreateserial", "-days", "1", "-extfile", self.path("sensor.ext"), "-out", self.path("sensor.pem"))
        self.secret = Secret(os.path.join(self.folder, "secret"))

    def path(self, name):
        return os.path.join(self.certificates, name)

    def text(self, name):
        with open(self.path(name), encoding="ascii") as file:
            return file.read()

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def start(self):
        sensor = self.sensor("--data", "tcp", "--tls", "server", "--tls-cert", self.path("sensor.pem"), "--tls-key",
                             self.path("sensor.key"), "--user", "tap", "--password", "right")
        tap = self.tap("--sensor-tls", "client", "--sensor-secret-dir", self.secret.folder, "--status-listen", ":15920")
        return sensor, tap

    def attempts(self):
        """That failed for want of a file."""
        metrics = self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        found = re.search(r'^sidetap_session_ends_total\{kind="secret"\} (\d+)', metrics, re.MULTILINE)
        return int(found.group(1)) if found else 0

    def check_that_packets_arrive(self, sensor, tap):
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50)
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(50)}, tap.log())
        self.assert_balanced(ledger)

    def test_a_secret_that_comes_later_is_used_without_a_restart(self):
        sensor, tap = self.start()
        tap.wait_log("holds no file of a Secret")
        self.assertTrue(wait_for(lambda: self.attempts() >= 3), tap.log())
        self.assertEqual(tap.log().count("no session with sensor"), 1, "more attempts are no news:\n" + tap.log())
        self.secret.set({"ca.crt": self.text("ca.pem"), "username": "tap\n", "password": "right\n"})
        self.check_that_packets_arrive(sensor, tap)
        self.assertNotIn("without a sandbox", tap.log())

    def test_a_wrong_password_is_corrected_in_place(self):
        self.secret.set({"ca.crt": self.text("ca.pem"), "username": "tap", "password": "wrong"})
        sensor, tap = self.start()
        tap.wait_log("no session with sensor")
        self.assertNotIn("forwarding to sensor", tap.log())
        self.secret.set({"ca.crt": self.text("ca.pem"), "username": "tap", "password": "right"})
        self.check_that_packets_arrive(sensor, tap)

    def test_each_missing_file_is_named(self):
        self.secret.set({"username": "tap", "password": "right"})
        sensor, tap = self.start()
        tap.wait_log("secret/ca.crt is missing")
        self.secret.set({"ca.crt": self.text("ca.pem"), "username": "tap"})
        tap.wait_log("secret/password is missing")
        self.secret.set({"ca.crt": self.text("ca.pem"), "username": "tap", "password": "right"})
        self.check_that_packets_arrive(sensor, tap)


if __name__ == "__main__":
    unittest.main(verbosity=2)
