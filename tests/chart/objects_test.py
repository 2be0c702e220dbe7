#!/usr/bin/env python3
"""What must hold of the objects that the chart makes: certificates, the workload and its rights."""
import base64
import itertools
import json
import re
import unittest

import yaml

import rendering
from rendering import CHART, NAMESPACE, REQUIRED, SUBNETS, documents, of_kind, pod_spec, template


class Certificates(unittest.TestCase):
    def test_self_managed_says_nothing_of_what_the_webhook_writes(self):
        docs = documents(template(*REQUIRED))
        for entry in of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"]:
            self.assertNotIn("caBundle", entry["clientConfig"])
        secret = of_kind(docs, "Secret")[0]
        self.assertEqual(set(secret), {"apiVersion", "kind", "metadata", "type"})

    def test_an_existing_ca_is_rendered_and_a_missing_one_is_not(self):
        authority = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        mode = ["--set", "certificates.mode=existingSecret"]
        docs = documents(template(*REQUIRED, *mode, "--set", f"certificates.existingSecret.caBundle={authority}"))
        entry = of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"][0]
        self.assertEqual(base64.b64decode(entry["clientConfig"]["caBundle"]).decode(), authority)
        docs = documents(template(*REQUIRED, *mode))
        self.assertNotIn("caBundle", of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"][0]["clientConfig"])
        self.assertEqual(of_kind(docs, "Secret"), [])

    def test_cert_manager_names_the_services_and_is_let_inject(self):
        docs = documents(template(*REQUIRED, "--set", "certificates.mode=certManager",
                                  "--api-versions", "cert-manager.io/v1"))
        certificate = [d for d in of_kind(docs, "Certificate") if "dnsNames" in d["spec"]][0]
        for service in of_kind(docs, "Service"):
            self.assertIn(f"{service['metadata']['name']}.{NAMESPACE}.svc", certificate["spec"]["dnsNames"])
        annotation = of_kind(docs, "MutatingWebhookConfiguration")[0]["metadata"]["annotations"]
        self.assertEqual(annotation["cert-manager.io/inject-ca-from"], f"{NAMESPACE}/{certificate['metadata']['name']}")
        volume = [v for v in pod_spec(docs)["volumes"] if v["name"] == "tls"][0]
        self.assertEqual(volume["secret"]["secretName"], certificate["spec"]["secretName"])


class Workload(unittest.TestCase):
    def test_every_pod_passes_the_restricted_level(self):
        for label, docs in rendering.renderings():
            specs = [d["spec"]["template"]["spec"] for d in of_kind(docs, "Deployment")]
            specs += [d["spec"] for d in of_kind(docs, "Pod")]
            for spec in specs:
                with self.subTest(label):
                    self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                    self.assertGreater(spec["securityContext"]["runAsUser"], 0)
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    for container in spec.get("initContainers", []) + spec["containers"]:
                        self.assertEqual(container["securityContext"], {
                            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}})
                    for container in spec["containers"]:
                        self.assertEqual(container["command"], ["/usr/bin/sidetap-webhook"])
                    for volume in spec.get("volumes", []):
                        self.assertLessEqual(set(volume) - {"name"}, {"configMap", "downwardAPI", "secret", "projected", "emptyDir"})

    def test_what_a_quota_or_limit_range_asks_for_can_be_said_of_every_container(self):
        """A namespace may ask each container for limits, and for no less than some amount: one container without is a pod less."""
        amounts = {"requests": {"cpu": "200m", "memory": "128Mi", "ephemeral-storage": "1M"},
                   "limits": {"cpu": "200m", "memory": "512Mi", "ephemeral-storage": "1M"}}
        both = {"webhook": {"resources": amounts}, "collector": {"enabled": True, "resources": amounts}}
        docs = documents(template(*REQUIRED, *(part for key, value in both.items() for part in ("--set-json", f"{key}={json.dumps(value)}"))))
        specs = [d["spec"]["template"]["spec"] for d in of_kind(docs, "Deployment")] + [d["spec"] for d in of_kind(docs, "Pod")]
        self.assertEqual(len(specs), 3)
        for spec in specs:
            for container in spec.get("initContainers", []) + spec["containers"]:
                with self.subTest(container["name"]):
                    self.assertEqual(container["resources"], amounts)

    def test_the_pod_of_the_test_pulls_its_image_as_the_webhook_does(self):
        docs = documents(template(*REQUIRED, "--set", "image.pullSecrets={a}", "--set", "image.sidecar.pullSecrets={b,a}"))
        pod, = of_kind(docs, "Pod")
        self.assertEqual(pod["spec"]["imagePullSecrets"], pod_spec(docs)["imagePullSecrets"])

    def test_a_rolling_update_never_has_fewer_pods(self):
        for label, docs in rendering.renderings():
            deployment = of_kind(docs, "Deployment")[0]["spec"]
            # On the node's network a second pod would find its port taken.
            shared = deployment["template"]["spec"].get("hostNetwork", False)
            wanted = {"maxSurge": 0, "maxUnavailable": 1} if shared else {"maxSurge": 1, "maxUnavailable": 0}
            self.assertEqual(deployment["strategy"]["rollingUpdate"], wanted, label)

    def test_the_pods_are_spread_softly(self):
        for constraint in pod_spec(documents(template(*REQUIRED)))["topologySpreadConstraints"]:
            self.assertEqual(constraint["whenUnsatisfiable"], "ScheduleAnyway")

    def test_services_budgets_and_policies_find_the_pods(self):
        for label, docs in rendering.renderings():
            deployment = of_kind(docs, "Deployment")[0]["spec"]
            labels = deployment["template"]["metadata"]["labels"]
            ports = {port["name"] for port in deployment["template"]["spec"]["containers"][0]["ports"]}
            with self.subTest(label):
                self.assertTrue(rendering.selector_matches(deployment["selector"], labels))
                for service in of_kind(docs, "Service"):
                    self.assertTrue(rendering.selector_matches({"matchLabels": service["spec"]["selector"]}, labels))
                    self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports)
                for budget in of_kind(docs, "PodDisruptionBudget"):
                    self.assertTrue(rendering.selector_matches(budget["spec"]["selector"], labels))
                for policy in of_kind(docs, "NetworkPolicy"):
                    self.assertTrue(rendering.selector_matches(policy["spec"]["podSelector"], labels))
                    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
                    self.assertEqual(allowed, ports)
                services = {service["metadata"]["name"]: service for service in of_kind(docs, "Service")}
                for entry in of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"]:
                    target = entry["clientConfig"]["service"]
                    self.assertEqual(target["namespace"], NAMESPACE)
                    self.assertIn(target["port"], [p["port"] for p in services[target["name"]]["spec"]["ports"]])

    def test_the_port_is_one_that_private_clusters_open(self):
        ports = pod_spec(documents(template(*REQUIRED)))["containers"][0]["ports"]
        self.assertIn({"name": "https", "containerPort": 10250}, ports)

    def test_the_grace_period_covers_the_drain(self):
        for seconds in (0, 10, 120):
            spec = pod_spec(documents(template(*REQUIRED, "--set", f"webhook.drainSeconds={seconds}")))
            self.assertGreater(spec["terminationGracePeriodSeconds"], seconds + 5)

    def test_a_stopping_registry_answers_until_taps_have_found_its_successor(self):
        source = (CHART.parents[2] / "sidecar/registry/client.h").read_text()
        asks_again = int(re.search(r"resolve_interval\{([0-9']+)\}", source).group(1).replace("'", "")) / 1000
        repeats_itself = 30  # the cluster DNS, as kubeadm sets it up
        drain = yaml.safe_load((CHART / "values.yaml").read_text())["webhook"]["drainSeconds"]
        self.assertGreater(drain, repeats_itself + asks_again)

    def test_images_carry_registry_tag_or_digest(self):
        def image(*settings):
            arguments = [part for setting in settings for part in ("--set", setting)]
            return pod_spec(documents(template(*REQUIRED, *arguments)))["containers"][0]["image"]
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        self.assertEqual(image(), f"sidetap-webhook:{version}")
        self.assertEqual(image("image.registry=r.example.com:5000/net/", "image.tag=v7"), "r.example.com:5000/net/sidetap-webhook:v7")
        digest = "sha256:" + "a" * 64
        self.assertEqual(image("image.tag=v7", f"image.webhook.digest={digest}"), f"sidetap-webhook@{digest}")

    def test_the_version_is_that_of_the_programs(self):
        project = (rendering.ROOT / "CMakeLists.txt").read_text()
        version = re.search(r"project\(sidetap VERSION (\S+)", project).group(1)
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual(chart["appVersion"], version)


