"""The tap as a program: rights, command line, health."""
import os
import subprocess
import sys
import time
import unittest

from tap_lab import BINARIES, TapTest, assert_given_up, wait_for


class Privileges(TapTest):
    def capture_and_end(self, confined):
        """A tap with these rights captures; gives what /proc says of each of its threads meanwhile."""
        sensor = self.sensor()
        tap = self.tap("--status-listen", ":15920", confined=confined)
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(50)
        self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        threads = tap.threads()
        tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(50)}, tap.log())
        for warning in ("kept", "without a sandbox"):
            self.assertNotIn(warning, tap.log())
        return threads

    def test_root_with_every_right_gives_all_up(self):
        assert_given_up(self, self.capture_and_end(()))

    def test_root_with_net_raw_alone(self):
        assert_given_up(self, self.capture_and_end(
            ("--inh-caps", "-all", "--bounding-set", "-all,+net_raw", "--no-new-privs")))

    def test_another_user_with_net_raw(self):
        os.chmod(self.folder, 0o755)
        threads = self.capture_and_end(("--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all,+net_raw",
                                        "--ambient-caps", "-all,+net_raw", "--bounding-set", "-all,+net_raw", "--no-new-privs"))
        assert_given_up(self, threads)
        self.assertEqual({thread["Uid"].split()[0] for thread in threads}, {"65534"})

    def test_a_root_file_system_that_is_read_only(self):
        # Every mount point of a container's own; here, of the test's own mount namespace.
        read_only = ["unshare", "--mount", "sh", "-c",
                     'mount -o remount,bind,ro / && exec "$@"', "tap"]
        assert_given_up(self, self.capture_and_end(("--no-new-privs", *read_only)))

    def test_without_net_raw_it_says_so(self):
        tap = self.tap(confined=("--inh-caps", "-all", "--bounding-set", "-all", "--no-new-privs"))
        tap.wait_log("needs the capability NET_RAW")


