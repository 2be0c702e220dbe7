#!/usr/bin/env python3
"""What must hold of deploy/manifests/openshift.yaml: it admits the tap as it is injected, and each permission is needed."""
import copy
import json
import pathlib
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "deploy/manifests/openshift.yaml"
INJECTED = ROOT / "tests/unit/webhook_injection/testdata"
# What OpenShift documents of restricted-v2, in the fields that this manifest has.
RESTRICTED_V2 = {
    "allowPrivilegedContainer": False, "allowPrivilegeEscalation": False, "defaultAllowPrivilegeEscalation": False,
    "allowHostDirVolumePlugin": False, "allowHostIPC": False, "allowHostNetwork": False, "allowHostPID": False,
    "allowHostPorts": False, "readOnlyRootFilesystem": False, "requiredDropCapabilities": ["ALL"],
    "defaultAddCapabilities": None, "allowedCapabilities": ["NET_BIND_SERVICE"], "runAsUser": {"type": "MustRunAsRange"},
    "fsGroup": {"type": "MustRunAs"}, "seLinuxContext": {"type": "MustRunAs"}, "supplementalGroups": {"type": "RunAsAny"},
    "seccompProfiles": ["runtime/default"], "priority": None,
    "volumes": ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"],
}
NAMESPACE_USERS = range(1000650000, 1000660000)


def refusals(scc, pod):
    """The fields for which a constraint refuses a pod, as OpenShift's admission compares them."""
    for volume in pod["spec"].get("volumes", []):
        kind = next(key for key in volume if key != "name")
        if kind not in scc["volumes"]:
            yield f"volumes: {kind}"
    for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
        security = container.get("securityContext", {})
        capabilities = security.get("capabilities", {})
        for capability in capabilities.get("add", []):
            if capability not in scc["allowedCapabilities"]:
                yield f"capabilities.add: {capability}"
        # What a container does not say is filled in; what it says has to fit.
        for capability in scc["requiredDropCapabilities"]:
            if capabilities and capability not in capabilities.get("drop", []):
                yield f"capabilities.drop: {capability}"
        user = security.get("runAsUser")
        if scc["runAsUser"]["type"] == "MustRunAsRange" and user is not None and user not in NAMESPACE_USERS:
            yield f"runAsUser: {user}"
        if security.get("privileged") and not scc["allowPrivilegedContainer"]:
            yield "privileged"
        if security.get("allowPrivilegeEscalation") and not scc["allowPrivilegeEscalation"]:
            yield "allowPrivilegeEscalation"
        profile = security.get("seccompProfile", {"type": "RuntimeDefault"})["type"]
        if profile != "RuntimeDefault":
            yield f"seccompProfile: {profile}"


def injected_pods():
    """Pods as the webhook makes them, with the explicit capabilities that CRI-O needs."""
    for path in sorted(INJECTED.glob("*.golden.json")):
        pod = json.loads(path.read_text()).get("pod")
        if not pod:
            continue
        containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
        taps = [container for container in containers if container["name"] == "sidetap"]
        if taps and taps[0]["securityContext"].get("capabilities"):
            # The application's own fields are its own business.
            alone = copy.deepcopy(pod)
            alone["spec"].update(initContainers=[], containers=taps)
            alone["spec"]["volumes"] = [volume for volume in pod["spec"].get("volumes", []) if volume["name"].startswith("sidetap")]
            yield path.name, alone


class Constraint(unittest.TestCase):
    def setUp(self):
        self.constraint, self.role = yaml.safe_load_all(MANIFEST.read_text())

    def test_injected_taps_are_admitted(self):
        found = 0
        for name, pod in injected_pods():
            found += 1
            with self.subTest(name):
                self.assertEqual(list(refusals(self.constraint, pod)), [])
        self.assertGreaterEqual(found, 3)

    def test_restricted_v2_refuses_the_tap_for_what_is_added_and_nothing_else(self):
        for name, pod in injected_pods():
            with self.subTest(name):
                self.assertEqual(sorted(refusals(RESTRICTED_V2, pod)), ["capabilities.add: NET_RAW", "runAsUser: 0"])

    def test_it_is_restricted_v2_but_for_what_the_tap_needs(self):
        fields = {key: value for key, value in self.constraint.items() if key in RESTRICTED_V2}
        unlike = {key for key in RESTRICTED_V2 if fields[key] != RESTRICTED_V2[key]}
        self.assertEqual(unlike, {"runAsUser", "allowedCapabilities"})
        self.assertEqual(set(self.constraint["allowedCapabilities"]), {"NET_BIND_SERVICE", "NET_RAW"})

    def test_nothing_is_granted_until_it_is_bound(self):
        self.assertEqual((self.constraint["users"], self.constraint["groups"]), ([], []))

    def test_the_role_may_use_this_constraint_alone(self):
        self.assertEqual(self.role["rules"], [{
            "apiGroups": ["security.openshift.io"], "resources": ["securitycontextconstraints"],
            "resourceNames": [self.constraint["metadata"]["name"]], "verbs": ["use"]}])

    def test_the_page_binds_this_role(self):
        page = (ROOT / "deploy/docs/compatibility.md").read_text()
        self.assertIn("deploy/manifests/openshift.yaml", page)
        self.assertIn(f"--clusterrole={self.role['metadata']['name']} ", page)


if __name__ == "__main__":
    unittest.main(verbosity=2)
