#!/usr/bin/env python3
"""Writes the table of values in the chart's README from the comments of values.yaml; --check only compares."""
import argparse
import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "deploy/helm/sidetap"
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


def table():
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    lines = ["| value | default | what it is |", "| --- | --- | --- |"]
    for path, description in described_keys(text):
        default = json.dumps(lookup(values, path))
        lines.append(f"| `{path}` | `{default}` | {description.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when README.md is not current")
    check = parser.parse_args().check
    readme = CHART / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    current = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if check and current != text:
        sys.exit(f"{readme} is not current: run tests/chart/values_table.py")
    if not check:
        readme.write_text(current)


if __name__ == "__main__":
    main()
