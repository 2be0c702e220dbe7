"""An API server that helm can install into: discovery, and objects that are made, read, changed by server-side apply or a merge
patch, listed, watched and deleted. Nothing runs in it; a pod has succeeded as soon as it is made.

Fields that a request does not name stay as they are, as server-side apply leaves the fields of other managers.
"""
import base64
import copy
import http.server
import json
import pathlib
import select
import threading
import urllib.parse

import yaml

# (group, version): plural -> (kind, namespaced)
KINDS = {
    ("", "v1"): {"namespaces": ("Namespace", False), "nodes": ("Node", False), "pods": ("Pod", True), "secrets": ("Secret", True),
                 "configmaps": ("ConfigMap", True), "services": ("Service", True), "serviceaccounts": ("ServiceAccount", True)},
    ("apps", "v1"): {"deployments": ("Deployment", True), "replicasets": ("ReplicaSet", True)},
    ("batch", "v1"): {"jobs": ("Job", True)},
    ("policy", "v1"): {"poddisruptionbudgets": ("PodDisruptionBudget", True)},
    ("rbac.authorization.k8s.io", "v1"): {
        "roles": ("Role", True), "rolebindings": ("RoleBinding", True), "clusterroles": ("ClusterRole", False),
        "clusterrolebindings": ("ClusterRoleBinding", False)},
    ("admissionregistration.k8s.io", "v1"): {
        "mutatingwebhookconfigurations": ("MutatingWebhookConfiguration", False),
        "validatingadmissionpolicies": ("ValidatingAdmissionPolicy", False),
        "validatingadmissionpolicybindings": ("ValidatingAdmissionPolicyBinding", False)},
}


def merge(into, changes):
    """RFC 7396, which is enough where nobody gives up a field."""
    for key, value in changes.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
    return into


def fields_of(message):
    """A protobuf message: field number -> values, integers or bytes."""
    found, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        value = number()
        if key & 7 == 2:
            value, at = message[at:at + value], at + value
        found.setdefault(key >> 3, []).append(value)
    return found


def message_of(*fields):
    """The other way: (field number, text or bytes), all of a length that one byte holds or two."""
    text = b""
    for number, value in fields:
        value = value.encode() if isinstance(value, str) else value
        size = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 0x7F | 0x80, len(value) >> 7])
        text += bytes([number << 3 | 2]) + size + value
    return text


def old_openapi():
    """OpenAPI version 2, which clients ask about lists: says that the server validates the fields of a Namespace itself."""
    query = message_of((3, message_of((2, "query"), (4, "fieldValidation"))))
    kind = message_of((1, "x-kubernetes-group-version-kind"), (2, message_of((2, "{group: '', version: v1, kind: Namespace}"))))
    patch = message_of((8, message_of((1, message_of((2, query))))), (13, kind))
    path = message_of((1, "/api/v1/namespaces/{name}"), (2, message_of((8, patch))))
    return message_of((1, "2.0"), (8, message_of((2, path))))


def secret_of(body):
    """The Secret in which helm keeps a release: its client speaks protobuf where it can."""
    def texts(entries):
        return {fields_of(entry)[1][0].decode(): fields_of(entry)[2][0].decode() for entry in entries}

    secret = fields_of(fields_of(body.removeprefix(b"k8s\0"))[2][0])
    metadata = fields_of(secret[1][0])
    data = {name: base64.b64encode(value.encode()).decode() for name, value in texts(secret.get(2, [])).items()}
    return {"metadata": {"name": metadata[1][0].decode(), "labels": texts(metadata.get(11, []))}, "data": data,
            "type": secret[3][0].decode()}


def status(code, reason, message=""):
    return code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "message": message,
                  "code": code}


