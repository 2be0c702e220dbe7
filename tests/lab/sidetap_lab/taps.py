"""Runs the programs under test: the sensor, and a tap in each tapped pod as the webhook's container would."""
import http.client
import json
import os
import signal
import subprocess
import time

from . import cluster as places

STATUS_PORT = 15920


class Program:
    """A process in a namespace, with its log in a file."""

    def __init__(self, name, namespace, argv, log, environment=None, confined=()):
        self.name, self.log_path = name, log
        with open(log, "ab") as file:
            self._process = namespace.popen(argv, confined, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                            env=environment)

    @property
    def pid(self):
        return self._process.pid

    def ended(self):
        return self._process.poll() is not None

    def log(self, lines=8):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:]).strip()

    def wait_until(self, condition, what, patience=15.0):
        deadline = time.monotonic() + patience
        while not condition():
            if self.ended():
                raise RuntimeError(f"{self.name} ended with status {self._process.returncode} before {what}: {self.log()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: not {what} after {patience:.0f} s: {self.log()}")
            time.sleep(0.03)

    def tell(self, number=signal.SIGTERM):
        """Sends it a signal, without waiting for what comes of it."""
        if not self.ended():
            self._process.send_signal(number)

    def stop(self, grace=10.0, number=signal.SIGTERM):
        """Ends it; returns its exit status, or None when it had to be killed."""
        self.tell(number)
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None


class Sensor(Program):
    """sidetap-sensor at its place on the underlay."""

    def __init__(self, binaries, cluster, folder, data="udp", extra=(), port=places.SENSOR_PORT):
        self.captures = os.path.join(folder, "captures")
        os.makedirs(self.captures, exist_ok=True)
        self.totals_path = os.path.join(folder, "sensor.json")
        super().__init__("sidetap-sensor", cluster.sensor, [
            os.path.join(binaries, "sidetap-sensor"), "active", "--listen", f"{places.SENSOR[0]}:{port}",
            "--data", data, "--output-dir", self.captures, "--json", self.totals_path, *extra],
            os.path.join(folder, "sensor.log"))
        self.wait_until(lambda: "listening" in self.log(), "listening")

    def totals(self):
        """Its report; there is one once it has been stopped."""
        with open(self.totals_path, encoding="utf-8") as file:
            return json.load(file)


def metrics(namespace, address="127.0.0.1", port=STATUS_PORT):
    """Name and labels to value, of the program whose status port this is; empty while it does not answer."""
    with namespace:
        connection = http.client.HTTPConnection(address, port, timeout=1)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            connection.close()
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))}


def is_forwarding(namespace, address="127.0.0.1", port=STATUS_PORT):
    """Whether the tap in this pod has a capture that a sensor asked for. (/readyz says less: a pod must not depend on
    a sensor to be ready.)"""
    return any(value >= 1 for name, value in metrics(namespace, address, port).items()
               if name.startswith("sidetap_captures"))


def environment(pod, tapped, untapped_services=()):
    """What the webhook's container gives to a tap, downward fields filled in."""
    return {
        "PATH": os.environ["PATH"],
        "SENSOR": f"{places.SENSOR[0]}:{places.SENSOR_PORT}",
        "PODNET": ",".join(places.POD_SUBNETS),
        "SVCNET": ",".join(places.SERVICE_SUBNETS),
        "TAPPED_PEERS": ",".join(address for other in tapped for address in (other.v4, other.v6)),
        "UNTAPPED_SERVICES": ",".join(untapped_services),
        "POD_IPS": f"{pod.v4},{pod.v6}",
        "POD_NAME": pod.name,
        "POD_NAMESPACE": "lab",
        "NODE_NAME": f"node{pod.node}",
        "STATUS_LISTEN": f"127.0.0.1:{STATUS_PORT}",
        # Pods, taps, sensor and judge share few CPUs here: no tap may lose what it waited too long to read.
        "BUFFER_SIZE": "16M",
        "LOG_LEVEL": "debug",
    }


# The security context that the webhook writes by default.
TAP_SECURITY = {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}, "allowPrivilegeEscalation": False}


def confinement(security):
    """What of a container's security context a container runtime would impose here, as options of setpriv."""
    options = []
    capabilities = security.get("capabilities", {})
    if "ALL" in capabilities.get("drop", []):
        kept = "".join(f",+{name.lower()}" for name in capabilities.get("add", []))
        options += ["--inh-caps", "-all", "--bounding-set", f"-all{kept}"]
    if security.get("allowPrivilegeEscalation") is False:
        options.append("--no-new-privs")
    return options


class Tap(Program):
    """sidetap-sidecar in one pod, with no more rights than there."""

    def __init__(self, binaries, pod, variables, folder, argv=None, security=None):
        self.pod = pod
        super().__init__(f"tap of {pod.name}", pod.namespace, argv or [os.path.join(binaries, "sidetap-sidecar"), "run"],
                         os.path.join(folder, f"tap-{pod.name}.log"), variables,
                         confinement(TAP_SECURITY if security is None else security))

    def wait_forwarding(self):
        self.wait_until(lambda: is_forwarding(self.pod.namespace), "forwarding")

    def metric(self, name):
        """None while the tap does not answer, or has no such metric."""
        return metrics(self.pod.namespace).get(name)

    def wait_for_peers(self, count):
        """Until the registry has told it so many addresses of tapped peers."""
        self.wait_until(lambda: self.metric("sidetap_registry_peers") == count, f"aware of {count} tapped addresses")
