#!/usr/bin/env python3
"""Checks who includes whom: the picture in CONTRIBUTING.md, as rules."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
SYSTEM = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.M)

# Folder: the prefixes of this tree that it may include.
ALLOWED = {
    "shared/net": ["shared/net", "shared/result.h"],
    "shared/config": ["shared/config", "shared/net", "shared/result.h"],
    "shared/telemetry": ["shared/telemetry"],
    "shared/async": ["shared/async", "shared/net", "shared/telemetry", "shared/result.h"],
    "shared/rpcap": ["shared/rpcap", "shared/net", "shared/result.h"],
    "shared/yaml": ["shared/yaml", "shared/base64.h", "shared/result.h"],
    "shared/registry": ["shared/registry", "shared/net", "shared/result.h"],
    "shared/http": ["shared/"],
    "shared/kube": ["shared/"],
    "sidecar/ownership": ["sidecar/ownership", "sidecar/capture/packet_view.h",
                          "sidecar/capture/own_endpoint.h", "shared/net", "shared/result.h"],
    "sidecar/capture": ["sidecar/capture", "shared/"],
    "sidecar/fidelity": ["sidecar/fidelity", "sidecar/capture", "shared/"],
    "sidecar/forwarding": ["sidecar/forwarding", "sidecar/fidelity", "sidecar/capture", "shared/"],
    "sidecar/session": ["sidecar/session", "sidecar/capture/own_endpoint.h", "shared/"],
    "sidecar/registry": ["sidecar/registry", "sidecar/session", "sidecar/capture/own_endpoint.h", "shared/"],
    "sidecar/privilege": ["sidecar/privilege", "shared/result.h"],
    "sidecar": ["sidecar/", "shared/"],
    "webhook/json": ["webhook/json"],
    "webhook/configuration": ["webhook/configuration", "shared/net", "shared/yaml", "shared/json_members.h",
                              "shared/read_file.h", "shared/result.h"],
    "webhook/pods": ["webhook/pods", "webhook/json", "webhook/configuration/quantity.h"],
    "webhook/injection": ["webhook/injection", "webhook/pods", "webhook/json/text.h",
                          "webhook/configuration/configuration.h", "webhook/configuration/quantity.h",
                          "webhook/configuration/values.h", "shared/result.h"],
    "webhook/admission": ["webhook/admission", "webhook/injection", "webhook/pods", "webhook/json",
                          "webhook/configuration/configuration.h", "shared/base64.h", "shared/result.h"],
    "webhook/offline": ["webhook/offline", "webhook/admission", "webhook/pods/keys.h", "webhook/configuration", "shared/"],
    "webhook/certificates": ["webhook/certificates", "shared/"],
    "webhook/registry": ["webhook/registry", "shared/"],
    "webhook/selftest": ["webhook/selftest", "shared/"],
    "webhook/serve": ["webhook/serve", "webhook/admission", "webhook/certificates", "webhook/configuration",
                      "webhook/registry", "shared/"],
    "webhook": ["webhook/", "shared/"],
}
# Pure folders: what they must not include of the system and of libraries.
PURE = {
    "shared/registry": ["boost/", "sys/", "fstream", "spdlog"],
    "sidecar/ownership": ["pcap", "boost/asio", "boost/beast", "spdlog"],
    "webhook/json": ["boost/", "sys/", "fstream", "spdlog"],
    "webhook/pods": ["boost/", "sys/", "fstream", "spdlog"],
    "webhook/admission": ["boost/", "sys/", "fstream", "spdlog"],
    "webhook/injection": ["boost/", "sys/", "fstream", "spdlog"],
    "webhook/configuration": ["boost/", "spdlog"],
}
# Programs whose top holds the entry point and folders only.
TOPS = ["webhook"]


def folder_of(path):
    relative = path.relative_to(ROOT).as_posix()
    fitting = [f for f in ALLOWED if relative.startswith(f + "/")]
    return max(fitting, key=len, default=None)


def main():
    faults = []
    count = 0
    for top in ("shared", "sidecar", "webhook"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix not in (".h", ".cpp"):
                continue
            count += 1
            if top in TOPS and path.parent == ROOT / top and path.name != "main.cpp":
                faults.append(f"{path.relative_to(ROOT)}: belongs in a folder")
            folder = folder_of(path)
            text = path.read_text(encoding="utf-8")
            name = path.relative_to(ROOT)
            if folder is None:
                continue
            for include in INCLUDE.findall(text):
                if not any(include.startswith(prefix) for prefix in ALLOWED[folder]):
                    faults.append(f"{name}: may not include {include}")
            for include in SYSTEM.findall(text):
                if any(include.startswith(prefix) for prefix in PURE.get(folder, [])):
                    faults.append(f"{name}: is pure and may not include <{include}>")
    for fault in faults:
        print(fault)
    print(f"includes: {count} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
