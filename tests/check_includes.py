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
    "shared/tap": ["shared/tap", "shared/config", "shared/net", "shared/rpcap/messages.h", "shared/result.h"],
    "shared/telemetry": ["shared/telemetry"],
    "shared/async": ["shared/async", "shared/net", "shared/telemetry", "shared/result.h"],
    "shared/rpcap": ["shared/rpcap", "shared/net", "shared/result.h"],
    "shared/yaml": ["shared/yaml", "shared/base64.h", "shared/result.h"],
    "shared/registry": ["shared/registry", "shared/net", "shared/result.h"],
    "shared/http": ["shared/"],
    "shared/kube": ["shared/"],
    "sidecar/packet": ["sidecar/packet", "shared/net/cidr.h", "shared/net/ip_address.h", "shared/rpcap/messages.h",
                       "shared/result.h"],
    "sidecar/ownership": ["sidecar/ownership", "sidecar/packet/fold_product.h", "sidecar/packet/packet_view.h",
                          "sidecar/packet/own_endpoint.h", "shared/net/cidr.h", "shared/net/ip_address.h",
                          "shared/net/transport_address.h", "shared/result.h"],
    "sidecar/mesh": ["sidecar/mesh", "sidecar/fidelity/checksum.h", "sidecar/packet", "shared/net/cidr.h",
                     "shared/net/ip_address.h", "shared/result.h"],
    "sidecar/capture": ["sidecar/capture", "sidecar/packet", "shared/"],
    "sidecar/fidelity": ["sidecar/fidelity", "sidecar/packet", "shared/"],
    "sidecar/forwarding": ["sidecar/forwarding", "sidecar/packet", "shared/"],
    "sidecar/path": ["sidecar/path", "sidecar/capture", "sidecar/fidelity", "sidecar/forwarding", "sidecar/mesh",
                     "sidecar/ownership", "sidecar/packet", "sidecar/session/capture_control.h", "shared/"],
    "sidecar/session": ["sidecar/session", "sidecar/packet/own_endpoint.h", "shared/"],
    "sidecar/delivery": ["sidecar/delivery", "sidecar/capture/interface_sight.h", "sidecar/capture/link_facts.h",
                         "sidecar/forwarding", "sidecar/packet", "sidecar/path/capture_loop.h", "sidecar/session", "shared/"],
    "sidecar/registry": ["sidecar/registry", "sidecar/session", "sidecar/packet/own_endpoint.h", "shared/"],
    "sidecar/system": ["sidecar/system", "sidecar/mesh/socket_owners.h", "sidecar/ownership/listening_sockets.h",
                       "sidecar/ownership/server_rules.h", "shared/"],
    "sidecar/privilege": ["sidecar/privilege", "shared/result.h"],
    "sidecar/options": ["sidecar/options", "sidecar/capture/packet_source.h", "sidecar/delivery/output_options.h",
                        "sidecar/fidelity/restorer.h", "sidecar/forwarding", "sidecar/mesh/mesh_kind.h",
                        "sidecar/ownership/engine.h", "sidecar/path/narrowing.h", "sidecar/session/sessions.h", "shared/"],
    "sidecar/commands": ["sidecar/commands", "sidecar/capture/capture_file.h", "sidecar/mesh", "sidecar/options", "sidecar/ownership",
                         "sidecar/packet", "sidecar/capture", "sidecar/fidelity", "sidecar/forwarding", "sidecar/privilege",
                         "sidecar/path/leg_source.h", "sidecar/session/sessions.h", "sidecar/system", "sidecar/tap/interface_choice.h",
                         "shared/"],
    "sidecar/collector": ["sidecar/collector", "sidecar/capture", "sidecar/delivery", "sidecar/forwarding/tap_identities.h", "sidecar/options",
                          "sidecar/ownership/listening_sockets.h", "sidecar/packet", "sidecar/path", "sidecar/session",
                          "sidecar/system", "sidecar/tap", "shared/"],
    "sidecar/tap": ["sidecar/", "shared/"],
    "sidecar": ["sidecar/", "shared/"],
    "webhook/json": ["webhook/json"],
    "webhook/configuration": ["webhook/configuration", "shared/config/parsers.h", "shared/net", "shared/tap", "shared/yaml",
                              "shared/json_members.h", "shared/read_file.h", "shared/result.h"],
    "webhook/pods": ["webhook/pods", "webhook/json", "webhook/configuration/quantity.h", "shared/net/text.h"],
    "webhook/injection": ["webhook/injection", "webhook/pods", "webhook/json/text.h",
                          "webhook/configuration/configuration.h", "webhook/configuration/quantity.h",
                          "webhook/configuration/values.h", "shared/net/text.h", "shared/tap", "shared/result.h"],
    "webhook/admission": ["webhook/admission", "webhook/injection", "webhook/pods", "webhook/json",
                          "webhook/configuration/configuration.h", "shared/base64.h", "shared/tap", "shared/result.h"],
    "webhook/offline": ["webhook/offline", "webhook/admission", "webhook/pods/keys.h", "webhook/configuration", "shared/"],
    "webhook/certificates": ["webhook/certificates", "shared/"],
    "webhook/identity": ["webhook/identity", "shared/net", "shared/result.h"],
    "webhook/profiles": ["webhook/profiles", "webhook/configuration/configuration.h", "shared/registry", "shared/tap",
                         "shared/result.h"],
    "webhook/inventory": ["webhook/inventory", "webhook/identity/ledger.h", "shared/net", "shared/registry"],
    "webhook/page": ["webhook/page", "webhook/coverage/summary.h", "webhook/inventory/inventory.h", "webhook/json/text.h",
                     "webhook/registry/view.h", "webhook/registry/wall_clock.h", "shared/"],
    "webhook/registry": ["webhook/registry", "webhook/identity", "webhook/inventory", "webhook/profiles/profiles.h",
                         "shared/"],
    "webhook/selftest": ["webhook/selftest", "shared/"],
    "webhook/coverage": ["webhook/coverage", "webhook/admission/answer.h", "webhook/configuration/configuration.h",
                         "webhook/identity", "webhook/pods/keys.h", "webhook/pods/warning.h", "shared/"],
    "webhook/events": ["webhook/events", "webhook/admission/answer.h", "webhook/identity", "webhook/pods/warning.h", "shared/"],
    "webhook/serve": ["webhook/serve", "webhook/admission", "webhook/certificates", "webhook/configuration",
                      "webhook/coverage", "webhook/events", "webhook/inventory", "webhook/page/page_server.h",
                      "webhook/profiles", "webhook/registry", "shared/"],
    "webhook": ["webhook/", "shared/"],
}
# Decisions do no I/O, read no clock and wait for nobody. These folders and single files, given by path prefixes, claim
# to be so, and so must everything that they include.
PURE = [
    "shared/bearer.",
    "shared/kube/standing.",
    "shared/registry/",
    "shared/tap/assigned.",
    "shared/tap/controls.",
    "shared/tap/settings.",
    "sidecar/mesh/",
    "sidecar/ownership/",
    "sidecar/packet/",
    "sidecar/capture/source_keeper.",
    "sidecar/commands/tap_connections.",
    "sidecar/forwarding/capture_format.",
    "sidecar/collector/former_senders.",
    "sidecar/collector/proof_book.",
    "sidecar/collector/tap_proof.",
    "sidecar/collector/tap_protocol.",
    "sidecar/forwarding/pacer.",
    "sidecar/forwarding/pcapng_writer.",
    "sidecar/forwarding/tap_interfaces.",
    "sidecar/forwarding/tap_identities.",
    "sidecar/forwarding/vni_rule.",
    "sidecar/tap/backlog_size.",
    "sidecar/tap/heartbeat.",
    "sidecar/tap/orders.",
    "sidecar/registry/peer_view.",
    "sidecar/registry/settings_choice.",
    "sidecar/registry/settled_peers.",
    "sidecar/registry/settling.",
    "sidecar/registry/trust.",
    "sidecar/session/collector_choice.",
    "sidecar/session/protocol.",
    "webhook/admission/",
    "webhook/coverage/coverage_table.",
    "webhook/coverage/label_selector.",
    "webhook/coverage/pod_facts.",
    "webhook/coverage/summary.",
    "webhook/events/event.",
    "webhook/events/event_queue.",
    "webhook/events/review_event.",
    "webhook/events/tap_monitor.",
    "webhook/identity/",
    "webhook/injection/",
    "webhook/inventory/",
    "webhook/json/",
    "webhook/page/attention.",
    "webhook/page/page_json.",
    "webhook/page/page_writer.",
    "webhook/page/status_text.",
    "webhook/page/survey.",
    "webhook/page/tap_json.",
    "webhook/pods/",
    "webhook/profiles/",
]
IMPURE = ["arpa/", "boost/", "fcntl.h", "filesystem", "fstream", "iostream", "linux/", "net/", "netdb.h", "netinet/",
          "openssl/", "pcap", "poll.h", "spdlog", "sys/", "thread", "unistd.h"]