class Rights(unittest.TestCase):
    # What no rule on names can hold: reviews are created, not read; what is watched, and pods, have any name.
    UNNAMED = {("tokenreviews", "create"), ("subjectaccessreviews", "create")}
    OF_WATCHES = set(itertools.product(("services", "endpointslices", "nodes"), ("list", "watch")))
    OF_PROOF = {("pods", "get")}
    OF_COVERAGE = set(itertools.product(("pods", "namespaces"), ("list", "watch")))
    OF_EVENTS = {("events", "create")}

    def test_rules_name_what_they_allow(self):
        for label, docs in rendering.renderings():
            for role in of_kind(docs, "Role") + of_kind(docs, "ClusterRole"):
                if role["metadata"].get("annotations", {}).get("helm.sh/hook"):
                    continue
                for rule in role["rules"]:
                    with self.subTest(label, rule=rule):
                        if "nonResourceURLs" in rule:
                            self.assertEqual(rule["verbs"], ["get"])
                            continue
                        self.assertNotIn("*", rule["verbs"] + rule["resources"] + rule["apiGroups"])
                        if "resourceNames" not in rule:
                            granted = set(itertools.product(rule["resources"], rule["verbs"]))
                            # Its subnets say that a pod has one address.
                            proof = set() if "cert-manager" in label else self.OF_PROOF
                            coverage = self.OF_COVERAGE if "everything" in label else set()
                            self.assertLessEqual(granted, self.UNNAMED | self.OF_WATCHES | self.OF_EVENTS | proof | coverage)

    def test_pods_are_read_only_where_a_connection_may_not_prove_their_addresses(self):
        def reads(*arguments):
            docs = documents(template(*REQUIRED, *arguments))
            return any("pods" in rule.get("resources", []) and "get" in rule["verbs"]
                       for role in of_kind(docs, "ClusterRole") for rule in role["rules"])
        single, dual = SUBNETS[:2], ["--set", "subnets.pods={10.244.0.0/16,fd00::/56}"]
        self.assertFalse(reads(*single))
        # Without the subnets, pods may have two addresses.
        for subnets in ([], dual):
            self.assertTrue(reads(*subnets))
            self.assertFalse(reads(*subnets, "--set", "registry.readPods=never"))
            self.assertFalse(reads(*subnets, "--set", "registry.auth=none"))
        # Pods' traffic to a node may come from another address than the pod's.
        node = [*single, "--set", "webhook.hostNetwork=true,webhook.port=10260"]
        self.assertTrue(reads(*node))
        self.assertFalse(reads(*node, "--set", "registry.readPods=never"))
        self.assertFalse(reads(*node, "--set", "registry.auth=none"))
        self.assertTrue(reads(*single, "--set", "registry.readPods=always"))

    def test_what_is_watched_may_be_watched_and_each_right_can_be_declined(self):
        def granted(*settings):
            arguments = [part for setting in settings for part in ("--set", setting)]
            docs = documents(template(*REQUIRED, *SUBNETS, *arguments))
            rules = [rule for role in of_kind(docs, "ClusterRole") for rule in role["rules"]]
            watched = {(rule["apiGroups"][0], rule["resources"][0]) for rule in rules if "watch" in rule["verbs"]}
            self.assertTrue(all(rule["verbs"] == ["list", "watch"] for rule in rules if "watch" in rule["verbs"]))
            spec = pod_spec(docs)
            asked = {flag for flag in ("--registry-services=true", "--registry-nodes=true") if flag in spec["containers"][0]["args"]}
            return watched, asked, spec["automountServiceAccountToken"]
        services = {("", "services"), ("discovery.k8s.io", "endpointslices")}
        nodes = {("", "nodes")}
        both = {"--registry-services=true", "--registry-nodes=true"}
        self.assertEqual(granted(), (services | nodes, both, True))
        self.assertEqual(granted("registry.nodes=false"), (services, {"--registry-services=true"}, True))
        self.assertEqual(granted("registry.services=false"), (set(), set(), True))
        self.assertEqual(granted("registry.enabled=false")[:2], (set(), set()))
        # They alone are a reason for the token.
        needless = ("registry.auth=none", "certificates.mode=existingSecret", "events.enabled=false")
        self.assertEqual(granted(*needless), (services | nodes, both, True))
        self.assertEqual(granted(*needless, "registry.services=false"), (set(), set(), False))

    def test_identities_are_given_out_only_where_it_can_be_asked_who_may_have_them(self):
        def given(*settings):
            docs = documents(template(*REQUIRED, *SUBNETS, *[part for setting in settings for part in ("--set", setting)]))
            roles = {role["metadata"]["name"]: role["rules"] for role in of_kind(docs, "ClusterRole")}
            asks = any("subjectaccessreviews" in rule.get("resources", []) for rules in roles.values() for rule in rules)
            arguments = pod_spec(docs)["containers"][0]["args"]
            return "sidetap-identities-reader" in roles, asks, [word for word in arguments if word.startswith("--identity-api")]
        self.assertEqual(given(), (True, True, ["--identity-api=true"]))
        self.assertEqual(given("identities.enabled=false"), (False, False, ["--identity-api=false"]))
        self.assertEqual(given("registry.auth=none"), (False, False, []))
        self.assertEqual(given("registry.enabled=false"), (False, False, []))

    def test_the_role_of_readers_has_every_route_and_is_bound_by_nobody_but_you(self):
        docs = documents(template(*REQUIRED))
        role, = [role for role in of_kind(docs, "ClusterRole") if role["metadata"]["name"] == "sidetap-identities-reader"]
        self.assertEqual(role["rules"], [{"nonResourceURLs": ["/v1/taps", "/v1/taps/*", "/v1/identities", "/v1/identities/*",
                                                               "/v1/coverage"],
                                          "verbs": ["get"]}])
        self.assertNotIn("sidetap-identities-reader",
                         [binding["roleRef"]["name"] for binding in of_kind(docs, "ClusterRoleBinding")])

    def test_pods_and_namespaces_are_watched_and_events_written_only_where_that_is_on(self):
        def granted(*settings):
            docs = documents(template(*REQUIRED, *SUBNETS, *[part for setting in settings for part in ("--set", setting)]))
            rules = {(group, resource, verb) for role in of_kind(docs, "ClusterRole") for rule in role["rules"]
                     for group, resource, verb in itertools.product(rule.get("apiGroups", []), rule.get("resources", []), rule["verbs"])}
            spec = pod_spec(docs)
            asked = [word for word in spec["containers"][0]["args"] if re.match("--(coverage|events|tap-events)=", word)]
            watched = {(resource, verb) for _, resource, verb in rules} & self.OF_COVERAGE
            written = {rule for rule in rules if rule[1] == "events"}
            return watched, written, asked, spec["automountServiceAccountToken"]
        create = {("", "events", "create")}
        self.assertEqual(granted(), (set(), create, ["--events=on"], True))
        self.assertEqual(granted("events.enabled=false", "events.taps=true"), (set(), set(), ["--events=off"], True))
        self.assertEqual(granted("events.taps=true")[1:3], (create, ["--events=on", "--tap-events=on"]))
        self.assertEqual(granted("events.taps=true", "registry.auth=none")[2], ["--events=on"])
        self.assertEqual(granted("coverage.enabled=true", "events.enabled=false")[:3],
                         (self.OF_COVERAGE, set(), ["--coverage=on", "--events=off"]))
        # It looks where the API server asks the webhook.
        docs = documents(template(*REQUIRED, "--set", "coverage.enabled=true,injection.excludedNamespaces={monitoring}"))
        selector, = [word for word in pod_spec(docs)["containers"][0]["args"] if word.startswith("--coverage-selector=")]
        wanted = [f"{part['key']} notin ({','.join(part['values'])})"
                  for part in of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"][0]["namespaceSelector"]["matchExpressions"]
                  if part["operator"] == "NotIn"]
        self.assertEqual(selector, f"--coverage-selector={','.join(wanted)}")
        self.assertIn("monitoring", selector)
        # Each is a reason for the token.
        needless = ("registry.enabled=false", "certificates.mode=existingSecret", "events.enabled=false")
        self.assertFalse(granted(*needless)[3])
        self.assertTrue(granted(*needless, "coverage.enabled=true")[3])
        self.assertTrue(granted(*needless[:2])[3])

    def test_the_page_is_on_loopback_behind_no_service_and_no_hole(self):
        def page(*settings):
            docs = documents(template(*REQUIRED, *SUBNETS, *[part for setting in settings for part in ("--set", setting)]))
            return docs, [word for word in pod_spec(docs)["containers"][0]["args"] if word.startswith("--page-listen")]
        docs, arguments = page("networkPolicy.enabled=true")
        self.assertEqual(arguments, ["--page-listen=127.0.0.1:8446"])
        policy, = of_kind(docs, "NetworkPolicy")
        allowed = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        served = [port["targetPort"] for service in of_kind(docs, "Service") for port in service["spec"]["ports"]]
        self.assertFalse({8446, "page"} & {*allowed, *served})
        self.assertEqual(page("page.port=9000")[1], ["--page-listen=127.0.0.1:9000"])
        for settings in (["page.enabled=false"], ["registry.enabled=false"], ["webhook.hostNetwork=true", "webhook.port=10260"]):
            self.assertEqual(page(*settings)[1], [], settings)
        # Its port is nobody's then.
        page("page.enabled=false", "page.port=8444")

    def test_files_of_identities_are_of_one_pod_each(self):
        spec = pod_spec(documents(template(*REQUIRED, "--set", "identities.volume.persistentVolumeClaim.claimName=shared")))
        volume, = [volume for volume in spec["volumes"] if volume["name"] == "identities"]
        self.assertEqual(volume["persistentVolumeClaim"], {"claimName": "shared"})
        mount, = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "identities"]
        self.assertEqual(mount["subPathExpr"], "$(POD_NAME)")
        self.assertIn(f"--identity-dir={mount['mountPath']}", spec["containers"][0]["args"])
        self.assertIn("POD_NAME", [variable["name"] for variable in spec["containers"][0]["env"]])

    def test_the_network_policy_lets_every_tap_in_with_and_without_subnets(self):
        def callers(*arguments):
            policy, = of_kind(documents(template(*REQUIRED, "--set", "networkPolicy.enabled=true", *arguments)), "NetworkPolicy")
            rule, = [rule for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == "registry"]
            return rule["from"]
        self.assertEqual(callers(), [{"namespaceSelector": {}}])
        self.assertEqual(callers(*SUBNETS[:2]), [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "10.244.0.0/16"}}])
        outside = callers("--set", "networkPolicy.registryFrom[0].ipBlock.cidr=192.0.2.0/28")
        self.assertEqual(outside, [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "192.0.2.0/28"}}])

    def test_the_names_are_those_of_the_objects(self):
        docs = documents(template(*REQUIRED))
        named = {(rule["resources"][0], name) for role in of_kind(docs, "Role") + of_kind(docs, "ClusterRole")
                 for rule in role["rules"] for name in rule.get("resourceNames", [])}
        secret = of_kind(docs, "Secret")[0]["metadata"]["name"]
        configuration = of_kind(docs, "MutatingWebhookConfiguration")[0]["metadata"]["name"]
        self.assertEqual(named, {("secrets", secret), ("mutatingwebhookconfigurations", configuration)})

    def test_without_need_no_token_is_mounted(self):
        arguments = [*SUBNETS, "--set", "certificates.mode=existingSecret,registry.enabled=false,events.enabled=false"]
        docs = documents(template(*REQUIRED, *arguments))
        self.assertFalse(pod_spec(docs)["automountServiceAccountToken"])
        roles = [r for r in of_kind(docs, "Role") + of_kind(docs, "ClusterRole")
                 if not r["metadata"].get("annotations", {}).get("helm.sh/hook")]
        self.assertEqual(roles, [])
        self.assertTrue(pod_spec(documents(template(*REQUIRED)))["automountServiceAccountToken"])

    def test_the_test_has_its_rights_wherever_its_pod_would_run(self):
        """Also in the release's own namespace, where it needs two rights."""
        for where in ("shop", NAMESPACE):
            docs = documents(template(*REQUIRED, "--set", f"tests.namespace={where}"))
            granted = {(role["metadata"]["namespace"], resource, verb) for role in of_kind(docs, "Role")
                       if role["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"
                       for rule in role["rules"] for resource, verb in itertools.product(rule["resources"], rule["verbs"])}
            self.assertEqual(granted, {(where, "pods", "create"), (NAMESPACE, "endpointslices", "list")})

    def test_bindings_bind_what_is_there(self):
        for label, docs in rendering.renderings():
            roles = {(r["kind"], r["metadata"]["name"]) for r in of_kind(docs, "Role") + of_kind(docs, "ClusterRole")}
            for binding in of_kind(docs, "RoleBinding") + of_kind(docs, "ClusterRoleBinding"):
                self.assertIn((binding["roleRef"]["kind"], binding["roleRef"]["name"]), roles, label)
            accounts = {a["metadata"]["name"] for a in of_kind(docs, "ServiceAccount")}
            account = pod_spec(docs)["serviceAccountName"]
            self.assertTrue(account in accounts or account == "default", label)


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
