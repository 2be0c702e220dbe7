"""An API server for what the chart renders: holds the objects, lets roles decide, calls the webhook for new pods.

It is small, but it is strict: a request that no rendered role allows is refused, as in a cluster.
"""
import base64
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import urllib.parse
import uuid

import jsonpatch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import rendering
from json_server import JsonServer

API_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
RESOURCES = {
    "Secret": ("", "secrets"), "ConfigMap": ("", "configmaps"), "Service": ("", "services"),
    "MutatingWebhookConfiguration": ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
}


def status(code, reason, message):
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code}


def mount_service_account(pod):
    """The server's ServiceAccount plug-in: gives the API token to each container that mounts nothing at its path."""
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken") is False:
        return
    volumes = spec.setdefault("volumes", [])
    names = [volume["name"] for volume in volumes if volume["name"].startswith("kube-api-access-")]
    name = names[0] if names else f"kube-api-access-{uuid.uuid4().hex[:5]}"
    for container in spec.get("initContainers", []) + spec["containers"]:
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount["mountPath"] == API_TOKEN_PATH for mount in mounts):
            mounts.append({"name": name, "readOnly": True, "mountPath": API_TOKEN_PATH})
    if not names:
        volumes.append({"name": name, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}})


def security_fault(pod, level):
    """Why the server's Pod Security plug-in would refuse the pod at this level, as far as a tap can be the reason; or None."""
    for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
        context = container.get("securityContext", {})
        if level in ("baseline", "restricted"):
            if context.get("privileged"):
                return f'privileged (container "{container["name"]}")'
            if set(context.get("capabilities", {}).get("add", [])) - {"CHOWN"}:
                return f'non-default capabilities (container "{container["name"]}")'
        if level == "restricted" and context.get("runAsUser") == 0:
            return f'runAsUser=0 (container "{container["name"]}")'
    return None


