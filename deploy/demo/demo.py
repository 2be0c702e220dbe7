#!/usr/bin/env python3
"""Runs the whole product on one machine: reviews, patched pods, taps, a sensor, traffic, and the count at the end."""
import argparse
import contextlib
import difflib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

DEMO = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(DEMO))
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
sys.dont_write_bytecode = True
import kubernetes  # noqa: E402
import yaml  # noqa: E402
from sidetap_lab import cluster as places  # noqa: E402
from sidetap_lab.capture import PcapFolder, WireCapture  # noqa: E402
from sidetap_lab.cluster import Cluster, Pod, Service  # noqa: E402
from sidetap_lab.collectors import PORT as COLLECTOR_PORT  # noqa: E402
from sidetap_lab.collectors import Collector, addresses, ledger_of  # noqa: E402
from sidetap_lab.judge import Judge, Verdict  # noqa: E402
from sidetap_lab.namespaces import Namespace, why_not  # noqa: E402
from sidetap_lab.taps import Program, Sensor, Tap  # noqa: E402

WEBHOOK_PORT, REGISTRY_PORT, API_PORT = 8443, 8444, 6443
CONTROL = ("172.18.0.200", "fd00:18::200")  # where the webhook and the API server run
API_SERVER = os.path.join(ROOT, "tests", "lab", "sidetap_lab", "api_server.py")
REGISTRY_HOST = "sidetap-registry.sidetap-system.svc"
_started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - _started:5.1f} s] {text}", flush=True)


class Application(Program):
    """A demo application in a pod, or outside; ask() tells it to ask somebody else."""

    def __init__(self, name, namespace, argv, environment, folder):
        self.name, self.log_path = name, os.path.join(folder, f"application-{name}.log")
        with open(self.log_path, "ab") as log:
            self._process = namespace.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            env=environment, text=True)
        self._answer("ready")

    def _answer(self, wanted):
        line = self._process.stdout.readline().strip()
        if line != wanted:
            raise RuntimeError(f"{self.name}: {line or self.log()}")

    def ask(self, **order):
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._answer("ok")


