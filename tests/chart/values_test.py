#!/usr/bin/env python3
"""What must hold of whatever an operator writes into values: a key with nothing beneath it, texts that look like numbers, and
values that cannot be."""
import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

import program_test
import rendering
import values_table
from kube_models import Models
from rendering import CHART, REQUIRED, documents, of_kind

HERE = pathlib.Path(__file__).resolve().parent
GIVEN = {"sensor": {"address": "10.10.10.10"}}
# Everything that is off by default, so that its values are rendered too.
ON = {"networkPolicy": {"enabled": True}, "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True},
                                                         "dashboard": {"enabled": True}}}
LIKE_NUMBERS = ["1e3", "1234", "on", "0x1f", "no", "1.5", "2026-01-01", "1_000"]


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def merged(*parts):
    result = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def render(values, *arguments):
    """(error text or None, objects)"""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        result = rendering.helm("template", "sidetap", CHART, "--namespace", rendering.NAMESPACE, "--kube-version", "1.36",
                                "--values", file.name, *arguments)
    if result.returncode != 0:
        return result.stderr, []
    return None, documents(result.stdout)


def render_all(values):
    """The same for a list of them, as many at a time as there are processors."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(render, values))


def schema_at(path):
    schema = json.loads((CHART / "values.schema.json").read_text())
    at = schema
    for key in path.split("."):
        at = at["properties"][key]
        if "$ref" in at:
            at = schema["$defs"][at["$ref"].rsplit("/", 1)[1]]
    return at


def paths():
    return [path for path, _ in values_table.described_keys((CHART / "values.yaml").read_text())]


class NothingBeneath(unittest.TestCase):
    """As it is left behind when somebody comments out what stood there."""

    def in_groups(self, keys, size=12):
        """Keys that can be without a value at the same time: none is within another."""
        for depth in sorted({key.count(".") for key in keys}):
            alike = [key for key in keys if key.count(".") == depth]
            yield from (alike[at:at + size] for at in range(0, len(alike), size))

    def check_alike(self, keys, wanted):
        """Whether everything is as without them, first of many together; where it is not, of each, which names the one."""
        groups = list(self.in_groups(keys))
        suspects = []
        for group, result in zip(groups, render_all([merged(GIVEN, ON, *(nested(key, None) for key in group)) for group in groups])):
            if result != (None, wanted):
                suspects += group
        exact = 0
        for key, (error, docs) in zip(suspects, render_all([merged(GIVEN, ON, nested(key, None)) for key in suspects])):
            with self.subTest(key):
                self.assertIsNone(error)
                self.assertEqual(docs, wanted)
                exact += 1
        self.assertFalse(suspects and exact == len(suspects), f"only together another rendering: {suspects}")

    def test_a_key_with_nothing_beneath_it_counts_as_not_given(self):
        sections = {path.rsplit(".", end)[0] for path in paths() for end in range(1, path.count(".") + 1)}
        wanted = render(merged(GIVEN, ON))[1]
        self.assertTrue(wanted)
        keys = sorted(sections | set(paths()))
        alone = [key for key in keys if key in ("sensor", "sensor.address") or key.split(".")[0] in ("monitoring", "networkPolicy")]
        for path, (error, docs) in zip(alone, render_all([merged(GIVEN, ON, nested(path, None)) for path in alone])):
            with self.subTest(path):
                if path in ("sensor", "sensor.address"):
                    self.assertRegex(error, rf"{path}(\.\w+)? is not set")
                else:
                    # What switches something off takes its objects away; the rest is as it was.
                    self.assertIsNone(error)
                    self.assertTrue(all(document in wanted for document in docs))
        others = [key for key in keys if key not in alone]
        self.assertGreater(len(others), 80)
        self.check_alike(others, wanted)

    def test_a_key_of_a_free_map_is_taken_back(self):
        """Helm merges maps, so there is no other way back from a key that an earlier upgrade has set."""
        for path in ("sidecar.env.FLUSH_INTERVAL", "sidecar.container.startupProbe", "commonLabels.team", "webhook.podLabels.team",
                     "injection.excludedPods.app", "serviceAccount.annotations.note"):
            with self.subTest(path):
                error, docs = render(merged(GIVEN, nested(path, None)))
                self.assertIsNone(error)
                self.assertEqual(docs, render(GIVEN)[1])

    def test_what_has_nothing_beneath_it_in_a_profile_counts_as_not_given(self):
        wanted = render(merged(GIVEN, {"profiles": {"edge": {"sidecar": {"paused": True}}}}))[1]
        self.assertIn('"paused":true', rendering.configuration(wanted))
        for more in ({"namespaces": None}, {"sensor": None}, {"sensor": {"address": None, "port": None}},
                     {"sidecar": {"paused": True, "snaplen": None, "filter": None}}):
            with self.subTest(more):
                error, docs = render(merged(GIVEN, {"profiles": {"edge": merged({"sidecar": {"paused": True}}, more)}}))
                self.assertIsNone(error)
                self.assertEqual(docs, wanted)

    def test_the_defaults_of_the_templates_are_those_of_the_values(self):
        self.assertEqual(values_table.DEFAULTS.read_text(), values_table.defaults(), "run tests/chart/values_table.py")

    def test_every_template_begins_with_whole_values(self):
        for path in CHART.rglob("templates/**/*"):
            if path.suffix in (".yaml", ".txt"):
                self.assertTrue(path.read_text().startswith('{{- include "sidetap.prepare" . }}\n'), path)


class LikeNumbers(unittest.TestCase):
    """A text stays a text, whatever YAML would make of it."""

    def value_at(self, path, text):
        """The text as this value holds it: itself, in a list or in a map. None: no text fits."""
        if path == "sidecar.filter":
            # Its words have a meaning, which only libpcap judges.
            return None
        schema = schema_at(path)
        if schema.get("type") == "string" and "enum" not in schema:
            return text
        if schema.get("type") == "array" and schema["items"].get("type") == "string" and "enum" not in schema["items"]:
            return [text]
        if "string" in (schema.get("additionalProperties") or {}).get("type", []):
            return {"X": text} if path == "sidecar.env" else {"key": text}
        return None

    def check(self, docs):
        models = Models(rendering.tools()["MODELS"])
        custom = json.loads((HERE / "crd_schemas.json").read_text())
        for document in docs:
            if models.knows(document):
                self.assertEqual(models.check(document), [])
            else:
                jsonschema.validate(document, custom[f"{document['apiVersion']}/{document['kind']}"])
        program = rendering.program("sidetap-webhook")
        if program is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "config.yaml"
                path.write_text(rendering.configuration(docs))
                result = subprocess.run([program, "explain", "--config", path, "-f", "-"], input=program_test.Program.POD,
                                        capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, result.stderr)

    def test_every_text_stays_one_or_is_refused_by_its_name(self):
        tried = [(path, self.value_at(path, LIKE_NUMBERS[0])) for path in paths()]
        tried = [(path, value) for path, value in tried if value is not None]
        taken = []
        for (path, value), (error, docs) in zip(tried, render_all([merged(GIVEN, ON, nested(path, value)) for path, value in tried])):
            with self.subTest(path):
                if error is None:
                    taken.append(path)
                    self.check(docs)
                else:
                    self.assertIn(path, error)
                    self.assertNotIn("^", error)
        self.assertGreater(len(taken), 20)
        for text in LIKE_NUMBERS[1:]:
            given = {path: self.value_at(path, text) for path in taken}
            with self.subTest(text):
                error, docs = render(merged(GIVEN, ON, *(nested(path, value) for path, value in given.items())))
                if error is not None:
                    # Some are refused by their form, each by its name; without these the others must do.
                    named = {path for path in given if re.search(rf"- {re.escape(path)}(\[0\])? (is|names) ", error)}
                    self.assertTrue(named, error)
                    error, docs = render(merged(GIVEN, ON, *(nested(path, value) for path, value in given.items() if path not in named)))
                self.assertIsNone(error)
                self.check(docs)

    def test_names_of_release_and_namespace(self):
        for name in ("1234", "on", "1e3", "0x1f", "true", "null", "1-5"):
            with self.subTest(name):
                docs = documents(rendering.helm("template", name, CHART, "--namespace", name, *REQUIRED, "--set",
                                                "networkPolicy.enabled=true", "--kube-version", "1.36").stdout)
                self.check(docs)
                for service in of_kind(docs, "Service"):
                    # RFC 1035: the API server takes no other.
                    self.assertRegex(service["metadata"]["name"], r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
                configuration = yaml.safe_load(rendering.configuration(docs))
                self.assertEqual(configuration["injection"]["ownNamespace"], name)
                self.assertEqual(docs[0]["metadata"]["labels"]["app.kubernetes.io/instance"], name)


class Refused(unittest.TestCase):
    """A value that cannot be is named, with what is accepted in words."""

    WRONG = {
        "subnets.pods": ["10.244.0.0", "10.244.0.0/33", "10.244.0.256/16", "010.0.0.0/8", "fd00::/129", "pods"],
        "sidecar.untappedServices": ["10.96.0.10"],
        "image.registry": ["https://registry.example.com", "Registry.example.com"],
        "image.tag": ["a/b"],
        "image.sidecar.digest": ["sha256:12"],
        "sidecar.interface": ["a b", "sixteen-letters-x"],
        "sidecar.bufferSize": ["4MB"],
        "sidecar.tappedPeers": ["some"],
        "certificates.certManager.duration": ["90d"],
        "certificates.existingSecret.caBundle": ["MIIB"],
        "monitoring.podMonitor.interval": ["half a minute"],
        "injection.excludedNamespaces": ["A_B"],
        "image.pullSecrets": ["Login"],
        "tests.namespace": ["A_B"],
        "fullnameOverride": ["1tap", "-"],
        "sensor.address": ["10.0.0.256", "010.10.10.10", ":2003", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "rpcap://10.0.0.1",
                           "a,,b", "[fd00::1", "[]:2003", "10.0.0.1:"],
        "sensor.secretName": ["Login", "a/b"],
        "sidecar.maxRate": ["100 M", "fast", "100m", "-1"],
        "sidecar.registryControl": ["yes", "sensors,all", "on,off", "sensors,"],
        "sidecar.output": ["pcap", "pcap-over-ip", "interface"],
        "profiles": [{"Edge": {}}, {"a_b": {}}, {"a": {"namespaces": ["shop"]}, "b": {"namespaces": ["web", "shop"]}}],
        "profiles.edge.sensor.address": ["10.0.0.256", "https://sensor", ",".join(["10.0.0.1"] * 11)],
        "profiles.edge.sensor.secretName": ["Login"],
        "profiles.edge.sidecar.maxRate": ["fast"],
        "profiles.edge.namespaces": [["A_B"]],
        "sidecar.env": [{"lower": "1"}],
        "sidecar.resources.limits.cpu": ["half"],
    }

    def test_with_words_and_no_regular_expression(self):
        lists = ("subnets.pods", "sidecar.untappedServices", "injection.excludedNamespaces", "image.pullSecrets")
        tried = [(path, value) for path, values in self.WRONG.items() for value in values]
        results = render_all([merged(GIVEN, nested(path, [value] if path in lists else value)) for path, value in tried])
        for (path, value), (error, _) in zip(tried, results):
            with self.subTest(path, value=value):
                self.assertIsNotNone(error)
                self.assertIn(f"{path}", error)
                self.assertRegex(error, "accepted|Set sidecar.env.[A-Z_]+|in one profile at most")
                self.assertNotRegex(error, r"\^|pattern|nil pointer|interface conversion")

    def test_what_can_be_is_taken(self):
        good = {
            "sensor.address": ["10.0.0.1", "10.0.0.1:2003", "sensor", "sensor.example.com:2003", "fd00::1", "[fd00::1]", "[fd00::1]:2003",
                               "10.0.0.1,sensor:65535", "1sensor.example.com"],
            "image.registry": ["registry.example.com:5000/network", "localhost", ""],
            "sidecar.interface": ["eth0", "eth0,net1"],
            "sidecar.tappedPeers": ["10.244.0.0/16,!10.244.1.1/32"],
            "nameOverride": ["1234"],
        }
        # The first of each together, then the second, and so on: what is refused names its value.
        rounds = [{path: value for path, value in zip(good, values) if value is not None}
                  for values in itertools.zip_longest(*good.values())]
        for given, (error, _) in zip(rounds, render_all([merged(GIVEN, *(nested(*one) for one in given.items())) for given in rounds])):
            with self.subTest(given):
                self.assertIsNone(error)

    def test_sensors_are_read_as_the_programs_read_them(self):
        cases = json.loads((rendering.ROOT / "tests/support/host_port_cases.json").read_text())
        # None at all is another fault, with a hint of its own.
        texts = [(text, True) for text in cases["accepted"]] + [(text, False) for text in cases["refused"] if text]
        results = render_all([merged(GIVEN, {"sensor": {"address": text}}) for text, _ in texts])
        for (text, accepted), (error, _) in zip(texts, results):
            with self.subTest(text):
                self.assertEqual(error is None, accepted, error)

    def test_fields_of_the_container_of_another_kind_are_named(self):
        for container in ({"securityContext": "restricted"}, {"securityContext": {"capabilities": ["NET_RAW"]}},
                          {"securityContext": {"seccompProfile": "Unconfined"}}, {"startupProbe": "none"}, {"args": "run"},
                          {"lifecycle": {"preStop": 5}}, {"readinessProbe": {"httpGet": 80}}):
            with self.subTest(container):
                error, _ = render(merged(GIVEN, {"sidecar": {"container": container}}))
                self.assertIn(f"/sidecar/container/{next(iter(container))}", error)
                self.assertNotRegex(error, r"nil pointer|can't evaluate|interface")

    def test_the_schema_prints_no_regular_expression(self):
        self.assertNotIn('"pattern"', (CHART / "values.schema.json").read_text())

    def test_hints_are_safe_in_a_shell(self):
        """Braces outside of quotes are the shell's own, as soon as there is a comma in them."""
        error, _ = render({"registry": {"enabled": False}})
        hints = error + "".join(path.read_text() for path in CHART.rglob("templates/*") if path.is_file())
        for line in hints.splitlines():
            if "--set" in line and "={" in line:
                self.assertRegex(line, r"--set '[\w.]+=\{", line)


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
