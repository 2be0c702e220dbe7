#!/usr/bin/env python3
"""The chart's objects and the webhook's program together, in front of an API server that lets the chart's roles decide.

Starts the webhook with the very arguments of the rendered Deployment, two replicas of it, and looks at what an operator
would: does it become ready, do its certificates hold, is a pod injected, does `helm test` pass, and with which rights.
"""
import base64
import functools
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import operation_test
import rendering
from api_server import API_TOKEN_PATH, ApiServer
from rendering import NAMESPACE, REQUIRED, ROOT, SUBNETS, documents, of_kind, template

PROGRAM = rendering.program("sidetap-webhook")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def eventually(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


@functools.cache
def api_certificates():
    """A folder with those of the API server, made once; it goes with the process."""
    folder = tempfile.TemporaryDirectory()
    subprocess.run([ROOT / "certs-scripts/generate.sh", "--out", folder.name, "--san", "127.0.0.1"], check=True,
                   capture_output=True)
    return folder


class Installation:
    """What `helm install` would make, running on this machine."""

    def __init__(self, test, *arguments, version="1.36", namespaces=None):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.docs = documents(template(*REQUIRED, "--set", "webhook.drainSeconds=0", *arguments, version=version))
        self.certificates = pathlib.Path(api_certificates().name)
        self.api = ApiServer(self.docs, {"default": {}, "shop": {"kubernetes.io/x": "y"}, **(namespaces or {})},
                             self.certificates)
        test.addCleanup(self.api.close)
        self.replicas = []
        test.addCleanup(self.stop)
        self.pod = of_kind(self.docs, "Deployment")[0]["spec"]["template"]["spec"]

    def account(self, name):
        """The files that a pod of this service account finds."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "ca.crt").write_bytes((self.certificates / "ca.crt").read_bytes())
        (folder / "token").write_text(f"system:serviceaccount:{NAMESPACE}:{name}")
        (folder / "namespace").write_text(NAMESPACE)
        return folder

    def environment(self):
        return {"PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": str(self.api.port), "POD_NAME": "webhook-x", "POD_NAMESPACE": NAMESPACE,
                "POD_IP": "127.0.0.1"}

    def local(self, arguments, files):
        """The Deployment's arguments on this machine: own ports, files where they are here."""
        ports, local = {}, []
        for argument in arguments:
            if match := re.match(r"(--[a-z-]*listen)=(?:127\.0\.0\.1)?:\d+$", argument):
                ports[match.group(1)] = free_port()
                argument = f"{match.group(1)}=127.0.0.1:{ports[match.group(1)]}"
            for mounted, here in files.items():
                argument = argument.replace(mounted, str(here))
            local.append(argument)
        return local, ports

    def start_replica(self, files=None):
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config/config.yaml").write_text(rendering.configuration(self.docs))
        arguments, ports = self.local(self.pod["containers"][0]["args"],
                                      {"/etc/sidetap/": f"{self.folder}/config/", **(files or {})})
        if self.pod["automountServiceAccountToken"]:
            arguments.append(f"--service-account={self.account(self.pod['serviceAccountName'])}")
        with open(self.folder / f"log-{len(self.replicas)}", "w") as log:
            process = subprocess.Popen([PROGRAM, *arguments], env=self.environment(), stdout=log, stderr=log)
        self.replicas.append((process, ports))
        service = of_kind(self.docs, "Service")[0]["metadata"]["name"]
        self.api.backends[service] = ("127.0.0.1", ports["--listen"])
        return ports

    def logs(self):
        return "".join(path.read_text() for path in sorted(self.folder.glob("log-*")))

    def is_ready(self, ports):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{ports['--status-listen']}/readyz", timeout=2).status == 200
        except OSError:
            return False

    def wait_ready(self):
        for _, ports in self.replicas:
            try:
                eventually(lambda p=ports: self.is_ready(p), "the webhook is ready")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.logs()}\nrefused: {self.api.refused}")

    def stop(self):
        for process, _ in self.replicas:
            process.send_signal(signal.SIGTERM)
        for process, _ in self.replicas:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def entries(self):
        return self.api.get("MutatingWebhookConfiguration", "sidetap-webhook")["webhooks"]

    def has_bundle(self):
        return all("caBundle" in entry["clientConfig"] for entry in self.entries())

    def tapped_pod(self):
        """A pod that asked for a tap, as the server keeps it."""
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-", "annotations": {"sidetap.io/inject": "true"}},
               "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
        code, pod = self.api.create_pod("default", pod, "dryRun=All")
        assert code == 201, pod
        return pod

    def tap(self):
        tap, = [container for container in self.tapped_pod()["spec"]["initContainers"] if container["name"] == "sidetap"]
        return tap

    def tap_environment(self):
        tap = self.tap()
        return {variable["name"]: variable.get("value") for variable in tap["env"]}

    def helm_test(self):
        """The test pod's command, in its service account."""
        pod = of_kind(self.docs, "Pod")[0]["spec"]
        command, *arguments = pod["containers"][0]["args"]
        folder = self.account(pod["serviceAccountName"])
        return subprocess.run([PROGRAM, command, *arguments, "--wait=5", f"--service-account={folder}"],
                              env=self.environment(), capture_output=True, text=True, timeout=60)


