"""What a collector writes into an interface of its pod, for sensors that listen there, and VXLAN by namespace."""
import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest

from collector_lab import SENSOR, Collector, CollectorTest, wait_for
from sidetap_lab.suricata import Suricata

PODS, PACKETS = 3, 300
VXLAN_PORT = 4789
# The operator's page tells of these: FNV-1a of the name.
VNI_OF_SHOP, VNI_OF_WEB = 5402793, 14335121

RULES = """alert udp any any -> any 9000 (msg:"a marker"; content:"marker-"; sid:1;)
alert udp any any -> any any (msg:"a wrong sum of UDP"; udpv4-csum:invalid; sid:2;)
alert ip any any -> any any (msg:"a wrong sum of IP"; ipv4-csum:invalid; sid:3;)
"""


class MonitorTest(CollectorTest):
    def make_monitor(self, pod, mtu=1500):
        """The ends of a veth; whoever listens on the second is no part of the pod's network."""
        pod.ip(f"link add mon0 mtu {mtu} type veth peer name mon1", "link set mon1 arp off up", "link set mon0 arp off up")

    def listen(self, pod, name, interface="mon1", expression=""):
        """A tcpdump that writes where markers() looks; returns how to end it."""
        path = os.path.join(self.folder, f"{name}.pcap")
        # -s: the ring has room for all packets of a test only if each takes less of it than the longest possible.
        dump = pod.popen(["tcpdump", "-n", "-i", interface, "--immediate-mode", "-U", "-Z", "root", "-B", "16384", "-s", "4096",
                          "-w", path, *([expression] if expression else [])], stderr=subprocess.PIPE, text=True)
        self.addCleanup(dump.stderr.close)
        self.addCleanup(dump.wait)
        self.addCleanup(dump.kill)
        self.assertIn("listening on", self.line_with(dump.stderr, "listening on"))

        def stop():
            dump.send_signal(signal.SIGINT)
            self.assertIn("\n0 packets dropped by kernel", "\n" + dump.stderr.read())
            self.assertEqual(dump.wait(10), 0)
            return path
        return stop

    @staticmethod
    def line_with(stream, text):
        line = stream.readline()
        while line and text not in line:
            line = stream.readline()
        return line

    def into_interface(self, *arguments):
        return self.collector("--output", "interface", "--output-interface", "mon0", *arguments)

    def start_taps(self):
        taps = [self.tap(number) for number in range(1, PODS + 1)]
        for tap in taps:
            tap.wait_log("forwarding to sensor")
        return taps