class Demo:
    def __init__(self, binaries, folder, with_collector=False):
        self._binaries, self._folder = binaries, folder
        self._collector_addresses = addresses(0) if with_collector else ()
        self._collector = None
        self._closing = contextlib.ExitStack()
        self._applications, self._taps = {}, {}
        self._objects = kubernetes.manifests(DEMO)
        self._labels = {namespace["metadata"]["name"]: namespace["metadata"].get("labels", {})
                        for namespace in self._objects["Namespace"]}

    def __enter__(self):
        return self

    def __exit__(self, *details):
        return self._closing.__exit__(*details)

    def _binary(self, name):
        return os.path.join(self._binaries, name)

    def plan(self):
        """Places every pod on its node and gives it its addresses, as a scheduler and a network plugin would."""
        self._pods = {}
        for number, pod in enumerate(self._objects["Pod"]):
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            wanted = (self._labels[namespace].get(kubernetes.INJECT) == "enabled" and
                      pod["metadata"].get("annotations", {}).get(kubernetes.INJECT) != "false")
            node = int(pod["spec"]["nodeSelector"]["kubernetes.io/hostname"].removeprefix("node"))
            self._pods[name] = Pod(name, node, 10 + 7 * number, tapped=wanted)
        services = []
        for service in self._objects["Service"]:
            spec, (port,) = service["spec"], service["spec"]["ports"]
            backends = [(pod["metadata"]["name"], port["targetPort"]) for pod in self._objects["Pod"]
                        if pod["metadata"]["labels"] == spec["selector"]]
            services.append(Service(service["metadata"]["name"], int(spec["clusterIPs"][0].rsplit(".", 1)[1]),
                                    port["protocol"].lower(), port["port"], backends, port.get("nodePort", 0)))
        self._cluster = Cluster(self._pods.values(), services)

    def start_webhook(self):
        certificates = os.path.join(self._folder, "certificates")
        subprocess.run([os.path.join(ROOT, "certs-scripts", "generate.sh"), "--out", certificates,
                        "--san", REGISTRY_HOST, "--san", CONTROL[0]], check=True, stdout=subprocess.DEVNULL)
        self._lead_to_registry()
        account = self._start_api_server(certificates)
        authority = os.path.join(certificates, "ca.crt")
        configuration = os.path.join(self._folder, "webhook.yaml")
        with open(configuration, "w", encoding="utf-8") as file:
            yaml.safe_dump(self._configuration(), file, sort_keys=False)
        program = Program("sidetap-webhook", self._control, [
            self._binary("sidetap-webhook"), "serve", "--listen", f":{WEBHOOK_PORT}",
            "--tls-cert", os.path.join(certificates, "tls.crt"), "--tls-key", os.path.join(certificates, "tls.key"),
            "--registry-listen", f":{REGISTRY_PORT}", "--registry-ca", authority, "--registry-auth", "none",
            "--registry-services", "true", "--registry-nodes", "true", "--service-account", account,
            "--config", configuration, "--drain-seconds", "0"], os.path.join(self._folder, "webhook.log"),
            {"PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": CONTROL[0], "KUBERNETES_SERVICE_PORT": str(API_PORT)})
        self._closing.callback(program.stop)
        self._webhook = kubernetes.Webhook(self._control, WEBHOOK_PORT, authority)
        program.wait_until(self._webhook.answers, "answering over HTTPS")

    def _start_api_server(self, certificates):
        """What the registry watches. Returns the folder of the service account by which the webhook asks."""
        account = os.path.join(self._folder, "account")
        os.makedirs(account)
        shutil.copyfile(os.path.join(certificates, "ca.crt"), os.path.join(account, "ca.crt"))
        for name, text in (("token", "the-webhooks"), ("namespace", "sidetap-system")):
            with open(os.path.join(account, name), "w", encoding="ascii") as file:
                file.write(text)
        contents = os.path.join(self._folder, "api.json")
        with open(contents, "w", encoding="utf-8") as file:
            json.dump({"token": "the-webhooks", "tokens": {}, "objects": {}, "lists": self._watched()}, file)
        program = Program("API server", self._control, [
            sys.executable, "-B", API_SERVER, os.path.join(certificates, "tls.crt"), os.path.join(certificates, "tls.key"),
            CONTROL[0], str(API_PORT), contents], os.path.join(self._folder, "api.log"))
        self._closing.callback(program.stop)
        program.wait_until(lambda: "listening" in program.log(), "listening")
        return account

    def _watched(self):
        """The Services as they are written, their endpoints as Kubernetes makes them, and the nodes."""
        slices = [
            kubernetes.endpoint_slice(service, family, [
                self._pods[name].address(family) for name, _ in self._cluster.services[service["metadata"]["name"]].backends])
            for service in self._objects["Service"] for family in (4, 6)]
        nodes = [kubernetes.node(f"node{number}", [address(number, family) for address in
                                                   (places.node_address, places.node_outer_address) for family in (4, 6)])
                 for number in (1, 2)]
        return {"/api/v1/services": self._objects["Service"], "/api/v1/nodes": nodes,
                "/apis/discovery.k8s.io/v1/endpointslices": slices}

    def _lead_to_registry(self):
        """What the cluster's DNS does: the name of the registry's Service leads to the webhook."""
        hosts = os.path.join(self._folder, "hosts")
        shutil.copyfile("/etc/hosts", hosts)
        with open(hosts, "a", encoding="ascii") as file:
            file.write(f"\n{CONTROL[0]} {REGISTRY_HOST}\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)  # in our own mount namespace
        self._closing.callback(subprocess.run, ["umount", "/etc/hosts"], check=True)

    def _configuration(self):
        sensor = {"address": places.SENSOR[0], "port": places.SENSOR_PORT}
        if self._collector:
            sensor = {"address": self._collector_addresses[0], "port": COLLECTOR_PORT}
        return {
            "sensor": sensor,
            "registry": {"address": f"{REGISTRY_HOST}:{REGISTRY_PORT}", "auth": "none"},
            "injection": {"serverVersion": "v1.36.2"},
        }

    def admit(self):
        """Plays the API server: one review for each pod. Shows what has become of one of them."""
        self._admitted, shown = {}, False
        for pod in self._objects["Pod"]:
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            patched, patch, warnings = self._webhook.admit(pod, self._labels[namespace])
            self._admitted[name] = patched
            print(f"          {namespace}/{name}: {f'{len(patch)} operations' if patch else 'left alone'}"
                  f"{''.join(f' (warning: {warning})' for warning in warnings)}")
            if bool(patch) != self._pods[name].tapped:
                raise RuntimeError(f"{namespace}/{name} should {'' if self._pods[name].tapped else 'not '}have a tap")
            if patch and not shown:
                shown = True
                before, after = (yaml.safe_dump(version, sort_keys=False).splitlines() for version in (pod, patched))
                for line in difflib.unified_diff(before, after, f"{name} as written", f"{name} as admitted", lineterm="", n=1):
                    print(f"            {line}")

    def start_cluster(self):
        self._closing.callback(self._cluster.close)
        self._cluster.build()
        self._control = self._cluster.plug("control", [f"{CONTROL[0]}/24", f"{CONTROL[1]}/64"])
        self._wire = WireCapture({pod.name: pod.namespace for pod in self._pods.values()})
        self._closing.callback(self._wire.close)
        self._sensor = Sensor(self._binaries, self._cluster, self._folder)
        self._closing.callback(self._sensor.stop)
        if self._collector_addresses:
            self._start_collector()
        tapped = [pod.name for pod in self._pods.values() if pod.tapped]
        self._judge = Judge(self._wire, PcapFolder(self._sensor.captures), tapped,
                            {pod.name: pod.mac for pod in self._pods.values()},
                            {pod.name: (pod.v4, pod.v6) for pod in self._pods.values()}, places.SERVICE_SUBNETS, [],
                            [*places.SENSOR, *CONTROL, *self._collector_addresses])

    def _start_collector(self):
        v4, v6 = self._collector_addresses
        self._collector = Collector(self._binaries, 0, self._cluster.plug("collector", [f"{v4}/24", f"{v6}/64"]), self._folder)
        self._closing.callback(self._collector.stop)
        self._collector.wait_forwarding()

    def start_pods(self):
        application = [sys.executable, "-B", os.path.join(DEMO, "application.py")]
        programs = {"/usr/bin/sidetap-sidecar": [self._binary("sidetap-sidecar")], "/usr/bin/demo-application": application}
        for name, manifest in self._admitted.items():
            pod = self._pods[name]
            for container, sidecar in kubernetes.containers(manifest):
                argv, environment = kubernetes.command_line(container, manifest, [pod.v4, pod.v6], f"node{pod.node}", programs)
                if container["command"][0] == "/usr/bin/sidetap-sidecar":
                    self._taps[name] = Tap(self._binaries, pod, environment, self._folder, argv,
                                           container.get("securityContext", {}))
                    self._closing.callback(self._taps[name].stop)
                else:
                    self._start_application(name, pod.namespace, argv, environment)
        self._start_application("outside", self._cluster.outside, [*application, "--http", "80"], dict(os.environ))
        if set(self._taps) != {name for name, pod in self._pods.items() if pod.tapped}:
            raise RuntimeError(f"taps run in {sorted(self._taps)} only")

    def wait_for_taps(self):
        """Until every tap forwards and has been told of both addresses of every other one and of every Service. Says what
        they know."""
        for tap in self._taps.values():
            tap.wait_forwarding()
        for tap in self._taps.values():
            tap.wait_for_peers(2 * (len(self._taps) - 1))
            tap.wait_until(lambda tap=tap: tap.metric("sidetap_registry_tapped_services") == 2 * len(self._cluster.services),
                           "aware of the Services, whose backends are all tapped")
        whose = "collector's" if self._collector else "sensor's"
        say(f"{len(self._taps)} taps forward, and each knows the others' addresses and the Services from the registry "
            f"(the {whose} address is all that is configured)")

    def _start_application(self, name, namespace, argv, environment):
        self._applications[name] = Application(name, namespace, argv, environment, self._folder)
        self._closing.callback(self._applications[name].stop)

    def flows(self):
        """(name, who asks, what)."""
        for family in (4, 6):
            def host(name, family=family):
                address = (places.OUTSIDE[family == 6] if name == "outside" else
                           self._pods[name[4:]].address(family) if name.startswith("pod/") else
                           self._cluster.services[name].address(family))
                return address if family == 4 else f"[{address}]"

            def http(to, port):
                return {"ask": "http", "url": f"http://{host(to)}:{port}", "times": 5}
            dns = {"ask": "dns", "server": self._cluster.services["dns"].address(family), "name": "web.shop",
                   "family": family, "times": 20}
            version = f"IPv{family}"
            yield f"{version}: client > web, pod to pod", "client", http("pod/web", 50051)
            yield f"{version}: client > web, through its Service", "client", http("web", 80)
            yield f"{version}: web > web, through its own Service", "web", http("web", 80)
            yield f"{version}: client > dns, through its Service", "client", dns
            yield f"{version}: web > dns on the same node, Service", "web", dns
            yield f"{version}: client > outside host", "client", http("outside", 80)
            yield f"{version}: outside host > web, through a NodePort", "outside", {
                "ask": "http", "times": 5,
                "url": f"http://{places.node_outer_address(2, 4) if family == 4 else '[' + places.node_outer_address(2, 6) + ']'}:30080"}
            yield f"{version}: client > ledger (no tap)", "client", http("pod/ledger", 8080)
            yield f"{version}: ledger (no tap) > web, Service", "ledger", http("web", 80)
            yield f"{version}: batch (opted out) > web", "batch", http("pod/web", 50051)

    def run_flows(self):
        """Sends each flow and counts it; returns whether everything was exact."""
        self._judge.settle()
        self._judge.open()
        verdicts = []
        print(Verdict.heading("flow", collected=self._collector is not None))
        for name, asks, order in self.flows():
            before = self._collected()
            self._applications[asks].ask(**order)
            self._judge.settle()
            verdicts.append(self._judge.verdict(name))
            if self._collector:
                verdicts[-1].collected = self._collected() - before
            self._judge.open()
            print(verdicts[-1].line(), flush=True)
        total = Verdict("all", collected=0 if self._collector else None)
        fields = ["wire", "forwarded", "lost", "doubled", "stray", "spoiled", *(["collected"] if self._collector else [])]
        for verdict in verdicts:
            for field in fields:
                setattr(total, field, getattr(total, field) + getattr(verdict, field))
        print(total.line())
        if self._wire.dropped():
            raise RuntimeError("the demo's own capture has lost packets: the comparison is void")
        return all(verdict.exact for verdict in verdicts)

    def _collected(self):
        return self._collector.received() if self._collector else 0

    def report(self):
        """Ends everything, and says what the sensor has; returns whether the ledgers add up."""
        for tap in self._taps.values():
            tap.tell()
        for tap in self._taps.values():
            if (status := tap.stop()) != 0:
                raise RuntimeError(f"{tap.name} ended with status {status} on SIGTERM: {tap.log()}")
        if self._collector and (status := self._collector.stop()) != 0:
            raise RuntimeError(f"the collector ended with status {status} on SIGTERM: {self._collector.log()}")
        self._sensor.stop()
        totals = self._sensor.totals()
        if self._collector:
            return self._report_hops(totals)
        say(f"the sensor has got {totals['packets']} packets of {len(totals['taps'])} taps, "
            f"{sum(tap.get('lost_datagrams', 0) for tap in totals['taps'])} datagrams lost on the way")
        self._say_where()
        return True

    def _report_hops(self, totals):
        ledger = ledger_of([tap.log_path for tap in self._taps.values()], [self._collector.log_path], totals)
        faults = ledger.faults(0)
        say(f"{len(self._taps)} taps have forwarded {ledger.forwarded} packets, the collector has got {ledger.received} and "
            f"forwarded {ledger.handed_on}, and the sensor has {ledger.arrived} of one session")
        for fault in [*faults, *([] if len(totals["taps"]) == 1 else [f"the sensor had {len(totals['taps'])} sessions"])]:
            print(f"          {fault}")
        self._say_where()
        return not faults and len(totals["taps"]) == 1

    def _say_where(self):
        print(f"          captures: {os.path.relpath(self._sensor.captures)}/*.pcap, logs: {os.path.relpath(self._folder)}/*.log")


def main():
    parser = argparse.ArgumentParser(prog="deploy/demo/run.sh", description=__doc__)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"), help="where the programs are")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "demo"), help="where captures and logs go; emptied first")
    parser.add_argument("--collector", action="store_true", help="let the taps send to a collector, and that to the sensor")
    options = parser.parse_args()
    if reason := why_not():
        print(f"the demo cannot run: {reason}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(options.out, ignore_errors=True)
    os.makedirs(options.out)
    try:
        with Demo(options.bin, options.out, options.collector) as demo:
            demo.plan()
            say("two nodes, the pods, Services, an outside host and the sensor, in network namespaces"
                f"{', and a collector between taps and sensor' if options.collector else ''}")
            demo.start_cluster()
            say("certificates, and sidetap-webhook: reviews over HTTPS, and the registry of taps, which watches the Services")
            demo.start_webhook()
            say("an AdmissionReview for every pod, the patch applied by python3-jsonpatch")
            demo.admit()
            say("the containers of the patched pods")
            demo.start_pods()
            demo.wait_for_taps()
            say("traffic; what passes the pods' interfaces, and what the sensor gets")
            exact = demo.run_flows()
            exact = demo.report() and exact
        say("every packet came exactly once" if exact else "NOT every packet came exactly once")
        return 0 if exact else 1
    except KeyboardInterrupt:
        print("interrupted; everything is cleaned up", file=sys.stderr)
        return 130
    except (RuntimeError, OSError) as error:
        print(f"the demo failed: {error}\nlogs: {options.out}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
