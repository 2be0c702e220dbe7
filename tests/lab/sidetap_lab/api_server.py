"""An API server as far as the registry asks one: TokenReview, pods, and lists and watches of what never changes.

    api_server.py CERTIFICATE KEY HOST PORT CONTENTS

CONTENTS is a JSON file: "token": the bearer token that the registry has; "tokens": token -> {"audience", "pod"};
"lists": path -> list of objects; "objects": path -> object. Whoever has another token is turned away.
"""
import http.server
import json
import ssl
import sys
import time
import urllib.parse

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
BOOKMARK_EVERY = 10  # seconds


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    contents = {}

    def _answer(self, code, thing):
        text = json.dumps(thing).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _is_known(self):
        if self.headers["Authorization"] == f"Bearer {self.contents['token']}":
            return True
        self._answer(401, {"kind": "Status", "reason": "Unauthorized"})
        return False

    def do_POST(self):
        spec = json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("spec", {})
        if not self._is_known():
            return
        if self.path != REVIEWS:
            self._answer(404, {"kind": "Status", "reason": "NotFound"})
            return
        found = self.contents["tokens"].get(spec["token"])
        status = {"authenticated": False, "error": "unknown token"}
        if found and found["audience"] in spec["audiences"]:
            pod = found["pod"]
            status = {"authenticated": True, "audiences": [found["audience"]], "user": {
                "username": f"system:serviceaccount:{pod['namespace']}:default",
                "extra": {"authentication.kubernetes.io/pod-name": [pod["name"]],
                          "authentication.kubernetes.io/pod-uid": [pod["uid"]]}}}
        self._answer(201, {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})

    def do_GET(self):
        if not self._is_known():
            return
        path, _, query = self.path.partition("?")
        options = dict(urllib.parse.parse_qsl(query))
        if path in self.contents["objects"]:
            self._answer(200, self.contents["objects"][path])
        elif path not in self.contents["lists"]:
            self._answer(404, {"kind": "Status", "reason": "NotFound"})
        elif "watch" not in options:
            self._answer(200, {"metadata": {"resourceVersion": "1"}, "items": self.contents["lists"][path]})
        else:
            self._watch(float(options["timeoutSeconds"]))

    def _watch(self, seconds):
        """Nothing ever changes: bookmarks only, and the end after the time that was asked for."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self.wfile.write(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}\n')
                time.sleep(BOOKMARK_EVERY)
        except OSError:
            pass  # the replica has gone
        self.close_connection = True

    def log_message(self, *_):
        pass


def main():
    certificate, key, host, port, contents = sys.argv[1:]
    with open(contents, encoding="utf-8") as file:
        Handler.contents = json.load(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