class SelfManaged(unittest.TestCase):
    def install(self, *arguments, replicas=2, **more):
        installation = Installation(self, *arguments, **more)
        for _ in range(replicas):
            installation.start_replica()
        installation.wait_ready()
        return installation

    def test_an_installation_becomes_ready_and_injects_with_the_charts_rights_alone(self):
        installation = self.install()
        eventually(installation.has_bundle, "the caBundle is there")
        result = installation.helm_test()
        self.assertEqual(result.returncode, 0, result.stderr + installation.logs())
        self.assertIn("The trial pod got its tap, as a native sidecar", result.stdout)
        self.assertEqual(installation.api.refused, [])
        # Taps find the registry, and trust it.
        tap = installation.tap_environment()
        self.assertEqual(tap["REGISTRY"], f"sidetap-registry.{NAMESPACE}.svc:8444")
        bundle = base64.b64decode(installation.entries()[0]["clientConfig"]["caBundle"]).decode()
        self.assertEqual(tap["REGISTRY_CA"].strip(), bundle.strip())

    def test_the_tap_does_not_get_the_applications_token(self):
        for arguments in ([], [*SUBNETS, "--set", "registry.enabled=false"]):
            installation = self.install(*arguments, replicas=1)
            eventually(installation.has_bundle, "the caBundle is there")
            pod = installation.tapped_pod()
            tokens = {container["name"]: mount["name"] for kind in ("initContainers", "containers")
                      for container in pod["spec"][kind] for mount in container["volumeMounts"]
                      if mount["mountPath"] == API_TOKEN_PATH}
            self.assertEqual(set(tokens), {"sidetap", "web"})
            self.assertTrue(tokens["web"].startswith("kube-api-access-"))
            self.assertFalse(tokens["sidetap"].startswith("kube-api-access-"), arguments)

    def test_every_replica_shows_a_certificate_that_the_bundle_trusts_for_both_services(self):
        installation = self.install()
        eventually(installation.has_bundle, "the caBundle is there")
        bundle = base64.b64decode(installation.entries()[0]["clientConfig"]["caBundle"]).decode()
        names = [service["metadata"]["name"] for service in of_kind(installation.docs, "Service")]
        self.assertEqual(names, ["sidetap-webhook", "sidetap-registry"])
        for _, ports in installation.replicas:
            for name, flag in zip(names, ("--listen", "--registry-listen")):
                context = ssl.create_default_context(cadata=bundle)
                with socket.create_connection(("127.0.0.1", ports[flag]), 5) as connection:
                    with context.wrap_socket(connection, server_hostname=f"{name}.{NAMESPACE}.svc") as tls:
                        self.assertEqual(dict(part[0] for part in tls.getpeercert()["issuer"]).keys(), {"commonName"})

    def test_an_upgrade_that_takes_the_bundle_away_is_put_right(self):
        installation = self.install(replicas=1)
        eventually(installation.has_bundle, "the caBundle is there")
        before = installation.entries()[0]["clientConfig"]["caBundle"]
        for entry in installation.entries():
            del entry["clientConfig"]["caBundle"]
        eventually(installation.has_bundle, "the caBundle is back", seconds=40)
        self.assertEqual(installation.entries()[0]["clientConfig"]["caBundle"], before)

    def test_a_labelled_namespace_is_injected_and_an_old_server_too(self):
        installation = self.install("--set", "tests.namespace=shop", version="1.27", replicas=1,
                                    namespaces={"shop": {"sidetap.io/inject": "enabled"}})
        eventually(installation.has_bundle, "the caBundle is there")
        result = installation.helm_test()
        self.assertEqual(result.returncode, 0, result.stderr + installation.logs())
        self.assertIn("as a plain container", result.stdout)

    def test_without_a_ready_pod_helm_test_says_so_and_blames_nothing_else(self):
        for policy in ("Fail", "Ignore"):
            installation = Installation(self, "--set", f"webhook.failurePolicy={policy}")
            result = installation.helm_test()
            self.assertEqual(result.returncode, 1)
            self.assertIn("No pod of the webhook is ready", result.stderr)
            self.assertIn(f"kubectl -n {NAMESPACE} describe pods", result.stderr)
            self.assertNotIn("firewall", result.stderr)
            self.assertEqual(installation.api.refused, [])

    def test_an_unreachable_webhook_is_named(self):
        installation = self.install("--set", "webhook.failurePolicy=Fail", replicas=1)
        eventually(installation.has_bundle, "the caBundle is there")
        # Ready, as the kubelet sees it; but the API server does not get through.
        installation.api.backends["sidetap-webhook"] = ("127.0.0.1", free_port())
        result = installation.helm_test()
        self.assertEqual(result.returncode, 1)
        self.assertIn("does not get an answer", result.stderr)


