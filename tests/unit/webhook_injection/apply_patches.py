#!/usr/bin/env python3
"""Applies each answer's patch with python3-jsonpatch and compares with the golden pod.

Usage: apply_patches.py WEBHOOK_GOLDEN_PATCHES TESTDATA [--write]
--write makes the golden files from what comes out; look at the difference before you commit it.
Exit status 77: python3-jsonpatch is not installed.
"""
import base64
import json
import pathlib
import subprocess
import sys

try:
    import jsonpatch
except ImportError:
    print("skipped: python3-jsonpatch is not installed (apt-get install python3-jsonpatch)")
    sys.exit(77)


def check(program, folder, name, write):
    review = json.loads((folder / f"{name}.review.json").read_text(encoding="utf-8"))
    run = subprocess.run([program, str(folder), name], check=True, capture_output=True, text=True)
    response = json.loads(run.stdout)["response"]
    patch = json.loads(base64.b64decode(response["patch"], validate=True)) if "patch" in response else []
    faults = [f"{name}: operation {o['op']} {o['path']}" for o in patch if o["op"] != "add"]
    pod = jsonpatch.apply_patch(review["request"]["object"], patch)
    result = {
        "auditAnnotations": response["auditAnnotations"],
        "warnings": response.get("warnings", []),
        "pod": pod,
    }
    golden = folder / f"{name}.golden.json"
    if write:
        golden.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    elif json.loads(golden.read_text(encoding="utf-8")) != result:
        faults.append(f"{name}: the patched pod differs from {golden.name}:\n"
                      + json.dumps(result, indent=2, ensure_ascii=False))
    return faults


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    write = "--write" in sys.argv[3:]
    names = sorted(p.name.removesuffix(".review.json") for p in folder.glob("*.review.json"))
    if not names:
        print(f"{folder}: no pairs")
        return 1
    faults = []
    for name in names:
        faults += check(program, folder, name, write)
    for fault in faults:
        print(fault)
    print(f"{len(names)} pairs, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
