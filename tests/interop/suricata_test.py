#!/usr/bin/env python3
"""VXLAN to a real Suricata, which sniffs on the node's end of the pod's veth pair and has bound no port."""
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tap")]
from tap_lab import NODE, TapTest, wait_for  # noqa: E402

CONFIGURATION = """%YAML 1.1
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
        - alert
        - stats: {{totals: yes, threads: no, deltas: no}}
logging:
  default-log-level: notice
  outputs:
    - console: {{enabled: yes}}
af-packet:
  - interface: veth0
    threads: 1
    cluster-id: 99
    cluster-type: cluster_flow
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
RULES = """alert http any any -> any any (msg:"a request"; http.uri; content:"/sidetap-test"; sid:1;)
alert dns any any -> any any (msg:"a question"; dns.query; content:"sidetap.example"; sid:2;)
"""
QUESTION = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + b"\7sidetap\7example\0" + b"\0\1\0\1"


class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.urandom(200_000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Suricata(TapTest):
    def start_suricata(self):
        for name, text in (("suricata.yaml", CONFIGURATION.format(folder=self.folder)), ("test.rules", RULES),
                           ("classification.config", ""), ("reference.config", "")):
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
                file.write(text)
        self.console = os.path.join(self.folder, "suricata.log")
        with open(self.console, "wb") as log:
            self.suricata = self.node.popen(
                ["suricata", "-c", os.path.join(self.folder, "suricata.yaml"), "--af-packet", "-l", self.folder, "udp", "dst", "port", "4789"],
                stdout=log, stderr=log)
        self.addCleanup(self.suricata.wait)
        self.addCleanup(self.suricata.kill)

        def started():
            self.assertIsNone(self.suricata.poll(), self.said())
            return "Engine started" in self.said()
        self.assertTrue(wait_for(started, 60), self.said())

    def said(self):
        with open(self.console, encoding="utf-8", errors="replace") as file:
            return file.read()

    def events(self, kind):
        path = os.path.join(self.folder, "eve.json")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
        return [event for event in map(json.loads, lines) if event["event_type"] == kind]

    def counted(self):
        events = self.events("stats")
        return events[-1]["stats"]["decoder"] if events else {"vxlan": 0}

    def talk(self):
        """HTTP and DNS between the pod and the node, and datagrams that nobody answers."""
        with self.node:
            server = http.server.ThreadingHTTPServer((NODE, 8080), Quiet)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for number in range(5):
            self.pod.run("curl", "-sf", "-o", "/dev/null", f"http://{NODE}:8080/sidetap-test/{number}")
        server.shutdown()
        thread.join()
        server.server_close()
        with self.node.socket(socket.AF_INET, socket.SOCK_DGRAM) as names, self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            names.bind((NODE, 53))
            for _ in range(5):
                asker.sendto(QUESTION, (NODE, 53))
                question, source = names.recvfrom(512)
                names.sendto(question[:2] + b"\x81\x83" + question[4:], source)
                asker.recv(512)
        self.sink()
        self.send(2000, size=500)

    def test_every_frame_is_decoded_and_rules_fire(self):
        self.start_suricata()
        tap = self.tap("--output", "vxlan", "--buffer-size", "8M")
        tap.wait_log("forwarding by VXLAN")
        self.talk()
        time.sleep(0.5)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertGreater(ledger["forwarded"], 2700)
        self.assertEqual(ledger["forwarded"], ledger["owned"] + ledger["segments_added"], "nothing was lost")
        wait_for(lambda: self.counted()["vxlan"] >= ledger["forwarded"], 10)
        self.suricata.send_signal(signal.SIGINT)
        self.assertEqual(self.suricata.wait(30), 0, self.said())
        decoder = self.counted()
        self.assertEqual(decoder["invalid"], 0, decoder)
        self.assertEqual(decoder["vxlan"], ledger["forwarded"], decoder)
        fired = [event["alert"]["signature_id"] for event in self.events("alert")]
        self.assertEqual({each: fired.count(each) for each in (1, 2)}, {1: 5, 2: 5})


if __name__ == "__main__":
    unittest.main(verbosity=2)
