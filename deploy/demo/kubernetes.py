"""What the demo does in place of a cluster: the API server's side of admission, and the kubelet's side of a container."""
import base64
import copy
import glob
import http.client
import json
import os
import socket
import ssl
import uuid

import jsonpatch
import yaml

INJECT = "sidetap.io/inject"
WEBHOOK_HOST = "sidetap-webhook.sidetap-system.svc"


def manifests(folder):
    """All objects of the folder's YAML files, by kind."""
    objects = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.yaml"))):
        with open(path, encoding="utf-8") as file:
            for document in yaml.safe_load_all(file):
                objects.setdefault(document["kind"], []).append(document)
    return objects


def endpoint_slice(service, family, addresses):
    """The EndpointSlice that Kubernetes makes of a Service's ready pods with these addresses."""
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{family}",
        "metadata": {"name": f"{name}-ipv{family}", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": port.get("name", ""), "protocol": port["protocol"], "port": port["targetPort"]}
                  for port in service["spec"]["ports"]],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]}


def node(name, addresses):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]}}


class Webhook:
    """The connection of an API server to the webhook: HTTPS, its certificate verified for the Service's name."""

    def __init__(self, namespace, port, ca):
        self._namespace, self._port = namespace, port
        self._tls = ssl.create_default_context(cafile=ca)

    def answers(self):
        try:
            self._connect().close()
            return True
        except OSError:
            return False

    def _connect(self):
        with self._namespace:
            plain = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        try:
            return self._tls.wrap_socket(plain, server_hostname=WEBHOOK_HOST)
        except OSError:
            plain.close()
            raise

    def admit(self, pod, namespace_labels):
        """Sends one review, to the entry that stands for the pod's namespace. Returns (pod, patch, warnings)."""
        path = "/inject/namespace" if namespace_labels.get(INJECT) == "enabled" else "/inject/pod"
        uid = str(uuid.uuid4())
        connection = http.client.HTTPSConnection(WEBHOOK_HOST, context=self._tls)
        connection.sock = self._connect()
        try:
            connection.request("POST", path, json.dumps(review(pod, uid)), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the webhook answered {answer.status}: {text.decode(errors='replace').strip()}")
        response = json.loads(text)["response"]
        if response["uid"] != uid or not response["allowed"]:
            raise RuntimeError(f"the webhook did not allow the pod {pod['metadata']['name']}: {response}")
        patch = json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
        return jsonpatch.apply_patch(pod, patch), patch, response.get("warnings", [])


def review(pod, uid):
    resource = {"group": "", "version": "v1"}
    return {
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": uid, "operation": "CREATE", "kind": {**resource, "kind": "Pod"},
            "resource": {**resource, "resource": "pods"}, "requestKind": {**resource, "kind": "Pod"},
            "requestResource": {**resource, "resource": "pods"}, "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"], "userInfo": {"username": "demo"}, "object": pod, "oldObject": None,
            "dryRun": False, "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"}}}


def containers(pod):
    """(container, whether it is a sidecar), in the order in which a kubelet starts them."""
    for container in pod["spec"].get("initContainers", []):
        if container.get("restartPolicy") != "Always":
            raise RuntimeError(f"the demo runs no init container that ends ({container['name']})")
        yield container, True
    for container in pod["spec"]["containers"]:
        yield container, False


def _field(pod, path, addresses, node):
    metadata = pod["metadata"]
    known = {
        "metadata.name": metadata["name"], "metadata.namespace": metadata["namespace"],
        "spec.nodeName": node, "status.podIP": addresses[0], "status.podIPs": ",".join(addresses),
        "metadata.uid": metadata.get("uid", "")}
    if path in known:
        return known[path]
    for what in ("labels", "annotations"):
        if path.startswith(f"metadata.{what}['"):
            return metadata.get(what, {}).get(path.split("'")[1], "")
    raise RuntimeError(f"the demo's kubelet does not know the field {path}")


def _expand(text, variables):
    """$(NAME) as the kubelet does it: unknown names stay, $$ is one $."""
    out, at = "", 0
    while at < len(text):
        end = text.find(")", at)
        if text[at:at + 2] == "$$":
            out, at = out + "$", at + 2
        elif text[at:at + 2] == "$(" and end > 0:
            out, at = out + variables.get(text[at + 2:end], text[at:end + 1]), end + 1
        else:
            out, at = out + text[at], at + 1
    return out


def command_line(container, pod, addresses, node, programs):
    """(argv, environment) with which a kubelet would run the container.

    programs: path in the image -> path of the same program here.
    """
    variables = {}
    for entry in container.get("env", []):
        if "valueFrom" in entry:
            source = entry["valueFrom"]
            if "fieldRef" not in source:
                raise RuntimeError(f"the demo's kubelet cannot fill in {entry['name']} from {source}")
            variables[entry["name"]] = _field(pod, source["fieldRef"]["fieldPath"], addresses, node)
        else:
            variables[entry["name"]] = _expand(str(entry.get("value", "")), variables)
    argv = [_expand(word, variables) for word in copy.copy(container["command"]) + container.get("args", [])]
    if argv[0] not in programs:
        raise RuntimeError(f"no image has {argv[0]} (container {container['name']})")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": pod["metadata"]["name"], **variables}
    return [*programs[argv[0]], *argv[1:]], environment
