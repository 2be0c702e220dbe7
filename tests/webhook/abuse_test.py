#!/usr/bin/env python3
"""What a client does wrong is answered or closed; nothing leaks and the process lives."""
import json
import shutil
import socket
import ssl
import subprocess
import unittest

import webhook as live


class Abuse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.secret = live.Secret()
        cls.secret.publish_made("ca1")
        cls.webhook = live.Webhook(cls.secret)
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
