"""A registry for the taps of a test: the webhook, without an API server."""
import json
import os
import subprocess

from tap_lab import BINARIES, wait_for


class Registry:
    """Takes every tap's word for the address that it comes from."""

    def __init__(self, test, namespace, address, configuration=None):
        """configuration: see configure(); None: the built-in defaults."""
        self.folder, self.address = test.folder, address
        self.log_path = self._path("webhook.log")
        self.ca = self._path("tls.crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=registry", "-addext", f"subjectAltName=IP:{address}",
                        "-keyout", self._path("tls.key"), "-out", self.ca], check=True, capture_output=True)
        arguments = []
        if configuration is not None:
            self._write(configuration)
            arguments = ["--config", self._path("configuration.json")]
        with open(self.log_path, "wb") as log:
            webhook = namespace.popen(
                [f"{BINARIES}/sidetap-webhook", "serve", "--listen", f"{address}:9443", "--tls-cert", self.ca,
                 "--tls-key", self._path("tls.key"), "--registry-listen", f"{address}:8444", "--registry-auth", "none",
                 "--status-listen", f"{address}:9090", *arguments], stdout=log, stderr=log)
        test.addCleanup(webhook.wait)
        test.addCleanup(webhook.kill)

    def options(self):
        """Those of a tap that uses it."""
        return "--registry", self.address, "--registry-ca", self.ca

    def configure(self, configuration):
        """Replaces the configuration, as the kubelet does. It is in force when this returns."""
        before = self._in_force()
        self._write(configuration)
        if not wait_for(lambda: self._in_force() > before):
            raise AssertionError(f"the configuration is not taken:\n{self.log()}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _in_force(self):
        return self.log().count("configuration in force")

    def _write(self, configuration):
        with open(self._path("configuration.new"), "w", encoding="utf-8") as file:
            json.dump(configuration, file)
        os.replace(self._path("configuration.new"), self._path("configuration.json"))

    def _path(self, name):
        return os.path.join(self.folder, name)
