#!/usr/bin/env python3
"""Certificates and configuration that change while the webhook serves."""
import base64
import json
import ssl
import subprocess
import unittest

import webhook as live


class Certificates(unittest.TestCase):
    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")

    def start(self, *options, **more):
        webhook = live.Webhook(self.secret, *options, **more)
        self.addCleanup(webhook.close)
        return webhook

    def serial(self, webhook, *trusted):
        client = live.Client(webhook.port, self.secret.trust(*trusted))
        try:
            client.admit()
            return client.serial()
        finally:
            client.close()

    def test_a_rotation_under_load_fails_nobody(self):
        self.secret.make("ca2")
        webhook = self.start()
        first = self.serial(webhook, "ca1")
        # The caBundle holds both while the leaf changes.
        both = self.secret.trust("ca1", "ca2")
        load = live.Load(lambda: [webhook.port], lambda: both)
        load.wait_for_more(200)
        for name in ("ca2", "ca1", "ca2"):
            reloads = webhook.metric("sidetap_webhook_certificate_reloads_total")
            self.secret.publish_made(name)
            live.eventually(lambda: webhook.metric("sidetap_webhook_certificate_reloads_total") > reloads,
                            "the new certificate is in place")
            load.wait_for_more(200)
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertNotEqual(self.serial(webhook, "ca2"), first)
        with self.assertRaises(ssl.SSLError):
            live.Client(webhook.port, self.secret.trust("ca1"))

    def test_a_bad_certificate_leaves_the_old_one(self):
        webhook = self.start()
        first = self.serial(webhook, "ca1")
        other = self.secret.make("ca2")
        certificate, key = (other / "tls.crt").read_bytes(), (other / "tls.key").read_bytes()
        old_key = (self.secret.root / "ca1/tls.key").read_bytes()
        for number, (crt, k) in enumerate(((b"garbage", key), (certificate, b""), (certificate, old_key)), 1):
            self.secret.publish({"tls.crt": crt, "tls.key": k})
            live.eventually(
                lambda n=number: webhook.metric("sidetap_webhook_certificate_reload_failures_total") >= n,
                "the failure is counted")
            self.assertEqual(self.serial(webhook, "ca1"), first)
            self.assertTrue(webhook.ready())
        self.secret.publish_made("ca2")
        live.eventually(lambda: webhook.metric("sidetap_webhook_certificate_reloads_total") == 2, "it recovers")
        self.assertNotEqual(self.serial(webhook, "ca2"), first)

    def test_with_an_expired_certificate_it_is_not_ready(self):
        folder = self.secret.root / "ca1"
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        subprocess.run(["openssl", "req", "-new", "-key", folder / "tls.key", "-subj", "/CN=x", "-out",
                        folder / "csr"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", folder / "csr", "-CA", folder / "ca.crt", "-CAkey",
                        folder / "ca.key", "-days", "-1", "-extfile", folder / "names", "-out", folder / "old.crt"],
                       check=True, capture_output=True)
        self.secret.publish({"tls.crt": (folder / "old.crt").read_bytes(),
                             "tls.key": (folder / "tls.key").read_bytes()})
        webhook = self.start(ready=False)
        self.assertEqual(webhook.status("/readyz")[0], 503)
        self.assertEqual(webhook.status("/healthz")[0], 200)
        self.secret.publish_made("ca1")
        live.eventually(webhook.ready, "ready with a good certificate")

    def test_client_certificates_are_asked_for_and_their_cas_followed(self):
        for name in ("clients", "others"):
            self.secret.make(name)
            self.secret.make_client(name)
        ca_of = lambda name: (self.secret.root / name / "ca.crt").read_bytes()
        self.secret.publish_made("ca1", ca_crt=ca_of("clients"))
        webhook = self.start("--client-ca", self.secret.mount / "ca.crt")

        def admitted(own):
            context = self.secret.trust("ca1")
            if own:
                context.load_cert_chain(self.secret.root / own / "client.crt", self.secret.root / own / "tls.key")
            client = None
            try:
                client = live.Client(webhook.port, context)
                client.admit()
                return True
            except OSError:
                return False
            finally:
                if client:
                    client.close()

        self.assertTrue(admitted("clients"))
        self.assertFalse(admitted("others"))
        self.assertFalse(admitted(None))
        self.secret.publish_made("ca1", ca_crt=ca_of("others"))
        live.eventually(lambda: admitted("others"), "the new client CA holds")
        self.assertFalse(admitted("clients"))

    def test_a_configuration_is_followed_and_a_bad_one_refused(self):
        material = {name: (self.secret.root / "ca1" / name).read_bytes() for name in ("tls.crt", "tls.key")}
        self.secret.publish({**material, "config.yaml": b"sensor: {address: 192.0.2.1}\n"})
        webhook = self.start("--config", self.secret.mount / "config.yaml")
        self.assertEqual(webhook.metric("sidetap_webhook_config_generation"), 1)
        self.secret.publish({**material, "config.yaml": b"a: [unclosed\n"})
        live.eventually(lambda: webhook.metric("sidetap_webhook_config_reload_failures_total") == 1, "it is refused")
        self.serial(webhook, "ca1")
        self.secret.publish({**material, "config.yaml": b"sensor: {address: 192.0.2.2}\n"})
        live.eventually(lambda: webhook.metric("sidetap_webhook_config_generation") == 2, "the new one is in force")

    def test_files_that_cannot_be_read_for_a_while_are_followed_on(self):
        folder = self.secret.root / "plain"
        folder.mkdir()
        config = folder / "config.yaml"
        config.write_text("sensor: {address: 192.0.2.1}\n")
        webhook = self.start(configuration=config)
        config.unlink()
        config.mkdir()
        live.eventually(lambda: webhook.metric("sidetap_webhook_config_reload_failures_total") == 1, "it is refused")
        config.rmdir()
        config.write_text("sensor: {address: 192.0.2.2}\n")
        live.eventually(lambda: webhook.metric("sidetap_webhook_config_generation") == 2, "the new one is in force")
        self.secret.publish_made("ca1")
        self.secret.make("ca2")
        self.secret.publish_made("ca2")
        live.eventually(lambda: webhook.metric("sidetap_webhook_certificate_reloads_total") == 2, "so are certificates")

    REGISTRY = "sensor: {address: 192.0.2.1}\nregistry: {address: registry.example.com, auth: none}\n"

    def authority(self, name):
        return (self.secret.root / name / "ca.crt").read_text()

    def given_authority(self, webhook):
        """REGISTRY_CA of a new pod's tap."""
        client = live.Client(webhook.port, self.secret.trust("ca1"))
        try:
            patch = json.loads(base64.b64decode(client.admit()["patch"]))
        finally:
            client.close()
        tap = next(step["value"] for step in patch if "/containers/" in step["path"])
        return next(variable["value"] for variable in tap["env"] if variable["name"] == "REGISTRY_CA")

    def test_a_bad_authority_of_the_registry_leaves_the_old_one(self):
        self.secret.make("ca2")
        file, config = self.secret.root / "registry.crt", self.secret.root / "registry.yaml"
        file.write_text(self.authority("ca1"))
        config.write_text(self.REGISTRY)
        webhook = self.start("--registry-ca", file, configuration=config)
        self.assertEqual(self.given_authority(webhook), self.authority("ca1"))
        other = self.authority("ca2")
        for number, text in enumerate(("garbage\n", "", other[:len(other) // 2], "", other + other.replace("M", "%")), 1):
            file.write_text(text)
            live.eventually(lambda n=number: webhook.metric("sidetap_webhook_config_reload_failures_total") >= n,
                            "the failure is counted")
            self.assertEqual(self.given_authority(webhook), self.authority("ca1"))
            self.assertEqual(len(webhook.logged("new CA of the registry refused; the old one stays in use")), number)
        file.write_text(other)
        live.eventually(lambda: self.given_authority(webhook) == other, "a good one takes its place")

    def test_a_registry_without_an_authority_does_not_start(self):
        file, config = self.secret.root / "registry.crt", self.secret.root / "registry.yaml"
        config.write_text(self.REGISTRY)
        for text, options, reason in (("", ["--registry-ca", file], "registry.crt"),
                                      ("garbage", ["--registry-ca", file], "registry.crt"),
                                      ("", [], "--registry-ca")):
            file.write_text(text)
            done = subprocess.run([live.PROGRAM, "serve", "--config", config, "--tls-cert", self.secret.mount / "tls.crt",
                                   "--tls-key", self.secret.mount / "tls.key", *options],
                                  capture_output=True, text=True, timeout=live.PATIENCE)
            self.assertEqual(done.returncode, 2, done.stderr)
            errors = [event for event in map(json.loads, done.stderr.splitlines()) if event["level"] == "error"]
            self.assertEqual(len(errors), 1, done.stderr)
            self.assertIn(reason, errors[0]["reason"])

    def test_without_a_usable_certificate_it_does_not_start(self):
        self.secret.publish({"tls.crt": b"garbage", "tls.key": b"garbage"})
        with self.assertRaisesRegex(AssertionError, "cannot start"):
            self.start()

    def test_with_an_unusable_configuration_it_does_not_start(self):
        wrong = self.secret.root / "wrong.yaml"
        wrong.write_text("sidecar: {container: {terminationMessagePolicy: file}}\n")
        files = ["--tls-cert", self.secret.mount / "tls.crt", "--tls-key", self.secret.mount / "tls.key"]
        done = subprocess.run([live.PROGRAM, "serve", "--config", wrong, *files],
                              capture_output=True, text=True, timeout=live.PATIENCE)
        self.assertEqual(done.returncode, 2)
        self.assertIn("terminationMessagePolicy", done.stderr)
        self.assertIn("FallbackToLogsOnError", done.stderr)


if __name__ == "__main__":
    unittest.main()
