"""What goes wrong around a tap, and what it makes of it."""
import os
import shutil
import socket
import time
import unittest

from tap_lab import NODE, POD, POD6, Sensor, TapTest, wait_for


class Faults(TapTest):
    def test_sensor_killed_and_back(self):
        sensor = self.sensor()
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50)
        time.sleep(0.2)
        sensor.kill()
        tap.wait_log("dialling again")
        self.send(30)
        again = self.sensor()
        tap.wait_log("forwarding to sensor", 2)
        for name in os.listdir(self.folder):
            if name.endswith(".pcap"):
                os.remove(os.path.join(self.folder, name))
        again.kill()
        tap.wait_log("dialling again", 2)
        last = self.sensor()
        tap.wait_log("forwarding to sensor", 3)
        self.send(50)
        ledger = tap.stop()
        last.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(50)})
        # What came while no sensor was there waited for the next one.
        self.assertGreaterEqual(ledger["delayed"], 30)
        self.assertEqual(ledger["dropped_no_session"], 0)
        self.assert_balanced(ledger)

    def test_sensor_refuses(self):
        sensor = self.sensor("--fault", "refuse")
        tap = self.tap()
        tap.wait_log("not welcome")
        time.sleep(2)
        ledger = tap.stop()
        self.assertGreater(len(sensor.stop()["taps"]), 1)
        self.assertEqual(ledger["forwarded"], 0)

    def test_sensor_closes_and_is_dialled_again(self):
        sensor = self.sensor("--fault", "close-after=1")
        tap = self.tap()
        tap.wait_log("forwarding to sensor", 2)
        tap.stop()
        self.assertGreaterEqual(len(sensor.stop()["taps"]), 2)

    def test_stalled_tcp_sensor_costs_packets_not_the_application(self):
        sensor = self.sensor("--data", "tcp", "--fault", "stop-reading")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        sink = self.sink()
        sink.setblocking(False)
        self.send(4000, size=1400)
        received = 0
        while True:
            try:
                sink.recv(2000)
                received += 1
            except BlockingIOError:
                break
        self.assertGreater(received, 0)
        ledger = tap.stop()
        sensor.stop()
        self.assertGreater(ledger["dropped_socket_full"], 0)
        self.assert_balanced(ledger)

    def test_datagrams_lost_on_the_way_are_seen_by_their_sequence(self):
        sensor = self.sensor("--fault", "drop-every=10")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(1000, size=1000)
        tap.stop()
        totals = sensor.stop()
        self.assertGreater(totals["lost_datagrams"], 20)
        self.assertEqual(totals["malformed"], 0)

    def test_data_port_that_nobody_listens_on(self):
        sensor = self.sensor("--fault", "hang-after=1")
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        time.sleep(1.3)
        self.sink()
        for _ in range(10):
            self.send(5)
            time.sleep(0.05)
        tap.wait_log("does not answer")
        ledger = tap.stop()
        self.assertGreater(ledger["dropped_disconnected"] + ledger["dropped_no_session"], 0)
        self.assert_balanced(ledger)
        sensor.kill()

    def test_mtu_lowered_while_it_runs(self):
        sensor = self.sensor()
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50, size=1300)
        time.sleep(0.2)
        self.pod.ip("link set eth0 mtu 1000")
        self.send(200, size=900)  # the first of these meet the smaller MTU
        time.sleep(0.2)
        fragments = self.pod.run("cat", "/proc/net/snmp")
        header, values = [line.split() for line in fragments.splitlines() if line.startswith("Ip:")]
        self.assertEqual(dict(zip(header, values))["FragCreates"], "0")
        ledger = tap.stop()
        totals = sensor.stop()
        self.assertEqual(ledger["dropped_too_large"], 0, "what was refused is packed anew")
        self.assertEqual((totals["packets"], totals["lost_datagrams"]), (ledger["forwarded"], 0))
        self.assertEqual(self.markers(), {number: 2 if number < 50 else 1 for number in range(200)})
        self.assert_balanced(ledger)

    @unittest.skipUnless(shutil.which("tc"), "tc is not installed")
    def test_a_slow_way_to_one_sensor_costs_the_other_nothing(self):
        fast = self.sensor()
        self.node.ip(f"link add veth1 type veth peer name eth1 netns {self.pod.path}", "link set veth1 up",
                     "addr add 10.97.0.1/24 dev veth1")
        self.pod.ip("link set eth1 up", "addr add 10.97.0.2/24 dev eth1")
        self.pod.run("tc", "qdisc", "add", "dev", "eth1", "root", "tbf", "rate", "2mbit", "burst", "10kb", "limit", "1mb")
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        slow = Sensor(self.node, other, listen="10.97.0.1")
        self.addCleanup(slow.kill)
        tap = self.tap("--buffer-size", "8M", sensor=f"{NODE},10.97.0.1")
        tap.wait_log("forwarding to sensor", 2)
        self.sink()
        self.send(40_000, size=1400)
        ledger = tap.stop()
        totals = fast.stop()
        self.assertEqual(ledger["dropped_kernel_ring"], 0, ledger)
        self.assertGreater(ledger["dropped_socket_full"], 0, ledger)
        self.assertEqual(sum(self.markers().values()), 40_000, "the fast one gets all")
        self.assertEqual(totals["packets"] + slow.stop()["packets"], ledger["forwarded"])

    def test_interface_down_and_up(self):
        self.interface_down_and_up("auto")

    def test_interface_down_and_up_with_libpcap(self):
        self.interface_down_and_up("libpcap")

    def interface_down_and_up(self, method):
        sensor = self.sensor()
        tap = self.tap("--capture", method)
        tap.wait_log("forwarding to sensor")
        self.pod.ip("link set eth0 down")
        time.sleep(0.5)
        self.pod.ip("link set eth0 up", f"addr replace {POD6}/64 dev eth0 nodad")
        time.sleep(0.5)
        self.sink()
        self.send(100)
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(100)}, tap.log())
        self.assert_balanced(ledger)


    def test_addresses_that_come_and_go_while_it_runs(self):
        # A router would answer for addresses that are not its own.
        self.pod.sysctl({"ipv4/ip_forward": 0, "ipv6/conf/all/forwarding": 0})
        sensor = self.sensor()
        tap = self.tap()
        tap.wait_log("forwarding to sensor")
        marker = 0
        for address, local in (("10.99.0.7", "10.99.0.7/32"), ("fd00:99::7", "fd00:99::7/128 nodad")):
            sender = self.node.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(sender.close)
            # The node may still send to the address when the pod has it no more.
            self.node.ip(f"route add {address} via {POD6 if ':' in address else POD}")
            for change, expected in (("add", True), ("del", False)):
                self.pod.ip(f"addr {change} {local.split()[0]} dev eth0 {' '.join(local.split()[1:]) if change == 'add' else ''}")
                tap.wait_log("the pod's addresses have changed", marker + 1)
                time.sleep(0.1)  # until the kernel has the filter that belongs to them
                sender.sendto(f"marker-{marker:06d}-".encode(), (address, 9000))
                self.assertEqual(bool(wait_for(lambda: marker in self.markers(), 2 if expected else 0.5)), expected,
                                 f"{change} {address}\n{tap.log()}")
                marker += 1
        ledger = tap.stop()
        sensor.stop()
        self.assert_balanced(ledger)

    def test_gateways_that_come_and_go_while_it_runs(self):
        sensor = self.sensor()
        self.sink()
        # By its address the node counts as tapped, and by the ports it is the server: as a gateway it has no tap.
        tap = self.tap("--tapped-peers", "10.99.0.0/24")
        tap.wait_log("forwarding to sensor")
        self.send(1)
        time.sleep(0.3)  # until the tap has read it
        for changes, change in enumerate(("add", "del"), 1):
            self.pod.ip(f"route {change} default via {NODE}")
            tap.wait_log("the pod's gateways have changed", changes)
            self.send(1)
            self.assertTrue(wait_for(lambda: self.markers(), 2), tap.log())
        time.sleep(0.3)
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {0: 1}, tap.log())
        self.assert_balanced(ledger)


if __name__ == "__main__":
    unittest.main(verbosity=2)
