"""What an operator leaves out of what a tap would forward."""
import socket
import time
import unittest

from tap_lab import NODE, POD, TapTest, wait_for


class Narrowing(TapTest):
    def converse(self, count, port=9001):
        """So many questions of the pod, each from a port of its own, and their answers; gives the ports."""
        ports = []
        server = self.sink(port)
        server.settimeout(5)
        for _ in range(count):
            with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind((POD, 0))
                client.settimeout(5)
                client.sendto(b"question", (NODE, port))
                _, asker = server.recvfrom(100)
                server.sendto(b"answer", asker)
                client.recvfrom(100)
                ports.append(client.getsockname()[1])
        return ports

    def metrics(self):
        text = self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))}

    def filtered(self, *arguments):
        """The ledger of a tap that leaves out port 9000, and how often each marker was forwarded."""
        sensor = self.sensor()
        tap = self.tap("--filter", "not port 9000", *arguments)
        tap.wait_log("forwarding to sensor")
        sinks = [self.sink(9000), self.sink(9001)]
        self.send(300, port=9000)
        self.send(20, port=9001)
        ledger = tap.stop()
        sensor.stop()
        for sink in sinks:
            sink.close()
        self.assert_balanced(ledger)
        return ledger, self.markers()

    def test_what_the_filter_refuses_never_reaches_the_process(self):
        ledger, markers = self.filtered()
        self.assertEqual(markers, {number: 1 for number in range(20)}, ledger)
        self.assertLess(ledger["seen"], 200, "of what the filter refuses none reaches the process")

    def test_the_filter_holds_with_libpcap_too(self):
        ledger, markers = self.filtered("--capture", "libpcap")
        self.assertEqual(markers, {number: 1 for number in range(20)}, ledger)
        self.assertLess(ledger["seen"], 200)

    def test_sampling_by_flow_keeps_conversations_whole(self):
        sensor = self.sensor("--filter-bpf", "udp port 9001")
        tap = self.tap("--flow-sampling", "3", "--status-listen", ":15920")
        tap.wait_log("forwarding to sensor")
        ports = self.converse(120)
        time.sleep(0.3)
        metrics = self.metrics()
        ledger = tap.stop()
        totals = sensor.stop()
        self.assert_balanced(ledger)
        with open(totals["taps"][0]["pcap"], "rb") as file:
            captured = file.read()
        questions, answers = captured.count(b"question"), captured.count(b"answer")
        self.assertEqual(questions, answers, "a flow in both directions or not at all")
        self.assertEqual(totals["packets"], questions + answers)
        self.assertGreater(questions, 10)
        self.assertLess(questions, 80)
        self.assertGreaterEqual(ledger["sampled_flows"], 2 * (len(ports) - questions))
        self.assertGreater(metrics['sidetap_packets_filtered_total{by="flow-sampling",interface="eth0"}'], 0)

    def test_a_tap_that_is_paused_keeps_its_session_and_forwards_nothing(self):
        sensor = self.sensor()
        tap = self.tap("--paused", "on", "--status-listen", ":15920")
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(100)
        self.assertTrue(wait_for(lambda: self.metrics()['sidetap_packets_filtered_total{by="pause",interface="eth0"}'] >= 100))
        metrics = self.metrics()
        self.assertEqual(metrics['sidetap_captures{interface="eth0"}'], 1)
        self.assertGreaterEqual(metrics['sidetap_bytes_owned_total{interface="eth0"}'], 100 * 100)
        ledger = tap.stop()
        self.assertEqual(sensor.stop()["packets"], 0)
        self.assertEqual(ledger["forwarded"], 0)
        self.assertEqual(ledger["dropped_no_session"], 0, "it is no loss")
        self.assertGreaterEqual(ledger["owned_bytes"], 100 * 100)
        self.assertGreaterEqual(ledger["seen_bytes"], ledger["owned_bytes"])
        self.assert_balanced(ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
