#!/usr/bin/env python3
"""Keeps what repeats the programs' tables of options: the operator's page (deploy/docs/options.md), and of the settings that have
a key in the configuration the chart's schema, its values and the template that hands them on. Writes what is not current;
--check only says what that is. The description of a new value in values.yaml is taken from the option's help: reword it there."""
import argparse
import difflib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/sidetap"
PAGE = ROOT / "deploy/docs/options.md"
SCHEMA = CHART / "values.schema.json"
VALUES = CHART / "values.yaml"
TEMPLATE = CHART / "templates/_tap_settings.tpl"
BUILT = ROOT / "build/release/bin/sidetap-print-options"


def code(text):
    return f"`{text}`".replace("|", r"\|") if text else ""


def option_row(option, *more):
    flag = f"{option['flag']} {option['value']}".strip()
    cells = [code(flag), code(option["variable"]), *more, code(option["default"]), option["help"].replace("|", r"\|")]
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    names = head.split(", ")
    return "\n".join(["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |", *rows])


def page(tables, text):
    sources = {setting["option"]["flag"]: code(setting["key"]) for setting in tables["settings"]}
    sources |= {flag: "(set by the webhook)" for flag in tables["assigned"]}
    made = {
        "tap": table("Flag, Variable, Chart value, Default, Effect",
                     [option_row(option, sources.get(option["flag"], "")) for option in tables["tap"]]),
        "collector": table("Flag, Variable, Default, Effect", [option_row(option) for option in tables["collector"]]),
        "webhook": table("Flag, Variable, Default, Effect", [option_row(option) for option in tables["webhook"]]),
    }
    for name, rows in made.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{rows}\n{end}{rest.split(end)[1]}"
    return text


def schema_of(setting):
    if setting["form"] == "number":
        if (setting["least"], setting["most"]) == (1, 65535):
            return {"$ref": "#/$defs/port"}
        return {"type": "integer", "minimum": setting["least"], "maximum": setting["most"]}
    if setting["form"] == "prefixes":
        return {"$ref": "#/$defs/cidrs"}
    if setting["form"] == "switch":
        return {"type": "boolean"}
    return {"type": "string"} | ({"enum": setting["words"]} if setting["words"] else {})


def schema(tables, text):
    """Of each setting its type and its bounds; what else the schema says of it stays."""
    whole = json.loads(text)
    for setting in tables["settings"]:
        section, key = setting["key"].split(".")
        properties = whole["properties"][section]["properties"]
        kept = {name: value for name, value in properties.get(key, {}).items() if name in ("description", "title")}
        if properties.get(key) != schema_of(setting) | kept:
            properties[key] = schema_of(setting) | kept
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def default_of(setting):
    if setting["form"] == "number":
        return setting["initial"]
    if setting["form"] == "prefixes":
        return "[]"
    if setting["form"] == "switch":
        return "true" if setting["initial"] == "on" else "false"
    initial = setting["initial"]
    # Of YAML 1.1, which Helm reads, these are booleans.
    plain = re.fullmatch(r"[A-Za-z]+", initial) and initial not in ("on", "off", "yes", "no", "true", "false")
    return initial if plain else json.dumps(initial)


def section_of(text, name):
    """Where the keys of a section of values.yaml begin and end."""
    match = re.search(rf"^{name}:\n((?:[ #].*\n|\n(?=[ #]))*)", text, re.MULTILINE)
    return match.span(1)


def values(tables, text):
    """Every setting under its section, with the default that holds without it. A new one stands before sidecar.env."""
    for setting in tables["settings"]:
        section, key = setting["key"].split(".")
        begin, end = section_of(text, section)
        line = re.compile(rf"^  {key}:.*$", re.MULTILINE)
        wanted = f"  {key}: {default_of(setting)}"
        part = text[begin:end]
        if line.search(part):
            part = line.sub(wanted, part, count=1)
        else:
            at = re.search(r"^  # -- .*\n  env:", part, re.MULTILINE)
            at = at.start() if at else len(part)
            description = setting["option"]["help"]
            part = f"{part[:at]}  # -- {description[:1].upper()}{description[1:]}.\n{wanted}\n{part[at:]}"
        text = text[:begin] + part + text[end:]
    return text


def template(tables, values_text):
    """In the order of values.yaml."""
    ways = {"number": "int {}", "switch": "{}", "prefixes": "toJson {}", "word": "{} | quote", "text": "{} | quote"}
    section = values_text[slice(*section_of(values_text, "sidecar"))]
    order = re.findall(r"^  (\w+):", section, re.MULTILINE)
    lines = {}
    for setting in tables["settings"]:
        of, key = setting["key"].split(".")
        if of == "sidecar":
            lines[key] = f"{key}: {{{{ {ways[setting['form']].format('.Values.' + setting['key'])} }}}}"
    return "\n".join(['{{/* Written by tests/options/texts.py from shared/tap/settings.h: settings of taps, as the webhook reads them. */}}',
                      '{{- define "sidetap.tapSettings" -}}', *(lines[key] for key in sorted(lines, key=order.index)), "{{- end -}}", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is not current")
    parser.add_argument("program", nargs="?", default=BUILT, help=f"what prints the tables; default {BUILT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    tables = json.loads(subprocess.run([arguments.program], check=True, capture_output=True, text=True).stdout)
    now = {path: path.read_text() if path.exists() else "" for path in (PAGE, SCHEMA, VALUES, TEMPLATE)}
    wanted = {PAGE: page(tables, now[PAGE]), SCHEMA: schema(tables, now[SCHEMA]), VALUES: values(tables, now[VALUES])}
    wanted[TEMPLATE] = template(tables, wanted[VALUES])
    stale = [path for path, text in wanted.items() if text != now[path]]
    if not arguments.check:
        for path in stale:
            path.write_text(wanted[path])
        sys.exit(subprocess.run([sys.executable, ROOT / "tests/chart/values_table.py"]).returncode)
    for path in stale:
        name = str(path.relative_to(ROOT))
        print("\n".join(difflib.unified_diff(now[path].splitlines(), wanted[path].splitlines(), name, name + " (wanted)", lineterm="")))
    if stale:
        sys.exit("\nnot current: apply this, or run tests/options/texts.py")


if __name__ == "__main__":
    main()