class CommandLine(unittest.TestCase):
    @staticmethod
    def run_tap(*arguments, **environment):
        return subprocess.run([f"{BINARIES}/sidetap-sidecar", *arguments], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", **environment}, timeout=10)

    def test_wrong_values_get_one_line_and_exit_2(self):
        cases = {
            ("--snaplen", "many"): "--snaplen",
            ("--pod-subnets", "10.0.0.0/33"): "--pod-subnets",
            ("--service-view", "sometimes"): "auto, never, always",
            ("--tapped-peers", "everybody"): "all, none",
            ("--sensor-mode", "both"): "replicate, failover, balance, hash",
            ("--interface", "a/b"): "--interface",
            ("--user", "eh"): "--password-file",
            ("--sensor-tls", "rpcaps"): "--sensor-tls-cert",
            ("--sensor-tls", "registry"): "--registry",
            ("--ipv6-family", "bsd"): "linux, windows",
            ("--ipv6-family", "linux,windows"): "one for each of the 1 sensors",
            ("--output", "erspan"): "rpcap, vxlan, pcap, pcap-over-ip, interface",
            ("--output", "pcap"): "--pcap-dir",
            ("--output", "interface"): "--output-interface: required",
            ("--output-interface", "mon0"): "needs --output interface",
            ("--output", "interface", "--output-interface", "a,b"): "the name of a network interface",
            ("--output", "interface", "--output-interface", "eth0", "--interface", "eth0"): "is itself captured",
            ("--output", "vxlan", "--sensor-mode", "failover"): "--sensor-mode failover",
            ("--output", "vxlan", "--sensor-mode", "hash"): "--sensor-mode hash",
            ("--output", "vxlan", "--vxlan-vni", "16777216"): "--vxlan-vni",
            ("--output", "vxlan", "--vxlan-vnis", "shop=7"): "--vxlan-vni-by-namespace on",
            ("--vxlan-vni-by-namespace", "on", "--vxlan-vnis", "shop=7,shop=8"): "each namespace once",
            ("--pcap-dir", "/tmp"): "--output pcap",
            ("--output", "pcap-over-ip"): "needs --pcap-listen or --pcap-connect",
            ("--output", "pcap-over-ip", "--pcap-listen", ":1", "--interface", "eth0,eth1"): "needs a single interface",
            ("--output", "pcap-over-ip", "--pcap-connect", "a", "--pcap-allow", "10.0.0.0/8"): "needs --pcap-listen",
            ("--output", "pcap-over-ip", "--pcap-listen", ":1", "--pcap-reader-buffer", "1K"): "--pcap-reader-buffer",
            ("--output", "pcap-over-ip", "--pcap-listen", ":1", "--pcap-readers", "65"): "1 to 64",
            ("--output", "pcap-over-ip", "--pcap-listen", ":1", "--user", "eh"): "cannot be combined with --output pcap-over-ip",
            ("--pcap-listen", ":57012"): "--output pcap-over-ip",
            ("--pcap-connect", "arkime"): "--output pcap-over-ip",
            ("--passive-allow", "10.0.0.0/8"): "--passive-listen",
            ("--passive-listen", ":2002", "--passive-allow", "10.0.0.0/33"): "--passive-allow",
            ("--passive-listen", ":2002", "--passive-sessions", "0"): "--passive-sessions",
            ("--passive-listen", ":2002", "--interface", "eth0,eth1"): "--interface",
            ("--filter", "not ("): "syntax error",
            ("--filter", "not host sensor.example"): "names are not looked up",
            ("--filter", "vlan 7"): "--filter",
            ("--flow-sampling", "0"): "--flow-sampling",
            ("--paused", "perhaps"): "on, off",
            ("--nonsense",): "--nonsense",
            ("--sensor", "010.010.010.010"): "is no IPv4 address",
            ("--sensor", "10.0.0.1,10.0.0.256"): "is no IPv4 address",
            ("--sensor", ":2003"): "names no host",
            ("--sensor", "127.0.0.1:0"): "port from 1 to 65535",
            ("--sensor", "rpcap://10.0.0.1"): "is a URL",
            ("--registry", "https://registry:8444"): "is a URL",
            ("--interface", "eth0,"): "--interface",
        }
        for arguments, expected in cases.items():
            done = self.run_tap("run", "--sensor", "10.0.0.1", *arguments)
            self.assertEqual(done.returncode, 2, (arguments, done))
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(expected, done.stderr)

    def test_sensor_is_required(self):
        done = self.run_tap("run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("SENSOR", done.stderr)

    def test_the_daemonset_variables_stand_in_for_the_sensor(self):
        done = self.run_tap("run", "--snaplen", "1", EXTRAHOP_SENSOR_IP="10.0.0.1", RPCAPD_TARGET_PORT="x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("10.0.0.1:x", done.stderr)

    def test_help_names_every_option_with_its_variable(self):
        done = self.run_tap("run", "--help")
        self.assertEqual(done.returncode, 0)
        for flag, variable in (("--sensor", "SENSOR"), ("--pod-subnets", "PODNET"), ("--service-subnets", "SVCNET"),
                               ("--interface", "INTERFACE"), ("--tapped-peers", "TAPPED_PEERS"), ("--pod-ips", "POD_IPS"),
                               ("--snaplen", "SNAPLEN"), ("--buffer-size", "BUFFER_SIZE"), ("--data-mtu", "DATA_MTU"),
                               ("--status-listen", "STATUS_LISTEN"), ("--log-format", "LOG_FORMAT"),
                               ("--log-level", "LOG_LEVEL"), ("--service-view", "SERVICE_VIEW"),
                               ("--untapped-services", "UNTAPPED_SERVICES")):
            self.assertIn(flag, done.stdout)
            self.assertIn(variable, done.stdout)

    def test_check_says_when_nobody_answers(self):
        done = self.run_tap("check", "--status-listen", "127.0.0.1:1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no answer", done.stderr)


class Status(TapTest):
    def test_health_readiness_and_metrics(self):
        tap = self.tap("--status-listen", ":15920")
        tap.wait_log("serving health")
        for path in ("healthz", "readyz"):
            self.pod.run("curl", "-sf", f"http://127.0.0.1:15920/{path}")
        metrics = self.pod.run("curl", "-sf", "http://127.0.0.1:15920/metrics")
        self.assertIn('sidetap_interface_open{interface="eth0"} 1', metrics)
        self.assertIn("sidetap_packets_dropped_total", metrics)
        self.assertIn('sidetap_flows{interface="eth0"} 0', metrics)
        for state in ("closed", "opening", "open"):
            self.assertIn(f'sidetap_flow_evictions_total{{interface="eth0",state="{state}"}} 0', metrics)
        self.pod.run(f"{BINARIES}/sidetap-sidecar", "check", "--status-listen", ":15920")

    def test_a_port_that_is_taken_is_a_warning_only(self):
        other = self.pod.popen([sys.executable, "-m", "http.server", "15920"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        self.pod.run("sh", "-c", "until curl -s -o /dev/null http://127.0.0.1:15920/; do sleep 0.05; done")
        sensor = self.sensor()
        tap = self.tap("--status-listen", ":15920")
        tap.wait_log("health and metrics are not served")
        tap.wait_log("forwarding to sensor")
        self.sink()
        self.send(10)
        tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(10)}, tap.log())

    def test_out_of_descriptors_it_says_so_once_and_goes_on_when_there_are_some(self):
        tap = self.tap("--status-listen", "127.0.0.1:15920", "--passive-listen", ":2002", sensor=None)
        tap.wait_log("serving health")
        held = []
        self.addCleanup(lambda: [each.close() for each in held])
        used = len(os.listdir(f"/proc/{tap.process.pid}/fd"))
        subprocess.run(["prlimit", "--pid", str(tap.process.pid), f"--nofile={used}:4096"], check=True)
        for port in (15920, 2002):
            held.append(self.pod.socket())
            held[-1].connect(("127.0.0.1", port))
        lines = [f'cannot accept a connection; trying again listener="{name}"' for name in ("status-accept", "client-accept")]
        for line in lines:
            tap.wait_log(line)
        time.sleep(2)
        for line in lines:
            self.assertEqual(tap.log().count(line), 1, tap.log())
        subprocess.run(["prlimit", "--pid", str(tap.process.pid), "--nofile=4096:4096"], check=True)
        self.assertTrue(wait_for(lambda: self.pod.run("curl", "-s", "-m", "1", "http://127.0.0.1:15920/readyz") is not None))

    def test_an_interface_that_comes_late_is_captured(self):
        sensor = self.sensor()
        tap = self.tap("--interface", "eth1", "--status-listen", ":15920")
        tap.wait_log("the sandbox waits")
        with_rights = [thread for thread in tap.threads() if int(thread["CapEff"], 16) != 0]
        self.assertEqual(len(with_rights), 1, "the thread that will open the interface, and no other")
        with self.assertRaises(RuntimeError):
            self.pod.run(f"{BINARIES}/sidetap-sidecar", "check", "--status-listen", ":15920")
        self.node.ip(f"link add veth1 type veth peer name eth1 netns {self.pod.path}", "link set veth1 up",
                     "addr add 10.98.0.1/24 dev veth1")
        self.pod.ip("addr add 10.98.0.2/24 dev eth1", "link set eth1 up")
        tap.wait_log("the interface is open")
        tap.wait_log("forwarding to sensor")
        self.assertTrue(wait_for(lambda: all(int(thread["CapEff"], 16) == 0 and thread["Seccomp"] == "2"
                                             for thread in tap.threads())), tap.threads())
        for warning in ("are kept", "without a sandbox"):
            self.assertNotIn(warning, tap.log())
        self.sink(address="10.98.0.1")
        self.send(20, to="10.98.0.1")
        tap.stop()
        sensor.stop()
        self.assertEqual(self.markers(), {number: 1 for number in range(20)})


if __name__ == "__main__":
    unittest.main(verbosity=2)
