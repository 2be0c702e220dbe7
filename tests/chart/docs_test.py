#!/usr/bin/env python3
"""What must hold of the operator's pages: commands that run, values, metrics, files and links that exist."""
import functools
import json
import re
import shlex
import subprocess
import unittest

import yaml

import monitoring_test
import rendering
import values_table
from kube_models import Models
from rendering import CHART, ROOT

PAGES = sorted([*(ROOT / "deploy/docs").glob("*.md"), CHART / "README.md", ROOT / "deploy/manifests/README.md",
                ROOT / "README.md"])
# Words in code that look like values of the chart but are fields of Kubernetes or keys of the webhook's file.
# Likewise names of files.
NO_VALUES = {"sidecar.image", "injection.serverVersion", "identities.jsonl", "identities.tsv"}


def blocks(page):
    """Code blocks of a page, without their fence."""
    return re.findall(r"^ *```\w*\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page):
    """Single commands: continued lines joined, documents for standard input left out."""
    for block in blocks(page):
        block = re.sub(r"<<'(\w+)'\n.*?^ *\1$", "", block, flags=re.MULTILINE | re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"\s*(helm|kubectl|docker|sidetap-\w+|certs-scripts/|deploy/|tests/|REGISTRY=)", line):
                yield line.strip()


@functools.cache
def anchors(page):
    """Of the page's headings, as GitHub makes them."""
    text = re.sub(r"^ *```\w*\n.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@functools.cache
def answer(*command):
    """(exit status, output, errors) of a command that only tells something; many pages name the same ones."""
    result = subprocess.run(command, capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr


class Commands(unittest.TestCase):
    def test_every_helm_installation_renders(self):
        found = 0
        for page in PAGES:
            for command in commands(page):
                if command.startswith("helm install"):
                    found += 1
                    words = [word for word in shlex.split(command)[1:] if word != "--create-namespace"]
                    result = subprocess.run([rendering.tools()["HELM"], *words, "--dry-run=client"], cwd=ROOT,
                                            capture_output=True, text=True)
                    self.assertEqual(result.returncode, 0, f"{page.name}: {command}\n{result.stderr}")
        self.assertGreaterEqual(found, 3)

    def test_every_helm_installation_has_its_images_and_one_value_more(self):
        for page in PAGES:
            for command in commands(page):
                if command.startswith("helm install"):
                    values = re.findall(r"--set\S* '?([\w.]+)=", command)
                    self.assertEqual(values, ["image.registry", "sensor.address"], page)

    def test_no_helm_test_asks_for_logs_by_itself(self):
        """Up to Helm 4.0 that fails after a test that passed."""
        for page in PAGES:
            for command in commands(page):
                self.assertFalse(command.startswith("helm test") and "--logs" in command, f"{page}: {command}")

    def test_every_command_is_known_to_its_program(self):
        """The subcommand and the flags exist, by the program's own help."""
        programs = {"helm": rendering.tools()["HELM"], "kubectl": rendering.tools()["KUBECTL"]}
        for page in PAGES:
            for command in commands(page):
                words = shlex.split(command.split(" | ")[0].split(" <")[0])
                if words[0] not in programs:
                    continue
                if words[1] == "sidetap":
                    self.check_plugin(page, words[2:])
                    continue
                # Flags before the subcommand are of the program; the help of the subcommand lists both kinds.
                rest = [word for word in words[1:] if not word.startswith("-")]
                if words[1] == "-n":
                    rest = rest[1:]
                depth = 3 if rest[0] == "create" and rest[1] in ("service", "secret") else 2 if rest[0] in ("rollout", "auth", "create") else 1
                status, known, errors = answer(programs[words[0]], *rest[:depth], "--help")
                known += answer(programs[words[0]], "options")[1]
                with self.subTest(page=page.name, command=command):
                    self.assertEqual(status, 0, errors)
                    for word in words:
                        if flag := re.match(r"(--[a-z-]+)", word):
                            self.assertIn(flag.group(1), known)

    def check_plugin(self, page, words):
        """Of `kubectl sidetap`."""
        plugin = ROOT / "deploy/kubectl/kubectl-sidetap"
        status, known, errors = answer(plugin, words[0], "--help")
        known += answer(plugin, "--help")[1]
        with self.subTest(page=page.name, command=f"kubectl sidetap {' '.join(words)}"):
            self.assertEqual(status, 0, errors)
            self.assertIn(f"\n  {words[0]} ", known)
            for word in words:
                if flag := re.match(r"(--[a-z-]+)", word):
                    self.assertIn(flag.group(1), known)

    def test_scripts_are_there_and_know_the_flags(self):
        for page in PAGES:
            for command in commands(page):
                words = [word for word in shlex.split(command.split(" | ")[0]) if not word.startswith("REGISTRY=")]
                if "/" not in words[0] or words[0].startswith("-"):
                    continue
                script = ROOT / words[0]
                with self.subTest(page=page.name, command=command):
                    self.assertTrue(script.exists())
                    status, usage, _ = answer(script, "--help")
                    self.assertEqual(status, 0)
                    for word in words[1:]:
                        if word.startswith("--") and word != "--help":
                            self.assertIn(word.split("=")[0], usage)

    def test_sidetap_commands_are_known_to_the_programs(self):
        checked = 0
        for page in PAGES:
            text = page.read_text()
            for program, command, rest in re.findall(r"(sidetap-(?:webhook|sidecar)) (run|serve|inject|explain|check|selftest)\b([^`\n]*)", text):
                binary = rendering.program(program)
                if binary is None:
                    continue
                status, usage, _ = answer(binary, command, "--help")
                self.assertEqual(status, 0, f"{page.name}: {program} {command}")
                for flag in re.findall(r"--[a-z-]+", rest):
                    if flag != "--help":
                        self.assertIn(flag, usage, f"{page.name}: {program} {command} {flag}")
                checked += 1
        if not checked:
            self.skipTest("the programs are not built")


class Names(unittest.TestCase):
    def test_values_exist(self):
        schema = json.loads((CHART / "values.schema.json").read_text())
        known = set(values_table.leaves(schema, schema))
        known |= {leaf.rsplit(".", end)[0] for leaf in known for end in range(1, leaf.count(".") + 1)}
        of_profile = set(values_table.leaves(schema["$defs"]["profile"], schema, "profiles.NAME."))
        known |= of_profile | {leaf.rsplit(".", 1)[0] for leaf in of_profile} | {"profiles.NAME"}
        known |= {f"sidecar.resources.{kind}{what}" for kind in ("limits", "requests") for what in ("", ".cpu", ".memory")}
        container_fields = Models(rendering.tools()["MODELS"]).fields("V1Container")
        tops = {leaf.split(".")[0] for leaf in known}
        for page in PAGES:
            for name in re.findall(r"(?<![\w./-])([a-z][A-Za-z]+(?:\.[a-zA-Z]+)+)(?![\w./-])", page.read_text()):
                # Free names: of profiles, and of variables of the tap.
                name = re.sub(r"^profiles\.[A-Za-z]+", "profiles.NAME", name)
                name = re.sub(r"^sidecar\.env\.[A-Z_]+$", "sidecar.env", name)
                # Fields of the tap's container, as Kubernetes names them.
                if name.removeprefix("sidecar.container.") in container_fields:
                    name = "sidecar.container"
                if name.split(".")[0] in tops and not name.endswith((".md", ".yaml", ".json", ".sh", ".py")):
                    with self.subTest(page=page.name):
                        self.assertIn(name, known | NO_VALUES)

    def test_metrics_exist(self):
        for page in PAGES:
            for name in re.findall(r"\bsidetap_[a-z_]+", page.read_text()):
                with self.subTest(page=page.name):
                    self.assertTrue(any(metric.startswith(name) for metric in monitoring_test.Monitoring.declared()), name)

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
                if link.startswith("http"):
                    continue
                with self.subTest(page=page.name, link=link, anchor=anchor):
                    target = page.parent / link if link else page
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(target))

    def test_every_annotation_of_a_pod_is_explained(self):
        page = (ROOT / "deploy/docs/install.md").read_text()
        schema = json.loads((CHART / "values.schema.json").read_text())
        names = schema["properties"]["sidecar"]["properties"]["overrides"]["items"]["enum"]
        self.assertGreater(len(names), 5)
        rows = "\n".join(re.findall(r"^\| (`sidetap\.io/.*?) \|", page, re.MULTILINE))
        for name in names:
            self.assertIn(f"`sidetap.io/{name}`", rows)

    def test_objects_are_valid(self):
        models = Models(rendering.tools()["MODELS"])
        found = 0
        for page in PAGES:
            for text in re.findall(r"<<'(?:\w+)'\n(.*?)^ *[A-Z]+$", page.read_text(), re.MULTILINE | re.DOTALL):
                for document in yaml.safe_load_all(text):
                    found += 1
                    self.assertEqual(models.check(document), [], page.name)
        self.assertGreaterEqual(found, 3)

    def test_the_table_of_values_is_current(self):
        self.assertIn(values_table.table(), (CHART / "README.md").read_text())


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
