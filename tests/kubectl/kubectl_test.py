#!/usr/bin/env python3
"""kubectl sidetap, by the shells that may run it, through the real kubectl against a cluster that is played (fake_cluster.py)."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "chart"))
import rendering
from fake_cluster import TOKEN, FakeCluster, shim

ROOT = HERE.parents[1]
PROGRAM = ROOT / "deploy/kubectl/kubectl-sidetap"
FORWARDING = "tap\tshop\tweb-1\tnode-1\tforwarding\t10.0.0.9:2003 capturing\t10\t5\t0\t\t\t1.0.0\n"


class Cluster(unittest.TestCase):
    shell = "dash"

    def setUp(self):
        if not shutil.which(self.shell):
            self.skipTest(f"no {self.shell} here")
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.cluster = FakeCluster(self.folder)
        self.addCleanup(self.cluster.close)
        self.cluster.put_webhook("--page-listen=127.0.0.1:8446")
        self.cluster.put_pod("web-1")
        programs = shim(self.folder / "bin", rendering.tools()["KUBECTL"], self.cluster.page_server.server_address[1])
        (self.folder / "tmp").mkdir()
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "KUBECONFIG": str(self.cluster.kubeconfig),
                            "TMPDIR": str(self.folder / "tmp"), "HOME": str(self.folder), "NO_FORWARD": ""}

    def run_it(self, *arguments, **more):
        return subprocess.run([self.shell, PROGRAM, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, **more)

    def done(self, *arguments, code=0):
        """What it prints; it may leave nothing behind."""
        result = self.run_it(*arguments)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])
        return result.stdout

    def refused(self, *arguments, code=1):
        result = self.run_it(*arguments)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertTrue(result.stderr.startswith("kubectl sidetap: "), result.stderr)
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])
        return result.stderr

    def lines_to(self, container):
        return [line for pod, to, line in self.cluster.orders if to == container]


class Tap(Cluster):
    def test_a_running_pod_is_tapped_and_given_its_token_and_time(self):
        self.assertEqual(self.done("tap", "web-1", "-n", "shop", "--for", "5m"), "shop/web-1: tapped for 5m, by the container sidetap\n")
        self.assertEqual(self.lines_to("sidetap"), ["for 300s", f"token {TOKEN}"])
        (account, token), = self.cluster.tokens
        uid = self.cluster.objects["", "pods", "shop", "web-1"]["metadata"]["uid"]
        self.assertEqual((account, token), ("shop-account", {"audiences": ["sidetap"], "seconds": 600, "kind": "Pod", "pod": "web-1", "uid": uid}))
        # The proof is in no object, and in no command line: it went by standard input.
        self.assertNotIn(TOKEN, json.dumps(self.cluster.objects["", "pods", "shop", "web-1"]))

    def test_the_token_lives_longer_than_the_tap(self):
        self.done("tap", "web-1", "-n", "shop", "--for=2h")
        self.assertEqual(self.cluster.tokens[0][1]["seconds"], 7260)

    def test_a_registry_that_asks_for_no_proof_gets_none(self):
        self.cluster.webhook = lambda container: container.update(image="tap", env=[{"name": "STDIN_ORDERS", "value": "on"}])
        self.done("tap", "web-1", "-n", "shop")
        self.assertEqual((self.cluster.tokens, self.lines_to("sidetap")), ([], ["for 3600s"]))

    def test_a_tap_that_runs_gets_more_time_and_a_new_token(self):
        self.done("tap", "web-1", "-n", "shop")
        self.assertIn("still tapped for 2h, by the container sidetap\n", self.done("tap", "web-1", "-n", "shop", "--for", "2h"))
        self.assertEqual(self.lines_to("sidetap")[2:], ["for 7200s", f"token {TOKEN}"])

    def test_a_pod_can_be_tapped_again_under_another_name(self):
        self.done("tap", "web-1", "-n", "shop")
        self.assertIn("no longer tapped; the container sidetap has ended, and stays listed", self.done("untap", "web-1", "-n", "shop"))
        self.assertEqual(self.lines_to("sidetap")[-1], "stop")
        self.assertIn("by the container sidetap-2\n", self.done("tap", "web-1", "-n", "shop"))
        self.assertIn("has ended", self.done("untap", "web-1", "-n", "shop"))
        self.assertIn("already", self.done("untap", "web-1", "-n", "shop"))

    def test_every_running_pod_of_a_deployment_is_tapped(self):
        for name, labels in (("web-2", {"app": "web", "tier": "a"}), ("other", {"app": "other"})):
            self.cluster.put_pod(name, labels=labels)
        self.cluster.put_object(("apps", "deployments", "shop", "web"), {
            "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}})
        said = self.done("tap", "deployment/web", "-n", "shop")
        self.assertEqual(sorted(re.findall(r"shop/(\S+):", said)), ["web-1", "web-2"])

    def test_what_has_a_tap_already_is_left_alone(self):
        self.cluster.put_pod("web-3", annotations={"sidetap.io/status": "{}"})
        self.assertIn("tapped since its creation", self.done("tap", "web-3", "-n", "shop"))
        self.assertIn("since its creation", self.refused("untap", "web-3", "-n", "shop"))
        self.assertEqual(self.cluster.orders, [])

    def test_a_tap_that_logs_nothing_of_orders_is_told_all_the_same(self):
        self.cluster.silent_taps = True
        self.assertIn("tapped for 1h", self.done("tap", "web-1", "-n", "shop"))
        self.assertEqual(len(self.lines_to("sidetap")), 2)

    def test_a_token_that_lives_too_short_is_mentioned(self):
        self.cluster.token_life = 900
        result = self.run_it("tap", "web-1", "-n", "shop")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stderr, r"token that is valid for only (900|89\d) s")


class Refusals(Cluster):
    def expect_untouched(self):
        self.assertNotIn("ephemeralContainers", self.cluster.objects["", "pods", "shop", "web-1"]["spec"])

    def test_each_right_that_is_missing_is_named(self):
        for verb, resource, asked in (("get", "pods", "get pods"),
                                      ("update", "pods/ephemeralcontainers", "update pods --subresource=ephemeralcontainers"),
                                      ("create", "serviceaccounts/token", "create serviceaccounts --subresource=token"),
                                      ("create", "pods/attach", "create pods --subresource=attach")):
            with self.subTest(resource):
                self.cluster.denied = {(verb, resource)}
                said = self.refused("tap", "web-1", "-n", "shop")
                self.assertIn(f"kubectl auth can-i {asked} -n shop", said)
                self.expect_untouched()

    def test_a_tap_that_cannot_be_reached_is_said_to_end(self):
        self.cluster.unreachable = True
        said = self.refused("tap", "web-1", "-n", "shop")
        self.assertIn("did not receive its instructions, so it ends by itself within a minute", said)

    def test_what_the_webhook_says_is_passed_on(self):
        def deny(_):
            raise FakeCluster.Denied('admission webhook "ephemeral.inject.sidetap.io" denied the request: sidetap: not tapped: the pod opts out')
        self.cluster.webhook = deny
        self.assertEqual(self.refused("tap", "web-1", "-n", "shop"), "kubectl sidetap: shop/web-1: the pod opts out\n")
        self.expect_untouched()

    def test_a_pod_security_level_is_named(self):
        def deny(_):
            raise FakeCluster.Denied('pods "web-1" is forbidden: violates PodSecurity "baseline:latest": non-default capabilities')
        self.cluster.webhook = deny
        said = self.refused("tap", "web-1", "-n", "shop")
        self.assertIn("the namespace shop enforces the Pod Security level baseline", said)
        self.expect_untouched()

    def test_no_stub_is_left_where_there_is_no_webhook_or_it_does_not_answer(self):
        self.cluster.webhook = None
        self.assertIn("no webhook completes the tap", self.refused("tap", "web-1", "-n", "shop"))
        self.expect_untouched()

        def away(_):
            raise ConnectionError("connection refused")
        self.cluster.webhook = away
        self.assertIn("webhook does not answer", self.refused("tap", "web-1", "-n", "shop"))
        self.expect_untouched()

    def test_pods_that_are_gone_or_do_not_run(self):
        self.assertIn("shop/nope: not found in the namespace shop", self.refused("tap", "nope", "-n", "shop"))
        self.assertIn("deployment/nope: not found", self.refused("tap", "deployment/nope", "-n", "shop"))
        self.cluster.put_pod("done", phase="Succeeded")
        self.assertIn("the pod does not run (Succeeded)", self.refused("tap", "done", "-n", "shop"))

    def test_one_pod_that_cannot_be_tapped_does_not_keep_the_others_from_it(self):
        result = self.run_it("tap", "nope", "web-1", "-n", "shop")
        self.assertEqual(result.returncode, 1)
        self.assertIn("shop/web-1: tapped", result.stdout)

    def test_an_image_that_cannot_be_pulled_is_named(self):
        self.cluster.starting = 10 ** 6
        self.cluster.add_ephemeral("web-1", "sidetap-2", {"terminated": {}})
        pod = self.cluster.objects["", "pods", "shop", "web-1"]
        pod["status"]["ephemeralContainerStatuses"].append({"name": "sidetap", "state": {"waiting": {"reason": "ErrImagePull"}}})
        self.assertIn("does not run (ErrImagePull)", self.refused("tap", "web-1", "-n", "shop"))

    def test_an_older_server_has_no_such_containers(self):
        self.cluster.add_containers = lambda *_: (404, {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
            "message": "the server could not find the requested resource"})
        self.assertIn("need Kubernetes 1.25 or newer", self.refused("tap", "web-1", "-n", "shop"))

    def test_wrong_arguments_are_explained(self):
        for arguments, words in ((("tap", "web-1", "--for", "soon"), "accepted: 90s"), (("tap", "web-1", "--for", "30s"), "from 1m"),
                                 (("tap", "web-1", "--fro", "1h"), "unknown option --fro"), (("nope",), "unknown command"),
                                 (("status", "-o", "yaml"), "wide or json"), (("tap", "web-1", "-n"), "needs a value")):
            with self.subTest(arguments):
                self.assertIn(words, self.refused(*arguments, code=2))


class Dump(Cluster):
    def setUp(self):
        super().setUp()
        self.cluster.put_pod("web-2", initContainers=[{"name": "sidetap", "image": "tap"}], annotations={"sidetap.io/status": "{}"})

    def test_the_packets_come_from_the_taps_own_container(self):
        self.assertEqual(self.done("dump", "web-2", "-n", "shop", "-i", "eth0", "--owned", "-s", "128", "tcp", "port", "443"), "packets")
        self.assertEqual(self.cluster.executed, [["/usr/bin/sidetap-sidecar", "dump", "--interface=eth0", "--owned", "--snaplen=128",
                                                  "--", "tcp", "port", "443"]])

    def test_the_plaintext_of_a_mesh_is_asked_of_the_taps_own_program(self):
        self.assertEqual(self.done("dump", "web-2", "-n", "shop", "--mesh", "tcp"), "packets")
        self.assertEqual(self.cluster.executed, [["/usr/bin/sidetap-sidecar", "dump", "--mesh", "--", "tcp"]])

    def test_into_a_file_also_one_with_blanks_in_its_name(self):
        self.assertEqual(self.done("dump", "web-2", "-n", "shop", "-w", str(self.folder / "a b")), "")
        self.assertEqual((self.folder / "a b").read_text(), "packets")

    def test_a_filter_is_not_looked_at_for_options(self):
        self.done("dump", "web-2", "-n", "shop", "--", "not", "port", "53", "and", "(tcp", "or", "udp)")
        self.assertEqual(self.cluster.executed[0][2:], ["--", "not", "port", "53", "and", "(tcp", "or", "udp)"])

    def test_from_a_tap_that_was_added(self):
        self.done("tap", "web-1", "-n", "shop")
        self.assertEqual(self.done("dump", "web-1", "-n", "shop"), "packets")

    def test_without_a_tap_or_the_right_it_says_so(self):
        self.assertIn("kubectl sidetap tap web-1 -n shop", self.refused("dump", "web-1", "-n", "shop"))
        self.cluster.denied = {("create", "pods/exec")}
        self.assertIn("can-i create pods --subresource=exec", self.refused("dump", "web-2", "-n", "shop"))

    def test_whoever_ends_the_command_ends_the_stream(self):
        self.cluster.execute = lambda handler, words: handler.rfile.read(1) and handler.rfile.read()
        process = subprocess.Popen([self.shell, PROGRAM, "dump", "web-2", "-n", "shop"], env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        deadline = time.monotonic() + 20
        while not any("/exec" in path for _, path, *_ in self.cluster.log) and time.monotonic() < deadline:
            if pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip() == "kubectl":
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(10), -signal.SIGKILL)
        # The shell itself has become kubectl, so nobody else holds the pipe.
        self.assertEqual(process.stdout.read(), b"")


class Status(Cluster):
    def say(self, *lines, path="/api/status/shop"):
        self.cluster.page[path] = "sidetap\t1.0.0\t7\n" + "".join(lines)

    def row(self, text, pod):
        return next(line for line in text.splitlines() if f" {pod} " in f" {line} ")

    def label(self, value):
        self.cluster.objects["", "namespaces", "", "shop"]["metadata"]["labels"] = {"sidetap.io/inject": value}

    def test_all_is_well(self):
        self.cluster.put_pod("web-1", annotations={"sidetap.io/status": "{}"})
        self.say(FORWARDING)
        text = self.done("status", "-n", "shop")
        self.assertRegex(self.row(text, "web-1"), r"^shop +web-1 +yes +forwarding +10\.0\.0\.9:2003 capturing +0 +-$")
        wide = self.done("status", "-n", "shop", "-o", "wide")
        self.assertIn("NODE", wide)
        self.assertRegex(self.row(wide, "web-1"), r" 1\.0\.0 +- +-$")
        self.say(FORWARDING, "mesh\tshop\tweb-1\tistio\t9\t8\t5\n")
        self.assertRegex(self.row(self.done("status", "-n", "shop", "-o", "wide"), "web-1"), r" 1\.0\.0 +istio +-$")
        pods = {pod["pod"]: pod for pod in json.loads(self.done("status", "-n", "shop", "-o", "json"))["pods"]}
        self.assertEqual(pods["web-1"]["mesh"], "istio")

    def test_the_page_is_asked_by_a_port_forward_and_gets_no_credential(self):
        self.say(FORWARDING)
        self.done("status", "-n", "shop")
        forwards = (self.folder / "bin/forwards").read_text()
        self.assertIn("pod/sidetap-webhook-1 --namespace=sidetap-system --address=127.0.0.1 :8446", forwards)
        self.assertIn(("PAGE", "/api/status/shop", None), self.cluster.log)

    def test_a_tap_in_need_of_attention_is_1(self):
        self.cluster.put_pod("web-1", annotations={"sidetap.io/status": "{}"})
        self.say("tap\tshop\tweb-1\tnode-1\tno-sensor\t10.0.0.9:2003 dialling\t10\t0\t3\tno-sensor losing\t\t1.0.0\n",
                 "attention\terror\t1 tap is connected and does not forward: shop/web-1.\n")
        text = self.done("status", "-n", "shop", code=1)
        self.assertIn("no-sensor losing", self.row(text, "web-1"))
        self.assertIn("error: 1 tap is connected", text)
        paused = "tap\tshop\tweb-1\tnode-1\tpaused\t\t1\t0\t0\tpaused\t\t1.0.0\n"
        self.say(paused, "attention\tnote\t1 tap is paused\n")
        self.done("status", "-n", "shop")

    def test_a_tap_that_the_registry_does_not_know_is_1(self):
        self.cluster.put_pod("web-1", annotations={"sidetap.io/status": "{}"})
        self.say()
        self.assertIn("not connected to the registry", self.row(self.done("status", "-n", "shop", code=1), "web-1"))

    def test_a_tap_that_has_gone_with_its_pod_is_1(self):
        self.say(FORWARDING.replace("web-1", "web-9").replace("forwarding", "gone").replace("\t0\t\t\t", "\t0\tgone\t\t"))
        self.assertIn("gone", self.row(self.done("status", "-n", "shop", code=1), "web-9"))

    def test_why_a_pod_has_no_tap(self):
        self.say("coverage\tno\n")
        self.assertIn("neither the pod nor its namespace opts in", self.row(self.done("status", "-n", "shop"), "web-1"))
        self.label("disabled")
        self.assertIn("the namespace is labelled sidetap.io/inject=disabled", self.row(self.done("status", "-n", "shop"), "web-1"))
        self.label("enabled")
        self.assertIn("older than the label or annotation", self.row(self.done("status", "-n", "shop", code=1), "web-1"))
        self.cluster.put_pod("web-1", annotations={"sidetap.io/inject": "false"})
        self.assertIn("the pod opts out", self.row(self.done("status", "-n", "shop"), "web-1"))
        self.cluster.put_pod("web-1", hostNetwork=True)
        self.assertIn("the pod has hostNetwork", self.row(self.done("status", "-n", "shop"), "web-1"))

    def test_coverage_knows_better(self):
        self.label("enabled")
        self.say("coverage\tyes\n", "untapped\tshop\tweb-1\tDeployment/web\tdeclined\tno sensor is configured\tSee the detail.\n")
        self.assertIn("declined: no sensor is configured", self.row(self.done("status", "-n", "shop"), "web-1"))
        self.say("coverage\tyes\n", "untapped\tshop\tweb-1\tDeployment/web\tmissed\t\tRestart it.\n")
        self.assertIn("missed: Restart it.", self.row(self.done("status", "-n", "shop", code=1), "web-1"))

    def test_an_added_tap_is_shown_by_its_container(self):
        self.cluster.add_ephemeral("web-1", "sidetap-2", {"running": {"startedAt": "x"}})
        self.say(FORWARDING)
        self.assertRegex(self.row(self.done("status", "-n", "shop"), "web-1"), r"web-1 +sidetap-2 +forwarding")

    def test_all_namespaces(self):
        self.cluster.put_pod("db-1", "data")
        self.say(FORWARDING, path="/api/status")
        text = self.done("status", "-A")
        self.assertTrue(self.row(text, "db-1").startswith("data"))
        self.assertTrue(self.row(text, "web-1").startswith("shop"))

    def test_as_json(self):
        self.say(FORWARDING, 'attention\twarning\ta "word" with \\ in it\n')
        document = json.loads(self.done("status", "-n", "shop", "-o", "json", code=1))
        self.assertEqual(document["pods"][0], {
            "namespace": "shop", "pod": "web-1", "tap": "yes", "state": "forwarding", "sensors": "10.0.0.9:2003 capturing", "lost": 0,
            "note": "", "node": "node-1", "seen": 10, "forwarded": 5, "profile": "", "release": "1.0.0", "mesh": "", "attention": False})
        self.assertEqual(document["attention"], [{"severity": "warning", "text": 'a "word" with \\ in it'}])

    def test_what_cannot_be_told_is_2(self):
        self.assertIn("older release", self.refused("status", "-n", "shop", code=2))
        self.environment["NO_FORWARD"] = "yes"
        self.cluster.denied = {("create", "pods/portforward")}
        self.assertIn("can-i create pods --subresource=portforward -n sidetap-system", self.refused("status", "-n", "shop", code=2))
        self.environment["NO_FORWARD"] = ""
        self.cluster.put_webhook()
        self.assertIn("serves no page", self.refused("status", "-n", "shop", code=2))
        del self.cluster.objects["", "pods", "sidetap-system", "sidetap-webhook-1"]
        self.assertIn("no webhook of sidetap runs in the namespace sidetap-system", self.refused("status", code=2))
        self.assertIn("namespace elsewhere", self.refused("status", "--system-namespace", "elsewhere", code=2))

    def test_who_may_not_list_pods_is_told_where(self):
        self.say(FORWARDING)
        self.say(FORWARDING, path="/api/status")
        self.cluster.denied = {("list", "pods")}
        # The webhook's pods are pods, too.
        self.assertIn("kubectl auth can-i list pods -n sidetap-system", self.refused("status", "-A", code=2))
        find = self.cluster.answer
        self.cluster.answer = lambda method, path, *more: (
            (403, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403,
                   "message": "pods is forbidden"}) if path == "/api/v1/pods" else self.without_denial(find, path, method, *more))
        self.assertIn("kubectl auth can-i list pods -A", self.refused("status", "-A", code=2))

    def without_denial(self, find, path, method, *more):
        """Only a question about rights is answered by what is denied."""
        denied = self.cluster.denied
        if "accessreviews" not in path:
            self.cluster.denied = set()
        try:
            return find(method, path, *more)
        finally:
            self.cluster.denied = denied

    def test_explain(self):
        self.cluster.put_pod("web-1", annotations={"sidetap.io/status": "{}"})
        self.say(FORWARDING, "mesh\tshop\tweb-1\tistio\t9\t8\t5\n", "interface\teth0\tyes\n", "sensor\t10.0.0.9:2003\tcapturing\t\n", "counts\t1000\t600\t590\t7\n",
                 "lost\tbacklog\t3\n", path="/api/status/shop/web-1")
        text = self.done("explain", "web-1", "-n", "shop")
        for words in ("Running on the node node-1", "tapped since its creation", "Interfaces: eth0.", "Sensor 10.0.0.9:2003: capturing.",
                      "1000 packets seen; this tap is responsible for 600 of them; 590 forwarded", "by cause: backlog 3.",
                      "the plaintext of the mesh: istio; 9 packets read from the loopback interface, 8 of them plaintext; 5 packets of"):
            self.assertIn(words, text)

    def test_explain_says_whether_a_pod_can_be_tapped(self):
        self.say("coverage\tno\n", path="/api/status/shop/web-1")
        self.assertIn("You can tap the running pod: kubectl sidetap tap web-1 -n shop", self.done("explain", "web-1", "-n", "shop"))

        def deny(_):
            raise FakeCluster.Denied("sidetap: not tapped: no sensor is configured")
        self.cluster.webhook = deny
        self.assertIn("You cannot tap the running pod: no sensor is configured", self.done("explain", "web-1", "-n", "shop"))
        self.assertNotIn("ephemeralContainers", self.cluster.objects["", "pods", "shop", "web-1"]["spec"])
