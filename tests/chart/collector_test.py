#!/usr/bin/env python3
"""What must hold of the chart's collectors: their objects, their rights and their certificates. Which taps send to them:
routes_test.py."""
import json
import pathlib
import re
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

import rendering
from kube_models import Models
from rendering import CHART, NAMESPACE, REQUIRED, SUBNETS, documents, of_kind, template

HERE = pathlib.Path(__file__).resolve().parent
NAME = "sidetap-collector"
ADDRESS = f"{NAME}.{NAMESPACE}.svc:2003"
ON = ["--set", "collector.enabled=true"]
OUTPUTS = {
    "rpcap": [], "vxlan": [], "pcap": [], "pcap-over-ip": [], "interface": ["collector.interface=tap0"],
}


def collectors(*settings, arguments=REQUIRED):
    """Objects of a release with collectors."""
    return documents(template(*arguments, *ON, *[part for setting in settings for part in ("--set", setting)]))


def own(docs, *kinds):
    """The collectors' objects of these kinds; all kinds where none is named."""
    found = [d for d in docs if d["metadata"]["labels"]["app.kubernetes.io/component"] == "collector"]
    return [d for d in found if not kinds or d["kind"] in kinds]


def workload(docs):
    found, = own(docs, "Deployment", "StatefulSet")
    return found


def container(docs):
    return workload(docs)["spec"]["template"]["spec"]["containers"][0]


def environment(docs):
    return {variable["name"]: variable.get("value") for variable in container(docs)["env"]}


def webhook(docs):
    return [d for d in of_kind(docs, "Deployment") if d["metadata"]["name"] == "sidetap-webhook"][0]["spec"]["template"]


def configuration(docs):
    return yaml.safe_load(webhook(docs)["metadata"]["annotations"]["sidetap.io/configuration"])


