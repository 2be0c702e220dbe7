#!/usr/bin/env python3
"""Which taps send to collectors, where the others and the collectors send, and what does not go together."""
import tempfile
import unittest

import rendering
from collector_test import ADDRESS, ON, OUTPUTS, collectors, configuration, container, environment, workload
from rendering import CHART, NAMESPACE, REQUIRED, SUBNETS, documents


class Routes(unittest.TestCase):
    VALUES = """
sensor: {address: "10.10.10.10,2001:db8::1,[2001:db8::2]:7", port: 2005, mode: balance, tls: client, secretName: login}
profiles:
  plain: {sidecar: {paused: true}}
  direct: {collector: false, sidecar: {filter: tcp}}
  elsewhere: {sensor: {address: b}}
  tunnel: {sensor: {address: c, tls: "off"}, sidecar: {output: vxlan}}
  collected: {collector: true}
"""
    DIRECT = {"address": "10.10.10.10,2001:db8::1,[2001:db8::2]:7", "port": 2005, "mode": "balance", "tls": "client", "secretName": "login"}
    THROUGH = {"address": ADDRESS, "mode": "hash", "tls": "registry"}

    def rendered(self, *settings):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(self.VALUES)
            file.flush()
            arguments = [part for setting in settings for part in ("--set", setting)]
            result = rendering.helm("template", "sidetap", CHART, "--namespace", NAMESPACE, "--kube-version", "1.36",
                                    "--values", file.name, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return documents(result.stdout)

    def sensors(self, docs):
        """Of the default and of each profile, None: as the default."""
        config = configuration(docs)
        return {"": config["sensor"], **{name: (profile or {}).get("sensor") for name, profile in config["profiles"].items()}}

    def test_all_taps_send_to_collectors_but_for_those_with_a_way_of_their_own(self):
        docs = self.rendered("collector.enabled=true")
        self.assertEqual(self.sensors(docs), {
            "": self.THROUGH, "plain": None, "collected": None, "direct": self.DIRECT,
            "elsewhere": self.DIRECT | {"address": "b"}, "tunnel": {"address": "c", "mode": "balance", "tls": "off"}})
        self.assertEqual(configuration(docs)["profiles"]["direct"]["sidecar"], {"filter": "tcp"})

    def test_only_profiles_that_say_so_where_not_all_do(self):
        docs = self.rendered("collector.enabled=true", "collector.allTaps=false")
        self.assertEqual(self.sensors(docs), {
            "": self.DIRECT, "plain": None, "direct": None, "collected": self.THROUGH,
            "elsewhere": {"address": "b"}, "tunnel": {"address": "c", "tls": "off"}})

    def test_without_collectors_profiles_go_where_all_go(self):
        sensors = self.sensors(self.rendered())
        self.assertEqual(sensors[""], self.DIRECT)
        self.assertIsNone(sensors["collected"])
        self.assertIsNone(sensors["direct"])

    def test_collectors_send_where_taps_would(self):
        docs = self.rendered("collector.enabled=true")
        env = environment(docs)
        self.assertEqual(env["SENSOR"], "10.10.10.10:2005,[2001:db8::1]:2005,[2001:db8::2]:7")
        self.assertEqual((env["SENSOR_MODE"], env["SENSOR_TLS"]), ("balance", "client"))
        mounts = {mount["name"]: mount["mountPath"] for mount in container(docs)["volumeMounts"]}
        self.assertEqual(env["SENSOR_SECRET_DIR"], mounts["sensor"])
        volume, = [v for v in workload(docs)["spec"]["template"]["spec"]["volumes"] if v["name"] == "sensor"]
        self.assertEqual(volume["secret"]["secretName"], "login")

    def test_pods_cannot_name_a_sensor_that_would_have_to_prove_itself_as_a_collector(self):
        self.assertNotIn("sensor", configuration(collectors())["sidecar"]["overrides"])
        for settings in (["collector.tls=false"], ["collector.allTaps=false"]):
            self.assertIn("sensor", configuration(collectors(*settings))["sidecar"]["overrides"])

    def test_an_output_without_a_sensor_needs_no_address(self):
        for output in ("pcap", "pcap-over-ip", "interface"):
            docs = collectors(f"collector.output={output}", *OUTPUTS[output], arguments=())
            self.assertEqual(configuration(docs)["sensor"]["address"], ADDRESS)
            self.assertNotIn("SENSOR", environment(docs))

    def test_a_profile_whose_output_has_no_sensor_needs_no_address_either(self):
        for output, variable in (("pcap", "PCAP_DIR"), ("pcap-over-ip", "PCAP_LISTEN"), ("interface", "OUTPUT_INTERFACE")):
            docs = collectors("collector.output=pcap", f"profiles.edge.sidecar.output={output}", f"sidecar.env.{variable}=x", arguments=())
            # The webhook takes no address that is empty.
            self.assertEqual(configuration(docs)["profiles"]["edge"]["sensor"], {"mode": "replicate", "tls": "off"}, output)
        docs = collectors("collector.output=pcap", "sensor.port=2005", "profiles.edge.sensor.address=b", arguments=())
        self.assertEqual(configuration(docs)["profiles"]["edge"]["sensor"], {"address": "b", "port": 2005, "mode": "replicate", "tls": "off"})

    def test_plaintext_of_a_mesh_goes_where_it_stays_encrypted_or_in_the_pod(self):
        for word, setting in (("--set", "sensor.tls=client"), ("--set", "collector.output=pcap"),
                              ("--set-string", "sidecar.env.MESH_CLEARTEXT_OK=true")):
            with self.subTest(setting):
                docs = collectors("sidecar.mesh=both", arguments=(*REQUIRED, word, setting))
                self.assertEqual(configuration(docs)["sidecar"]["mesh"], "both")

    def test_variables_of_the_operator_win(self):
        env = environment(collectors("collector.env.PCAP_FORMAT=pcap", "collector.output=pcap", "collector.env.TAP_USER=me",
                                     arguments=(*REQUIRED, *SUBNETS)))
        self.assertEqual((env["PCAP_FORMAT"], env["TAP_USER"]), ("pcap", "me"))
        self.assertEqual(env["TAP_SUBNETS"], "10.244.0.0/16")

    def test_what_does_not_go_together_is_refused_by_its_name(self):
        for settings, named in (
                (["collector.output=rpcap"], "sensor.address is not set"),
                (["sensor.address=a", "registry.enabled=false"], "collector.tls is true, but registry.enabled is false"),
                (["sensor.address=a", "sidecar.output=vxlan"], "sidecar.output is vxlan"),
                (["sensor.address=a", "sensor.tls=registry"], "sensor.tls is registry"),
                (["sensor.address=a", "sensor.tls=client", "collector.output=vxlan"], "which has no TLS"),
                (["sensor.address=a", "sensor.mode=failover", "collector.output=vxlan"], "sensor.mode is failover"),
                (["sensor.address=a", "sensor.mode=hash", "collector.output=vxlan"], "sensor.mode is hash"),
                (["sensor.address=a", "collector.autoscaling.enabled=true", "collector.resources.requests.cpu=null"], "collector.resources.requests.cpu"),
                (["sensor.address=a", "sensor.tls=rpcaps"], "sensor.secretName is not set"),
                (["sensor.address=a", "sidecar.mesh=both"], "without TLS"),
                (["collector.output=pcap-over-ip", "sidecar.mesh=plaintext"], "without TLS"),
                (["sensor.address=a", "collector.port=2004"], "collector.dataPort"),
                (["collector.output=interface"], "collector.interface is not set"),
                (["sensor.address=a", "collector.autoscaling.minReplicas=20"], "collector.autoscaling.minReplicas"),
                (["sensor.address=a", "profiles.edge.sensor.mode=balance"], "profiles.edge.sensor is set"),
                (["sensor.address=a", "profiles.edge.sidecar.output=vxlan"], "profiles.edge.sensor.address"),
                (["collector.output=pcap", "profiles.edge.collector=false"], "profiles.edge.sensor.address"),
                (["sensor.address=a", "profiles.edge.collector=true", "profiles.edge.sidecar.output=vxlan"], "profiles.edge.sidecar.output"),
                (["sensor.address=a", "collector.env.max=many"], "collector.env")):
            with self.subTest(settings):
                result = rendering.helm("template", "sidetap", CHART, *ON, *[part for setting in settings for part in ("--set", setting)])
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(named, result.stderr)


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
