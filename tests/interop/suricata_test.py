#!/usr/bin/env python3
"""VXLAN to a real Suricata, which sniffs on the node's end of the pod's veth pair and has bound no port."""
import http.server
import os
import signal
import socket
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tap")]
from tap_lab import NODE, TapTest, wait_for  # noqa: E402
from sidetap_lab.suricata import Suricata  # noqa: E402

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


class WithSuricata(TapTest):
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
        suricata = Suricata(self.node, self.folder, "veth0", RULES, expression=("udp", "dst", "port", "4789"))
        self.addCleanup(suricata.stop)
        suricata.wait_started()
        tap = self.tap("--output", "vxlan", "--buffer-size", "8M")
        tap.wait_log("forwarding by VXLAN")
        self.talk()
        time.sleep(0.5)
        ledger = tap.stop()
        self.assert_balanced(ledger)
        self.assertGreater(ledger["forwarded"], 2700)
        self.assertEqual(ledger["forwarded"], ledger["owned"] + ledger["segments_added"], "nothing was lost")
        wait_for(lambda: suricata.decoded("vxlan") >= ledger["forwarded"], 10)
        self.assertEqual(suricata.stop(30, signal.SIGINT), 0, suricata.log())
        decoder = suricata.stats()["decoder"]
        self.assertEqual(decoder["invalid"], 0, decoder)
        self.assertEqual(decoder["vxlan"], ledger["forwarded"], decoder)
        fired = [event["alert"]["signature_id"] for event in suricata.alerts()]
        self.assertEqual({each: fired.count(each) for each in (1, 2)}, {1: 5, 2: 5})


if __name__ == "__main__":
    unittest.main(verbosity=2)