class Objects(unittest.TestCase):
    def everything(self):
        for output, settings in OUTPUTS.items():
            for more in ([], ["collector.tls=false"], ["collector.proveTaps=false"], ["certificates.mode=existingSecret"],
                         ["collector.autoscaling.enabled=true", "networkPolicy.enabled=true", "monitoring.podMonitor.enabled=true"]):
                label = " ".join([f"collector.output={output}", *settings, *more])
                yield label, collectors(f"collector.output={output}", *settings, *more)

    def test_without_collectors_there_is_nothing_of_them(self):
        docs = documents(template(*REQUIRED))
        self.assertEqual(own(docs), [])
        self.assertNotIn("collector", json.dumps(configuration(docs)))

    def test_every_object_is_valid_and_comes_once(self):
        models = Models(rendering.tools()["MODELS"])
        custom = json.loads((HERE / "crd_schemas.json").read_text())
        for label, docs in self.everything():
            names = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in docs]
            self.assertEqual(len(names), len(set(names)), label)
            for document in own(docs):
                with self.subTest(label, kind=document["kind"]):
                    if models.knows(document):
                        self.assertEqual(models.check(document), [])
                    else:
                        jsonschema.validate(document, custom[f"{document['apiVersion']}/{document['kind']}"])

    def test_whatever_selects_pods_finds_the_collectors_and_not_the_webhook(self):
        for label, docs in self.everything():
            with self.subTest(label):
                labels = workload(docs)["spec"]["template"]["metadata"]["labels"]
                others = webhook(docs)["metadata"]["labels"]
                selectors = [workload(docs)["spec"]["selector"]]
                selectors += [{"matchLabels": service["spec"]["selector"]} for service in own(docs, "Service")]
                selectors += [document["spec"]["selector"] for document in own(docs, "PodDisruptionBudget", "PodMonitor")]
                selectors += [document["spec"]["podSelector"] for document in own(docs, "NetworkPolicy")]
                for selector in selectors:
                    self.assertTrue(rendering.selector_matches(selector, labels))
                    self.assertFalse(rendering.selector_matches(selector, others))
                for service in [s for s in of_kind(docs, "Service") if s not in own(docs)]:
                    self.assertFalse(rendering.selector_matches({"matchLabels": service["spec"]["selector"]}, labels))

    def test_every_port_that_is_let_in_or_served_is_the_containers(self):
        for label, docs in self.everything():
            with self.subTest(label):
                ports = {port["name"]: port.get("protocol", "TCP") for port in container(docs)["ports"]}
                for service in own(docs, "Service"):
                    self.assertEqual(service["spec"]["clusterIP"], "None")
                    self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, set(ports))
                for policy in own(docs, "NetworkPolicy"):
                    allowed = {port["port"]: port["protocol"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
                    self.assertEqual(allowed, {name: protocol for name, protocol in ports.items() if name != "readers"})

    def test_readers_are_let_in_only_where_somebody_is_named(self):
        output = ["collector.output=pcap-over-ip", "networkPolicy.enabled=true"]
        docs = collectors(*output, "collector.readersFrom[0].ipBlock.cidr=192.0.2.0/28")
        policy, = own(docs, "NetworkPolicy")
        rule, = [rule for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == "readers"]
        self.assertEqual(rule["from"], [{"ipBlock": {"cidr": "192.0.2.0/28"}}])

    def test_collectors_reach_sensors_where_they_are_given_by_address(self):
        def destinations(sensor, *more):
            policy, = own(collectors("networkPolicy.enabled=true", "collector.proveTaps=false", *more,
                                     arguments=("--set", f"sensor.address={sensor}")), "NetworkPolicy")
            return [rule for rule in policy["spec"]["egress"] if "ports" not in rule]
        blocks = [{"ipBlock": {"cidr": "192.0.2.1/32"}}, {"ipBlock": {"cidr": "2001:db8::1/128"}}, {"ipBlock": {"cidr": "2001:db8::2/128"}}]
        self.assertEqual(destinations("192.0.2.1:7\\,2001:db8::1\\,[2001:db8::2]:9"), [{"to": blocks}])
        self.assertEqual(destinations("192.0.2.1\\,sensor.example.com"), [{}], "a name may be anywhere")
        self.assertEqual(destinations("192.0.2.1", "collector.output=pcap"), [])
        self.assertEqual(destinations("192.0.2.9", "collector.output=pcap-over-ip", "collector.env.PCAP_CONNECT=192.0.2.1:57012\\,[2001:db8::1]:9\\,2001:db8::2"),
                         [{"to": blocks}], "they dial readers too")

    def test_collectors_reach_the_registry_wherever_it_is(self):
        def rules(*settings):
            policy, = own(collectors("networkPolicy.enabled=true", *settings), "NetworkPolicy")
            return policy["spec"]["egress"]
        registry, = [rule for rule in rules() if {"port": "registry", "protocol": "TCP"} in rule.get("ports", [])]
        self.assertTrue(rendering.selector_matches(registry["to"][0]["podSelector"], webhook(collectors())["metadata"]["labels"]))
        on_nodes = rules("webhook.hostNetwork=true", "webhook.port=10260")
        self.assertIn({"ports": [{"port": 8444, "protocol": "TCP"}]}, on_nodes, "no selector finds pods on the nodes' network")

    def test_collectors_reach_the_cluster_dns_also_where_its_pods_listen_elsewhere(self):
        policy, = own(collectors("networkPolicy.enabled=true"), "NetworkPolicy")
        self.assertIn({"ports": [{"port": port, "protocol": protocol} for port in (53, 5353, 8053) for protocol in ("UDP", "TCP")]}, policy["spec"]["egress"])

    def test_collectors_are_never_tapped(self):
        docs = collectors("collector.podLabels.sidetap\\.io/inject=enabled")
        self.assertEqual(workload(docs)["spec"]["template"]["metadata"]["labels"]["sidetap.io/inject"], "false")

    def test_files_need_a_volume_that_outlives_the_pod_or_say_that_they_do_not(self):
        docs = collectors("collector.output=pcap", "collector.files.size=5Gi", "collector.files.storageClassName=fast")
        self.assertEqual(workload(docs)["kind"], "StatefulSet")
        self.assertEqual(workload(docs)["spec"]["serviceName"], NAME)
        claim, = workload(docs)["spec"]["volumeClaimTemplates"]
        self.assertEqual(claim["spec"]["resources"]["requests"]["storage"], "5Gi")
        self.assertEqual(claim["spec"]["storageClassName"], "fast")
        mounts = {mount["name"]: mount["mountPath"] for mount in container(docs)["volumeMounts"]}
        self.assertEqual(environment(docs)["PCAP_DIR"], mounts[claim["metadata"]["name"]])
        docs = collectors("collector.output=pcap", "collector.files.persistent=false")
        self.assertEqual(workload(docs)["kind"], "Deployment")
        self.assertIn("emptyDir", [v for v in workload(docs)["spec"]["template"]["spec"]["volumes"] if v["name"] == "packets"][0])

    def test_an_autoscaler_has_their_number_to_itself(self):
        self.assertEqual(workload(collectors("collector.replicas=3"))["spec"]["replicas"], 3)
        for output in ("rpcap", "pcap"):
            docs = collectors("collector.autoscaling.enabled=true", f"collector.output={output}")
            self.assertNotIn("replicas", workload(docs)["spec"])
            spec = own(docs, "HorizontalPodAutoscaler")[0]["spec"]
            target = spec["scaleTargetRef"]
            self.assertEqual((target["kind"], target["name"]), (workload(docs)["kind"], NAME))
            metric, = spec["metrics"]
            self.assertEqual(metric["containerResource"]["container"], container(docs)["name"], "other containers may request no CPU")
        old = documents(template(*REQUIRED, *ON, "--set", "collector.autoscaling.enabled=true", version="1.26"))
        metric, = own(old, "HorizontalPodAutoscaler")[0]["spec"]["metrics"]
        self.assertEqual(metric["resource"], {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}})

    def test_the_grace_period_covers_the_drain(self):
        for seconds in (0, 10, 600):
            docs = collectors(f"collector.drainSeconds={seconds}")
            self.assertEqual(environment(docs)["DRAIN"], f"{seconds}s")
            self.assertGreater(workload(docs)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], seconds + 20)

    def test_a_stopping_collector_waits_until_taps_have_found_another(self):
        repeats_itself = 30  # the cluster DNS, as kubeadm sets it up
        self.assertGreater(yaml.safe_load((CHART / "values.yaml").read_text())["collector"]["drainSeconds"], repeats_itself + 10)


