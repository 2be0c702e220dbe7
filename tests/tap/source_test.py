"""An interface that falls silent in every way there is, under a tap with its sandbox on: the tap notices, says so to
everybody who asks, and loses nothing once the interface is back."""
import os
import socket
import time
import urllib.error
import urllib.request

from registry_lab import Registry
from tap_lab import NODE, POD, Namespace, Sensor, TapTest, wait_for

HUB = "10.98.0.1"
STATUS = 15920


class Way:
    """How an interface goes and comes back. `gone` and `back` are called with the test."""

    def __init__(self, gone, back, reason, closes=True):
        self.gone, self.back, self.reason, self.closes = gone, back, reason, closes


def make_veth(test):
    test.node.ip(f"link add veth0 type veth peer name eth0 netns {test.pod.path}")


def set_up(test):
    test.node.ip("link set veth0 up", f"addr replace {NODE}/24 dev veth0")
    test.pod.ip("link set eth0 up", f"addr replace {POD}/24 dev eth0")


def make_anew(test):
    make_veth(test)
    set_up(test)


def move_away(test):
    test.pod.ip(f"link set eth0 netns {test.elsewhere.path}")


def move_back(test):
    test.elsewhere.ip(f"link set eth0 netns {test.pod.path}")
    set_up(test)


def rename(test):
    test.pod.ip("link set eth0 down", "link set eth0 name old0", "link set old0 up")


def rename_back(test):
    test.pod.ip("link set old0 down", "link set old0 name eth0")
    set_up(test)


def replace_by_another(test):
    """The one that was captured still carries packets, under another name."""
    rename(test)
    test.pod.ip("link set old0 down")
    test.node.ip("link set veth0 name veth1", f"addr del {NODE}/24 dev veth1")


GONE = "deleted, renamed or moved to another namespace"
WAYS = {
    "deleted": Way(lambda test: test.pod.ip("link del eth0"), make_anew, GONE),
    "its peer deleted": Way(lambda test: test.node.ip("link del veth0"), make_anew, GONE),
    "set down": Way(lambda test: test.pod.ip("link set eth0 down"), set_up, "the interface is down", closes=False),
    "its peer set down": Way(lambda test: test.node.ip("link set veth0 down"), set_up, "no carrier", closes=False),
    "renamed": Way(rename, rename_back, GONE),
    "moved to another namespace": Way(move_away, move_back, GONE),
    "replaced by another": Way(replace_by_another, make_anew, GONE),
}


