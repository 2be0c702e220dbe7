"""What arrives at the sensor, and how it is asked for."""
import os
import shutil
import socket
import time
import unittest

from tap_lab import NODE, NODE6, POD, POD6, TapTest, wait_for


class Forwarding(TapTest):
    def forward(self, *sensor_arguments, tap_arguments=(), size=100, to=NODE, listen=NODE):
        sensor = self.sensor(*sensor_arguments, listen=listen)
        tap = self.tap(*tap_arguments, sensor=f"[{listen}]" if ":" in listen else listen)
        tap.wait_log("forwarding to sensor")
        self.sink(address=to)
        self.send(500, size=size, to=to)
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(500)}, ledger)
        self.assertEqual(totals["malformed"], 0, totals)
        self.assertEqual(totals["lost_datagrams"], 0, totals)
        self.assertEqual(totals["packets"], ledger["forwarded"], (totals, ledger))
        self.assert_balanced(ledger)
        return totals

    def test_udpstr_brings_every_packet_once(self):
        totals = self.forward()
        self.assertGreater(totals["datagrams"], 0)
        tap = totals["taps"][0]
        self.assertEqual(tap["interface"], "eth0")
        self.assertTrue(tap["description"].startswith("shop/web-1"), tap)
        self.assertIn(POD, tap["addresses"])
        self.assertIn(POD6, tap["addresses"])

    def test_udpstr_with_packets_larger_than_a_datagram(self):
        self.forward(size=9000)

    def test_plain_udp(self):
        self.forward(tap_arguments=("--udp-format", "plain"))

    def test_tcp(self):
        totals = self.forward("--data", "tcp", size=3000)
        self.assertEqual(totals["datagrams"], 0)

    def test_ipv6_sensor_and_traffic(self):
        self.forward(to=NODE6, listen=NODE6)

    def test_one_data_port_for_all(self):
        self.forward("--udp-port", "4444")

    def test_small_mtu_is_respected(self):
        self.forward(tap_arguments=("--data-mtu", "576"), size=1400)

    def test_password(self):
        path = os.path.join(self.folder, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write("geheim\n")
        self.forward("--user", "eh", "--password", "geheim", tap_arguments=("--user", "eh", "--password-file", path))

    def test_wrong_password_is_refused_and_dialled_again(self):
        path = os.path.join(self.folder, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write("geheim")
        sensor = self.sensor("--user", "eh", "--password", "geraten")
        tap = self.tap("--user", "eh", "--password-file", path)
        self.assertTrue(wait_for(lambda: "no session" in tap.log()), tap.log())
        time.sleep(1.5)
        tap.stop()
        totals = sensor.stop()
        self.assertEqual(totals["packets"], 0)
        self.assertGreater(len(totals["taps"]), 1, "dialled again")

    def test_sensor_filter_is_obeyed_and_replaced(self):
        sensor = self.sensor("--filter-bpf", "udp port 9000", "--update-filter", "udp port 9001",
                             "--update-filter-after", "2")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink(9000)
        self.sink(9001)
        self.send(10, port=9000)
        self.send(10, port=9001)
        time.sleep(2.5)
        self.send(10, port=9000)
        self.send(10, port=9001)
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertEqual(totals["packets"], 20, totals)
        self.assertGreaterEqual(ledger["filtered"], 20)
        self.assert_balanced(ledger)

    def test_sampling(self):
        sensor = self.sensor("--sampling", "one-in=10", "--filter-bpf", "udp port 9000")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(200)
        ledger = tap.stop()
        self.assertEqual(sensor.stop()["packets"], 20)
        self.assert_balanced(ledger)

    def test_a_bound_on_the_rate(self):
        for bound in (("--max-packet-rate", "100"), ("--max-rate", "1M")):
            with self.subTest(bound[0]):
                sensor = self.sensor("--filter-bpf", "udp port 9000")
                tap = self.tap(*bound)
                tap.wait_log("forwarding to sensor")
                sink = self.sink()
                self.send(2000, size=1000)
                ledger = tap.stop()
                sink.close()
                self.assertGreater(ledger["dropped_rate_limit"], 1000, ledger)
                self.assertEqual(sensor.stop()["packets"], ledger["forwarded"])
                self.assertGreater(ledger["forwarded"], 0)
                self.assert_balanced(ledger)

    def test_segments_are_in_every_count(self):
        """What the sensor got, the numbers it saw, its statistics, the metrics and the summary say the same."""
        sensor = self.sensor()
        tap = self.tap("--buffer-size", "8M", "--status-listen", ":15920")
        tap.wait_log("forwarding to sensor")
        self.stream(NODE, socket.AF_INET, 1_000_000)
        time.sleep(0.3)
        text = self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        metrics = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertGreater(ledger["segments_added"], 500)
        self.assert_balanced(ledger)
        self.assertEqual((totals["packets"], totals["missing_packets"], totals["lost_datagrams"]), (ledger["forwarded"], 0, 0))
        for name, value in (('sidetap_segments_added_total{interface="eth0"}', ledger["segments_added"]),
                            ('sidetap_packets_dropped_total{cause="socket-full",interface="eth0"}', 0)):
            self.assertEqual(int(float(metrics[name])), value, name)
        # A router's or a neighbour's packet may have come since.
        self.assertLessEqual(ledger["forwarded"] - int(float(metrics['sidetap_packets_forwarded_total{interface="eth0"}'])), 20)

    def test_snaplen_the_smaller_wins(self):
        sensor = self.sensor("--snaplen", "200", "--filter-bpf", "udp port 9000")
        tap = self.tap("--snaplen", "80")
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(10, size=500)
        tap.stop()
        self.assertEqual(sensor.stop()["bytes"], 10 * 80)

    def test_own_traffic_is_never_forwarded(self):
        sensor = self.sensor("--data", "tcp", "--stats-every", "1")
        tap = self.tap("--status-listen", ":15920")
        tap.wait_log("forwarding to sensor")
        for _ in range(20):
            self.node.run("curl", "-sf", f"http://{POD}:15920/metrics")
        time.sleep(1.2)
        ledger = tap.stop()
        totals = sensor.stop()
        with open(totals["taps"][0]["pcap"], "rb") as file:
            captured = file.read()
        self.assertNotIn(b"sidetap_packets_seen_total", captured)
        self.assertLess(ledger["seen"], 60, "of the tap's own packets none reaches the process")

    def test_several_sensors_get_everything(self):
        first = self.sensor("--filter-bpf", "udp port 9000")
        second = self.second_sensor("--filter-bpf", "udp port 9000")
        tap = self.tap(sensor=f"{NODE},10.99.0.3")
        tap.wait_log("forwarding to sensor", 2)
        self.sink()
        self.send(100)
        tap.stop()
        self.assertEqual(first.stop()["packets"], 100)
        self.assertEqual(second.stop()["packets"], 100)

    def test_balance_gives_each_flow_to_one_sensor(self):
        first = self.sensor("--filter-bpf", "udp port 9000")
        second = self.second_sensor("--filter-bpf", "udp port 9000")
        tap = self.tap("--sensor-mode", "balance", sensor=f"{NODE},10.99.0.3")
        tap.wait_log("forwarding to sensor", 2)
        self.sink()
        for _ in range(40):  # a new source port, so a new flow, each time
            self.send(5)
        tap.stop()
        counts = first.stop()["packets"], second.stop()["packets"]
        self.assertEqual(sum(counts), 200)
        self.assertTrue(all(count > 0 and count % 5 == 0 for count in counts), counts)


class Echo(TapTest):
    def test_multicast_that_a_bridge_returns_under_another_address_is_forwarded_once(self):
        bridge_nf = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        with self.node:
            if not shutil.which("nft") or not os.path.exists(bridge_nf):
                self.skipTest("needs nft and bridge netfilter (modprobe br_netfilter)")
        self.node.sysctl({"bridge/bridge-nf-call-iptables": 1, "ipv4/ip_forward": 1})
        self.node.ip(f"addr del {NODE}/24 dev veth0", "link add cbr0 type bridge mcast_snooping 0", "link set cbr0 up",
                     f"addr add {NODE}/24 dev cbr0", "link set veth0 master cbr0", "link set veth0 type bridge_slave hairpin on")
        self.node.nft("table ip nat { chain post { type nat hook postrouting priority srcnat; "
                      f"ip saddr {POD} masquerade; }}; }}")
        sensor = self.sensor()
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        returned = self.pod.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.addCleanup(returned.close)
        returned.bind(("eth0", 0x0800))
        returned.settimeout(0.1)
        with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(POD))
            for number in range(20):
                sender.sendto(f"marker-{number:06d}-".encode(), ("239.1.2.3", 9000))
        echoes = 0
        end = time.monotonic() + 10
        while echoes < 20 and time.monotonic() < end:
            try:
                frame, address = returned.recvfrom(2000)
            except TimeoutError:
                continue
            echoes += address[2] != socket.PACKET_OUTGOING and b"marker-" in frame and frame[26:30] == socket.inet_aton(NODE)
        self.assertEqual(echoes, 20, "the bridge returns them with the gateway's address: otherwise this shows nothing")
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(20)}, ledger)
        self.assert_balanced(ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
