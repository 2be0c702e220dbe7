#!/usr/bin/python3
"""Our reader of manifests against kubectl: both read the same files, and what they read must be equal.

kubectl is the one of tests/chart/tools.sh, or else the one in PATH. `kubectl patch --local` with an empty patch reads
any object without a server and prints it as JSON. A file that kubectl refuses, our reader must refuse, and the other
way round; the few constructs that it refuses by choice (shared/yaml/documents.h) are counted apart.

Usage: tests/oracle/yaml_test.py [BINARIES [SEED [COUNT]]]
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml_corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/bin"
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 1500
TAGS = ["!!str", "!!int", "!!float", "!!bool", "!!null", "!!binary", "!!timestamp"]
# What our reader refuses although kubectl would read it, by our error text.
BY_CHOICE = re.compile("found unexpected ':'|a tag must be followed by a blank|"
                       "did not find expected whitespace or line break|did not find expected tag URI|nested too deeply|"
                       "a key is not a text|a byte order mark within a document")


def kubectl():
    """Its path; ends the run as skipped where there is none."""
    tools = subprocess.run([ROOT / "tests/chart/tools.sh"], capture_output=True, text=True)
    if tools.returncode == 0:
        return dict(line.split("=", 1) for line in tools.stdout.splitlines())["KUBECTL"]
    found = shutil.which("kubectl")
    if not found:
        print(f"skipped: no kubectl in PATH, and {tools.stderr.strip()}")
        sys.exit(77)
    return found


def number(value):
    """As an API server's client holds it: 64 bits, signed, or a double."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return value if -2**63 <= value < 2**63 else float(value)


def plain(tree):
    """The tree with numbers that compare, and without what no JSON text can hold."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(value) for value in tree]
    if isinstance(tree, (int, float)) and not isinstance(tree, bool):
        return number(tree)
    return tree


def is_object(tree):
    """Would kubectl know what it is?"""
    return (isinstance(tree, dict) and isinstance(tree.get("kind"), str) and tree["kind"]
            and isinstance(tree.get("metadata"), dict) and isinstance(tree["metadata"].get("name"), str))


class Case:
    """A file, and what both make of it."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.theirs, self.refused = [], None  # objects; kubectl's words
        self.ours, self.fault = [], None

    def of(self, documents):
        """Ours, up to the first fault, where kubectl stops."""
        for document in documents:
            if "fault" in document:
                self.fault = document["fault"]
                return
            tree = document["tree"]
            if tree is None:
                continue
            if not is_object(tree):
                self.fault = "no object of Kubernetes"
                return
            self.ours.append(plain(tree))

    @property
    def by_choice(self):
        return self.refused is None and self.fault is not None and BY_CHOICE.search(self.fault)

    @property
    def equal(self):
        if (self.fault is None) != (self.refused is None):
            return False
        # What precedes a document that cannot be read, kubectl prints or not.
        return self.refused is not None or self.ours == self.theirs

    def __str__(self):
        return (f"{self.name}: {self.text!r}\n  kubectl: {self.refused or self.theirs}\n"
                f"  ours:    {self.fault or self.ours}")


def probe(name, value):
    return f"{yaml_corpus.H}{name}}}\nx:{value}"


def read(cases):
    """Has both read all of them."""
    with tempfile.TemporaryDirectory(prefix="sidetap-yaml-") as folder:
        by_file = {}
        for case in cases:
            path = os.path.join(folder, case.name + ".yaml")
            with open(path, "wb") as file:
                file.write(case.text.encode("utf-8", "surrogatepass"))
            by_file[path] = case
        done = subprocess.run([kubectl(), "patch", "--local", "-f", folder, "--type=merge", "-p", "{}", "-o", "json"],
                              capture_output=True)
        refused(done.stderr.decode(), by_file)
        objects(done.stdout.decode(), {case.name: case for case in cases})
        ours = subprocess.run([f"{BINARIES}/yaml_dump", *by_file], capture_output=True, text=True, check=True)
        for case, line in zip(by_file.values(), ours.stdout.splitlines(), strict=True):
            case.of(json.loads(line))


def refused(text, by_file):
    """Puts kubectl's complaints to their files."""
    for line in text.splitlines():
        found = re.search(r'(/\S*?/c\w+\.yaml)"?:? ?(.*)', line)
        if found and found[1] in by_file:
            by_file[found[1]].refused = found[2]


def objects(text, by_name):
    """Puts the objects that kubectl printed to their files, by their names."""
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        tree, at = decoder.raw_decode(text, at)
        while at < len(text) and text[at].isspace():
            at += 1
        by_name[tree["metadata"]["name"].split("-")[0]].theirs.append(plain(tree))


class ReadersAgree(unittest.TestCase):
    def check(self, texts, least):
        """`texts`: functions from a file's name to its text. At least so many must be read by both."""
        cases = [Case(f"c{i:05}", text(f"c{i:05}")) for i, text in enumerate(texts)]
        read(cases)
        choice = [case for case in cases if case.by_choice]
        unequal = [case for case in cases if not case.equal and not case.by_choice]
        both = sum(case.refused is None and case.fault is None for case in cases)
        neither = sum(case.refused is not None and case.fault is not None for case in cases)
        print(f"{self.id().split('.')[-1]}: {len(cases)} files, {both} read and equal, {neither} refused by both, "
              f"{len(choice)} refused by choice, {len(unequal)} unequal")
        self.assertFalse(unequal, "\n" + "\n".join(map(str, unequal[:40])))
        self.assertGreaterEqual(both, least)
        self.assertLessEqual(len(choice), len(cases) // 20)

    def test_scalars(self):
        values = []
        for scalar in yaml_corpus.SCALARS:
            values += [f" {scalar}\n", f"\n  {scalar}: 1\n", f" [{scalar} , b]\n", f" {{a: {scalar} }}\n"]
            values += [f" {tag} {scalar}\n" for tag in TAGS]
        self.check([lambda name, value=value: probe(name, value) for value in values], 1000)

    def test_values(self):
        self.check([lambda name, value=value: probe(name, value) for value in yaml_corpus.VALUES], 200)

    def test_streams(self):
        def head(name, text, before, behind):
            parts = text.split("@")
            return parts[0] + "".join(f"{before}{name}-{i}{behind}{part}" for i, part in enumerate(parts[1:]))
        texts = [lambda name, text=text: head(name, text, yaml_corpus.H, "") for text in yaml_corpus.STREAMS]
        texts += [lambda name, text=text: head(name, text, yaml_corpus.J, '"}') for text in yaml_corpus.JSON_STREAMS]
        self.check(texts, 50)

    def test_generated(self):
        values = [yaml_corpus.Maker(SEED * 1_000_000 + i).value() for i in range(COUNT)]
        self.check([lambda name, value=value: probe(name, value) for value in values], COUNT // 4)

    def test_spoilt(self):
        values = []
        for i in range(COUNT):
            maker = yaml_corpus.Maker(SEED * 1_000_000 + 500_000 + i)
            values.append(maker.spoilt(maker.value()))
        self.check([lambda name, value=value: probe(name, value) for value in values], COUNT // 5)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