@unittest.skipUnless(shutil.which("tcpdump"), "tcpdump is not installed")
class Interface(MonitorTest):
    def forward(self, stop_listening, collector, sizes=(100,)):
        taps = self.start_taps()
        for number in range(1, PODS + 1):
            for index, size in enumerate(sizes):
                self.send(number, index * PACKETS, PACKETS, size=size)
        for tap in taps:
            tap.stop()
        ledger, received = collector.stop()
        stop_listening()
        self.assert_balanced(ledger, received)
        return ledger

    def test_the_other_end_gets_every_packet_once(self):
        self.make_monitor(self.collector_pod)
        stop = self.listen(self.collector_pod, "mon1")
        collector = self.into_interface()
        collector.wait_log("packets are written into the interface")
        ledger = self.forward(stop, collector, sizes=(100, 1400))
        self.assert_all_once(*((number, 2 * PACKETS) for number in range(1, PODS + 1)))
        self.assertEqual(ledger["forwarded"], ledger["owned"], ledger)

    def test_a_dummy_shows_them_to_whoever_listens_on_it(self):
        try:
            self.collector_pod.ip("link add mon0 type dummy", "link set mon0 arp off up")
        except RuntimeError as error:
            self.skipTest(f"this kernel makes no dummy: {error}")
        stop = self.listen(self.collector_pod, "mon0", interface="mon0")
        collector = self.into_interface()
        collector.wait_log("packets are written into the interface")
        self.forward(stop, collector)
        self.assert_all_once(*((number, PACKETS) for number in range(1, PODS + 1)))

    def test_what_does_not_fit_is_a_loss_with_a_name_and_one_line_says_what_to_do(self):
        self.make_monitor(self.collector_pod, mtu=600)
        stop = self.listen(self.collector_pod, "mon1")
        collector = self.into_interface()
        collector.wait_log("packets are written into the interface")
        ledger = self.forward(stop, collector, sizes=(100, 1200))
        self.assert_all_once(*((number, PACKETS) for number in range(1, PODS + 1)))
        self.assertEqual(ledger["dropped_too_large"], PODS * PACKETS)
        self.assertEqual(collector.log().count("raise_to=1500"), 1, collector.log())

    def test_an_interface_that_goes_and_comes_back_is_an_outage_that_is_counted(self):
        self.make_monitor(self.collector_pod)
        stop = self.listen(self.collector_pod, "before")
        collector = self.into_interface("--status-listen", ":15920")
        collector.wait_log("packets are written into the interface")
        tap = self.tap(1)
        tap.wait_log("forwarding to sensor")
        self.send(1, 0, 100)
        self.assertTrue(wait_for(lambda: len(self.markers()) == 100))
        stop()
        self.collector_pod.ip("link del mon0")
        collector.wait_log("packets cannot be written into the interface")
        self.send(1, 100, 50)
        lost = 'sidetap_packets_dropped_total{cause="send-error"'
        self.assertTrue(wait_for(lambda: self.metric(lost) >= 50))
        self.make_monitor(self.collector_pod)
        stop = self.listen(self.collector_pod, "after")
        collector.wait_log("packets are written into the interface", 2)
        self.send(1, 150, 100)
        tap.stop()
        self.assertTrue(wait_for(lambda: len(self.markers()) == 200))
        self.assertEqual(self.metric('sidetap_output_interface_outages_total{interface="mon0"}'), 1)
        ledger, received = collector.stop()
        stop()
        self.assert_balanced(ledger, received)
        wanted = [*range(100), *range(150, 250)]
        self.assertEqual(self.markers(), {1_000_000 + number: 1 for number in wanted})

    def test_an_interface_without_a_listener_at_its_other_end_takes_nothing(self):
        self.make_monitor(self.collector_pod)
        self.collector_pod.ip("link set mon1 down")
        collector = self.into_interface("--status-listen", ":15920")
        collector.wait_log("packets cannot be written into the interface")
        self.assertIn("no carrier", collector.log())
        self.collector_pod.ip("link set mon1 up")
        collector.wait_log("packets are written into the interface")
        collector.stop()

    def test_a_tap_does_it_too_and_needs_no_right_to_do_it_again(self):
        pod = self.pods["web-1"] = self.attach("web1", "10.99.1.1")
        tap = self.tap(1, "--output", "interface", "--output-interface", "mon0")
        tap.wait_log("packets cannot be written into the interface")
        self.assertTrue(wait_for(lambda: all(int(thread["CapEff"], 16) == 0 for thread in tap.threads())), tap.threads())
        for numbers in (0, 100):
            self.make_monitor(pod)
            stop = self.listen(pod, f"from-{numbers}")
            tap.wait_log("packets are written into the interface", 1 + numbers // 100)
            self.send(1, numbers, 100)
            self.assertTrue(wait_for(lambda most=numbers + 100: len(self.markers()) == most))
            stop()
            pod.ip("link del mon0")
            tap.wait_log("packets cannot be written into the interface", 2 + numbers // 100)
        tap.stop()
        self.assert_all_once((1, 200))

    def refused(self, program):
        self.assertEqual(program.process.wait(10), 2, program.log())
        return [line for line in program.log().splitlines() if "cannot start" in line or "--output-interface" in line]

    def test_an_interface_by_which_the_pod_talks_is_refused(self):
        collector = Collector(self.collector_pod, self.folder, "--output", "interface", "--output-interface", "eth0")
        self.addCleanup(collector.kill)
        line, = self.refused(collector)
        self.assertIn("eth0: has the address 10.99.0.2", line)
        line, = self.refused(self.tap(1, "--output", "interface", "--output-interface", "eth0"))
        self.assertIn("eth0: is itself captured", line)


@unittest.skipUnless(shutil.which("suricata"), "Suricata is not installed")
class WithSuricata(MonitorTest):
    def test_each_rule_fires_once_on_whole_frames(self):
        self.make_monitor(self.collector_pod)
        suricata = Suricata(self.collector_pod, self.folder, "mon1", RULES, checksums="yes")
        self.addCleanup(suricata.stop)
        suricata.wait_started()
        collector = self.into_interface()
        collector.wait_log("packets are written into the interface")
        taps = self.start_taps()
        for number in range(1, PODS + 1):
            self.send(number, 0, PACKETS, size=200)
        for tap in taps:
            tap.stop()
        ledger, received = collector.stop()
        self.assert_balanced(ledger, received)
        wait_for(lambda: suricata.decoded("pkts") >= ledger["forwarded"], 10)
        self.assertEqual(suricata.stop(30, signal.SIGINT), 0, suricata.log())
        stats = suricata.stats()
        self.assertEqual(stats["capture"]["kernel_drops"], 0, stats["capture"])
        decoder = stats["decoder"]
        self.assertEqual((decoder["pkts"], decoder["invalid"], decoder["vxlan"]), (ledger["forwarded"], 0, 0), decoder)
        fired = {}
        for event in suricata.alerts():
            marker = re.search(rb"marker-(\d{7})-", base64.b64decode(event["payload"]))
            fired.setdefault(event["alert"]["signature_id"], []).append(int(marker[1]) if marker else None)
        self.assertEqual(set(fired), {1}, "only the rule for markers")
        wanted = [number * 1_000_000 + index for number in range(1, PODS + 1) for index in range(PACKETS)]
        self.assertEqual(sorted(fired[1]), wanted)


@unittest.skipUnless(shutil.which("tcpdump") and shutil.which("tshark"), "tcpdump and tshark are not installed")
class VxlanByNamespace(MonitorTest):
    def receiver(self):
        """Has bound the port, so that nobody answers that it is closed."""
        bound = self.sensor_host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(bound.close)
        bound.bind((SENSOR, VXLAN_PORT))
        return self.listen(self.sensor_host, "vxlan", interface="eth0", expression=f"udp dst port {VXLAN_PORT}")

    def vnis_by_pod(self, path):
        """As tshark decodes them: the VNIs under which the markers of each pod came."""
        read = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", "-E", "aggregator=,", "-e", "vxlan.vni", "-e", "udp.payload"],
                              capture_output=True, text=True, check=True).stdout.splitlines()
        found = {}
        for line in read:
            vni, payloads = line.split("\t")
            payload = bytes.fromhex(payloads.split(",")[-1].replace(":", ""))
            if marker := re.match(rb"marker-(\d)\d{6}-", payload):
                found.setdefault(int(marker[1]), set()).add(int(vni))
        return found

    def test_each_namespace_has_its_number_which_the_metrics_tell(self):
        stop = self.receiver()
        collector = self.collector("--output", "vxlan", "--vxlan-vni", "9", "--vxlan-vni-by-namespace", "on", "--vxlan-vnis", "pay=77",
                                   "--status-listen", ":15920")
        collector.wait_log("forwarding by VXLAN")
        taps = [self.tap(1), self.tap(2, "--pod-namespace", "web"), self.tap(3, "--pod-namespace", "pay"),
                self.tap(4, "--pod-namespace", "No_Namespace")]
        for tap in taps:
            tap.wait_log("forwarding to sensor")
        for number in range(1, 5):
            self.send(number, 0, 100)
        for tap in taps:
            tap.stop()
        wait_for(lambda: self.metric("sidetap_vxlan_vni{") == 3)
        rows = dict(re.findall(r'^sidetap_vxlan_vni\{namespace="([^"]*)",vni="(\d+)"\} 1$', self.metrics(), re.MULTILINE))
        log = collector.log()
        ledger, received = collector.stop()
        path = stop()
        self.assert_all_once(*((number, 100) for number in range(1, 5)))
        self.assert_balanced(ledger, received)
        self.assertEqual(self.vnis_by_pod(path), {1: {VNI_OF_SHOP}, 2: {VNI_OF_WEB}, 3: {77}, 4: {9}})
        self.assertEqual(rows, {"shop": str(VNI_OF_SHOP), "web": str(VNI_OF_WEB), "pay": "77"})
        self.assertEqual(log.count("VNI of a namespace"), 3, log)

    def test_a_tap_without_a_collector_has_the_same_number(self):
        stop = self.receiver()
        tap = self.tap(1, "--output", "vxlan", "--vxlan-vni-by-namespace", "on", to=SENSOR)
        tap.wait_log("forwarding by VXLAN")
        self.send(1, 0, 100)
        tap.stop()
        path = stop()
        self.assert_all_once((1, 100))
        self.assertEqual(self.vnis_by_pod(path), {1: {VNI_OF_SHOP}})


if __name__ == "__main__":
    unittest.main()
