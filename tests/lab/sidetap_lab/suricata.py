"""A real Suricata 7, which sniffs on an interface or reads a capture file."""
import json
import os
import subprocess

from .taps import Program

_CONFIGURATION = """%YAML 1.1
---
vars:
  address-groups: {{HOME_NET: any, EXTERNAL_NET: any}}
  port-groups: {{VXLAN_PORTS: 4789}}
default-log-dir: {folder}
stats: {{enabled: yes, interval: 1}}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert: {{payload: yes, payload-buffer-size: 4kb}}
        - stats: {{totals: yes, threads: no, deltas: no}}
logging:
  default-log-level: notice
  outputs:
    - console: {{enabled: yes}}
af-packet:
  - interface: {interface}
    threads: 1
    cluster-id: 99
    cluster-type: cluster_flow
    checksum-checks: {checksums}
    defrag: yes
    tpacket-v3: yes
decoder:
  vxlan: {{enabled: true, ports: $VXLAN_PORTS}}
stream: {{checksum-validation: yes}}
app-layer:
  protocols:
    http: {{enabled: yes}}
    dns: {{udp: {{enabled: yes, detection-ports: {{dp: 53}}}}}}
default-rule-path: {folder}
rule-files: [test.rules]
classification-file: {folder}/classification.config
reference-config-file: {folder}/reference.config
"""


def _configure(folder, rules, interface="none", checksums="kernel"):
    """Writes its files into the folder; returns the words that lead to them."""
    configuration = _CONFIGURATION.format(folder=folder, interface=interface, checksums=checksums)
    for name, text in (("suricata.yaml", configuration), ("test.rules", rules), ("classification.config", ""),
                       ("reference.config", "")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    return ["-c", os.path.join(folder, "suricata.yaml"), "-l", folder]


def _events(folder, kind):
    path = os.path.join(folder, "eve.json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file if line.endswith("\n")]
    return [event for event in map(json.loads, lines) if event["event_type"] == kind]


def alerts_on(capture, folder, rules):
    """What the rules find in a capture file. The folder is for its own files."""
    os.makedirs(folder)
    subprocess.run(["suricata", *_configure(folder, rules), "-r", capture], check=True, capture_output=True)
    return _events(folder, "alert")


class Suricata(Program):
    """Sniffs on an interface. Its files are in `folder`.

    expression: words of a pcap filter for the packets that it takes; none: all. checksums: "yes" if it checks those of every
    packet, "kernel" if it believes the kernel about those that are not computed yet.
    """

    def __init__(self, namespace, folder, interface, rules, expression=(), checksums="kernel"):
        self._folder = folder
        super().__init__("Suricata", namespace, [
            "suricata", *_configure(folder, rules, interface, checksums), "--af-packet", *expression],
            os.path.join(folder, "suricata.log"))

    def wait_started(self):
        self.wait_until(lambda: "Engine started" in self.log(), "started", 60)

    def alerts(self):
        return _events(self._folder, "alert")

    def stats(self):
        """Its last counts; empty before the first."""
        events = _events(self._folder, "stats")
        return events[-1]["stats"] if events else {}

    def decoded(self, what):
        return self.stats().get("decoder", {}).get(what, 0)
