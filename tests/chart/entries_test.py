#!/usr/bin/env python3
"""What must hold of the webhook's entries and of the admission policy, as the API server reads them."""
import itertools
import unittest

import rendering
from questions import Questions
from rendering import NAMESPACE, REQUIRED, VERSIONS, documents, minor, of_kind, template


class Entries(Questions, unittest.TestCase):
    """Which pods the API server asks about, by which entry."""

    NAMESPACE_LABELS = (None, "enabled", "disabled", "other")
    POD_VALUES = (None, "true", "false", "maybe")

    def test_the_table_of_decisions(self):
        questions, wanted = [], []
        for label, annotation, pod_label in itertools.product(self.NAMESPACE_LABELS, self.POD_VALUES, self.POD_VALUES):
            questions.append((self.namespace(label), self.pod(annotation, pod_label)))
            asks = any(value not in (None, "false") for value in (annotation, pod_label))
            wanted.append((label == "enabled" and "false" not in (annotation, pod_label), label is None and asks))
        entries = self.entries()
        got = list(zip(self.called(entries["namespace"], questions), self.called(entries["pod"], questions)))
        self.assertEqual(got, wanted)
        self.assertFalse(any(both == (True, True) for both in got), "two entries call for one pod")
        self.assertTrue(any(namespace for namespace, _ in got) and any(pod for _, pod in got))

    def test_before_match_conditions_only_the_label_opts_a_pod_in(self):
        entries = self.entries("1.27")
        for entry in entries.values():
            self.assertNotIn("matchConditions", entry)
        questions = [(self.namespace(None), self.pod(None, value)) for value in self.POD_VALUES]
        self.assertEqual(self.called(entries["pod"], questions), [False, True, False, True])
        self.assertEqual(self.called(entries["pod"], [(self.namespace(None), self.pod("true", None))]), [False])

    def test_some_namespaces_are_never_asked_about(self):
        entries = self.entries("1.36", "--set", "injection.excludedNamespaces={monitoring}")
        names = ["kube-system", "kube-public", "kube-node-lease", NAMESPACE, "monitoring", "shop"]
        for entry, label in (("namespace", "enabled"), ("pod", None)):
            questions = [(self.namespace(label, name), self.pod("true", None)) for name in names]
            self.assertEqual(self.called(entries[entry], questions), [False] * 5 + [True])

    def test_how_the_entries_call(self):
        for version in VERSIONS:
            for name, entry in self.entries(version).items():
                with self.subTest(version=version, entry=name):
                    self.assertEqual(entry["rules"], [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                                       "resources": ["pods"], "scope": "Namespaced"}])
                    self.assertEqual(
                        (entry["sideEffects"], entry["timeoutSeconds"], entry["failurePolicy"], entry["matchPolicy"],
                         entry["reinvocationPolicy"], entry["admissionReviewVersions"]),
                        ("None", 3, "Ignore", "Equivalent", "IfNeeded", ["v1"]))
                    self.assertEqual(entry["clientConfig"]["service"]["path"], f"/inject/{name}")

    def test_a_tap_that_is_added_to_a_running_pod_is_asked_about_and_nothing_else(self):
        entries = self.entries_for("pods/ephemeralcontainers")
        self.assertEqual(set(entries), {"ephemeral", "ephemeral-disabled"})
        expression = entries["ephemeral"]["matchConditions"][0]["expression"]
        self.assertEqual(entries["ephemeral-disabled"]["matchConditions"][0]["expression"], expression)

        def pod(*names):
            spec = {"containers": [{"name": "web"}]}
            return {"spec": spec | ({"ephemeralContainers": [{"name": name} for name in names]} if names else {})}
        changes = [(pod(), pod("sidetap")), (pod("sidetap"), pod("sidetap", "sidetap-2")),
                   (pod("debugger-1"), pod("debugger-1", "sidetap")),
                   (pod(), pod("debugger-1")), (pod("sidetap"), pod("sidetap", "debugger-1")), (pod("sidetap"), pod("sidetap")),
                   (pod(), pod("sidetap-debug")), (pod(), pod("sidetap-")), (pod(), pod("my-sidetap")), (pod(), pod())]
        got = rendering.evaluate([{"expression": expression, "variables": {"oldObject": before, "object": after}}
                                  for before, after in changes])
        self.assertEqual(got, [True] * 3 + [False] * 7)

    def test_who_declines_a_tap_for_running_pods_is_told_so(self):
        entries = self.entries_for("pods/ephemeralcontainers")
        for label, wanted in ((None, "ephemeral"), ("enabled", "ephemeral"), ("other", "ephemeral"), ("disabled", "ephemeral-disabled")):
            labels = self.namespace(label, "kube-system")["metadata"]["labels"]
            called = [name for name, entry in entries.items() if rendering.selector_matches(entry["namespaceSelector"], labels)]
            self.assertEqual(called, [wanted])

    def test_how_the_entries_for_running_pods_call(self):
        for version in VERSIONS:
            for name, entry in self.entries_for("pods/ephemeralcontainers", version).items():
                with self.subTest(version=version, entry=name):
                    self.assertEqual(entry["rules"][0]["operations"], ["UPDATE"])
                    self.assertEqual(entry["clientConfig"]["service"]["path"], f"/inject/{name}")
                    # Without conditions, every container that somebody debugs with depends on it.
                    self.assertEqual(entry["failurePolicy"], "Fail" if minor(version) >= 28 else "Ignore")
        self.assertEqual(self.entries_for("pods/ephemeralcontainers", "1.36", "--set", "injection.runningPods=false"), {})

    def test_the_policy_warns_of_untapped_pods_only(self):
        docs = documents(template(*REQUIRED, "--set", "injection.excludedPods.app=sensor"))
        policy = of_kind(docs, "ValidatingAdmissionPolicy")[0]
        enabled = self.namespace("enabled")
        reported = [(enabled, self.pod(None, None)), (enabled, self.pod("true", None)), (enabled, self.pod("maybe", None))]
        windows = self.pod(None, None, os={"name": "windows"})
        selected = self.pod(None, None, nodeSelector={"kubernetes.io/os": "windows"})
        older = self.pod(None, None, nodeSelector={"beta.kubernetes.io/os": "windows"})
        options = self.pod(None, None, securityContext={"windowsOptions": {"runAsUserName": "ContainerUser"}})

        def bound_to(*terms):
            terms = [{"matchExpressions": [{"key": "zone", "operator": "Exists"},
                                           {"key": "kubernetes.io/os", "operator": "In", "values": systems}]} for systems in terms]
            required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
            return self.pod(None, None, affinity={"nodeAffinity": required})
        reported += [(enabled, bound_to(["windows"], ["linux"])), (enabled, bound_to(["linux"])),
                     (enabled, self.pod(None, None, affinity={"podAffinity": {}}))]
        mirror = self.pod(None, None)
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        sensor = self.pod(None, None)
        sensor["metadata"]["labels"] = {"app": "sensor"}
        silent = [(enabled, self.pod("false", None)), (enabled, self.pod(None, "false")),
                  (enabled, self.pod(None, None, hostNetwork=True)), (enabled, windows), (enabled, selected),
                  (enabled, older), (enabled, options), (enabled, bound_to(["windows"])), (enabled, bound_to(["windows"], ["windows"])),
                  (enabled, mirror), (enabled, sensor), (self.namespace(None), self.pod("true", None)),
                  (self.namespace("disabled"), self.pod("true", None)),
                  (self.namespace("enabled", "kube-system"), self.pod(None, None))]
        self.assertEqual(self.called(policy, reported), [True] * len(reported))
        self.assertEqual(self.called(policy, silent), [False] * len(silent))

        validation = policy["spec"]["validations"][0]
        tapped = self.pod(None, None, initContainers=[{"name": "sidetap", "restartPolicy": "Always"}])
        plain = self.pod(None, None)
        plain["spec"]["containers"].append({"name": "sidetap"})
        pods = [tapped, plain, self.pod(None, None), self.pod(None, None, initContainers=[{"name": "setup"}])]
        self.assertEqual(
            rendering.evaluate([{"expression": validation["expression"], "variables": {"object": pod}} for pod in pods]),
            [True, True, False, False])
        message = rendering.evaluate([{"expression": validation["messageExpression"],
                                       "variables": {"namespaceObject": enabled}}])[0]
        self.assertIn("namespace shop", message)
        self.assertLessEqual(len(message), 120)

    def test_fields_come_with_the_version_that_knows_them(self):
        for version in VERSIONS:
            docs = documents(template(*REQUIRED, version=version))
            kinds = {document["kind"] for document in docs}
            webhooks = of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"]
            budget = of_kind(docs, "PodDisruptionBudget")[0]["spec"]
            with self.subTest(version):
                self.assertEqual(all("matchConditions" in entry for entry in webhooks), minor(version) >= 28)
                self.assertEqual("ValidatingAdmissionPolicy" in kinds, minor(version) >= 30)
                self.assertEqual("unhealthyPodEvictionPolicy" in budget, minor(version) >= 27)


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
