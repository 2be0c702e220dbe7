#!/usr/bin/env python3
"""What helm does with the chart in front of an API server: installs, upgrades, rolls back, tests, removes and installs again."""
import copy
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

import rendering
from helm_server import HelmServer
from rendering import CHART, NAMESPACE, REQUIRED

CONFIGURATION = "sidetap.io/configuration"


class Cluster:
    def __init__(self, test):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.server = HelmServer(self.folder)
        test.addCleanup(self.server.close)
        self.server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})

    def helm(self, *arguments):
        result = subprocess.run(
            [rendering.tools()["HELM"], *map(str, arguments), "--namespace", NAMESPACE], capture_output=True, text=True,
            timeout=120, env={**os.environ, "KUBECONFIG": str(self.server.kubeconfig), "HOME": str(self.folder)})
        if result.returncode != 0:
            raise AssertionError(f"helm {arguments}: {result.stderr}")
        return result.stdout

    def install(self, *arguments):
        return self.helm("install", "sidetap", CHART, *REQUIRED, *arguments)

    def upgrade(self, *arguments):
        return self.helm("upgrade", "sidetap", CHART, "--reset-then-reuse-values", *arguments)

    def deployment(self):
        deployment, = self.server.of_kind("Deployment")
        return deployment["spec"]

    def secret(self):
        secret, = [secret for secret in self.server.of_kind("Secret") if not secret["metadata"]["name"].startswith("sh.helm")]
        return secret

    def add_node(self, name, labels=None, **spec):
        self.server.put({"apiVersion": "v1", "kind": "Node", "spec": spec,
                         "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", **(labels or {})}}})


def generation_of(pod_template):
    return yaml.safe_load(pod_template["metadata"]["annotations"][CONFIGURATION])["generation"]


class Configuration(unittest.TestCase):
    """It is part of the pod template: no pod is without it, no pod has another one than its template says."""

    def test_a_change_is_a_rollout_and_a_rollback_brings_the_template_back(self):
        cluster = Cluster(self)
        cluster.install()
        before = cluster.deployment()["template"]
        cluster.upgrade("--set", "sidecar.snaplen=1000")
        after = cluster.deployment()["template"]
        annotations = after["metadata"]["annotations"]
        self.assertIn("snaplen: 1000", annotations[CONFIGURATION])
        self.assertEqual((generation_of(before), generation_of(after)), (1, 2), "taps follow the newer one")
        changed = copy.deepcopy(after)
        changed["metadata"]["annotations"][CONFIGURATION] = before["metadata"]["annotations"][CONFIGURATION]
        self.assertEqual(changed, before, "nothing else has changed")
        cluster.helm("rollback", "sidetap", "1")
        self.assertEqual(cluster.deployment()["template"], before)

    def test_the_same_values_roll_nothing(self):
        cluster = Cluster(self)
        cluster.install()
        before = cluster.deployment()["template"]
        cluster.upgrade()
        self.assertEqual(cluster.deployment()["template"], before)

    def test_what_follows_a_rollback_is_newer_than_all_before(self):
        cluster = Cluster(self)
        cluster.install()
        cluster.upgrade("--set", "sensor.address=10.10.10.11")
        cluster.helm("rollback", "sidetap", "1")
        self.assertEqual(generation_of(cluster.deployment()["template"]), 1)
        cluster.upgrade("--set", "sensor.address=10.10.10.12")
        self.assertEqual(generation_of(cluster.deployment()["template"]), 4)

    def test_the_way_back_from_a_field_of_the_container(self):
        """As compatibility.md says it."""
        cluster = Cluster(self)
        cluster.install()
        before = cluster.deployment()["template"]
        page = (rendering.ROOT / "deploy/docs/compatibility.md").read_text()
        forth, = re.findall(r"--set-json '(sidecar\.container=.*)'", page)
        back, = re.findall(r"--set (sidecar\.container\.startupProbe=\S+)", page)
        cluster.upgrade("--set-json", forth)
        self.assertIn("startupProbe", cluster.deployment()["template"]["metadata"]["annotations"][CONFIGURATION])
        cluster.upgrade("--set", back)
        after = cluster.deployment()["template"]
        self.assertEqual(generation_of(after), 3)
        annotations = after["metadata"]["annotations"]
        annotations[CONFIGURATION] = annotations[CONFIGURATION].replace("generation: 3\n", "generation: 1\n")
        self.assertEqual(after, before)

    def test_the_image_of_the_taps_is_pulled_by_the_pods_that_hand_it_out(self):
        cluster = Cluster(self)
        cluster.install("--set", "image.pullSecrets={a}", "--set", "image.sidecar.pullSecrets={b,a}")
        cluster.upgrade("--set", "image.tag=not-there")
        spec = cluster.deployment()["template"]["spec"]
        pulled, = spec["initContainers"]
        self.assertEqual(pulled["image"], "sidetap-sidecar:not-there")
        self.assertIn(f'image: "{pulled["image"]}"', cluster.deployment()["template"]["metadata"]["annotations"][CONFIGURATION])
        self.assertEqual([secret["name"] for secret in spec["imagePullSecrets"]], ["a", "b"])


