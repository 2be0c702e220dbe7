#!/usr/bin/env python3
"""What must hold of the chart: rendered over values and server versions, read as an API server would.

  chart_test.py --update   writes the golden files anew (look at the diff before you commit it)
"""
import copy
import json
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema
import yaml

import rendering
from kube_models import Models
from rendering import CHART, REQUIRED, documents, minor, of_kind, pod_spec, template

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden"


def golden_version(version):
    """The rendering changes at these server versions only; each stands for those up to the next."""
    steps = ["1.25", "1.27", "1.28", "1.30"]
    return max((step for step in steps if minor(step) <= minor(version)), key=minor)


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
        self.assertNotIn("192.0.2.10", edited.stdout)


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
