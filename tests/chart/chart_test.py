#!/usr/bin/env python3
"""What must hold of the chart: rendered over values and server versions, read as an API server would.

  chart_test.py --update   writes the golden files anew (look at the diff before you commit it)
"""
import base64
import copy
import functools
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import yaml

import rendering
import values_table
from kube_models import Models
from questions import KEY, Questions
from rendering import CHART, NAMESPACE, REQUIRED, VERSIONS, documents, of_kind, template

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden"


def golden_version(version):
    """The rendering changes at these server versions only; each stands for those up to the next."""
    steps = ["1.25", "1.27", "1.28", "1.30"]
    return max((step for step in steps if minor(step) <= minor(version)), key=minor)


def minor(version):
    return int(version.split(".")[1])


class Golden(unittest.TestCase):
    def test_each_rendering_is_the_golden_one(self):
        for case in rendering.cases():
            for version in case.versions:
                with self.subTest(case=case.name, version=version):
                    golden = GOLDEN / f"{case.name}-{golden_version(version)}.yaml"
                    self.assertTrue(golden.exists(), f"{golden} is missing; chart_test.py --update writes it")
                    self.assertMultiLineEqual(golden.read_text(), case.golden(version))

    def test_no_golden_file_is_left_over(self):
        wanted = {f"{case.name}-{golden_version(version)}.yaml"
                  for case in rendering.cases() for version in case.versions}
        self.assertEqual({path.name for path in GOLDEN.iterdir()}, wanted)

    def test_the_same_values_give_the_same_objects(self):
        self.assertEqual(template(*REQUIRED), template.__wrapped__(*REQUIRED))


class Schemas(unittest.TestCase):
    def test_every_object_is_valid(self):
        models = Models(rendering.tools()["MODELS"])
        custom = json.loads((HERE / "crd_schemas.json").read_text())
        for label, docs in rendering.renderings():
            for document in docs:
                name = f"{document['apiVersion']}/{document['kind']}"
                with self.subTest(label, object=name):
                    if models.knows(document):
                        self.assertEqual(models.check(document), [])
                    else:
                        jsonschema.validate(document, custom[name])

    def test_a_wrong_object_is_found(self):
        models = Models(rendering.tools()["MODELS"])
        deployment = of_kind(documents(template(*REQUIRED)), "Deployment")[0]
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        for breakage in (lambda c: c.update(imagePullPolice="Always"), lambda c: c.pop("name"),
                         lambda c: c.update(args="serve"), lambda c: c["ports"][0].update(containerPort="1")):
            broken = copy.deepcopy(deployment)
            breakage(broken["spec"]["template"]["spec"]["containers"][0])
            self.assertEqual(len(models.check(broken)), 1)
        self.assertTrue(container["args"])

    def test_no_object_comes_twice(self):
        for label, docs in rendering.renderings():
            names = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in docs]
            self.assertEqual(len(names), len(set(names)), label)

    def test_helm_lint_finds_nothing(self):
        result = rendering.helm("lint", "--strict", CHART, *REQUIRED)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