CLOCK = re.compile(r"::now\(\)")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
# Folders whose top level holds only these files and other folders.
TOPS = {"sidecar": {"main.cpp"}, "webhook": {"main.cpp"}}


class Tree:
    """The source files, each read once."""

    def __init__(self):
        self.texts = {}

    def text(self, name):
        if name not in self.texts:
            path = ROOT / name
            self.texts[name] = COMMENT.sub("", path.read_text(encoding="utf-8")) if path.is_file() else ""
        return self.texts[name]

    def impurities(self, name, seen):
        """What makes this file, or one that it includes, impure."""
        if name in seen:
            return
        seen.add(name)
        for include in SYSTEM.findall(self.text(name)):
            if any(include.startswith(prefix) for prefix in IMPURE):
                yield f"<{include}> of {name}"
        if CLOCK.search(self.text(name)):
            yield f"the clock in {name}"
        for include in INCLUDE.findall(self.text(name)):
            yield from self.impurities(include, seen)


def folder_of(name):
    fitting = [f for f in ALLOWED if name.startswith(f + "/")]
    return max(fitting, key=len, default=None)


def faults_of(name, tree):
    top, *rest = name.split("/")
    if top in TOPS and len(rest) == 1 and rest[0] not in TOPS[top]:
        yield f"{name}: belongs into a folder"
    folder = folder_of(name)
    if top in TOPS and len(rest) > 1 and folder == top:
        yield f"{name}: its folder has no rule in {pathlib.Path(__file__).name}"
    for include in INCLUDE.findall(tree.text(name)):
        if folder and not any(include.startswith(prefix) for prefix in ALLOWED[folder]):
            yield f"{name}: may not include {include}"
    if any(name.startswith(prefix) for prefix in PURE):
        for impurity in tree.impurities(name, set()):
            yield f"{name}: is pure and may not use {impurity}"


def main():
    tree = Tree()
    names = [path.relative_to(ROOT).as_posix() for top in ("shared", "sidecar", "webhook")
             for path in sorted((ROOT / top).rglob("*")) if path.suffix in (".h", ".cpp")]
    faults = [fault for name in names for fault in faults_of(name, tree)]
    for fault in faults:
        print(fault)
    print(f"includes: {len(names)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
