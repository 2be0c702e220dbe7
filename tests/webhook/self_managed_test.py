#!/usr/bin/env python3
"""Certificates that the webhook keeps by itself, against an API server that speaks the real wire."""
import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import webhook as live
from json_server import JsonServer

SECRET = "/api/v1/namespaces/sidetap-system/secrets/sidetap-webhook-tls"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidetap-webhook"


class ApiServer(JsonServer):
    """Two objects with optimistic concurrency; who has no token gets 401."""

    def __init__(self, folder):
        self.lock = threading.Lock()
        self.version = 0
        self.objects = {}
        self.requests = []
        self.put(SECRET, {"metadata": {"name": "sidetap-webhook-tls", "namespace": "sidetap-system"}})
        self.put(CONFIGURATION, {"metadata": {"name": "sidetap-webhook"},
                                 "webhooks": [{"name": "a", "clientConfig": {"service": {"name": "x"}}}]})
        super().__init__(folder, self.answer)

    def put(self, path, thing):
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = thing

    def answer(self, method, path, headers, body):
        with self.lock:
            self.requests.append((method, path))
            if headers.get("Authorization") != "Bearer the-token":
                return 401, {"kind": "Status", "reason": "Unauthorized"}
            present = self.objects.get(path)
            if present is None:
                return 404, {"kind": "Status", "reason": "NotFound"}
            if method == "PUT":
                thing = json.loads(body)
                if thing["metadata"]["resourceVersion"] != present["metadata"]["resourceVersion"]:
                    return 409, {"kind": "Status", "reason": "Conflict"}
                self.put(path, thing)
            elif method == "PATCH":
                if headers.get("Content-Type") != "application/json-patch+json":
                    return 415, {"kind": "Status"}
                test, *changes = json.loads(body)
                if test["value"] != present["metadata"]["resourceVersion"]:
                    return 422, {"kind": "Status", "reason": "Invalid"}
                for change in changes:
                    index = int(change["path"].split("/")[2])
                    present["webhooks"][index]["clientConfig"]["caBundle"] = change["value"]
                self.put(path, present)
            return 200, self.objects[path]

    def bundle(self):
        with self.lock:
            encoded = self.objects[CONFIGURATION]["webhooks"][0]["clientConfig"].get("caBundle", "")
        return base64.b64decode(encoded).decode()


class SelfManaged(unittest.TestCase):
    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.api = ApiServer(self.secret.root / "ca1")
        self.addCleanup(self.api.close)
        self.account = self.secret.account("ca1")
        self.environment = live.environment_of_pod(self.api.port)

    def start(self, **more):
        webhook = live.Webhook(None, "--certs", "self-managed", "--service-account", self.account,
                               environment=self.environment, configuration=self.secret.configuration, **more)
        self.addCleanup(webhook.close)
        return webhook

    def serial(self, webhook):
        """As an API server: trusts the caBundle, asks for the Service's name."""
        context = ssl.create_default_context(cadata=self.api.bundle())
        with socket.create_connection(("127.0.0.1", webhook.review_port()), live.PATIENCE) as plain:
            with context.wrap_socket(plain, server_hostname="sidetap-webhook.sidetap-system.svc") as sock:
                return sock.getpeercert()["serialNumber"]

    def test_replicas_that_start_together_serve_one_certificate_that_api_servers_trust(self):
        replicas = [self.start(ready=False) for _ in range(3)]
        for replica in replicas:
            live.eventually(replica.ready, "ready")
        self.assertEqual(len({self.serial(replica) for replica in replicas}), 1)
        # Only the two objects that are its own.
        self.assertEqual({path for _, path in self.api.requests}, {SECRET, CONFIGURATION})
        for replica in replicas:
            self.assertEqual(replica.terminate(), 0)

    def test_it_is_not_ready_before_the_api_server_lets_it(self):
        (self.account / "token").write_text("another")
        webhook = self.start(ready=False)
        live.eventually(lambda: webhook.metric("sidetap_webhook_certificate_failures_total") >= 1, "it fails")
        self.assertFalse(webhook.ready())
        self.assertIsNone(webhook.review_port())
        (self.account / "token").write_text("the-token")
        live.eventually(webhook.ready, "ready")
        self.serial(webhook)

    def test_the_command_does_once_what_the_webhook_does(self):
        command = [live.PROGRAM, "certs", "--service-account", self.account]
        done = subprocess.run(command, env=self.environment, capture_output=True, check=True, text=True)
        self.assertIn("sidetap-webhook.sidetap-system.svc", done.stdout)
        self.assertIn("the caBundle is right", done.stdout)
        bundle = self.api.bundle()
        subprocess.run(command, env=self.environment, capture_output=True, check=True)
        self.assertEqual(self.api.bundle(), bundle)
        (self.account / "token").write_text("another")
        refused = subprocess.run(command, env=self.environment, capture_output=True, check=False, text=True)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("401", refused.stderr)

    def test_it_ends_in_order_while_the_api_server_refuses(self):
        (self.account / "token").write_text("another")
        webhook = self.start(ready=False)
        self.assertEqual(webhook.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
