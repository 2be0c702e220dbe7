"""Runs helm over the chart and answers what a rendering means to an API server."""
import atexit
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/sidetap"
CASES = pathlib.Path(__file__).resolve().parent / "cases"
NAMESPACE = "sidetap-system"
VERSIONS = [f"1.{minor}" for minor in range(25, 37)]
REQUIRED = ["--set", "sensor.address=10.10.10.10"]
# What is required too where the registry, or what it watches, is declined.
SUBNETS = ["--set", "subnets.pods={10.244.0.0/16}", "--set", "subnets.services={10.96.0.0/12}"]


@functools.cache
def tools():
    """HELM, KUBECTL, MODELS and CEL. Ends the run as skipped where they cannot be had."""
    result = subprocess.run([ROOT / "tests/chart/tools.sh"], capture_output=True, text=True)
    if result.returncode == 77:
        print(f"skipped: {result.stderr.strip()}")
        sys.exit(77)
    if result.returncode != 0:
        sys.exit(result.stderr)
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def program(name):
    """A program of ours where it is built, or None."""
    for folder in (os.environ.get("SIDETAP_BINARY_DIR"), ROOT / "build/release/bin"):
        if folder and (pathlib.Path(folder) / name).exists():
            return pathlib.Path(folder) / name
    return None


def helm(*arguments):
    return subprocess.run([tools()["HELM"], *map(str, arguments)], capture_output=True, text=True)


@functools.cache
def template(*arguments, release="sidetap", version="1.36"):
    """The text that helm renders, once for the same values; fails loudly."""
    result = helm("template", release, CHART, "--namespace", NAMESPACE, "--kube-version", version, *arguments)
    if result.returncode != 0:
        raise AssertionError(f"helm template {arguments} on {version}: {result.stderr}")
    return result.stdout


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as the API server's strict validation and GitOps tools read it: a key that comes twice is a fault."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise AssertionError(f"{twice[0]} comes twice:{node.start_mark}")
        return super().construct_mapping(node, deep)


def documents(text):
    """The objects of a rendering, lists taken apart."""
    found = []
    for document in yaml.load_all(text, StrictLoader):
        found += document["items"] if document and document["kind"] == "List" else [document] if document else []
    return found


class Case:
    """A file of values under cases/; its first lines say how to render it."""

    def __init__(self, path):
        self.name, self.path = path.stem, path
        notes = dict(re.findall(r"^# ([a-z-]+): (.+)$", path.read_text(), re.MULTILINE))
        self.versions = notes["versions"].split()
        self.release = notes.get("release", "sidetap")
        self.arguments = ["--values", path]
        for api in notes.get("api-versions", "").split():
            self.arguments += ["--api-versions", api]

    def render(self, version):
        return _render(self.name, version)

    def golden(self, version):
        """What a person compares: the rendering without the version that it was rendered for."""
        text = re.sub(r'serverVersion: "v[0-9.]+"', 'serverVersion: "(the server\'s)"', self.render(version))
        return re.sub(r"sidetap.json: \|\n(    .*\n)+", "sidetap.json: (monitoring/dashboard.json)\n", text)


@functools.cache
def _render(name, version):
    case = Case(CASES / f"{name}.yaml")
    return template(*case.arguments, release=case.release, version=version)


def cases():
    return [Case(path) for path in sorted(CASES.glob("*.yaml"))]


def renderings():
    """(label, documents) of every case on every version that it names."""
    for case in cases():
        for version in case.versions:
            yield f"{case.name} on {version}", documents(case.render(version))


def of_kind(docs, kind):
    return [document for document in docs if document["kind"] == kind]


def pod_spec(docs):
    """Of the webhook's pods."""
    return of_kind(docs, "Deployment")[0]["spec"]["template"]["spec"]


def minor(version):
    return int(version.split(".")[1])


def configuration(docs):
    """The text of the webhook's configuration, as its pods find it in their file."""
    template = of_kind(docs, "Deployment")[0]["spec"]["template"]
    volume, = [volume for volume in template["spec"]["volumes"] if volume["name"] == "config"]
    item, = volume["downwardAPI"]["items"]
    key = re.fullmatch(r"metadata\.annotations\['(.+)'\]", item["fieldRef"]["fieldPath"]).group(1)
    return template["metadata"]["annotations"][key]


def selector_matches(selector, labels):
    """A label selector as the API server reads it."""
    for key, value in (selector or {}).get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in (selector or {}).get("matchExpressions", []):
        key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
        holds = {
            "In": labels.get(key) in values and key in labels,
            "NotIn": key not in labels or labels[key] not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]
        if not holds:
            return False
    return True


_evaluating = threading.Lock()


@functools.cache
def _evaluator():
    """A process that answers each line with one: it takes longer to start than to answer."""
    process = subprocess.Popen(["node", pathlib.Path(__file__).parent / "evaluate_cel.mjs", tools()["CEL"]],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end():
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()
    atexit.register(end)
    return process


def evaluate(questions):
    """Results of [{expression, variables}] by an evaluator of CEL that is not ours."""
    with _evaluating:
        process = _evaluator()
        process.stdin.write(f"{json.dumps(questions)}\n")
        process.stdin.flush()
        line = process.stdout.readline()
    answer = json.loads(line) if line else {"error": "the evaluator has ended"}
    if isinstance(answer, dict):
        raise AssertionError(answer["error"])
    return answer