class Rights(unittest.TestCase):
    RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}

    def test_collectors_pass_the_restricted_level_unless_they_write_into_an_interface(self):
        for output, settings in OUTPUTS.items():
            docs = collectors(f"collector.output={output}", *settings)
            spec = workload(docs)["spec"]["template"]["spec"]
            with self.subTest(output):
                self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertFalse(spec["automountServiceAccountToken"])
                if output != "interface":
                    self.assertEqual(container(docs)["securityContext"], self.RESTRICTED)
                else:
                    self.assertEqual(container(docs)["securityContext"]["capabilities"], {"drop": ["ALL"], "add": ["NET_RAW"]})

    def test_a_token_is_there_only_to_ask_the_registry_who_a_tap_is(self):
        def granted(*settings):
            docs = collectors(*settings, arguments=(*REQUIRED, *SUBNETS))
            rules = [role["rules"] for role in own(docs, "ClusterRole")]
            volumes = [v["name"] for v in workload(docs)["spec"]["template"]["spec"].get("volumes", [])]
            return rules, "token" in volumes, environment(docs).get("REGISTRY")
        stream = [{"nonResourceURLs": ["/v1/identities/stream"], "verbs": ["get"]}]
        self.assertEqual(granted(), ([stream], True, f"sidetap-registry.{NAMESPACE}.svc:8444"))
        for declined in (["collector.proveTaps=false"], ["identities.enabled=false"], ["registry.auth=none"],
                         ["registry.enabled=false", "collector.tls=false"]):
            self.assertEqual(granted(*declined), ([], False, None), declined)
        self.assertEqual(granted("rbac.create=false")[0], [])
        docs = collectors()
        binding, = own(docs, "ClusterRoleBinding")
        self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}])
        self.assertEqual(workload(docs)["spec"]["template"]["spec"]["serviceAccountName"], NAME)

    def test_the_webhook_may_write_the_collectors_secret_where_it_makes_the_certificate(self):
        def names(*settings):
            role, = of_kind(collectors(*settings), "Role")[:1]
            return role["rules"][0]["resourceNames"]
        self.assertEqual(names(), ["sidetap-self-managed-tls", f"{NAME}-self-managed-tls"])
        self.assertEqual(names("collector.tls=false", "collector.proveTaps=false"), ["sidetap-self-managed-tls"])


