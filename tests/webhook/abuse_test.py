#!/usr/bin/env python3
"""What a client does wrong is answered or closed; nothing leaks and the process lives."""
import json
import shutil
import socket
import ssl
import subprocess
import unittest

import webhook as live


class PartialRecord:
    """A TLS connection on which a record is sent in pieces."""

    def __init__(self, port, context):
        self.socket = socket.create_connection(("127.0.0.1", port), live.PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.until_done(self.tls.do_handshake)

    def until_done(self, step):
        while True:
            try:
                result = step()
                self.socket.sendall(self.outgoing.read())
                return result
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.incoming.write(self.socket.recv(65536))

    def sealed(self, data):
        self.tls.write(data)
        return self.outgoing.read()

    def read(self):
        return self.until_done(lambda: self.tls.read(65536))


class Abuse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.secret = live.Secret()
        cls.secret.publish_made("ca1")
        # One thread: whoever holds it up is seen by all.
        cls.webhook = live.Webhook(cls.secret, "--threads", "1")
        cls.context = cls.secret.trust("ca1")
        live.Client(cls.webhook.port, cls.context).close()
        live.eventually(lambda: cls.webhook.metric("sidetap_webhook_connections") == 0, "idle")
        cls.files = cls.webhook.files()

    @classmethod
    def tearDownClass(cls):
        cls.webhook.close()
        cls.secret.close()

    def tearDown(self):
        client = live.Client(self.webhook.port, self.context)
        client.admit("after")
        client.close()
        live.eventually(lambda: self.webhook.metric("sidetap_webhook_connections") == 0, "no connection is left")
        live.eventually(lambda: self.webhook.files() <= self.files, "no descriptor is left")
        self.assertEqual(self.webhook.metric("sidetap_webhook_requests_in_flight"), 0)
        self.assertTrue(self.webhook.alive())

    def post(self, body, **more):
        client = live.Client(self.webhook.port, self.context)
        try:
            return client.post(body, **more)
        finally:
            client.close()

    def raw(self, data):
        """Sends bytes, gives what comes until the end."""
        sock = self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.webhook.port), live.PATIENCE),
                                        server_hostname="127.0.0.1")
        with sock:
            try:
                sock.sendall(data)
            except OSError:
                pass
            received = b""
            try:
                while piece := sock.recv(65536):
                    received += piece
            except (ConnectionError, ssl.SSLError):
                pass
            return received

    def test_reviews_are_answered(self):
        client = live.Client(self.webhook.port, self.context)
        for number in range(20):
            response = client.admit(f"u-{number}")
            self.assertIn("patch", response)
            self.assertEqual(response["patchType"], "JSONPatch")
        client.close()

    def test_wrong_path_method_and_type(self):
        self.assertEqual(self.post(live.review(), path="/mutate")[0], 404)
        self.assertEqual(self.post(live.review(), content_type="text/plain")[0], 415)
        self.assertEqual(self.post(live.review(), content_type=None)[0], 415)
        answer = self.raw(b"GET /inject/pod HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 405 "), answer)
        self.assertIn(b"Allow: POST", answer)

    def test_what_is_no_review_is_a_400_with_a_reason(self):
        for body in (b"", b"{", b"null", b"[]", b"{}", b'"text"', b"\x00\x01\x02", b'{"kind":"Pod"}',
                     live.review()[:-10], live.review() + b"}", b"\xff\xfe" + live.review(),
                     live.review().replace(b"web-", b"web-\xff\xc0\x80")):
            status, text = self.post(body)
            self.assertEqual(status, 400, body[:60])
            self.assertGreater(len(text), 5)

    def test_deep_nesting(self):
        for depth in (1_000, 100_000, 1_000_000):
            for left, right in ((b"[", b"]"), (b'{"a":', b"}")):
                status, _ = self.post(left * depth + b"1" + right * depth)
                self.assertEqual(status, 400)
        deep = {"spec": {}}
        text = live.review(pod={"metadata": {}, "spec": {"containers": [], "x": "DEEP"}})
        text = text.replace(b'"DEEP"', b"[" * 200_000 + b"]" * 200_000)
        self.assertIn(self.post(text)[0], (200, 400), deep)

    def test_a_large_review_is_served_and_a_larger_one_refused(self):
        pod = {"metadata": {"annotations": {"sidetap.io/inject": "true", "large": "x" * (9 << 20)}},
               "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
        self.assertEqual(self.post(live.review(pod=pod))[0], 200)
        head = b"POST /inject/pod HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.assertTrue(self.raw(head % (11 << 20)).startswith(b"HTTP/1.1 413 "))
        self.assertTrue(self.raw(head % (11 << 20) + b"x" * (2 << 20)).startswith(b"HTTP/1.1 413 "))

    def test_curl_with_a_large_body_waits_for_continue(self):
        if not shutil.which("curl"):
            self.skipTest("no curl")
        pod = {"metadata": {"annotations": {"sidetap.io/inject": "true", "large": "x" * (2 << 20)}},
               "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
        done = subprocess.run(
            ["curl", "-sS", "--cacert", self.secret.root / "ca1/ca.crt", "-H", "Content-Type: application/json",
             "-H", "Expect: 100-continue", "--data-binary", "@-", "-w", "%{http_code}", "-o", "/dev/null",
             f"https://127.0.0.1:{self.webhook.port}/inject/namespace"],
            input=live.review(pod=pod), capture_output=True, check=True)
        self.assertEqual(done.stdout, b"200")

    def test_smuggled_requests_are_not_answered(self):
        inner = b"POST /inject/pod HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        for shape in (b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(inner) + 5),
                      b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
                      b"Transfer-Encoding: identity\r\n\r\n",
                      b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
                      b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(inner),
                      b"Content-Length: 0,%d\r\n\r\n" % len(inner)):
            answer = self.raw(b"POST /inject/pod HTTP/1.1\r\nHost: x\r\n" + shape + inner)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, shape)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)

    def test_connections_that_end_at_any_byte(self):
        request = (b"POST /inject/pod HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                   b"Content-Length: 50\r\n\r\n" + b"x" * 50)
        for end in range(0, len(request), 7):
            sock = self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.webhook.port)),
                                            server_hostname="127.0.0.1")
            sock.sendall(request[:end])
            sock.close()

    def test_bytes_that_are_no_tls(self):
        for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x40\x00" + b"\xff" * 100, bytes(1000)):
            with socket.create_connection(("127.0.0.1", self.webhook.port), live.PATIENCE) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                try:
                    while sock.recv(4096):
                        pass
                except ConnectionError:
                    pass

    def test_old_tls_is_refused(self):
        if not shutil.which("openssl"):
            self.skipTest("no openssl")
        for version, works in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{self.webhook.port}", version, "-cipher",
                 "DEFAULT@SECLEVEL=0", "-CAfile", self.secret.root / "ca1/ca.crt", "-verify_return_error"],
                input=b"", capture_output=True, check=False)
            self.assertEqual(done.returncode == 0, works, version)

    def test_a_slow_client_does_not_hold_others_up(self):
        slow = [self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.webhook.port)),
                                         server_hostname="127.0.0.1") for _ in range(200)]
        for sock in slow:
            sock.sendall(b"POST /inject/pod HTTP/1.1\r\nHost:")
        client = live.Client(self.webhook.port, self.context)
        for number in range(50):
            client.admit(f"u-{number}")
        client.close()
        for sock in slow:
            sock.close()

    def test_part_of_a_record_holds_nobody_up(self):
        partial = PartialRecord(self.webhook.port, self.context)
        record = partial.sealed(b"GET /inject/pod HTTP/1.1\r\nHost: x\r\n\r\n")
        for start, end in ((0, 1), (1, 5), (5, 20)):
            partial.socket.sendall(record[start:end])
            client = live.Client(self.webhook.port, self.context)
            client.admit()
            client.close()
        partial.socket.sendall(record[20:])
        self.assertTrue(partial.read().startswith(b"HTTP/1.1 405 "))
        partial.socket.close()

    def test_many_large_bodies_that_stall_do_not_take_the_memory(self):
        head = b"POST /inject/pod HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        slow = [self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.webhook.port)),
                                         server_hostname="127.0.0.1") for _ in range(60)]
        refused = self.webhook.metric("sidetap_webhook_requests_overloaded_total")
        for sock in slow:
            try:
                sock.sendall(head % (10 << 20) + bytes(9 << 20))
            except OSError:  # A refused one may be closed before it has sent all.
                pass
        self.assertLess(self.webhook.resident_bytes(), 200 << 20)
        self.assertGreater(self.webhook.metric("sidetap_webhook_requests_overloaded_total"), refused)
        client = live.Client(self.webhook.port, self.context)
        client.admit("while others stall")
        client.close()
        for sock in slow:
            sock.close()

    def test_a_pod_of_millions_of_containers_does_not_take_the_memory(self):
        start, end = (b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE",'
                      b'"object":{"spec":{"containers":[0', b"]}}}}")
        client = live.Client(self.webhook.port, self.context)
        client.post(start + b",0" * (((10 << 20) - len(start + end)) // 2) + end)
        client.close()
        self.assertLess(self.webhook.resident_peak_bytes(), 300 << 20)

    def test_a_refusal_is_logged_with_its_reason(self):
        webhook = live.Webhook(self.secret)
        self.addCleanup(webhook.close)
        client = live.Client(webhook.port, self.context)
        self.assertEqual(client.post(live.review(), path="/mutate")[0], 404)
        self.assertEqual(client.post(live.review(), content_type="text/plain")[0], 415)
        self.assertEqual(client.post(b'{"kind":"Pod"}')[0], 400)
        client.connection.request("GET", "/inject/pod")
        self.assertEqual(client.connection.getresponse().status, 405)
        client.close()
        live.eventually(lambda: len(webhook.logged("request refused")) == 4, "the log lines")
        for event, (status, reason) in zip(webhook.logged("request refused"), (
                (404, "/inject/namespace"), (415, "application/json"), (400, "AdmissionReview"), (405, "POST"))):
            self.assertEqual(event["status"], status)
            self.assertIn(reason, event["reason"])
            self.assertEqual(event["peer"], "127.0.0.1")
        client = live.Client(webhook.port, self.context)
        for _ in range(200):
            client.post(b"", path="/mutate")
        client.close()
        self.assertLess(len(webhook.logged("request refused")), 100)

    def test_its_own_namespace_is_left_alone(self):
        (self.secret.root / "namespace").write_text("sidetap-system")
        webhook = live.Webhook(self.secret, "--service-account", self.secret.root)
        self.addCleanup(webhook.close)
        client = live.Client(webhook.port, self.context)
        self.assertNotIn("patch", json.loads(client.post(live.review(namespace="sidetap-system"))[1])["response"])
        self.assertIn("patch", json.loads(client.post(live.review(namespace="shop"))[1])["response"])
        client.close()

    def test_the_request_log_bounds_what_others_chose(self):
        pod = {"metadata": {"name": "n" * 100_000}, "spec": {"containers": []}}
        self.assertEqual(self.post(live.review("long-" + "u" * 100_000, "s" * 100_000, pod))[0], 200)
        live.eventually(lambda: any(e.get("uid", "").startswith("long-") for e in list(self.webhook.log)), "the line")
        event = next(e for e in list(self.webhook.log) if e.get("uid", "").startswith("long-"))
        self.assertLess(len(json.dumps(event)), 1500)

    def test_the_request_log_names_the_pod_and_not_its_contents(self):
        pod = {"metadata": {"generateName": "keeps-secrets-", "annotations": {"sidetap.io/inject": "true"}},
               "spec": {"containers": [{"name": "web", "image": "web:1",
                                        "env": [{"name": "PASSWORD", "value": "hunter2"}]}]}}
        self.assertEqual(self.post(live.review("logged-1", "vault", pod))[0], 200)
        live.eventually(lambda: any(e.get("uid") == "logged-1" for e in list(self.webhook.log)), "the log line")
        event = next(e for e in list(self.webhook.log) if e.get("uid") == "logged-1")
        self.assertEqual(event["namespace"], "vault")
        self.assertEqual(event["owner"], "keeps-secrets-")
        self.assertIn("decision", event)
        self.assertIn("reason", event)
        self.assertNotIn("hunter2", json.dumps(list(self.webhook.log)))


if __name__ == "__main__":
    unittest.main()
