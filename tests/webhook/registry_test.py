#!/usr/bin/env python3
"""The registry as the program serves it: its own port and limits, apart from the reviews."""
import base64
import http.client
import json
import os
import socket
import sys
import threading
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import webhook as live
from json_server import JsonServer
from web_socket import TEXT, frame, request, until


def hello(address, forwarding=False):
    return frame(TEXT, b'{"type":"hello","version":1,"addresses":["%s"],"forwarding":%s}' %
                 (address.encode(), b"true" if forwarding else b"false"), masked=True)


class Registry(unittest.TestCase):
    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")
        self.context = self.secret.trust("ca1")
        self.webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0", "--registry-auth", "none",
                                    "--registry-ca", self.secret.root / "ca1/ca.crt")
        self.addCleanup(self.webhook.close)
        self.port = self.webhook.port_of("serving the registry of taps")

    def tap(self, context=None):
        plain = socket.create_connection(("127.0.0.1", self.port), live.PATIENCE)
        sock = (context or self.context).wrap_socket(plain, server_hostname="127.0.0.1")
        self.addCleanup(sock.close)
        sock.sendall(request("/v1/taps"))
        return sock

    def test_taps_hear_of_each_other_and_of_the_authority(self):
        first = self.tap()
        until(first, b" 101 ")
        first.sendall(hello("10.0.0.1", forwarding=True))
        until(first, b"BEGIN CERTIFICATE")
        live.eventually(lambda: self.webhook.metric("sidetap_registry_addresses") == 1, "it is listed")
        second = self.tap()
        second.sendall(hello("10.0.0.2"))
        until(second, b'"taps":["10.0.0.1"]')
        first.close()
        until(second, b'"remove":["10.0.0.1"]')

    def test_its_certificate_is_followed(self):
        self.secret.make("ca2")
        self.secret.publish_made("ca2")
        live.eventually(lambda: self.webhook.metric("sidetap_webhook_certificate_reloads_total") == 2, "the reload")
        until(self.tap(self.secret.trust("ca2")), b" 101 ")

    def test_taps_need_no_client_certificate_where_api_servers_do(self):
        webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0", "--registry-auth", "none",
                               "--client-ca", self.secret.root / "ca1/ca.crt")
        self.addCleanup(webhook.close)
        self.port = webhook.port_of("serving the registry of taps")
        until(self.tap(), b" 101 ")
        with self.assertRaises(OSError):
            live.Client(webhook.port, self.context).admit()

    def test_open_connections_do_not_hold_the_end_up(self):
        taps = [self.tap() for _ in range(20)]
        for tap in taps:
            until(tap, b" 101 ")
        self.assertEqual(self.webhook.terminate(), 0)

    def test_reviews_and_health_are_answered_though_taps_take_every_file_that_they_may(self):
        webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0", "--registry-auth", "none",
                               most_files=256)
        self.addCleanup(webhook.close)
        port = webhook.port_of("serving the registry of taps")
        for host in range(2, 8):
            for _ in range(50):
                sock = socket.create_connection(("127.0.0.1", port), live.PATIENCE, (f"127.0.0.{host}", 0))
                self.addCleanup(sock.close)
        live.eventually(lambda: webhook.metric("sidetap_registry_refused_total") > 0, "some are too many")
        clients = [live.Client(webhook.port, self.context) for _ in range(20)]
        for client in clients:
            client.admit()
            client.close()


class Profiles(unittest.TestCase):
    """A running tap is told what the configuration says now."""

    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")
        self.configure(1, "not port 1")
        self.webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0", "--registry-auth", "none")
        self.addCleanup(self.webhook.close)

    def configure(self, generation, words):
        new = self.secret.configuration.with_suffix(".new")
        new.write_text(json.dumps({"generation": generation, "sensor": {"address": "192.0.2.1"},
                                   "sidecar": {"filter": words}}))
        new.rename(self.secret.configuration)

    def tap(self):
        plain = socket.create_connection(("127.0.0.1", self.webhook.port_of("serving the registry of taps")),
                                         live.PATIENCE)
        sock = self.secret.trust("ca1").wrap_socket(plain, server_hostname="127.0.0.1")
        self.addCleanup(sock.close)
        sock.sendall(request("/v1/taps"))
        until(sock, b" 101 ")
        sock.sendall(frame(TEXT, b'{"type":"hello","version":1,"rules":2,"control":["sensors","filter"],'
                           b'"addresses":["10.0.0.1"],"forwarding":false}', masked=True))
        return sock

    @staticmethod
    def settings(sock):
        """The next settings: nothing else that is sent has two levels."""
        text = until(sock, b"}}").decode(errors="replace")
        begin = text.rindex("{", 0, text.index('"settings"'))
        return json.JSONDecoder().raw_decode(text[begin:])[0]

    def test_a_running_tap_is_told_a_new_configuration_within_two_seconds(self):
        tap = self.tap()
        told = self.settings(tap)
        self.assertEqual((told["type"], told["generation"], told["profile"]), ("settings", 1, ""))
        self.assertEqual(told["values"]["FILTER"], "not port 1")
        self.assertEqual(self.webhook.metric("sidetap_configuration_generation"), 1)
        self.configure(2, "not port 2")
        changed = time.monotonic()
        told = self.settings(tap)
        self.assertLess(time.monotonic() - changed, 2)
        self.assertEqual((told["generation"], told["values"]["FILTER"]), (2, "not port 2"))
        self.assertEqual(self.webhook.metric("sidetap_configuration_generation"), 2)

    def test_a_configuration_that_is_refused_is_not_told(self):
        tap = self.tap()
        self.settings(tap)
        self.configure(2, "no filter (")
        live.eventually(lambda: self.webhook.metric("sidetap_webhook_config_reload_failures_total") == 1, "it is refused")
        self.configure(3, "not port 3")
        self.assertEqual(self.settings(tap)["generation"], 3)