class Removal(unittest.TestCase):
    def test_the_ca_outlives_the_release(self):
        cluster = Cluster(self)
        cluster.install()
        secret = cluster.secret()
        self.assertNotIn("data", secret)
        # The webhook writes it.
        secret["data"] = {"ca.crt": "Y2E=", "ca.key": "a2V5"}
        cluster.server.put(secret)
        said = cluster.helm("uninstall", "sidetap")
        self.assertIn(secret["metadata"]["name"], said, "what is kept is said")
        self.assertEqual(cluster.secret()["data"], secret["data"])
        self.assertEqual(cluster.server.of_kind("Deployment"), [])
        cluster.install()
        self.assertEqual(cluster.secret()["data"], secret["data"])


class Test(unittest.TestCase):
    def test_it_shows_one_test_and_leaves_nothing(self):
        cluster = Cluster(self)
        cluster.install()
        before = sorted((d["kind"], d["metadata"]["name"]) for d in cluster.server.objects.values())
        said = cluster.helm("test", "sidetap", "--timeout", "60s")
        self.assertEqual([line.split()[-1] for line in said.splitlines() if line.startswith("TEST SUITE")], ["sidetap-test"])
        self.assertIn("Succeeded", said)
        self.assertEqual(sorted((d["kind"], d["metadata"]["name"]) for d in cluster.server.objects.values()), before)
        self.assertTrue(any(method == "PATCH" and "/pods/sidetap-test" in path for method, path in cluster.server.log))


class NodeNetwork(unittest.TestCase):
    """Two pods on one node would want the same port: the second is never scheduled, and no rollout ends."""

    ON = ("--set", "webhook.hostNetwork=true,webhook.port=10260")

    def test_no_more_pods_than_nodes_that_take_them(self):
        control_plane = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
        tolerate = ["--set-json", 'webhook.tolerations=[{"key":"node-role.kubernetes.io/control-plane","operator":"Exists"}]']
        cluster = Cluster(self)
        cluster.add_node("one")
        cluster.add_node("control", taints=control_plane)
        cluster.add_node("windows", {"kubernetes.io/os": "windows"})
        cluster.add_node("cordoned", unschedulable=True)
        said = cluster.install(*self.ON)
        self.assertEqual(cluster.deployment()["replicas"], 1)
        self.assertIn("replicas 1, port 10260", said)
        self.assertIn("webhook.replicas is 2, but", said)
        cluster.upgrade(*tolerate)
        self.assertEqual(cluster.deployment()["replicas"], 2)
        cluster.add_node("two")
        cluster.upgrade("--set", "webhook.replicas=5")
        self.assertEqual(cluster.deployment()["replicas"], 3)

    def test_in_pods_own_networks_nodes_do_not_count(self):
        cluster = Cluster(self)
        cluster.add_node("one")
        cluster.install()
        self.assertEqual(cluster.deployment()["replicas"], 2)
        self.assertFalse([path for _, path in cluster.server.log if "nodes" in path], "no right is needed for it")

    def test_without_a_cluster_the_value_counts(self):
        docs = rendering.documents(rendering.template(*REQUIRED, *self.ON))
        self.assertEqual(rendering.of_kind(docs, "Deployment")[0]["spec"]["replicas"], 2)


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