class Certificates(unittest.TestCase):
    def secret(self, docs):
        volume, = [v for v in workload(docs)["spec"]["template"]["spec"]["volumes"] if v["name"] == "tls"]
        return volume["secret"]

    def test_the_webhook_is_told_which_secret_collectors_mount(self):
        docs = collectors()
        secret = self.secret(docs)
        arguments = webhook(docs)["spec"]["containers"][0]["args"]
        self.assertIn(f"--certs-collector-secret={secret['secretName']}", arguments)
        self.assertIn(f"--certs-collector-services={own(docs, 'Service')[0]['metadata']['name']}", arguments)
        made, = own(docs, "Secret")
        self.assertEqual(made["metadata"]["name"], secret["secretName"])
        self.assertNotIn("data", made)
        self.assertEqual([item["key"] for item in secret["items"]], ["tls.crt", "tls.key", "ca.crt"])
        files = {f"/etc/sidetap-tls/{item['path']}" for item in secret["items"]}
        env = environment(docs)
        self.assertEqual({env["TAP_TLS_CERT"], env["TAP_TLS_KEY"], env["REGISTRY_CA"]}, files)
        self.assertEqual(env["DATA"], "tcp", "TLS needs it")

    def test_cert_manager_signs_it_as_it_signs_the_webhooks(self):
        docs = documents(template(*REQUIRED, *ON, "--set", "certificates.mode=certManager", "--api-versions", "cert-manager.io/v1"))
        certificate, = own(docs, "Certificate")
        self.assertLessEqual({f"{NAME}.{NAMESPACE}.svc", f"*.{NAME}.{NAMESPACE}.svc"}, set(certificate["spec"]["dnsNames"]))
        self.assertEqual(certificate["spec"]["secretName"], self.secret(docs)["secretName"])
        issuers = [d["spec"]["issuerRef"] for d in of_kind(docs, "Certificate") if "dnsNames" in d["spec"]]
        self.assertEqual(issuers[0], issuers[1])
        self.assertEqual(own(docs, "Secret"), [])

    def test_a_secret_of_ones_own_is_mounted(self):
        mode = "certificates.mode=existingSecret"
        self.assertEqual(self.secret(collectors(mode))["secretName"], f"{NAME}-tls")
        docs = collectors(mode, "collector.tlsSecretName=mine")
        self.assertEqual(self.secret(docs)["secretName"], "mine")
        self.assertEqual(own(docs, "Secret"), [])
        self.assertFalse([word for word in webhook(docs)["spec"]["containers"][0]["args"] if word.startswith("--certs")])

    def test_without_tls_nothing_is_encrypted_and_packets_come_as_datagrams(self):
        docs = collectors("collector.tls=false")
        env = environment(docs)
        self.assertEqual(env["DATA"], "udp")
        self.assertNotIn("TAP_TLS_CERT", env)
        self.assertEqual([item["key"] for item in self.secret(docs)["items"]], ["ca.crt"])
        self.assertEqual(configuration(docs)["sensor"]["tls"], "off")
        ports = [port["containerPort"] for port in container(docs)["ports"] if port.get("protocol") == "UDP"]
        self.assertEqual(ports, [2004, 2005, 2006, 2007])


@unittest.skipUnless(rendering.program("sidetap-webhook") and rendering.program("sidetap-sidecar"), "the programs are not built")
class Programs(unittest.TestCase):
    POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec: {containers: [{name: web, image: web}]}\n"

    def test_the_webhook_takes_the_configuration_and_leads_taps_there(self):
        docs = collectors()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "config.yaml"
            text = webhook(docs)["metadata"]["annotations"]["sidetap.io/configuration"]
            path.write_text(text.replace("\nregistry:", "\nregistry:\n  ca: -----BEGIN CERTIFICATE-----"))
            result = subprocess.run([rendering.program("sidetap-webhook"), "inject", "--config", path, "--namespace-labels",
                                     "sidetap.io/inject=enabled", "-f", "-"], input=self.POD, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        spec = yaml.safe_load(result.stdout)["spec"]
        tap, = [c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == "sidetap"]
        env = {variable["name"]: variable.get("value") for variable in tap["env"]}
        self.assertEqual((env["SENSOR"], env["SENSOR_MODE"], env["SENSOR_TLS"]), (ADDRESS, "hash", "registry"))

    def test_every_variable_and_argument_is_known(self):
        usage = {command: subprocess.run([rendering.program(program), command, "--help"], capture_output=True, text=True).stdout
                 for program, command in (("sidetap-sidecar", "collect"), ("sidetap-webhook", "serve"))}
        for output, settings in OUTPUTS.items():
            docs = collectors(f"collector.output={output}", *settings)
            for variable in environment(docs):
                with self.subTest(output, variable=variable):
                    self.assertRegex(usage["collect"], rf"\b{re.escape(variable)}\b")
            for argument in webhook(docs)["spec"]["containers"][0]["args"][1:]:
                with self.subTest(output, argument=argument):
                    self.assertRegex(usage["serve"], rf"{re.escape(argument.split('=')[0])}\b")


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
