#!/usr/bin/env python3
"""What must hold of values and their schema: what is missing or cannot be is named, and each value is described and used."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

import program_test
import rendering
import values_table
from rendering import CHART, REQUIRED, SUBNETS, documents, pod_spec, template
from values_table import leaves


class Values(unittest.TestCase):
    def setUp(self):
        self.values = yaml.safe_load((CHART / "values.yaml").read_text())
        self.schema = json.loads((CHART / "values.schema.json").read_text())

    def missing(self, *settings):
        """(values that a rendering misses, the text that says so)"""
        arguments = [part for setting in settings for part in ("--set", setting)]
        result = rendering.helm("template", "sidetap", CHART, *arguments)
        named = re.findall(r"- (\S+) is not set", result.stderr)
        self.assertEqual(result.returncode == 0, not named, result.stderr)
        return named, result.stderr

    def test_without_values_the_sensor_alone_is_missing(self):
        named, text = self.missing()
        self.assertEqual(named, ["sensor.address"])
        self.assertIn("--set sensor.address=10.10.10.10", text)

    def test_one_value_is_enough(self):
        docs = documents(template(*REQUIRED))
        self.assertNotIn("subnets", yaml.safe_load(rendering.configuration(docs)))
        tried, = pod_spec(docs)["initContainers"]
        self.assertEqual(tried["env"], [{"name": "SENSOR", "value": "10.10.10.10"}])

    def test_subnets_reach_the_taps_where_they_are_given_and_each_by_itself(self):
        for given, key, variable in ((SUBNETS[:2], "pods", "PODNET"), (SUBNETS[2:], "services", "SVCNET")):
            docs = documents(template(*REQUIRED, *given))
            subnets = yaml.safe_load(rendering.configuration(docs))["subnets"]
            self.assertEqual(set(subnets), {key})
            tried, = pod_spec(docs)["initContainers"]
            self.assertIn({"name": variable, "value": ",".join(subnets[key])}, tried["env"])
            self.assertEqual(len(tried["env"]), 2)

    def test_subnets_are_required_where_nothing_stands_for_them(self):
        both = ["subnets.pods", "subnets.services"]
        for setting, wanted in {"registry.enabled=false": both, "registry.services=false": both[1:],
                                "sidecar.serviceView=never": both[1:]}.items():
            with self.subTest(setting):
                named, text = self.missing("sensor.address=10.10.10.10", setting)
                self.assertEqual(named, wanted)
                key, _, value = setting.partition("=")
                self.assertEqual(text.count(f"is not set, and {key} is {value}: "), len(wanted), "the reason is said")
                self.assertEqual(text.count("Leave"), len(wanted), "and the other way out")
                for part in ("service-cluster-ip-range", "get servicecidrs", "--set 'subnets.services={10.96.0.0/12}'"):
                    self.assertIn(part, text)
                for part in ("cluster-cidr", "get daemonset calico-node", "--set 'subnets.pods={10.244.0.0/16}'"):
                    self.assertEqual(part in text, "subnets.pods" in wanted)
                given = [part for part in SUBNETS if part != "--set"]
                self.assertEqual(self.missing("sensor.address=10.10.10.10", setting, *given)[0], [])
        for setting in ("registry.nodes=false", "sidecar.serviceView=always", "registry.auth=none", "registry.readPods=never"):
            self.assertEqual(self.missing("sensor.address=10.10.10.10", setting)[0], [], setting)

    def test_only_the_missing_one_is_named(self):
        pods, services = (part for part in SUBNETS if part != "--set")
        declined = ("sensor.address=10.10.10.10", "registry.enabled=false")
        self.assertEqual(self.missing(*declined, pods)[0], ["subnets.services"])
        self.assertEqual(self.missing(*declined, services)[0], ["subnets.pods"])

    def test_values_that_cannot_be_are_refused(self):
        for setting, part in {
            "sensor.adress=1.2.3.4": "adress",
            "sensor.mode=all": "mode",
            "subnets.pods={10.244.0.0}": "pods",
            "subnets.pods={10.244.0.0/33}": "pods",
            "subnets.services={fd00::/129}": "services",
            "webhook.port=0": "port",
            "enabled=maybe": "enabled",
            # Without any, a rule of a NetworkPolicy allows every port.
            "networkPolicy.apiServerPorts=[]": "apiServerPorts",
            "webhook.timeoutSeconds=31": "timeoutSeconds",
            "webhook.failurePolicy=ignore": "failurePolicy",
            "webhook.replicas=0": "replicas",
            "webhook.hostNetwork=true": "10250",
            "webhook.statusPort=10250": "must differ",
            "registry.port=10250": "must differ",
            "page.port=8444": "must differ",
            "page.port=0": "port",
            "coverage.enabled=maybe": "coverage",
            "sidecar.paused=off": "paused",
            "sidecar.flowSampling=0": "flowSampling",
            "sidecar.maxPacketRate=-1": "maxPacketRate",
            "sidecar.output=udp": "output",
            "profiles.edge.sidecar.snaplen=10": "/profiles/edge/sidecar/snaplen",
            "profiles.edge.sidecar.logLevel=debug": "logLevel",
            "profiles.edge.sensor.adress=10.0.0.1": "adress",
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
                option = "--set-json" if setting.endswith("[]") else "--set"
                result = rendering.helm("template", "sidetap", CHART, *REQUIRED, option, setting)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(part, result.stderr)

    # What the webhook refuses in each new pod, so that no rollout would end, is refused by helm already.
    UNFIT = {
        "sidecar.output=vxlan,sensor.mode=failover": "sensor.mode: replicate, balance",
        "sidecar.output=vxlan,sensor.mode=hash": "sensor.mode: replicate, balance",
        "sidecar.output=vxlan,sensor.tls=client": "Set sensor.tls=off",
        "sensor.tls=rpcaps": "- sensor.secretName is not set",
        "sensor.tls=registry,registry.enabled=false": "- sensor.tls is registry",
        "profiles.edge.sidecar.output=vxlan": "set profiles.edge.sensor.address",
        "profiles.edge.sidecar.output=vxlan,profiles.edge.sensor.address=b,sensor.mode=failover": "profiles.edge.sensor.mode: replicate",
        "profiles.edge.sidecar.output=vxlan,profiles.edge.sensor.address=b,sensor.tls=client": "Set profiles.edge.sensor.tls=off",
        "profiles.edge.sensor.tls=rpcaps": "- profiles.edge.sensor.secretName is not set",
        "profiles.edge.sensor.tls=registry,registry.enabled=false": "- profiles.edge.sensor.tls is registry",
    }
    FIT = [
        "sidecar.output=vxlan,sensor.mode=balance",
        "sensor.tls=rpcaps,sensor.secretName=login",
        "sensor.tls=rpcaps,sidecar.env.SENSOR_TLS_CERT=/x,sidecar.env.SENSOR_TLS_KEY=/x",
        "sensor.tls=registry",
        "sensor.mode=failover,sensor.tls=client,profiles.edge.sidecar.output=vxlan,profiles.edge.sensor.address=b,"
        "profiles.edge.sensor.mode=balance,profiles.edge.sensor.tls=off",
        "collector.enabled=true,profiles.edge.sidecar.output=vxlan,profiles.edge.sensor.address=b",
    ]

    def test_outputs_and_sensors_that_do_not_go_together_are_refused(self):
        for settings, part in self.UNFIT.items():
            with self.subTest(settings):
                result = rendering.helm("template", "sidetap", CHART, *REQUIRED, *SUBNETS, "--set", settings)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(part, result.stderr)
        for settings in self.FIT:
            documents(template(*REQUIRED, "--set", settings))

    @unittest.skipIf(rendering.program("sidetap-webhook") is None, "sidetap-webhook is not built")
    def test_the_webhook_judges_the_same(self):
        """By the texts that the chart would have rendered without its own judgement."""
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(folder) / "sidetap"
            shutil.copytree(CHART, chart)
            rules = chart / "templates/_validate.tpl"
            rules.write_text(rules.read_text().replace("{{- if $faults -}}", "{{- if false -}}"))
            for settings in [*self.UNFIT, *self.FIT]:
                result = rendering.helm("template", "sidetap", chart, *REQUIRED, *SUBNETS, "--kube-version", "1.36", "--set", settings)
                path = pathlib.Path(folder) / "config.yaml"
                path.write_text(rendering.configuration([d for d in documents(result.stdout) if d["metadata"]["name"] == "sidetap-webhook"]))
                answer = subprocess.run([rendering.program("sidetap-webhook"), "explain", "--config", path, "-f", "-"],
                                        input=program_test.Program.POD, capture_output=True, text=True)
                with self.subTest(settings):
                    self.assertEqual(answer.returncode == 0, settings in self.FIT, answer.stderr)

    def test_a_parent_chart_may_have_a_condition_and_globals_of_its_own(self):
        with tempfile.TemporaryDirectory() as folder:
            parent = pathlib.Path(folder)
            shutil.copytree(CHART, parent / "charts/sidetap")
            (parent / "Chart.yaml").write_text("{apiVersion: v2, name: parent, version: 0.1.0, dependencies: [{name: sidetap, "
                                               f"version: {self.version()}, condition: sidetap.enabled}}]}}\n")
            for enabled in (True, False):
                values = {"global": {"registry": "x"}, "sidetap": {"enabled": enabled, "sensor": {"address": "10.10.10.10"}}}
                (parent / "values.yaml").write_text(json.dumps(values))
                result = rendering.helm("template", "parent", parent, "--kube-version", "1.36")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual("kind: MutatingWebhookConfiguration" in result.stdout, enabled)

    def version(self):
        return yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]

    def test_a_profile_may_set_what_can_change_in_running_taps(self):
        """What the registry may change has a row in the programs' table; so has what the schema lets a profile set."""
        source = (rendering.ROOT / "shared/tap/settings.h").read_text()
        rows = re.findall(r'\{\.key = "(\w+)\.(\w+)",(.*?)\}(?=,\n    \{\.key|,\n\}\))', source, re.DOTALL)
        wanted = {(section, key) for section, key, row in rows if ".control" in row} | {("sensor", "port"), ("sensor", "secretName")}
        profile = self.schema["$defs"]["profile"]["properties"]
        given = {(section, key) for section in ("sensor", "sidecar") for key in profile[section]["properties"]}
        self.assertGreater(len(wanted), 8)
        self.assertEqual(given, wanted)
        for section, key in given:
            self.assertEqual(profile[section]["properties"][key]["anyOf"][0]["$ref"], f"#/properties/{section}/properties/{key}")

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
        paths = set(leaves(self.schema, self.schema)) - {"global", "enabled"}
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
            self.assertTrue(used or path in ("global", "enabled"), f"{path} is used nowhere")

    def test_the_readme_is_current(self):
        readme = (CHART / "README.md").read_text()
        self.assertIn(values_table.table(), readme, "run tests/chart/values_table.py")


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