class WrongCa(unittest.TestCase):
    """Shown once: a CA that has not signed the registry's certificate. Whoever took it over could not connect again,
    and not hear the correction."""

    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")
        self.secret.make("other")
        self.ca = self.secret.root / "registry-ca.crt"
        self.show("ca1")
        self.secret.configuration.write_text("sensor: {address: 192.0.2.1}\nregistry: {address: 192.0.2.2:8444}\n")
        self.webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0", "--registry-auth", "none",
                                    "--registry-ca", self.ca)
        self.addCleanup(self.webhook.close)

    def text(self, *names):
        return "".join((self.secret.root / name / "ca.crt").read_text() for name in names)

    def show(self, *names):
        new = self.ca.with_suffix(".new")
        new.write_text(self.text(*names))
        new.rename(self.ca)

    def tap(self, name):
        plain = socket.create_connection(("127.0.0.1", self.webhook.port_of("serving the registry of taps")),
                                         live.PATIENCE)
        sock = self.secret.trust(name).wrap_socket(plain, server_hostname="127.0.0.1")
        self.addCleanup(sock.close)
        sock.sendall(request("/v1/taps"))
        until(sock, b" 101 ")
        sock.sendall(hello("10.0.0.1"))
        return sock

    @staticmethod
    def on_the_wire(text):
        return json.dumps(text).strip('"').encode()

    def injected(self):
        client = live.Client(self.webhook.port, self.secret.trust("ca1", "other"))
        response = client.admit()
        client.close()
        return base64.b64decode(response["patch"])

    def test_it_is_neither_told_nor_injected(self):
        good, wrong = self.on_the_wire(self.text("ca1")), self.on_the_wire(self.text("other"))
        tap = self.tap("ca1")
        until(tap, good)
        self.assertIn(good, self.injected())
        self.show("other")
        live.eventually(lambda: self.webhook.metric("sidetap_webhook_config_reload_failures_total") == 1, "it is refused")
        self.assertIn(good, self.injected())
        self.assertNotIn(wrong, self.injected())
        self.assertNotIn(wrong, until(self.tap("ca1"), good))
        self.show("ca1", "other")
        both = self.on_the_wire(self.text("ca1", "other"))
        self.assertEqual(until(tap, both).count(wrong), 1)
        live.eventually(lambda: both in self.injected(), "it is injected")

    def test_a_new_ca_waits_for_the_certificate(self):
        self.show("other")
        live.eventually(lambda: self.webhook.metric("sidetap_webhook_config_reload_failures_total") == 1, "it is refused")
        self.secret.publish_made("other")
        other = self.on_the_wire(self.text("other"))
        live.eventually(lambda: other in self.injected(), "it is injected")
        until(self.tap("other"), other)


