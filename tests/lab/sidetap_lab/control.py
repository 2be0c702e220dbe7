"""The lab's control plane: two replicas of the registry, and the API server that they ask."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys

from . import api_objects
from .taps import Program, metrics

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.append(os.path.join(ROOT, "tests", "support"))
import web_socket  # noqa: E402

REGISTRY, REGISTRY_PORT = "sidetap-registry.sidetap-system.svc", 8444
API_SERVER, API_PORT = ("172.18.0.200", "fd00:18::200"), 6443
REPLICAS = (("172.18.0.201", "fd00:18::201"), ("172.18.0.202", "fd00:18::202"))
AUDIENCE = "sidetap"
_STATUS_PORT = 9090
_PATIENCE = 10.0
_REFUSED_WITHIN = 4.0


def addresses():
    return [address for pair in (API_SERVER, *REPLICAS) for address in pair]


class ControlPlane:
    """Files are in `folder`. Processes end when the lab ends, or by stop()."""

    def __init__(self, binaries, cluster, folder):
        self._binaries, self._cluster, self._folder = binaries, cluster, os.path.join(folder, "control")
        self._account = os.path.join(self._folder, "account")
        os.makedirs(self._account)
        self.authority = os.path.join(self._folder, "ca.crt")
        self._programs, self._claims = [], []
        self._mounted = False
        self.replicas = [None] * len(REPLICAS)
        self._api_place = cluster.plug("api", [f"{API_SERVER[0]}/24", f"{API_SERVER[1]}/64"])
        self._places = [cluster.plug(f"replica{number}", [f"{pair[0]}/24", f"{pair[1]}/64"])
                        for number, pair in enumerate(REPLICAS)]

    def token_file(self, pod):
        return os.path.join(self._folder, f"token-{pod}")

    def start(self):
        subprocess.run([os.path.join(ROOT, "certs-scripts", "generate.sh"), "--out", self._folder, "--san", REGISTRY,
                        "--san", API_SERVER[0]], check=True, stdout=subprocess.DEVNULL)
        self._lead_to_registry()
        self._write_account()
        api = Program("API server", self._api_place, [
            sys.executable, "-B", os.path.join(os.path.dirname(__file__), "api_server.py"), self._path("tls.crt"),
            self._path("tls.key"), API_SERVER[0], str(API_PORT), self._path("contents.json")], self._path("api.log"))
        self._programs.append(api)
        api.wait_until(lambda: "listening" in api.log(), "listening")

    def stop(self):
        for connection in self._claims:
            connection.close()
        self.stop_replicas()
        for program in self._programs:
            # The API server is a script that knows no end but the signal.
            if program.stop() not in (0, -signal.SIGTERM):
                raise RuntimeError(f"{program.name} had to be killed: {program.log()}")
        if self._mounted:
            subprocess.run(["umount", "/etc/hosts"], check=True)

    def start_replica(self, number, services=True):
        """services: whether it watches Services, so that taps know the backends of each."""
        log = self._path(f"replica{number}.log")
        environment = {"PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": API_SERVER[0],
                       "KUBERNETES_SERVICE_PORT": str(API_PORT)}
        self.replicas[number] = Program(f"replica {number}", self._places[number], [
            os.path.join(self._binaries, "sidetap-webhook"), "serve", "--listen", ":8443",
            "--tls-cert", self._path("tls.crt"), "--tls-key", self._path("tls.key"),
            "--registry-listen", f":{REGISTRY_PORT}", "--registry-ca", self.authority, "--registry-auth", "token",
            "--registry-audience", AUDIENCE, "--registry-services", "true" if services else "false",
            "--service-account", self._account, "--status-listen", f"127.0.0.1:{_STATUS_PORT}",
            "--drain-seconds", "0"], log, environment)

    def stop_replicas(self):
        """As the kubelet does; those that still run have to end by themselves."""
        for replica in self.replicas:
            if replica and not replica.ended() and replica.stop() != 0:
                raise RuntimeError(f"{replica.name} did not end in good order on SIGTERM: {replica.log()}")

    def wait_for_replica(self, number):
        self.replicas[number].wait_until(lambda: self.replica_metrics(number), "serving")

    def replica_metrics(self, number):
        return metrics(self._places[number], port=_STATUS_PORT)

    def refused(self, reason):
        """Registrations that the replicas have refused for that reason."""
        return sum(self.replica_metrics(number).get(f'sidetap_registry_refused_total{{reason="{reason}"}}', 0)
                   for number in range(len(REPLICAS)))

    def _path(self, name):
        return os.path.join(self._folder, name)

    def _lead_to_registry(self):
        """What the cluster's DNS does: the name of the headless Service leads to both replicas."""
        shutil.copyfile("/etc/hosts", self._path("hosts"))
        with open(self._path("hosts"), "a", encoding="ascii") as file:
            file.write("\n" + "".join(f"{pair[0]} {REGISTRY}\n" for pair in REPLICAS))
        subprocess.run(["mount", "--bind", self._path("hosts"), "/etc/hosts"], check=True)  # in our own mount namespace
        self._mounted = True

    def _write_account(self):
        for name, text in (("token", "the-webhooks"), ("namespace", "sidetap-system")):
            with open(os.path.join(self._account, name), "w", encoding="ascii") as file:
                file.write(text)
        shutil.copyfile(self.authority, os.path.join(self._account, "ca.crt"))
        with open(self._path("contents.json"), "w", encoding="utf-8") as file:
            json.dump(self._contents(), file)

    def _contents(self):
        """What the API server knows. Writes the taps' tokens too."""
        tokens, objects = {}, {}
        for pod in self._cluster.pods.values():
            identity = {"namespace": "lab", "name": pod.name, "uid": f"uid-{pod.name}"}
            objects[f"/api/v1/namespaces/lab/pods/{pod.name}"] = {
                "metadata": identity, "status": {"podIPs": [{"ip": pod.v4}, {"ip": pod.v6}]}}
            if pod.tapped:
                tokens[f"token-of-{pod.name}"] = {"audience": AUDIENCE, "pod": identity}
                with open(self.token_file(pod.name), "w", encoding="ascii") as file:
                    file.write(f"token-of-{pod.name}")
            tokens[f"other-token-of-{pod.name}"] = {"audience": "somebody-else", "pod": identity}
        return {"token": "the-webhooks", "tokens": tokens, "objects": objects, "lists": api_objects.lists(self._cluster)}

    def claim(self, place, replica, token, taken):
        """Registers from that namespace as a forwarding tap with those addresses, and stays if it may.

        Returns what came of it: "401" and the like, "refused", or "accepted".
        """
        context = ssl.create_default_context(cafile=self.authority)
        with place:
            plain = socket.create_connection((REPLICAS[replica][0], REGISTRY_PORT), _PATIENCE)
        connection = context.wrap_socket(plain, server_hostname=REGISTRY)
        connection.sendall(web_socket.request("/v1/taps", token=token))
        status = web_socket.until(connection, b"\r\n\r\n").split()[1].decode()
        if status != "101":
            connection.close()
            return status
        hello = json.dumps({"type": "hello", "version": 1, "addresses": taken, "forwarding": True}).encode()
        connection.sendall(web_socket.frame(web_socket.TEXT, hello, masked=True))
        # The addresses are looked at while the first news is on its way already.
        connection.settimeout(_REFUSED_WITHIN)
        try:
            web_socket.until(connection, b'"type":"refused"')
        except TimeoutError:
            self._claims.append(connection)
            return "accepted"
        except ConnectionError:
            pass  # the reason was not waited for
        connection.close()
        return "refused"