class ApiServer(JsonServer):
    def __init__(self, docs, namespaces, folder):
        """`namespaces`: name -> labels. `folder` holds tls.crt and tls.key for 127.0.0.1."""
        self.lock = threading.Lock()
        self.docs = docs
        self.namespaces = namespaces
        self.backends = {}  # Service name -> (host, port)
        self.objects = {}
        self.version = 0
        self.refused = []
        self.closing = threading.Event()
        for document in docs:
            if document["kind"] in RESOURCES:
                group, resource = RESOURCES[document["kind"]]
                metadata = document["metadata"]
                self.store((group, resource, metadata.get("namespace", ""), metadata["name"]), document)
        super().__init__(folder, self.serve)

    def close(self):
        self.closing.set()
        super().close()

    def store(self, key, document):
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = document

    def get(self, kind, name, namespace=""):
        with self.lock:
            return self.objects[(*RESOURCES[kind], namespace, name)]

    def is_allowed(self, user, verb, group, resource, namespace, name):
        """Role-based access control, by the roles and bindings of the chart."""
        for binding in rendering.of_kind(self.docs, "RoleBinding") + rendering.of_kind(self.docs, "ClusterRoleBinding"):
            subjects = [f"system:serviceaccount:{s['namespace']}:{s['name']}" for s in binding["subjects"]]
            own = binding["metadata"].get("namespace")
            if user not in subjects or (own is not None and own != namespace):
                continue
            for role in rendering.of_kind(self.docs, binding["roleRef"]["kind"]):
                if role["metadata"]["name"] != binding["roleRef"]["name"]:
                    continue
                if role["kind"] == "Role" and role["metadata"]["namespace"] != own:
                    continue
                for rule in role["rules"]:
                    if (verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"]
                            and name in rule.get("resourceNames", [name])):
                        return True
        return False

    def serve(self, method, path, headers, body):
        path, _, query = path.partition("?")
        parts = path.strip("/").split("/")
        group, parts = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        namespace = ""
        if parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        resource, name = parts[0], parts[1] if len(parts) > 1 else ""
        user = headers.get("Authorization", "").removeprefix("Bearer ")
        query_values = urllib.parse.parse_qs(query)
        read = "get" if name else "watch" if "watch" in query_values else "list"
        verb = {"GET": read, "PUT": "update", "PATCH": "patch", "POST": "create"}[method]
        if not self.is_allowed(user, verb, group, resource, namespace, name):
            self.refused.append((user, verb, resource, namespace, name))
            return status(403, "Forbidden", f'{resource} "{name}" is forbidden: User "{user}" cannot {verb} it')
        if resource == "pods" and method == "POST":
            return self.create_pod(namespace, json.loads(body), query)
        if "labelSelector" in query_values and resource == "endpointslices":
            return self.slices(query_values["labelSelector"][0].removeprefix("kubernetes.io/service-name="))
        if verb == "list":
            return 200, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
        if verb == "watch":
            # Nothing changes; it ends as a server ends it.
            self.closing.wait(60)
            return 200, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}
        with self.lock:
            return self.answer(method, (group, resource, namespace, name), headers, body)

    def slices(self, service):
        """Pods are ready as soon as they are there."""
        endpoints = [{"addresses": [self.backends[service][0]], "conditions": {"ready": True}}] if service in self.backends else []
        return 200, {"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "items": [{"endpoints": endpoints}]}

    def answer(self, method, key, headers, body):
        present = self.objects.get(key)
        if present is None:
            return status(404, "NotFound", f"{key[3]} not found")
        conflict = status(409, "Conflict", "the object has been modified")
        if method == "PUT":
            changed = json.loads(body)
            if changed["metadata"]["resourceVersion"] != present["metadata"]["resourceVersion"]:
                return conflict
            if changed.get("type") != present.get("type"):
                return status(422, "Invalid", "type: field is immutable")
            self.store(key, changed)
        elif method == "PATCH":
            if headers["Content-Type"] != "application/json-patch+json":
                return status(415, "UnsupportedMediaType", "not a JSON patch")
            try:
                self.store(key, jsonpatch.apply_patch(present, json.loads(body)))
            except jsonpatch.JsonPatchException as error:
                return status(422, "Invalid", str(error))
        return 200, self.objects[key]

    # Admission.

    def matches(self, entry, namespace, pod):
        """For the creation of the pod."""
        if entry["rules"][0]["operations"] != ["CREATE"]:
            return False
        labels = {"kubernetes.io/metadata.name": namespace, **self.namespaces[namespace]}
        if not rendering.selector_matches(entry["namespaceSelector"], labels):
            return False
        if not rendering.selector_matches(entry.get("objectSelector"), pod["metadata"].get("labels", {})):
            return False
        questions = [{"expression": condition["expression"], "variables": {"object": pod}}
                     for condition in entry.get("matchConditions", [])]
        return all(rendering.evaluate(questions)) if questions else True

    def call(self, entry, namespace, pod):
        """One review, over TLS by the entry's caBundle and Service name. None: the call failed."""
        client = entry["clientConfig"]
        service = client["service"]
        try:
            context = ssl.create_default_context(cadata=base64.b64decode(client["caBundle"]).decode())
            host, port = self.backends[service["name"]]
            # The name is that of the Service, wherever its pods are.
            connection = http.client.HTTPConnection(host, port)
            connection.sock = context.wrap_socket(
                socket.create_connection((host, port), entry["timeoutSeconds"]),
                server_hostname=f"{service['name']}.{service['namespace']}.svc")
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
                "uid": str(uuid.uuid4()), "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"}, "namespace": namespace,
                "operation": "CREATE", "userInfo": {}, "object": pod, "dryRun": True}}
            connection.request("POST", f"{service['path']}?timeout={entry['timeoutSeconds']}s", json.dumps(review),
                               {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["response"]
            connection.close()
        except (OSError, KeyError) as error:
            return None, str(error)
        if "patch" in answer:
            pod = jsonpatch.apply_patch(pod, json.loads(base64.b64decode(answer["patch"])))
        return pod, answer.get("warnings", [])

    def create_pod(self, namespace, pod, query):
        assert query == "dryRun=All", "only dry runs are asked for here"
        mount_service_account(pod)
        configuration = rendering.of_kind([*self.objects.values()], "MutatingWebhookConfiguration")[0]
        for entry in configuration["webhooks"]:
            if self.matches(entry, namespace, pod):
                changed, said = self.call(entry, namespace, pod)
                if changed is None and entry["failurePolicy"] == "Fail":
                    return status(500, "InternalError", f'failed calling webhook "{entry["name"]}": {said}')
                if changed is not None:
                    # What a webhook has changed the server's own plug-ins see once more.
                    pod = changed
                    mount_service_account(pod)
        level = self.namespaces[namespace].get("pod-security.kubernetes.io/enforce")
        if fault := security_fault(pod, level):
            return status(403, "Forbidden", f'pods is forbidden: violates PodSecurity "{level}:latest": {fault}')
        return 201, pod