class WithApiServer(unittest.TestCase):
    """The registry asks an API server of the test's own, which answers with `answer`."""

    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")
        self.api = JsonServer(self.secret.root / "ca1", self.answer)
        self.addCleanup(self.api.close)
        self.webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0",
                                    "--service-account", self.secret.account("ca1"),
                                    environment=live.environment_of_pod(self.api.port))
        self.addCleanup(self.webhook.close)
        self.port = self.webhook.port_of("serving the registry of taps")
        self.context = self.secret.trust("ca1")

    def answer(self, _method, path, _headers, body):
        if path != "/apis/authentication.k8s.io/v1/tokenreviews":
            return 404, {}
        if json.loads(body)["spec"]["token"] != "good":
            return 201, {"status": {"authenticated": False}}
        extra = {"authentication.kubernetes.io/pod-name": ["web-1"], "authentication.kubernetes.io/pod-uid": ["u-1"]}
        return 201, {"status": {"authenticated": True, "audiences": ["sidetap"], "user": {
            "username": "system:serviceaccount:shop:default", "extra": extra}}}

    def tap(self, source, token):
        plain = socket.create_connection(("127.0.0.1", self.port), live.PATIENCE, (source, 0))
        sock = self.context.wrap_socket(plain, server_hostname="127.0.0.1")
        self.addCleanup(sock.close)
        sock.sendall(request("/v1/taps", token=token))
        return sock


class BogusTokens(WithApiServer):
    """The API server is slow, and two addresses present many tokens that are none."""

    def setUp(self):
        self.released = threading.Event()
        self.addCleanup(self.released.set)
        self.lock = threading.Lock()
        self.reviewed = []
        super().setUp()

    def answer(self, method, path, headers, body):
        if path == "/apis/authentication.k8s.io/v1/tokenreviews":
            self.released.wait(live.PATIENCE)
            with self.lock:
                self.reviewed.append(json.loads(body)["spec"]["token"])
        return super().answer(method, path, headers, body)

    def test_a_tap_of_another_address_has_its_turn_soon(self):
        for number in range(50):
            for host in (2, 3):
                self.tap(f"127.0.0.{host}", f"bogus-{host}-{number}")
        honest = self.tap("127.0.0.1", "good")
        live.eventually(lambda: self.webhook.metric("sidetap_registry_checks_waiting") == 97, "all but four wait")
        self.released.set()
        until(honest, b" 101 ")
        with self.lock:
            self.assertLess(self.reviewed.index("good"), 10)
        live.eventually(lambda: self.webhook.metric("sidetap_registry_checks_waiting") == 0, "nobody waits")
        live.eventually(lambda: self.webhook.metric("sidetap_registry_check_wait_seconds_count") == 101, "measured")


class Identities(WithApiServer):
    """Who may ask is told which pod has an address; a client that knows HTTP only reads it."""

    def answer(self, method, path, headers, body):
        spec = json.loads(body)["spec"] if body else {}
        if path == "/apis/authorization.k8s.io/v1/subjectaccessreviews":
            return 201, {"status": {"allowed": spec["user"] == "reader"}}
        if path == "/apis/authentication.k8s.io/v1/tokenreviews" and "audiences" not in spec:
            known = spec["token"] in ("reader", "stranger")
            return 201, {"status": {"authenticated": known, "user": {"username": spec["token"]} if known else {}}}
        return super().answer(method, path, headers, body)

    def get(self, path, token=None):
        """Status, kind and text of the answer."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=live.PATIENCE)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type"), answer.read().decode()
        finally:
            connection.close()

    def test_who_may_ask_is_told_which_pod_has_an_address(self):
        tap = self.tap("127.0.0.1", "good")
        until(tap, b" 101 ")
        tap.sendall(hello("127.0.0.1", forwarding=True))
        live.eventually(lambda: self.webhook.metric("sidetap_registry_addresses") == 1, "it is listed")
        question = "/v1/identities?address=127.0.0.1"
        for token, status in ((None, 401), ("bogus", 401), ("good", 401), ("stranger", 403)):
            self.assertEqual(self.get(question, token)[0], status, token)
        status, kind, text = self.get(question, "reader")
        self.assertEqual((status, kind), (200, "application/json"))
        told = json.loads(text)
        self.assertEqual((told["state"], told["holder"]["namespace"], told["holder"]["pod"], told["holder"]["uid"]),
                         ("held", "shop", "web-1", "u-1"))
        taps = json.loads(self.get("/v1/taps", "reader")[2])["taps"]
        self.assertEqual([(pod["ip"], pod["forwarding"]) for pod in taps], [(["127.0.0.1"], True)])
        status, kind, text = self.get("/v1/identities", "reader")
        self.assertEqual((status, kind), (200, "application/x-ndjson"))
        self.assertEqual([json.loads(line)["pod"] for line in text.splitlines()], ["web-1"])

    def test_open_streams_do_not_hold_the_end_up(self):
        for _ in range(3):
            plain = socket.create_connection(("127.0.0.1", self.port), live.PATIENCE)
            sock = self.context.wrap_socket(plain, server_hostname="127.0.0.1")
            self.addCleanup(sock.close)
            sock.sendall(b"GET /v1/identities/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader\r\n\r\n")
            until(sock, b'"position"')
        self.assertEqual(self.webhook.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
