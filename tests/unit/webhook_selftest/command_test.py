#!/usr/bin/python3
"""`sidetap-webhook selftest` as a program, against an API server's wire: what it asks, what it says, how it ends.

  command_test.py FOLDER-OF-THE-PROGRAMS
"""
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ROOT / "build/release/bin") / "sidetap-webhook"


class ApiServer:
    """Answers each creation of a pod by the function that the test gives: pod -> (status, body)."""

    def __init__(self, folder, answer):
        outer = self
        self.requests = []
        self.slices, self.endpoints = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                pod = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, self.headers["Authorization"], pod))
                status, body = answer(pod)
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                outer.slices.append(self.path)
                text = json.dumps({"items": outer.endpoints}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, folder, *arguments):
        """The program's end, in the environment of a pod."""
        environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1",
                       "KUBERNETES_SERVICE_PORT": str(self.server.server_address[1])}
        return subprocess.run([PROGRAM, "selftest", f"--service-account={folder}", *arguments],
                              env=environment, capture_output=True, text=True, timeout=60)


def with_tap(pod):
    pod["spec"]["initContainers"] = [{"name": "sidetap", "image": "r/sidetap-sidecar:1", "restartPolicy": "Always"}]
    return 201, pod


class Selftest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        subprocess.run([ROOT / "certs-scripts/generate.sh", "--out", cls.folder, "--san", "127.0.0.1"], check=True,
                       capture_output=True)
        (cls.folder / "token").write_text("the-token\n")
        (cls.folder / "namespace").write_text("sidetap-system")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_asks_by_a_dry_run_with_the_accounts_token(self):
        api = ApiServer(self.folder, with_tap)
        result = api.run(self.folder, "--namespace=shop")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("as a native sidecar, image r/sidetap-sidecar:1", result.stdout)
        (path, authorization, pod), = api.requests
        self.assertEqual(path, "/api/v1/namespaces/shop/pods?dryRun=All")
        self.assertEqual(authorization, "Bearer the-token")
        self.assertEqual(pod["metadata"]["annotations"], {"sidetap.io/inject": "true"})

    def test_asks_again_until_the_webhook_is_known(self):
        answers = [lambda pod: (201, pod), lambda pod: (201, pod), with_tap]
        api = ApiServer(self.folder, lambda pod: answers.pop(0)(pod))
        result = api.run(self.folder, "--wait=20")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(api.requests), 3)

    def test_a_slow_answer_without_a_tap_names_the_firewall(self):
        def slow(pod):
            time.sleep(1.1)
            return 201, pod
        result = ApiServer(self.folder, slow).run(self.folder, "--wait=0", "--timeout-seconds=1", "--webhook-port=9443")
        self.assertEqual(result.returncode, 1)
        self.assertIn("Allow TCP 9443 from the control plane", result.stderr)

    def test_without_a_ready_pod_it_blames_no_firewall(self):
        def slow(pod):
            time.sleep(1.1)
            return 201, pod
        api = ApiServer(self.folder, slow)
        arguments = ("--wait=0", "--timeout-seconds=1", "--webhook-namespace=tap-system", "--webhook-service=tap-webhook")
        result = api.run(self.folder, *arguments)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No pod of the webhook is ready", result.stderr)
        self.assertNotIn("Allow TCP", result.stderr)
        self.assertEqual(api.slices, ["/apis/discovery.k8s.io/v1/namespaces/tap-system/endpointslices"
                                      "?labelSelector=kubernetes.io%2Fservice-name%3Dtap-webhook"])
        api.endpoints = [{"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}]
        self.assertIn("Allow TCP", api.run(self.folder, *arguments).stderr)

    def test_missing_rights_end_it_at_once(self):
        api = ApiServer(self.folder, lambda pod: (403, {"kind": "Status", "message": "pods is forbidden"}))
        result = api.run(self.folder, "--wait=60")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(api.requests), 1)

    def test_outside_of_a_cluster_it_says_so(self):
        result = subprocess.run([PROGRAM, "selftest"], env={}, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("KUBERNETES_SERVICE_HOST", result.stderr)


if __name__ == "__main__":
    if not PROGRAM.exists():
        print(f"skipped: {PROGRAM} is not built")
        sys.exit(77)
    unittest.main(verbosity=2)
