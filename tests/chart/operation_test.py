#!/usr/bin/env python3
"""What an operator meets after the installation: other labels, other modes, strict namespaces, and what the notes say."""
import json
import re
import subprocess
import unittest

import rendering
from questions import Questions
from rendering import CHART, NAMESPACE, REQUIRED, SUBNETS, documents, of_kind, pod_spec, template

LEVEL = "pod-security.kubernetes.io/enforce"


class Labels(unittest.TestCase):
    def test_labels_and_annotations_may_overlap(self):
        docs = documents(template(
            *REQUIRED, "--set", "commonLabels.team=network,commonLabels.release=common",
            "--set", "commonLabels.app\\.kubernetes\\.io/name=mine", "--set", "webhook.podLabels.team=capture",
            "--set", "webhook.podLabels.app\\.kubernetes\\.io/component=mine",
            "--set", "commonAnnotations.note=all", "--set", "webhook.podAnnotations.note=pod",
            "--set", "webhook.podAnnotations.sidetap\\.io/configuration=none", "--set", "webhook.podAnnotations.kubectl\\.kubernetes\\.io/default-container=other",
            "--set", "monitoring.podMonitor.enabled=true,monitoring.podMonitor.labels.release=prometheus",
            "--set", "monitoring.dashboard.enabled=true,monitoring.rules.enabled=true"))
        deployment = of_kind(docs, "Deployment")[0]
        pod = deployment["spec"]["template"]["metadata"]
        selected = deployment["spec"]["selector"]["matchLabels"]
        self.assertLessEqual(selected.items(), pod["labels"].items(), "the pods are selected whatever is asked for")
        self.assertEqual(pod["labels"]["team"], "capture")
        self.assertIn("10.10.10.10", pod["annotations"].pop("sidetap.io/configuration"), "the webhook's, whatever is asked for")
        self.assertEqual(pod["annotations"], {"note": "pod", "kubectl.kubernetes.io/default-container": "other"})
        self.assertEqual(deployment["metadata"]["labels"]["team"], "network")
        for monitor in of_kind(docs, "PodMonitor"):
            self.assertEqual(monitor["metadata"]["labels"]["release"], "prometheus")
        for document in docs:
            self.assertEqual(document["metadata"]["labels"]["app.kubernetes.io/name"], "sidetap")


class Modes(unittest.TestCase):
    MODES = {"selfManaged": [], "certManager": ["--api-versions", "cert-manager.io/v1"], "existingSecret": []}

    def secrets(self, mode):
        """Names of Secrets: those of the chart, and those that others write."""
        docs = documents(template(*REQUIRED, "--set", f"certificates.mode={mode}", *self.MODES[mode]))
        own = {secret["metadata"]["name"] for secret in of_kind(docs, "Secret")}
        foreign = {certificate["spec"]["secretName"] for certificate in of_kind(docs, "Certificate")}
        mounted = {volume["secret"]["secretName"] for volume in pod_spec(docs)["volumes"] if "secret" in volume}
        return own, foreign | mounted

    def test_a_change_of_mode_touches_no_secret_of_another(self):
        """Helm neither takes over what it did not make, nor may it delete what somebody has just written."""
        own, foreign = self.secrets("selfManaged")
        self.assertEqual((len(own), foreign), (1, set()))
        for mode in ("certManager", "existingSecret"):
            helm_made, others = self.secrets(mode)
            self.assertEqual(helm_made, set())
            self.assertIn("sidetap-webhook-tls", others, "what certs-scripts/install.sh writes")
            self.assertFalse(own & others, mode)