class Silence(TapTest):
    def setUp(self):
        super().setUp()
        # By another interface, which is not captured: sensor and registry are there whatever happens to eth0.
        self.hub, self.elsewhere = Namespace("hub"), Namespace("elsewhere")
        self.addCleanup(self.hub.close)
        self.addCleanup(self.elsewhere.close)
        self.hub.ip("link set lo up", f"link add hub0 type veth peer name eth1 netns {self.pod.path}", "link set hub0 up",
                    f"addr add {HUB}/24 dev hub0", f"route add {POD}/32 dev hub0")
        # The registry takes a tap's word for the address that it comes from.
        self.pod.ip(f"addr add {POD}/32 dev lo", "link set eth1 up", f"route add {HUB}/32 dev eth1 src {POD}")
        self.hub.sysctl({"ipv4/conf/all/rp_filter": 0})
        self.pod.sysctl({"ipv4/conf/all/rp_filter": 0})

    @staticmethod
    def metric(namespace, url, name):
        try:
            with namespace:
                text = urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            return None
        values = [float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        return values[0] if values else None

    def tap_metric(self, name):
        return self.metric(self.pod, f"http://127.0.0.1:{STATUS}/metrics", name)

    def addresses_told(self):
        return self.metric(self.hub, f"http://{HUB}:9090/metrics", "sidetap_registry_addresses")

    def ready(self):
        try:
            with self.pod:
                return urllib.request.urlopen(f"http://127.0.0.1:{STATUS}/readyz", timeout=5).status == 200
        except urllib.error.HTTPError as error:
            return error.code == 200

    def must(self, condition, what):
        self.assertTrue(wait_for(condition, 10), f"{what}\n{self.running.log()}")

    def mark(self, count):
        """Datagrams with numbers that no others have."""
        with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(count):
                sender.sendto(f"marker-{self.marked:06d}-".encode(), (NODE, 9000))
                self.marked += 1
                time.sleep(0.0005)

    def arrives(self, sink):
        """Whether datagrams get through: a new interface may drop what is sent before the system has activated its queue."""
        sink.settimeout(0.05)
        with self.pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"probe", (NODE, 9000))
        try:
            while sink.recv(100) != b"probe":
                pass
            return True
        except TimeoutError:
            return False

    def go_and_come(self, name, way):
        """The tap has said all that there is to say when this returns, and got all that it was to get."""
        lines = len(self.running.log())
        reopened = self.tap_metric("sidetap_interface_reopened_total")
        way.gone(self)
        self.must(lambda: not self.ready(), f"{name}: not ready")
        self.must(lambda: self.addresses_told() == 0, f"{name}: the registry is told")
        # What is set down before it is renamed is noticed twice.
        self.must(lambda: way.reason in self.running.log()[lines:], f"{name}: the log says why")
        self.must(lambda: self.tap_metric("sidetap_interface_open") == (0 if way.closes else 1), f"{name}: open or not")
        self.assertEqual(self.tap_metric("sidetap_interface_working"), 0)
        time.sleep(0.7)  # it looks again, and has nothing to add
        self.assertEqual(self.running.log()[lines:].count(way.reason), 1, self.running.log())
        way.back(self)
        self.must(self.ready, f"{name}: ready again")
        self.mark(30)
        self.must(lambda: self.addresses_told() > 0, f"{name}: the registry is told that it is back")
        self.assertEqual(self.tap_metric("sidetap_interface_reopened_total"), reopened + (1 if way.closes else 0))
        self.assertEqual(self.tap_metric("sidetap_interface_working"), 1)

    def falls_silent(self, method):
        self.marked = 0
        registry = Registry(self, self.hub, HUB)
        sensor = Sensor(self.hub, self.folder, listen=HUB)
        self.addCleanup(sensor.kill)
        self.running = tap = self.tap("--interface", "eth0", "--capture", method, "--status-listen", f":{STATUS}",
                                      *registry.options(), sensor=HUB)
        tap.wait_log("forwarding to sensor")
        self.must(lambda: self.addresses_told() > 0, "the registry knows the tap")
        self.assertTrue(wait_for(lambda: all(int(thread["CapEff"], 16) == 0 and thread["Seccomp"] == "2"
                                             for thread in tap.threads())), tap.threads())
        self.sink(address="")
        for name, way in WAYS.items():
            with self.subTest(way=name):
                self.go_and_come(name, way)
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(self.marked)}, tap.log())
        self.assert_balanced(ledger)

    def test_with_the_ring(self):
        self.falls_silent("ring")

    def test_with_libpcap(self):
        self.falls_silent("libpcap")

    def test_made_again_before_anybody_looks(self):
        for method in ("ring", "libpcap"):
            with self.subTest(method=method):
                self.made_again(method)

    def made_again(self, method):
        """A capture that is bound to the old one would get nothing, and the name is there all the time."""
        sensor = Sensor(self.hub, self.folder, listen=HUB)
        self.addCleanup(sensor.kill)
        self.marked = 0
        tap = self.tap("--interface", "eth0", "--capture", method, "--status-listen", f":{STATUS}", sensor=HUB)
        tap.wait_log("forwarding to sensor")
        sink = self.sink(address="")
        for times in range(1, 13):  # more often than the sockets last that can be used once
            self.node.ip("link del veth0", f"link add veth0 type veth peer name eth0 netns {self.pod.path}",
                         "link set veth0 up", f"addr add {NODE}/24 dev veth0")
            self.pod.ip("link set eth0 up", f"addr add {POD}/24 dev eth0")
            tap.wait_log("the interface is open", times)
            self.running = tap
            self.must(self.ready, "ready again")
            self.must(lambda: self.arrives(sink), "datagrams arrive")
            self.mark(10)
        sink.close()
        ledger = tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(self.marked)}, tap.log())
        self.assert_balanced(ledger)
        for name in os.listdir(self.folder):
            if name.endswith(".pcap"):
                os.remove(os.path.join(self.folder, name))
