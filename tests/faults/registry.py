"""Two tapped pods and the webhook's registry: who counts as tapped while taps and the registry come and go."""
import os
import signal
import subprocess
import tempfile
import time
import urllib.request

from bench import Failure, Namespace, wait_for

NODE = "10.97.0.1"
GRACE = 3  # seconds


class RegistryBench:
    def __init__(self, programs):
        self.programs = programs
        self.folder = tempfile.TemporaryDirectory(prefix="sidetap-registry-")
        self.node = Namespace("node")
        self.pods = [Namespace(f"pod{i}") for i in range(2)]
        self.processes = []
        self.taps = [None, None]
        self.node.ip("link set lo up", "link add br0 type bridge", f"address add {NODE}/24 dev br0", "link set br0 up")
        for i, pod in enumerate(self.pods):
            self.node.ip(f"link add pod{i} type veth peer name eth0 netns {pod.path}", f"link set pod{i} master br0 up")
            pod.ip("link set lo up", f"address add {self.address(i)}/24 dev eth0", "link set eth0 up")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=registry", "-addext", f"subjectAltName=IP:{NODE}",
                        "-keyout", self.path("tls.key"), "-out", self.path("tls.crt")], check=True, capture_output=True)

    @staticmethod
    def address(pod):
        return f"10.97.0.{10 + pod}"

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start(self, namespace, log, program, *arguments):
        with open(self.path(log), "ab") as output:
            process = namespace.popen([os.path.join(self.programs, program), *arguments], stdout=output, stderr=output)
        self.processes.append(process)
        return process

    def start_registry(self):
        return self.start(self.node, "webhook.log", "sidetap-webhook", "serve", "--listen", f"{NODE}:9443",
                          "--tls-cert", self.path("tls.crt"), "--tls-key", self.path("tls.key"),
                          "--registry-listen", f"{NODE}:8444", "--registry-auth", "none",
                          "--status-listen", f"{NODE}:9090")

    def start_sensor(self):
        return self.start(self.node, "sensor.log", "sidetap-sensor", "active", "--listen", f"{NODE}:2003")

    def start_tap(self, pod):
        self.taps[pod] = self.start(
            self.pods[pod], "tap.log", "sidetap-sidecar", "run", "--sensor", NODE, "--pod-ips", self.address(pod),
            "--pod-subnets", "10.97.0.0/24", "--registry", NODE, "--registry-ca", self.path("tls.crt"),
            "--registry-grace", f"{GRACE}s", "--status-listen", ":15920")

    def metric(self, pod, name):
        try:
            with self.pods[pod]:
                text = urllib.request.urlopen("http://127.0.0.1:15920/metrics", timeout=5).read().decode()
        except OSError:
            return None
        values = [line.split()[1] for line in text.splitlines() if line.startswith(name + " ")]
        return float(values[0]) if values else None

    def expect_peers(self, pod, count, what):
        wait_for(what, lambda: self.metric(pod, "sidetap_registry_peers") == count)

    def text(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for namespace in (self.node, *self.pods):
            namespace.close()
        self.folder.cleanup()


def registry(bench):
    """Peers are tapped while their taps forward and the registry says so, and not a grace longer."""
    webhook = bench.start_registry()
    sensor = bench.start_sensor()
    bench.start_tap(0)
    bench.start_tap(1)
    for pod in range(2):
        bench.expect_peers(pod, 1, f"tap {pod} knows the other")

    bench.taps[1].kill()
    bench.expect_peers(0, 0, "a tap that died is no peer any more")
    bench.start_tap(1)
    bench.expect_peers(0, 1, "a tap that came back is a peer again")

    bench.taps[1].send_signal(signal.SIGTERM)
    if bench.taps[1].wait(20) != 0:
        raise Failure("a tap does not end well on SIGTERM")
    if bench.metric(0, "sidetap_registry_peers") != 0:
        raise Failure("a tap stopped before its peer had taken over")
    bench.start_tap(1)
    bench.expect_peers(0, 1, "the tap is back")

    webhook.kill()
    time.sleep(GRACE / 3)
    if bench.metric(0, "sidetap_registry_peers") != 1:
        raise Failure("the registry's last word did not hold for the grace")
    bench.expect_peers(0, 0, "without a registry nobody counts as tapped")
    bench.start_registry()
    bench.expect_peers(0, 1, "the registry is back")

    sensor.kill()
    bench.expect_peers(0, 0, "a tap without a sensor is no peer")
