"""A cluster as `kubectl sidetap` sees it: an API server for the real kubectl, with pods that are attached to, executed in, tapped and
forwarded to. Nothing runs in it but what a test says; the webhook's part is played by `webhook`.
"""
import copy
import http.server
import io
import json
import os
import pathlib
import re
import sys
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, "..", "chart"), os.path.join(HERE, "..", "support")]
from helm_server import HelmServer, fields_of, status
from web_socket import BINARY, CLOSE, PING, PONG, accept, frame, read_frame

TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
ROUTES = [
    ("get", r"/api/v1/namespaces/([^/]+)/pods/([^/]+)", "pods"), ("list", r"/api/v1/namespaces/([^/]+)/pods()", "pods"),
    ("list", r"/api/v1/()pods()", "pods"), ("list", r"/api/v1/()namespaces()", "namespaces"),
    ("update", r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/ephemeralcontainers", "pods/ephemeralcontainers"),
    ("create", r"/api/v1/namespaces/([^/]+)/serviceaccounts/([^/]+)/token", "serviceaccounts/token"),
    ("create", r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/attach", "pods/attach"),
    ("create", r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/exec", "pods/exec"),
]


def message(channel, payload):
    return frame(BINARY, bytes([channel]) + payload)


def token_request(body):
    """What a TokenRequest asks for; kubectl's client speaks protobuf here."""
    spec = fields_of(fields_of(fields_of(body.removeprefix(b"k8s\0"))[2][0])[2][0])
    bound = fields_of(spec[3][0])
    return {"audiences": [text.decode() for text in spec[1]], "seconds": spec[4][0],
            "pod": bound[3][0].decode(), "uid": bound[4][0].decode(), "kind": bound[1][0].decode()}


def access_review(body):
    """(verb, resource[/part]) of a SelfSubjectAccessReview."""
    wanted = fields_of(fields_of(fields_of(fields_of(body.removeprefix(b"k8s\0"))[2][0])[2][0])[1][0])
    return wanted[2][0].decode(), "/".join(wanted[field][0].decode() for field in (5, 6) if wanted.get(field, [b""])[0])


class FakeCluster(HelmServer):
    def __init__(self, folder):
        super().__init__(folder)
        self.denied = set()          # (verb, resource[/part]) that the user may not
        self.webhook = self.fill_in  # None: there is none. Raises Denied, or changes the container
        self.dumped = b"packets"     # what `sidetap-sidecar dump` writes
        self.executed = []           # command lines
        self.orders = []             # (pod, container, line), as taps read them
        self.silent_taps = False     # they log nothing of orders
        self.unreachable = False     # nobody can attach
        self.tokens = []             # (account, spec)
        self.token_life = None       # seconds; None: as asked for
        self.starting = 1            # looks at a pod until a new container of it runs
        self.page = {}               # path -> text
        outer = self
        plain = self.server.RequestHandlerClass

        class Handler(plain):
            def do_PUT(self):
                """kubectl sends what it reads from standard input in chunks."""
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return plain.do_PUT(self)
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                stream, self.rfile = self.rfile, io.BytesIO(body)
                self.headers["Content-Length"] = str(len(body))
                try:
                    return plain.do_PUT(self)
                finally:
                    self.rfile = stream

            def do_GET(self):
                if "upgrade" in self.headers.get("Connection", "").lower():
                    return outer.upgrade(self)
                return plain.do_GET(self)

            def do_POST(self):
                if "upgrade" in self.headers.get("Connection", "").lower():
                    return outer.upgrade(self)
                return plain.do_POST(self)

        self.server.RequestHandlerClass = Handler
        self.put_object(("", "namespaces", "", "shop"), {"kind": "Namespace", "metadata": {"name": "shop"}})

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.log.append(("PAGE", self.path, self.headers.get("Authorization")))
                text = outer.page.get(self.path)
                self.send_response(404 if text is None else 200)
                self.end_headers()
                self.wfile.write((text or "not found").encode())

            def log_message(self, *_):
                pass

        self.page_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.page_server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.page_server.shutdown()
        self.page_server.server_close()
        super().close()

    # What there is.

    def put_object(self, key, document):
        self.resource_version += 1
        document = {"apiVersion": "apps/v1" if key[0] else "v1", **document}
        document["metadata"].setdefault("uid", f"uid-{self.resource_version}")
        document["metadata"]["resourceVersion"] = str(self.resource_version)
        self.objects[key] = document
        return document

    def put_pod(self, name, namespace="shop", labels=None, annotations=None, phase="Running", **spec):
        metadata = {"name": name, "namespace": namespace, "labels": labels or {"app": "web"}}
        if annotations:
            metadata["annotations"] = annotations
        return self.put_object(("", "pods", namespace, name), {
            "kind": "Pod", "metadata": metadata, "status": {"phase": phase},
            "spec": {"containers": [{"name": "web", "image": "web"}], "serviceAccountName": "shop-account", "nodeName": "node-1", **spec}})

    def put_webhook(self, *arguments):
        self.put_pod("sidetap-webhook-1", "sidetap-system", {"app.kubernetes.io/component": "webhook"},
                     {"sidetap.io/configuration": "generation: 1"},
                     containers=[{"name": "webhook", "image": "webhook", "args": ["serve", *arguments]}])

    def add_ephemeral(self, name, container, state):
        pod = self.objects["", "pods", "shop", name]
        pod["spec"].setdefault("ephemeralContainers", []).append({"name": container, "image": "tap"})
        pod["status"].setdefault("ephemeralContainerStatuses", []).append({"name": container, "state": state})

    # What the webhook does.

    class Denied(Exception):
        pass

    @staticmethod
    def fill_in(container):
        container.update(image="registry.example/sidetap-sidecar", env=[{"name": "REGISTRY_TOKEN_FILE", "value": "-"}])

    # Requests.

    def answer(self, method, path, query, headers, body):
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            return 201, {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {}, "spec": {},
                         "status": {"allowed": access_review(body) not in self.denied}}
        verbs = {"GET": ("get", "list"), "PUT": ("update",), "POST": ("create",)}[method]
        for verb, pattern, resource in ROUTES:
            match = re.fullmatch(pattern, path)
            if not match or verb not in verbs:
                continue
            if (verb, resource) in self.denied:
                return status(403, "Forbidden", f'{resource} is forbidden: User "jo" cannot {verb} resource "{resource}" in API group ""')
            if resource == "pods/ephemeralcontainers":
                return self.add_containers(match[1], match[2], json.loads(body), "dryRun" in query)
            if resource == "serviceaccounts/token":
                return self.make_token(match[2], token_request(body))
            if resource == "pods" and verb == "get":
                self.start_containers(match[1], match[2])
        return super().answer(method, path, query, headers, body)

    def make_token(self, account, request):
        self.tokens.append((account, request))
        life = self.token_life or request["seconds"]
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + life))
        return 201, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": account},
                     "spec": {}, "status": {"token": TOKEN, "expirationTimestamp": end}}

    def add_containers(self, namespace, name, wanted, dry_run):
        present = self.objects.get(("", "pods", namespace, name))
        if present is None:
            return status(404, "NotFound", f'pods "{name}" not found')
        if wanted["metadata"]["resourceVersion"] != present["metadata"]["resourceVersion"]:
            return status(409, "Conflict", "Operation cannot be fulfilled: the object has been modified")
        changed = copy.deepcopy(present)
        known = present["spec"].get("ephemeralContainers", [])
        listed = changed["spec"]["ephemeralContainers"] = copy.deepcopy(wanted["spec"]["ephemeralContainers"])
        assert all(one in listed for one in known), "containers cannot be changed nor taken away"
        for container in [one for one in listed if one not in known]:
            try:
                if self.webhook:
                    self.webhook(container)
            except self.Denied as denied:
                return status(403, "Forbidden", str(denied))
            except ConnectionError as error:
                return status(500, "InternalError", f'Internal error occurred: failed calling webhook "ephemeral.inject.sidetap.io": {error}')
        if not dry_run:
            self.resource_version += 1
            changed["metadata"]["resourceVersion"] = str(self.resource_version)
            changed["status"]["looks"] = self.starting
            self.objects["", "pods", namespace, name] = changed
        return 200, changed

    def start_containers(self, namespace, name):
        """A container runs after some looks at its pod."""
        pod = self.objects.get(("", "pods", namespace, name))
        if pod is None or "looks" not in pod["status"]:
            return
        pod["status"]["looks"] -= 1
        states = pod["status"].setdefault("ephemeralContainerStatuses", [])
        for container in pod["spec"].get("ephemeralContainers", []):
            if container["name"] not in [one["name"] for one in states]:
                states.append({"name": container["name"], "state": {"waiting": {"reason": "ContainerCreating"}}})
            elif pod["status"]["looks"] <= 0:
                for one in states:
                    if "waiting" in one["state"] and one["name"] == container["name"]:
                        one["state"] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}

    # Attach and exec, by WebSocket (v5.channel.k8s.io).

    def upgrade(self, handler):
        path, _, query = handler.path.partition("?")
        match = re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/(attach|exec)", path)
        if match and (self.unreachable or ("create", f"pods/{match[3]}") in self.denied):
            code, document = status(403, "Forbidden", f'pods "{match[2]}" is forbidden: User "jo" cannot create resource "pods/{match[3]}"')
            text = json.dumps(document).encode()
            handler.send_response(code)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text)
            return
        if handler.headers.get("Upgrade", "").lower() != "websocket" or not match:
            handler.send_error(400)
            return
        handler.send_response(101)
        handler.send_header("Upgrade", "websocket")
        handler.send_header("Connection", "Upgrade")
        handler.send_header("Sec-WebSocket-Accept", accept(handler.headers["Sec-WebSocket-Key"]))
        handler.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
        handler.end_headers()
        handler.close_connection = True
        arguments = [part.partition("=") for part in query.split("&")]
        container = next(value for name, _, value in arguments if name == "container")
        try:
            if match[3] == "exec":
                self.execute(handler, [value for name, _, value in arguments if name == "command"])
            else:
                self.listen(handler, match[1], match[2], container)
        except OSError:
            pass

    def execute(self, handler, words):
        self.executed.append([urllib.parse.unquote_plus(word) for word in words])
        handler.wfile.write(message(1, self.dumped))
        handler.wfile.write(message(3, json.dumps({"metadata": {}, "status": "Success"}).encode()))
        handler.wfile.write(frame(CLOSE, b"\x03\xe8"))
        read_frame(handler.rfile)

    def listen(self, handler, namespace, name, container):
        """A tap that takes orders."""
        pending = b""
        while True:
            opcode, payload, _ = read_frame(handler.rfile)
            if opcode == CLOSE:
                return
            if opcode == PING:
                handler.wfile.write(frame(PONG, b""))
            if opcode != BINARY or payload[:1] != b"\0":
                continue
            pending += payload[1:]
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                self.orders.append((name, container, line.decode()))
                if not self.silent_taps:
                    handler.wfile.write(message(1, b'{"msg":"order taken","order":"%s"}\n' % line.split()[0]))
                if line == b"stop":
                    with self.lock:
                        for one in self.objects["", "pods", namespace, name]["status"]["ephemeralContainerStatuses"]:
                            if one["name"] == container:
                                one["state"] = {"terminated": {"exitCode": 0}}


def shim(folder, kubectl, page_port):
    """A kubectl whose port-forward leads to the page; everything else is done by the real one."""
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    program = folder / "kubectl"
    program.write_text(f"""#!/bin/sh
for word in "$@"; do
  case "$word" in
    port-forward)
      [ -z "$NO_FORWARD" ] || {{ echo 'error: pods "sidetap-webhook-1" is forbidden' >&2; exit 1; }}
      echo "$@" >>"{folder}/forwards"
      echo "Forwarding from 127.0.0.1:{page_port} -> 8446"
      exec sleep 30 ;;
  esac
done
exec "{kubectl}" "$@"
""")
    program.chmod(0o755)
    return folder