class PodSecurity(Questions, unittest.TestCase):
    """A pod that its tap would make unlawful must come to be without one."""

    LEVELS = (None, "privileged", "baseline", "restricted")

    def of_level(self, level, label):
        namespace = self.namespace(label)
        if level:
            namespace["metadata"]["labels"][LEVEL] = level
        return namespace

    def asked(self, version, *arguments):
        """Levels of namespaces at which each entry is called."""
        entries = self.entries(version, *arguments)
        questions = {"namespace": [(self.of_level(level, "enabled"), self.pod(None, None)) for level in self.LEVELS],
                     "pod": [(self.of_level(level, None), self.pod("true", "true")) for level in self.LEVELS]}
        return [[level for level, called in zip(self.LEVELS, self.called(entries[name], questions[name])) if called]
                for name in ("namespace", "pod")]

    def test_namespaces_that_would_refuse_the_tap_are_not_asked_about(self):
        for version in ("1.25", "1.36"):
            self.assertEqual(self.asked(version), [[None, "privileged"]] * 2)
            self.assertEqual(self.asked(version, "--set", "sidecar.capabilities=runtimeDefault"),
                             [[None, "privileged", "baseline"]] * 2)

    # The operator's own fields of the tap's container, and whether they pass `baseline`.
    CONTAINERS = [
        ({}, True),
        ({"workingDir": "/tmp"}, True),
        ({"securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}}, True),
        ({"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}}}, True),
        ({"securityContext": {"seLinuxOptions": {"type": "container_t", "level": "s0"}}}, True),
        ({"startupProbe": {"httpGet": {"path": "/readyz", "port": "sidetap-status"}}}, True),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}, True),
        ({"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}, False),
        ({"securityContext": {"privileged": True}}, False),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, False),
        ({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, False),
        ({"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}, False),
        ({"securityContext": {"seLinuxOptions": {"user": "system_u"}}}, False),
        ({"readinessProbe": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}}, False),
        ({"lifecycle": {"postStart": {"httpGet": {"host": "10.0.0.1", "port": 80}}}}, False),
    ]

    def test_fields_that_a_level_refuses_count_too_and_the_path_says_what_is_let_through(self):
        for container, passes in self.CONTAINERS:
            with self.subTest(container):
                arguments = ["--set", "sidecar.capabilities=runtimeDefault", "--set-json", f"sidecar.container={json.dumps(container)}"]
                asked = self.asked("1.36", *arguments)
                self.assertEqual(asked, [[None, "privileged", *(["baseline"] if passes else [])]] * 2)
                paths = {name: entry["clientConfig"]["service"]["path"] for name, entry in self.entries("1.36", *arguments).items()}
                self.assertEqual(paths, {name: f"/inject/{name}{'/baseline' if passes else ''}" for name in ("namespace", "pod")})
                for path in paths.values():
                    # The API server takes DNS names between the slashes, and no query.
                    self.assertRegex(path, r"^(/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)+$")

    def test_the_warning_names_the_level_where_it_is_the_reason(self):
        def said(*arguments):
            docs = documents(template(*REQUIRED, *arguments))
            policy = of_kind(docs, "ValidatingAdmissionPolicy")[0]
            namespaces = [self.of_level(level, "enabled") for level in self.LEVELS]
            self.assertTrue(all(self.called(policy, [(namespace, self.pod(None, None)) for namespace in namespaces])))
            validation = policy["spec"]["validations"][0]
            self.assertIn("Pod Security", validation["message"])
            messages = rendering.evaluate([{"expression": validation["messageExpression"],
                                            "variables": {"namespaceObject": namespace}} for namespace in namespaces])
            self.assertTrue(all("\n" not in message and len(message) <= 120 for message in messages), messages)
            return [level for level, message in zip(self.LEVELS, messages) if "Pod Security" in message]
        self.assertEqual(said(), ["baseline", "restricted"])
        self.assertEqual(said("--set", "sidecar.capabilities=runtimeDefault"), ["restricted"])


@unittest.skipIf(rendering.program("sidetap-sidecar") is None, "sidetap-sidecar is not built")
class TapsImage(unittest.TestCase):
    """The webhook's own pods try the taps' image first, with the options that all taps will have."""

    def run_it(self, docs):
        container, = pod_spec(docs)["initContainers"]
        environment = {variable["name"]: variable["value"] for variable in container.get("env", [])}
        self.assertEqual(container["command"], ["/usr/bin/sidetap-sidecar"])
        return subprocess.run([rendering.program("sidetap-sidecar"), *container["args"]], env=environment, capture_output=True,
                              text=True, timeout=60)

    def test_every_configuration_passes(self):
        for label, docs in rendering.renderings():
            with self.subTest(label):
                result = self.run_it(docs)
                self.assertEqual(result.returncode, 0, result.stderr)

    def test_an_option_over_which_taps_would_end_ends_the_rollout(self):
        result = self.run_it(documents(template(*REQUIRED, "--set", "sidecar.env.FLUSH_INTERVAL=soon")))
        self.assertEqual(result.returncode, 2)
        self.assertIn("FLUSH_INTERVAL", result.stderr)

    def test_an_output_that_lacks_something_ends_the_rollout(self):
        files = ["--set", "sidecar.output=pcap"]
        result = self.run_it(documents(template(*REQUIRED, *files, "--set", "sidecar.env.PCAP_DIR=/tmp")))
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.run_it(documents(template(*REQUIRED, *files, "--set", "sidecar.env.PCAP_DIR=")))
        self.assertEqual(result.returncode, 2)
        self.assertIn("pcap", result.stderr)

    def test_what_only_the_tapped_pod_knows_is_not_judged(self):
        for setting in ('sidecar.container={"envFrom":[{"secretRef":{"name":"x"}}]}', 'sidecar.container={"args":["run","--max-rate=1M"]}',
                        'sidecar.env={"FLUSH_INTERVAL":"$(SET_ELSEWHERE)"}'):
            result = self.run_it(documents(template(*REQUIRED, "--set-json", setting)))
            self.assertEqual((result.returncode, result.stdout.split()[0]), (0, "sidetap-sidecar"), setting)


class Notes(unittest.TestCase):
    def notes(self, *arguments):
        result = rendering.helm("install", "sidetap", CHART, "--namespace", NAMESPACE, "--dry-run=client", *REQUIRED,
                                *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.split("\nNOTES:\n")[1]

    def test_the_next_commands_are_there(self):
        notes = self.notes()
        for command in (f"kubectl -n {NAMESPACE} wait --for=condition=Available deployment/sidetap-webhook",
                        f"helm test sidetap -n {NAMESPACE}", "kubectl label namespace NAMESPACE sidetap.io/inject=enabled",
                        "kubectl -n NAMESPACE wait --for=condition=Ready pod --field-selector="):
            self.assertIn(command, notes)

    def test_a_test_that_cannot_pass_is_announced(self):
        self.assertNotIn("Set tests.namespace", self.notes())
        for arguments in (["tests.namespace=kube-system"], [f"tests.namespace={NAMESPACE}"],
                          ["tests.namespace=shop", "injection.excludedNamespaces={shop}"]):
            notes = self.notes(*[part for argument in arguments for part in ("--set", argument)])
            name = arguments[0].split("=")[1]
            self.assertIn(f"Set tests.namespace to another namespace first: pods in {name} never get a tap.", notes)

    def test_the_way_to_the_page_is_said_where_there_is_one(self):
        command = f"kubectl -n {NAMESPACE} port-forward deployment/sidetap-webhook "
        self.assertIn(f"{command}8446\n", self.notes())
        self.assertIn("http://localhost:9000/", self.notes("--set", "page.port=9000"))
        self.assertNotIn("port-forward", self.notes("--set", "page.enabled=false"))
        notes = self.notes("--set", "webhook.hostNetwork=true,webhook.port=10260")
        self.assertNotIn("port-forward", notes)
        self.assertIn("The page is off", notes)

    def test_what_the_registry_may_change_is_said(self):
        self.assertIn("may change in running taps: on\n", self.notes())
        notes = self.notes("--set", "sidecar.registryControl=pause,profiles.edge.sidecar.paused=true")
        self.assertIn("may change in running taps: pause; profiles edge\n", notes)
        self.assertIn("settings apply to new taps only (no registry)\n", self.notes(*SUBNETS, "--set", "registry.enabled=false"))

    def test_a_missing_certificate_is_said(self):
        self.assertNotIn("install.sh", self.notes())
        notes = self.notes("--set", "certificates.mode=existingSecret")
        command = re.search(r"certs-scripts/install\.sh (.+)", notes).group(1).split()
        usage = subprocess.run([rendering.ROOT / "certs-scripts/install.sh", "--help"], capture_output=True, text=True).stdout
        for flag in (part for part in command if part.startswith("--")):
            self.assertIn(flag, usage)

    def test_what_the_webhook_may_watch_is_said(self):
        for arguments, watched in (([], "Services, EndpointSlices and Nodes"),
                                   (["--set", "registry.nodes=false"], "Services and EndpointSlices"),
                                   ([*SUBNETS, "--set", "registry.services=false"], None),
                                   ([*SUBNETS, "--set", "registry.enabled=false"], None)):
            notes = self.notes(*arguments)
            said = re.findall(r"may list and watch (.+?)\. To decline these rights", notes)
            self.assertEqual(said, [watched] if watched else [], arguments)
            self.assertEqual("Services          from the registry" in notes, watched is not None)
            self.assertEqual("Services          within 10.96.0.0/12 (not watched)" in notes, watched is None)

    def test_services_with_untapped_backends_are_warned_of_unless_something_is_said_of_them(self):
        warned = ["k8s-app=kube-dns", "--set registry.services=true", "sidecar.untappedServices"]
        declined = [*SUBNETS, "--set", "registry.services=false"]
        notes = self.notes(*declined)
        for text in warned:
            self.assertIn(text, notes)
        for arguments in ([], [*declined, "--set", "sidecar.untappedServices={10.96.0.10/32}"],
                          [*declined, "--set", "sidecar.serviceView=always"], [*SUBNETS, "--set", "registry.enabled=false"]):
            notes = self.notes(*arguments)
            self.assertFalse([text for text in warned if text in notes], arguments)
        # Without the registry peers count as tapped only where that is said.
        self.assertIn("sidecar.untappedServices",
                      self.notes(*SUBNETS, "--set", "registry.enabled=false,sidecar.tappedPeers=all"))

    def test_every_kind_of_workload_is_restarted(self):
        restart = re.search(r"rollout restart (.+)", self.notes()).group(1)
        self.assertEqual(set(restart.split(",")), {"deployment", "statefulset", "daemonset"})

    def test_the_logs_of_a_test_are_asked_for_after_it_has_failed(self):
        """`helm test --logs` fails after a test that passed, up to Helm 4.0: the pod is gone by then."""
        notes = self.notes()
        self.assertNotIn("--logs", notes)
        self.assertRegex(notes, rf"helm test sidetap -n {NAMESPACE} \|\| kubectl -n {NAMESPACE} logs sidetap-test")


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