class Values(unittest.TestCase):
    def setUp(self):
        self.values = yaml.safe_load((CHART / "values.yaml").read_text())
        self.schema = json.loads((CHART / "values.schema.json").read_text())

    def test_missing_values_are_named_with_the_way_to_find_them(self):
        result = rendering.helm("template", "sidetap", CHART)
        self.assertNotEqual(result.returncode, 0)
        for text in ("sensor.address is not set", "subnets.pods is not set", "subnets.services is not set",
                     "kubectl cluster-info dump | grep -m 1 cluster-cidr",
                     "kubectl cluster-info dump | grep -m 1 service-cluster-ip-range",
                     "kubectl --namespace=kube-system get daemonset calico-node",
                     "--set sensor.address=10.10.10.10"):
            self.assertIn(text, result.stderr)

    def test_only_the_missing_one_is_named(self):
        result = rendering.helm("template", "sidetap", CHART, *REQUIRED[:4])
        self.assertIn("subnets.services is not set", result.stderr)
        self.assertNotIn("subnets.pods is not set", result.stderr)

    def test_values_that_cannot_be_are_refused(self):
        for setting, part in {
            "sensor.adress=1.2.3.4": "adress",
            "sensor.mode=all": "mode",
            "subnets.pods={10.244.0.0}": "pods",
            "subnets.pods={10.244.0.0/33}": "pods",
            "subnets.services={fd00::/129}": "services",
            "webhook.port=0": "port",
            "webhook.timeoutSeconds=31": "timeoutSeconds",
            "webhook.failurePolicy=ignore": "failurePolicy",
            "webhook.replicas=0": "replicas",
            "webhook.hostNetwork=true": "10250",
            "webhook.statusPort=10250": "must differ",
            "registry.port=10250": "must differ",
            "certificates.mode=manual": "mode",
            "certificates.mode=certManager": "cert-manager.io/v1",
            "sidecar.native=yes": "native",
            "sidecar.overrides={sensors}": "overrides",
            "sidecar.snaplen=10": "snaplen",
            "sidecar.env.lower=1": "env",
            "sidecar.resources.limits=null": "limits",
            "admissionPolicy.actions={Warn,Deny}": "actions",
            "image.webhook.digest=sha256:12": "digest",
            "tests.namespace=A_B": "namespace",
        }.items():
            with self.subTest(setting):
                result = rendering.helm("template", "sidetap", CHART, *REQUIRED, "--set", setting)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(part, result.stderr)

    def test_old_servers_are_refused(self):
        result = rendering.helm("template", "sidetap", CHART, *REQUIRED, "--kube-version", "1.24.17")
        self.assertIn("incompatible", result.stderr)

    def test_native_sidecars_are_refused_where_the_server_knows_none(self):
        arguments = ["template", "sidetap", CHART, *REQUIRED, "--set", "sidecar.native=always", "--kube-version"]
        self.assertIn("sidecar.native", rendering.helm(*arguments, "1.28").stderr)
        self.assertEqual(rendering.helm(*arguments, "1.29").returncode, 0)

    def test_vendors_version_suffixes_count_as_the_version(self):
        for version in ("1.30.5-gke.1014001", "v1.30.4-eks-a737599", "1.30.6+rke2r1"):
            kinds = {d["kind"] for d in documents(template(*REQUIRED, version=version))}
            self.assertIn("ValidatingAdmissionPolicy", kinds, version)

    def test_each_value_is_in_the_schema_and_described(self):
        described = dict(values_table.described_keys((CHART / "values.yaml").read_text()))
        paths = set(leaves(self.schema, self.schema)) - {"global"}
        for path in paths:
            with self.subTest(path):
                values_table.lookup(self.values, path)
                self.assertIn(path, described)
        for path in described:
            with self.subTest(path):
                self.assertTrue(any(path == leaf or leaf.startswith(path + ".") for leaf in paths))

    def test_each_value_is_used_by_a_template(self):
        templates = "".join(path.read_text() for path in CHART.rglob("templates/**/*") if path.is_file())
        monitoring = (CHART / "templates/monitoring.yaml").read_text()
        for path in leaves(self.schema, self.schema):
            parts = path.split(".")
            # Whole sections may be handed on: .Values.image.webhook, .Values.certificates.certManager.
            used = any(re.search(rf"\.{re.escape('.'.join(parts[:end]))}\b", templates)
                       for end in range(max(1, len(parts) - 1), len(parts) + 1))
            used = used or (parts[0] == "monitoring" and f".{parts[-1]}" in monitoring)
            self.assertTrue(used or path == "global", f"{path} is used nowhere")

    def test_the_readme_is_current(self):
        readme = (CHART / "README.md").read_text()
        self.assertIn(values_table.table(), readme, "run tests/chart/values_table.py")


