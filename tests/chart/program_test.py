#!/usr/bin/env python3
"""What the programs make of what the chart renders."""
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

import rendering
from kube_models import Models
from questions import KEY
from rendering import NAMESPACE, REQUIRED, SUBNETS, VERSIONS, documents, minor, of_kind, pod_spec, template


@unittest.skipIf(rendering.program("sidetap-webhook") is None, "sidetap-webhook is not built")
class Program(unittest.TestCase):
    """What is rendered, in the hands of the program that it is for."""

    POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  containers: [{name: web, image: nginx}]
"""

    def run_program(self, *arguments, **more):
        return subprocess.run([rendering.program("sidetap-webhook"), *arguments], capture_output=True, text=True, **more)

    def inject(self, docs, pod=POD):
        """The pod with its tap, by the configuration that was rendered."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "config.yaml"
            # The webhook adds the CA of its certificates, without which a tap is not led to the registry.
            authority = "\nregistry:\n  ca: -----BEGIN CERTIFICATE-----"
            path.write_text(rendering.configuration(docs).replace("\nregistry:", authority))
            result = self.run_program("inject", "--config", path, "--namespace-labels", f"{KEY}=enabled", "-f", "-", input=pod)
        self.assertEqual(result.returncode, 0, result.stderr)
        return yaml.safe_load(result.stdout)

    def tap(self, docs):
        spec = self.inject(docs)["spec"]
        taps = [c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == "sidetap"]
        self.assertEqual(len(taps), 1)
        return taps[0]

    def test_every_configuration_is_taken_and_injects(self):
        models = Models(rendering.tools()["MODELS"])
        for label, docs in rendering.renderings():
            with self.subTest(label):
                pod = self.inject(docs)
                self.assertEqual(models.check(pod), [])
                self.assertEqual(self.tap(docs)["command"], ["/usr/bin/sidetap-sidecar"])

    def test_the_values_reach_the_tap(self):
        case = [case for case in rendering.cases() if case.name == "everything"][0]
        tap = self.tap(documents(case.render("1.36")))
        env = {variable["name"]: variable.get("value") for variable in tap["env"]}
        self.assertEqual(tap["image"].split("@")[0], "registry.example.com/network/sidecar")
        self.assertEqual(tap["resources"]["limits"], {"cpu": "1", "memory": "96Mi"})
        self.assertEqual(tap["ports"], [{"name": "sidetap-status", "containerPort": 16020, "protocol": "TCP"}])
        self.assertNotIn("capabilities", tap["securityContext"])
        self.assertEqual(tap["terminationMessagePolicy"], "File")
        expected = {
            "SENSOR": "[2001:db8::10]:2004,10.10.10.11:2005", "SENSOR_MODE": "balance",
            "PODNET": "10.244.0.0/16,fd00:10:244::/56", "SVCNET": "10.96.0.0/12,fd00:10:96::/112",
            "SNAPLEN": "2048", "INTERFACE": "eth0", "BUFFER_SIZE": "4M", "DATA_MTU": "1450",
            "SERVICE_VIEW": "always", "UNTAPPED_SERVICES": "10.96.7.0/24", "LOG_LEVEL": "debug", "LOG_FORMAT": "text",
            "OUTPUT": "vxlan", "FILTER": "not port 9100", "FLOW_SAMPLING": "4", "MAX_RATE": "100M",
            "MAX_PACKET_RATE": "50000", "PAUSED": "on", "REGISTRY_CONTROL": "sensors,pause",
            "FLUSH_INTERVAL": "20ms", "STATUS_LISTEN": ":16020",
            "REGISTRY": f"tap-eu-sidetap-registry.{NAMESPACE}.svc:9444"}
        self.assertEqual({name: env.get(name) for name in expected}, expected)

    def test_the_port_of_sensors_that_name_none_goes_with_the_output(self):
        for settings, port in (([], 2003), (["sidecar.output=vxlan"], 4789), (["sidecar.output=vxlan", "sensor.port=9"], 9)):
            arguments = [part for setting in settings for part in ("--set", setting)]
            env = {variable["name"]: variable.get("value") for variable in self.tap(documents(template(*REQUIRED, *arguments)))["env"]}
            self.assertEqual(env["SENSOR"], f"10.10.10.10:{port}")

    def test_a_profile_reaches_the_pods_of_its_namespaces_and_those_that_ask_for_it(self):
        case = [case for case in rendering.cases() if case.name == "everything"][0]
        docs = documents(case.render("1.36"))
        of_profile = {"SENSOR": "sensor.example.com:2003", "SENSOR_MODE": "failover", "SNAPLEN": "262144"}
        for pod, chosen in ((self.POD.replace("shop", "front"), True), (self.POD, False),
                            (self.POD.replace("labels:", "annotations: {sidetap.io/profile: edge}, labels:"), True)):
            spec = self.inject(docs, pod)["spec"]
            tap, = [c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == "sidetap"]
            env = {variable["name"]: variable.get("value") for variable in tap["env"]}
            self.assertEqual({name: env.get(name) for name in of_profile} == of_profile, chosen)
            self.assertEqual(env.get("FILTER"), None if chosen else "not port 9100")

    def test_a_tap_has_no_variable_of_a_value_that_is_not_given(self):
        env = {variable["name"]: variable.get("value") for variable in self.tap(documents(template(*REQUIRED)))["env"]}
        self.assertNotIn("", env.values())
        self.assertFalse({"PODNET", "SVCNET"} & set(env))
        given = self.tap(documents(template(*REQUIRED, *SUBNETS)))["env"]
        self.assertIn({"name": "PODNET", "value": "10.244.0.0/16"}, given)
        self.assertIn({"name": "SVCNET", "value": "10.96.0.0/12"}, given)

    def test_the_form_follows_the_server(self):
        for version in VERSIONS:
            spec = self.inject(documents(template(*REQUIRED, version=version)))["spec"]
            native = any(c["name"] == "sidetap" for c in spec.get("initContainers", []))
            self.assertEqual(native, minor(version) >= 32, version)

    def test_excluded_pods_get_no_tap(self):
        docs = documents(template(*REQUIRED, "--set", "injection.excludedPods.app=web"))
        self.assertEqual(self.inject(docs), yaml.safe_load(self.POD))

    def test_the_schema_refuses_what_the_program_refuses(self):
        """A value that passes the schema is taken by the program: the bounds are the same."""
        for setting in ("sidecar.snaplen=64", "sidecar.snaplen=262144", "sidecar.dataMtu=65535", "sidecar.tappedPeers=all",
                        "sidecar.tappedPeers=10.244.0.0/16\\,!10.244.1.1/32", "sidecar.bufferSize=1G",
                        "sidecar.native=never", "sidecar.serviceView=never", "sensor.port=65535", "sidecar.statusPort=1",
                        "sensor.mode=failover", "registry.auth=none", "sensor.secretName=sensor-login", "sidecar.filter=not port 9100",
                        "sidecar.flowSampling=65535", "sidecar.maxPacketRate=1000000000", "sidecar.paused=true",
                        "sidecar.registryControl=sensors\\,filter\\,sampling\\,snaplen\\,rate\\,pause", "sidecar.registryControl=off",
                        "sidecar.mesh=plaintext", "profiles.edge.sidecar.filter=tcp", "profiles.edge.sensor.secretName=edge-login",
                        "sidecar.overrides={sensor,snaplen,cpu-limit,memory-limit,interface,log-level,native,profile,mesh,image}"):
            with self.subTest(setting):
                self.tap(documents(template(*REQUIRED, *SUBNETS, "--set", setting)))
        self.tap(documents(template(*REQUIRED, "--set-json", "sidecar.overrides=[]")))

    def test_every_argument_is_known(self):
        for label, docs in rendering.renderings():
            for container in pod_spec(docs)["containers"] + [c for d in of_kind(docs, "Pod") for c in d["spec"]["containers"]]:
                command, *arguments = container["args"]
                usage = self.run_program(command, "--help")
                self.assertEqual(usage.returncode, 0, command)
                for argument in arguments:
                    with self.subTest(label, argument=argument):
                        self.assertRegex(usage.stdout, rf"{re.escape(argument.split('=')[0])}\b")


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