class HelmServer:
    def __init__(self, folder, version="1.34.0"):
        """Writes `folder`/kubeconfig."""
        self.version = version
        self.objects = {}  # (group, plural, namespace, name) -> object
        self.resource_version = 0
        self.log = []
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                outer.log.append((self.command, self.path))
                if query.get("watch") == "true" and "sendInitialEvents" not in query:
                    return self.watch()
                if url.path == "/openapi/v2":
                    return self.send(200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", old_openapi())
                with outer.lock:
                    code, document = outer.answer(self.command, url.path, query, self.headers, body)
                self.send(code, "application/json", json.dumps(document).encode())

            def send(self, code, kind, text):
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def watch(self):
                """Nothing ever happens by itself: what there is a client has listed before."""
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.close_connection = True
                # Readable when the client leaves.
                select.select([self.connection], [], [], 60)

            do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = respond

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # close() waits for the next look.
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.kubeconfig = pathlib.Path(folder) / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.server.server_address[1]}"}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}))

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def put(self, document):
        """An object that is there already."""
        group, _, version = document["apiVersion"].rpartition("/")
        plural = next(plural for plural, (kind, _) in KINDS[group, version].items() if kind == document["kind"])
        self.store((group, plural, document["metadata"].get("namespace", ""), document["metadata"]["name"]), document)

    def of_kind(self, kind):
        return [copy.deepcopy(document) for document in self.objects.values() if document["kind"] == kind]

    def store(self, key, document):
        self.resource_version += 1
        metadata = document["metadata"]
        metadata.setdefault("uid", f"uid-{self.resource_version}")
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        metadata["resourceVersion"] = str(self.resource_version)
        if document["kind"] == "Pod":
            document["status"] = {"phase": "Succeeded", "conditions": []}
        self.objects[key] = document

    def answer(self, method, path, query, headers, body):
        if path == "/version":
            major, minor, _ = self.version.split(".")
            return 200, {"major": major, "minor": minor, "gitVersion": f"v{self.version}"}
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                 "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version}}
                for group, version in KINDS if group]}
        if path.startswith("/openapi/v3"):
            return self.openapi(path.removeprefix("/openapi/v3").strip("/"))
        parts = path.strip("/").split("/")
        if parts[0] not in ("api", "apis"):
            return status(404, "NotFound", path)
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        kinds = KINDS.get((group, version))
        if kinds is None:
            return status(404, "NotFound", path)
        if not rest:
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "/".join(filter(None, (group, version))),
                         "resources": [{"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind,
                                        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]}
                                       for plural, (kind, namespaced) in kinds.items()]}
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] not in kinds:
            return status(404, "NotFound", path)
        api_version = "/".join(filter(None, (group, version)))
        if len(rest) == 1:
            return self.collection(method, (group, rest[0], namespace), api_version, kinds[rest[0]][0], query, body)
        return self.single(method, (group, rest[0], namespace, rest[1]), api_version, kinds[rest[0]][0], headers, body)

    @staticmethod
    def openapi(place):
        """Says of every kind that the server itself validates fields: then helm leaves it to the server."""
        roots = {f"apis/{group}/{version}" if group else f"api/{version}": (group, version) for group, version in KINDS}
        if not place:
            return 200, {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}
        group, version = roots[place]
        return 200, {"openapi": "3.0.0", "info": {"title": "test", "version": "1"}, "components": {}, "paths": {
            f"/{place}/{plural}/{{name}}": {"patch": {
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}], "responses": {},
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind}}}
            for plural, (kind, _) in KINDS[group, version].items()}}

    def collection(self, method, place, api_version, kind, query, body):
        if "sendInitialEvents" in query:
            return status(422, "Invalid", "no lists by a watch: list, then watch")
        if method == "POST":
            document = secret_of(body) if body.startswith(b"k8s") else json.loads(body)
            key = (*place, document["metadata"]["name"])
            if key in self.objects:
                return status(409, "AlreadyExists", f'{place[1]} "{key[3]}" already exists')
            if place[2]:
                document["metadata"]["namespace"] = place[2]
            self.store(key, {"apiVersion": api_version, "kind": kind, **document})
            return 201, self.objects[key]
        wanted = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if "=" in part)
        fields = dict(part.split("=", 1) for part in query.get("fieldSelector", "").split(",") if "=" in part)
        items = [document for key, document in self.objects.items()
                 if key[:2] == place[:2] and place[2] in ("", key[2])
                 and wanted.items() <= document["metadata"].get("labels", {}).items()
                 and fields.get("metadata.name", key[3]) == key[3]]
        return 200, {"kind": f"{kind}List", "apiVersion": api_version,
                     "metadata": {"resourceVersion": str(self.resource_version)}, "items": items}

    def single(self, method, key, api_version, kind, headers, body):
        present = self.objects.get(key)
        content = headers.get("Content-Type", "")
        if present is None and not (method == "PATCH" and "apply-patch" in content):
            return status(404, "NotFound", f'{key[1]} "{key[3]}" not found')
        if method == "DELETE":
            del self.objects[key]
            return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        if method == "PUT":
            changed = secret_of(body) if body.startswith(b"k8s") else json.loads(body)
            changed["metadata"]["namespace"] = key[2]
            self.store(key, {"apiVersion": api_version, "kind": kind, **changed})
        if method == "PATCH":
            changes = yaml.safe_load(body)
            before = copy.deepcopy(present) or {"apiVersion": api_version, "kind": kind, "metadata": {"name": key[3]}}
            if key[2]:
                before["metadata"]["namespace"] = key[2]
            self.store(key, merge(before, changes))
        return 200, self.objects[key]