def leaves(schema, root, prefix=""):
    """Dotted paths of the values that a schema names; objects with free keys are leaves."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        schema = root["$defs"][name] if name not in ("cpuAndMemory", "resources") else {}
    for key, value in schema.get("properties", {}).items():
        if key in ("issuerRef", "resources", "container"):
            yield f"{prefix}{key}"
        elif inner := list(leaves(value, root, f"{prefix}{key}.")):
            yield from inner
        else:
            yield f"{prefix}{key}"


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


class Certificates(unittest.TestCase):
    def test_self_managed_says_nothing_of_what_the_webhook_writes(self):
        docs = documents(template(*REQUIRED))
        for entry in of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"]:
            self.assertNotIn("caBundle", entry["clientConfig"])
        secret = of_kind(docs, "Secret")[0]
        self.assertEqual(set(secret), {"apiVersion", "kind", "metadata", "type"})

    def test_an_existing_ca_is_rendered_and_a_missing_one_is_not(self):
        authority = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        mode = ["--set", "certificates.mode=existingSecret"]
        docs = documents(template(*REQUIRED, *mode, "--set", f"certificates.existingSecret.caBundle={authority}"))
        entry = of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"][0]
        self.assertEqual(base64.b64decode(entry["clientConfig"]["caBundle"]).decode(), authority)
        docs = documents(template(*REQUIRED, *mode))
        self.assertNotIn("caBundle", of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"][0]["clientConfig"])
        self.assertEqual(of_kind(docs, "Secret"), [])

    def test_cert_manager_names_the_services_and_is_let_inject(self):
        docs = documents(template(*REQUIRED, "--set", "certificates.mode=certManager",
                                  "--api-versions", "cert-manager.io/v1"))
        certificate = [d for d in of_kind(docs, "Certificate") if "dnsNames" in d["spec"]][0]
        for service in of_kind(docs, "Service"):
            self.assertIn(f"{service['metadata']['name']}.{NAMESPACE}.svc", certificate["spec"]["dnsNames"])
        annotation = of_kind(docs, "MutatingWebhookConfiguration")[0]["metadata"]["annotations"]
        self.assertEqual(annotation["cert-manager.io/inject-ca-from"], f"{NAMESPACE}/{certificate['metadata']['name']}")
        volume = [v for v in pod_spec(docs)["volumes"] if v["name"] == "tls"][0]
        self.assertEqual(volume["secret"]["secretName"], certificate["spec"]["secretName"])


def pod_spec(docs):
    return of_kind(docs, "Deployment")[0]["spec"]["template"]["spec"]


class Workload(unittest.TestCase):
    def test_every_pod_passes_the_restricted_level(self):
        for label, docs in rendering.renderings():
            specs = [d["spec"]["template"]["spec"] for d in of_kind(docs, "Deployment")]
            specs += [d["spec"] for d in of_kind(docs, "Pod")]
            for spec in specs:
                with self.subTest(label):
                    self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                    self.assertGreater(spec["securityContext"]["runAsUser"], 0)
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    for container in spec.get("initContainers", []) + spec["containers"]:
                        self.assertEqual(container["securityContext"], {
                            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}})
                    for container in spec["containers"]:
                        self.assertEqual(container["command"], ["/usr/bin/sidetap-webhook"])
                    for volume in spec.get("volumes", []):
                        self.assertLessEqual(set(volume) - {"name"}, {"configMap", "downwardAPI", "secret", "projected", "emptyDir"})

    def test_a_rolling_update_never_has_fewer_pods(self):
        for label, docs in rendering.renderings():
            deployment = of_kind(docs, "Deployment")[0]["spec"]
            # On the node's network a second pod would find its port taken.
            shared = deployment["template"]["spec"].get("hostNetwork", False)
            wanted = {"maxSurge": 0, "maxUnavailable": 1} if shared else {"maxSurge": 1, "maxUnavailable": 0}
            self.assertEqual(deployment["strategy"]["rollingUpdate"], wanted, label)

    def test_the_pods_are_spread_softly(self):
        for constraint in pod_spec(documents(template(*REQUIRED)))["topologySpreadConstraints"]:
            self.assertEqual(constraint["whenUnsatisfiable"], "ScheduleAnyway")

    def test_services_budgets_and_policies_find_the_pods(self):
        for label, docs in rendering.renderings():
            deployment = of_kind(docs, "Deployment")[0]["spec"]
            labels = deployment["template"]["metadata"]["labels"]
            ports = {port["name"] for port in deployment["template"]["spec"]["containers"][0]["ports"]}
            with self.subTest(label):
                self.assertTrue(rendering.selector_matches(deployment["selector"], labels))
                for service in of_kind(docs, "Service"):
                    self.assertTrue(rendering.selector_matches({"matchLabels": service["spec"]["selector"]}, labels))
                    self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports)
                for budget in of_kind(docs, "PodDisruptionBudget"):
                    self.assertTrue(rendering.selector_matches(budget["spec"]["selector"], labels))
                for policy in of_kind(docs, "NetworkPolicy"):
                    self.assertTrue(rendering.selector_matches(policy["spec"]["podSelector"], labels))
                    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
                    self.assertEqual(allowed, ports)
                services = {service["metadata"]["name"]: service for service in of_kind(docs, "Service")}
                for entry in of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"]:
                    target = entry["clientConfig"]["service"]
                    self.assertEqual(target["namespace"], NAMESPACE)
                    self.assertIn(target["port"], [p["port"] for p in services[target["name"]]["spec"]["ports"]])

    def test_the_port_is_one_that_private_clusters_open(self):
        ports = pod_spec(documents(template(*REQUIRED)))["containers"][0]["ports"]
        self.assertIn({"name": "https", "containerPort": 10250}, ports)

    def test_the_grace_period_covers_the_drain(self):
        for seconds in (0, 10, 120):
            spec = pod_spec(documents(template(*REQUIRED, "--set", f"webhook.drainSeconds={seconds}")))
            self.assertGreater(spec["terminationGracePeriodSeconds"], seconds + 5)

    def test_a_stopping_registry_answers_until_taps_have_found_its_successor(self):
        source = (CHART.parents[2] / "sidecar/registry/client.h").read_text()
        asks_again = int(re.search(r"resolve_interval\{([0-9']+)\}", source).group(1).replace("'", "")) / 1000
        repeats_itself = 30  # the cluster DNS, as kubeadm sets it up
        drain = yaml.safe_load((CHART / "values.yaml").read_text())["webhook"]["drainSeconds"]
        self.assertGreater(drain, repeats_itself + asks_again)

    def test_images_carry_registry_tag_or_digest(self):
        def image(*settings):
            arguments = [part for setting in settings for part in ("--set", setting)]
            return pod_spec(documents(template(*REQUIRED, *arguments)))["containers"][0]["image"]
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        self.assertEqual(image(), f"sidetap-webhook:{version}")
        self.assertEqual(image("image.registry=r.example.com:5000/net/", "image.tag=v7"), "r.example.com:5000/net/sidetap-webhook:v7")
        digest = "sha256:" + "a" * 64
        self.assertEqual(image("image.tag=v7", f"image.webhook.digest={digest}"), f"sidetap-webhook@{digest}")

    def test_the_version_is_that_of_the_programs(self):
        project = (rendering.ROOT / "CMakeLists.txt").read_text()
        version = re.search(r"project\(sidetap VERSION (\S+)", project).group(1)
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual(chart["appVersion"], version)


@unittest.skipIf(rendering.program("sidetap-webhook") is None, "sidetap-webhook is not built")
class Program(unittest.TestCase):
    """What is rendered, in the hands of the program that it is for."""

    POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  containers: [{name: web, image: nginx}]
"""

    def run_program(self, *arguments, **more):
        return subprocess.run([rendering.program("sidetap-webhook"), *arguments], capture_output=True, text=True, **more)

    def inject(self, docs, pod=POD):
        """The pod with its tap, by the configuration that was rendered."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "config.yaml"
            # The webhook adds the CA of its certificates, without which a tap is not led to the registry.
            authority = "\nregistry:\n  ca: -----BEGIN CERTIFICATE-----"
            path.write_text(rendering.configuration(docs).replace("\nregistry:", authority))
            result = self.run_program("inject", "--config", path, "--namespace-labels", f"{KEY}=enabled", "-f", "-", input=pod)
        self.assertEqual(result.returncode, 0, result.stderr)
        return yaml.safe_load(result.stdout)

    def tap(self, docs):
        spec = self.inject(docs)["spec"]
        taps = [c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == "sidetap"]
        self.assertEqual(len(taps), 1)
        return taps[0]

    def test_every_configuration_is_taken_and_injects(self):
        models = Models(rendering.tools()["MODELS"])
        for label, docs in rendering.renderings():
            with self.subTest(label):
                pod = self.inject(docs)
                self.assertEqual(models.check(pod), [])
                self.assertEqual(self.tap(docs)["command"], ["/usr/bin/sidetap-sidecar"])

    def test_the_values_reach_the_tap(self):
        case = [case for case in rendering.cases() if case.name == "everything"][0]
        tap = self.tap(documents(case.render("1.36")))
        env = {variable["name"]: variable.get("value") for variable in tap["env"]}
        self.assertEqual(tap["image"].split("@")[0], "registry.example.com/network/sidecar")
        self.assertEqual(tap["resources"]["limits"], {"cpu": "1", "memory": "96Mi"})
        self.assertEqual(tap["ports"], [{"name": "sidetap-status", "containerPort": 16020, "protocol": "TCP"}])
        self.assertNotIn("capabilities", tap["securityContext"])
        self.assertEqual(tap["terminationMessagePolicy"], "File")
        expected = {
            "SENSOR": "[2001:db8::10]:2004,10.10.10.11:2005", "SENSOR_MODE": "balance",
            "PODNET": "10.244.0.0/16,fd00:10:244::/56", "SVCNET": "10.96.0.0/12,fd00:10:96::/112",
            "SNAPLEN": "2048", "INTERFACE": "eth0", "BUFFER_SIZE": "4M", "DATA_MTU": "1450",
            "SERVICE_VIEW": "always", "UNTAPPED_SERVICES": "10.96.7.0/24", "LOG_LEVEL": "debug", "LOG_FORMAT": "text",
            "FLUSH_INTERVAL": "20ms", "STATUS_LISTEN": ":16020",
            "REGISTRY": f"tap-eu-sidetap-registry.{NAMESPACE}.svc:9444"}
        self.assertEqual({name: env.get(name) for name in expected}, expected)

    def test_the_form_follows_the_server(self):
        for version in VERSIONS:
            spec = self.inject(documents(template(*REQUIRED, version=version)))["spec"]
            native = any(c["name"] == "sidetap" for c in spec.get("initContainers", []))
            self.assertEqual(native, minor(version) >= 32, version)

    def test_excluded_pods_get_no_tap(self):
        docs = documents(template(*REQUIRED, "--set", "injection.excludedPods.app=web"))
        self.assertEqual(self.inject(docs), yaml.safe_load(self.POD))

    def test_the_schema_refuses_what_the_program_refuses(self):
        """A value that passes the schema is taken by the program: the bounds are the same."""
        for setting in ("sidecar.snaplen=64", "sidecar.snaplen=262144", "sidecar.dataMtu=65535", "sidecar.tappedPeers=all",
                        "sidecar.tappedPeers=10.244.0.0/16\\,!10.244.1.1/32", "sidecar.bufferSize=1G",
                        "sidecar.native=never", "sidecar.serviceView=never", "sensor.port=65535", "sidecar.statusPort=1",
                        "sensor.mode=failover", "registry.auth=none",
                        "sidecar.overrides={sensor,snaplen,cpu-limit,memory-limit,interface,log-level,native,image}"):
            with self.subTest(setting):
                self.tap(documents(template(*REQUIRED, "--set", setting)))
        self.tap(documents(template(*REQUIRED, "--set-json", "sidecar.overrides=[]")))

    def test_every_argument_is_known(self):
        for label, docs in rendering.renderings():
            for container in pod_spec(docs)["containers"] + [c for d in of_kind(docs, "Pod") for c in d["spec"]["containers"]]:
                command, *arguments = container["args"]
                usage = self.run_program(command, "--help")
                self.assertEqual(usage.returncode, 0, command)
                for argument in arguments:
                    with self.subTest(label, argument=argument):
                        self.assertRegex(usage.stdout, rf"{re.escape(argument.split('=')[0])}\b")


class Monitoring(unittest.TestCase):
    """Rules and dashboard ask for metrics that the programs have."""

    FOREIGN = {"apiserver_admission_webhook_fail_open_count", "apiserver_admission_webhook_rejection_count"}
    NAME = r"\b(?:sidetap|apiserver)_[a-z_]+"

    @staticmethod
    @functools.cache
    def sources():
        return "".join(path.read_text() for folder in ("shared", "sidecar", "webhook")
                       for path in (rendering.ROOT / folder).rglob("*") if path.suffix in (".cpp", ".h"))

    @classmethod
    def declared(cls):
        names = set(re.findall(r'"(sidetap_[a-z_]+)"', cls.sources()))
        return names | {f"{name}_bucket" for name in names}

    def test_the_metrics_asked_for_exist(self):
        for name in ("alerts.yaml", "dashboard.json"):
            asked = set(re.findall(self.NAME, (CHART / "monitoring" / name).read_text()))
            self.assertEqual(asked - self.declared() - self.FOREIGN, set(), name)

    def test_the_labels_and_values_asked_for_exist(self):
        known = set(re.findall(r'"([^"\n]+)"', self.sources()))
        asked = 0
        for name in ("alerts.yaml", "dashboard.json"):
            text = (CHART / "monitoring" / name).read_text().replace('\\"', '"')
            for selector in re.findall(r"sidetap_[a-z_]+\{([^}]+)\}", text):
                for label, values in re.findall(r'(\w+)(?:=|=~|!=|!~)"([^"]*)"', selector):
                    # Prometheus adds these; Grafana fills in variables.
                    if label in ("namespace", "pod") or "$" in values:
                        continue
                    asked += 1
                    self.assertLessEqual({label, *values.split("|")}, known, f"{name}: {selector}")
        self.assertTrue(asked)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_alerts_fire_on_their_faults_alone(self):
        for command in (["check", "rules", CHART / "monitoring/alerts.yaml"], ["test", "rules", HERE / "alerts_test.yaml"]):
            result = subprocess.run(["promtool", *command], capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_panels_have_their_own_places(self):
        dashboard = json.loads((CHART / "monitoring/dashboard.json").read_text())
        taken = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells


class Rights(unittest.TestCase):
    # What no rule on names can hold: token reviews are created, not read; pods have any name.
    UNNAMED = {("tokenreviews", "create")}
    OF_PROOF = {("pods", "get")}

    def test_rules_name_what_they_allow(self):
        for label, docs in rendering.renderings():
            for role in of_kind(docs, "Role") + of_kind(docs, "ClusterRole"):
                if role["metadata"].get("annotations", {}).get("helm.sh/hook"):
                    continue
                for rule in role["rules"]:
                    with self.subTest(label, rule=rule):
                        self.assertNotIn("*", rule["verbs"] + rule["resources"] + rule["apiGroups"])
                        if "resourceNames" not in rule:
                            granted = set(itertools.product(rule["resources"], rule["verbs"]))
                            proof = self.OF_PROOF if "everything" in label else set()
                            self.assertLessEqual(granted, self.UNNAMED | proof)

    def test_pods_are_read_only_where_a_connection_may_not_prove_their_addresses(self):
        def reads(*arguments):
            docs = documents(template(*REQUIRED, *arguments))
            return any("pods" in rule["resources"] for role in of_kind(docs, "ClusterRole") for rule in role["rules"])
        dual = ["--set", "subnets.pods={10.244.0.0/16,fd00::/56}"]
        self.assertFalse(reads())
        self.assertTrue(reads(*dual))
        self.assertFalse(reads(*dual, "--set", "registry.readPods=never"))
        self.assertFalse(reads(*dual, "--set", "registry.auth=none"))
        # Pods' traffic to a node may come from another address than the pod's.
        node = ["--set", "webhook.hostNetwork=true,webhook.port=10260"]
        self.assertTrue(reads(*node))
        self.assertFalse(reads(*node, "--set", "registry.readPods=never"))
        self.assertFalse(reads(*node, "--set", "registry.auth=none"))
        self.assertTrue(reads("--set", "registry.readPods=always"))

    def test_services_are_watched_where_that_is_asked_for_only(self):
        def granted(*arguments):
            docs = documents(template(*REQUIRED, *arguments))
            rules = [rule for role in of_kind(docs, "ClusterRole") for rule in role["rules"]]
            watched = {(rule["apiGroups"][0], rule["resources"][0]) for rule in rules if rule["verbs"] == ["list", "watch"]}
            spec = pod_spec(docs)
            return watched, "--registry-services=true" in spec["containers"][0]["args"], spec["automountServiceAccountToken"]
        both = {("", "services"), ("discovery.k8s.io", "endpointslices")}
        self.assertEqual(granted(), (set(), False, True))
        self.assertEqual(granted("--set", "registry.services=true"), (both, True, True))
        self.assertEqual(granted("--set", "registry.services=true", "--set", "registry.auth=none", "--set",
                                 "certificates.mode=existingSecret"), (both, True, True))
        self.assertEqual(granted("--set", "registry.services=true", "--set", "registry.enabled=false")[:2], (set(), False))

    def test_the_names_are_those_of_the_objects(self):
        docs = documents(template(*REQUIRED))
        named = {(rule["resources"][0], name) for role in of_kind(docs, "Role") + of_kind(docs, "ClusterRole")
                 for rule in role["rules"] for name in rule.get("resourceNames", [])}
        secret = of_kind(docs, "Secret")[0]["metadata"]["name"]
        configuration = of_kind(docs, "MutatingWebhookConfiguration")[0]["metadata"]["name"]
        self.assertEqual(named, {("secrets", secret), ("mutatingwebhookconfigurations", configuration)})

    def test_without_need_no_token_is_mounted(self):
        arguments = ["--set", "certificates.mode=existingSecret", "--set", "registry.enabled=false"]
        docs = documents(template(*REQUIRED, *arguments))
        self.assertFalse(pod_spec(docs)["automountServiceAccountToken"])
        roles = [r for r in of_kind(docs, "Role") + of_kind(docs, "ClusterRole")
                 if not r["metadata"].get("annotations", {}).get("helm.sh/hook")]
        self.assertEqual(roles, [])
        self.assertTrue(pod_spec(documents(template(*REQUIRED)))["automountServiceAccountToken"])

    def test_bindings_bind_what_is_there(self):
        for label, docs in rendering.renderings():
            roles = {(r["kind"], r["metadata"]["name"]) for r in of_kind(docs, "Role") + of_kind(docs, "ClusterRole")}
            for binding in of_kind(docs, "RoleBinding") + of_kind(docs, "ClusterRoleBinding"):
                self.assertIn((binding["roleRef"]["kind"], binding["roleRef"]["name"]), roles, label)
            accounts = {a["metadata"]["name"] for a in of_kind(docs, "ServiceAccount")}
            account = pod_spec(docs)["serviceAccountName"]
            self.assertTrue(account in accounts or account == "default", label)


class Manifests(unittest.TestCase):
    FOLDER = rendering.ROOT / "deploy/manifests"

    def test_the_rendered_file_is_current(self):
        result = subprocess.run([self.FOLDER / "render.sh", "--check", "--helm", rendering.tools()["HELM"]],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_the_file_has_no_trace_of_helm_and_every_object_is_valid(self):
        text = (self.FOLDER / "sidetap.yaml").read_text()
        self.assertNotIn("helm.sh/", text)
        self.assertNotIn("Helm\n", text)
        models = Models(rendering.tools()["MODELS"])
        for document in documents(text):
            self.assertEqual(models.check(document), [])

    def test_the_readme_edits_all_that_is_an_example(self):
        readme = (self.FOLDER / "README.md").read_text()
        command = re.search(r"sed (-e .+?) deploy/manifests/sidetap.yaml", readme, re.DOTALL).group(1)
        command = command.replace("\\\n", " ")
        edited = subprocess.run(f"sed {command} {self.FOLDER}/sidetap.yaml", shell=True, capture_output=True, text=True)
        self.assertEqual(edited.returncode, 0, edited.stderr)
        docs = documents(edited.stdout)
        self.assertTrue(pod_spec(docs)["containers"][0]["image"].startswith("registry.example.com/network/"))
        configuration = yaml.safe_load(rendering.configuration(docs))
        self.assertEqual(pod_spec(docs)["initContainers"][0]["image"], configuration["sidecar"]["image"])
        self.assertTrue(configuration["sidecar"]["image"].startswith("registry.example.com/network/"))
        self.assertEqual(configuration["sensor"]["address"], "10.10.10.10")
        self.assertEqual(configuration["subnets"], {"pods": ["10.42.0.0/16"], "services": ["10.43.0.0/16"]})


def update():
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for case in rendering.cases():
        for version in case.versions:
            (GOLDEN / f"{case.name}-{golden_version(version)}.yaml").write_text(case.golden(version))


if __name__ == "__main__":
    rendering.tools()
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        unittest.main(verbosity=2)
