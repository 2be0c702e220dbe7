#!/usr/bin/env python3
"""Writes what repeats values.yaml: the table of values in the chart's README, from the comments, and the defaults that its
templates fall back to where a key has nothing beneath it. --check only compares."""
import argparse
import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "deploy/helm/sidetap"
DEFAULTS = CHART / "templates/_defaults.tpl"
BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"


def described_keys(text):
    """(dotted path, description) of each key under a "# --" comment, in the file's order."""
    path, description = [], None
    for line in text.splitlines():
        if match := re.match(r"\s*# -- (.+)$", line):
            description = match.group(1)
        elif match := re.match(r"( *)([A-Za-z0-9_.-]+):", line):
            depth = len(match.group(1)) // 2
            path = path[:depth] + [match.group(2)]
            if description:
                yield ".".join(path), description
                description = None


def lookup(values, path):
    for key in path.split("."):
        values = values[key]
    return values


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


def table():
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    lines = ["| value | default | what it is |", "| --- | --- | --- |"]
    for path, description in described_keys(text):
        default = json.dumps(lookup(values, path))
        lines.append(f"| `{path}` | `{default}` | {description.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def defaults():
    """Templates cannot read values.yaml themselves, and Helm has taken a key with nothing beneath it out of .Values."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    lines = [f'"{path}": {json.dumps(lookup(values, path))}' for path, _ in described_keys(text)]
    return "\n".join(["{{/* Written by tests/chart/values_table.py from values.yaml. */}}", '{{- define "sidetap.defaults" -}}', *lines,
                      "{{- end -}}", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when README.md is not current")
    check = parser.parse_args().check
    readme = CHART / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = {readme: f"{before}{BEGIN}\n{table()}\n{END}{after}", DEFAULTS: defaults()}
    for path, current in wanted.items():
        if not check:
            path.write_text(current)
        elif not path.exists() or path.read_text() != current:
            sys.exit(f"{path} is not current: run tests/chart/values_table.py")


if __name__ == "__main__":
    main()