class BetweenTwoReleases(unittest.TestCase):
    """An API server has the next configuration, or still the one before, while the webhook's pods have the other one."""

    LEVEL = "pod-security.kubernetes.io/enforce"
    RELEASES = {
        "explicit": [],
        "runtime's": ["--set", "sidecar.capabilities=runtimeDefault"],
        "own": ["--set", "sidecar.capabilities=runtimeDefault", "--set-json",
                'sidecar.container={"securityContext":{"privileged":true}}'],
    }

    install = SelfManaged.install

    @staticmethod
    def call_as(installation, arguments):
        """The entries of another release, with the bundle that the webhook has written."""
        other = of_kind(documents(template(*REQUIRED, *arguments)), "MutatingWebhookConfiguration")[0]
        for entry, new in zip(installation.entries(), other["webhooks"]):
            bundle = entry["clientConfig"]["caBundle"]
            entry.clear()
            entry.update(new)
            entry["clientConfig"]["caBundle"] = bundle

    def pod(self):
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-", "annotations": {"sidetap.io/inject": "true"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]}}

    def test_no_pod_is_refused_for_its_tap_whichever_of_them_is_ahead(self):
        levels = ("privileged", "baseline", "restricted")
        for serves, arguments in self.RELEASES.items():
            installation = self.install(*arguments, replicas=1, namespaces={level: {self.LEVEL: level} for level in levels})
            eventually(installation.has_bundle, "the caBundle is there")
            for calls, called_as in self.RELEASES.items():
                self.call_as(installation, called_as)
                for level in levels:
                    with self.subTest(serves=serves, calls=calls, level=level):
                        code, pod = installation.api.create_pod(level, self.pod(), "dryRun=All")
                        self.assertEqual(code, 201, pod)
                        tapped = any(c["name"] == "sidetap" for c in pod["spec"].get("initContainers", []))
                        self.assertEqual(tapped, level == "privileged" or (level == "baseline" and calls == "runtime's"))

    def test_the_chart_and_the_webhook_agree_on_what_passes(self):
        """What the chart lets through as it is, the webhook leaves as it is."""
        for container, passes in operation_test.PodSecurity.CONTAINERS:
            if not container:
                continue
            with self.subTest(container):
                installation = self.install("--set", "sidecar.capabilities=runtimeDefault", "--set-json",
                                            f"sidecar.container={json.dumps(container)}", replicas=1,
                                            namespaces={"at-baseline": {self.LEVEL: "baseline"}})
                eventually(installation.has_bundle, "the caBundle is there")
                self.call_as(installation, self.RELEASES["runtime's"])
                code, pod = installation.api.create_pod("at-baseline", self.pod(), "dryRun=All")
                self.assertEqual(code, 201, pod)
                tap, = [c for c in pod["spec"]["initContainers"] if c["name"] == "sidetap"]
                self.assertEqual(all(tap.get(field) == value for field, value in container.items()), passes)
                installation.stop()


class ExistingSecret(unittest.TestCase):
    def test_certificates_of_the_scripts_serve_an_installation(self):
        installation = Installation(self, "--set", "certificates.mode=existingSecret")
        certificates = installation.folder / "certificates"
        subprocess.run([ROOT / "certs-scripts/generate.sh", "--out", certificates, "--namespace", NAMESPACE,
                        "--san", f"sidetap-registry.{NAMESPACE}.svc"], check=True, capture_output=True)
        installation.start_replica({"/etc/sidetap-tls/": f"{certificates}/"})
        installation.wait_ready()
        # As install.sh does it.
        bundle = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
        for entry in installation.entries():
            entry["clientConfig"]["caBundle"] = bundle
        result = installation.helm_test()
        self.assertEqual(result.returncode, 0, result.stderr + installation.logs())
        self.assertEqual(installation.api.refused, [])
        self.assertEqual(installation.tap_environment()["REGISTRY_CA"].strip(),
                         (certificates / "ca.crt").read_text().strip())


if __name__ == "__main__":
    if PROGRAM is None:
        print("skipped: sidetap-webhook is not built")
        sys.exit(77)
    rendering.tools()
    unittest.main(verbosity=2)
