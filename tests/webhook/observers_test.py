#!/usr/bin/env python3
"""Coverage and Events as the program makes them, with an API server that lists, watches and takes Events."""
import http.client
import json
import os
import sys
import threading
import unittest
import urllib.parse

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import webhook as live
from json_server import JsonServer

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9", "uid": "u-rs", "controller": True}
CANNOT_WATCH = "coverage: cannot watch the API server; trying again"
CANNOT_SEND = "cannot send an event; trying again with the next"


def forbidden(resource):
    return 403, {"kind": "Status", "reason": "Forbidden", "message": f"{resource} is forbidden", "code": 403}


class Cluster(JsonServer):
    """Pods and namespaces that can be changed, and the Events that were created. `refused`: resources that the client has no
    right to."""

    def __init__(self, folder):
        self.changed = threading.Condition()
        self.version = 100
        self.objects = {"namespaces": {}, "pods": {}}
        self.history = []
        self.events = {}
        self.refused = set()
        super().__init__(folder, self.answer)

    def change(self, resource, kind, thing):
        with self.changed:
            self.version += 1
            thing["metadata"]["resourceVersion"] = str(self.version)
            self.history.append((self.version, resource, {"type": kind, "object": thing}))
            self.changed.notify_all()

    def put(self, resource, thing):
        self.objects[resource][thing["metadata"]["name"]] = thing
        self.change(resource, "ADDED", thing)

    def remove(self, resource, name):
        self.change(resource, "DELETED", self.objects[resource].pop(name))

    def watch(self, resource, version):
        while True:
            with self.changed:
                news = [(number, event) for number, of, event in self.history if of == resource and number > version]
                if not news and not self.changed.wait(live.PATIENCE):
                    return
            for version, event in news:
                yield json.dumps(event).encode() + b"\n"

    def take_event(self, path, event):
        metadata = event["metadata"]
        if path != f"/api/v1/namespaces/{metadata['namespace']}/events":
            return 400, {"kind": "Status", "reason": "BadRequest"}
        if metadata["name"] in self.events:
            return 409, {"kind": "Status", "reason": "AlreadyExists"}
        self.events[metadata["name"]] = event
        return 201, event

    def answer(self, method, path, _headers, body):
        path, _, query = path.partition("?")
        values = urllib.parse.parse_qs(query)
        resource = path.rsplit("/", 1)[1]
        with self.changed:
            if resource in self.refused:
                return forbidden(resource)
            if resource == "tokenreviews":
                return 201, {"status": {"authenticated": True, "user": {"username": "reader"}}}
            if resource == "subjectaccessreviews":
                return 201, {"status": {"allowed": True}}
            if method == "POST" and resource == "events":
                return self.take_event(path, json.loads(body))
            if resource not in self.objects:
                return 404, {}
            if "watch" in values:
                return 200, self.watch(resource, int(values["resourceVersion"][0]))
            return 200, {"metadata": {"resourceVersion": str(self.version)}, "items": list(self.objects[resource].values())}


def namespace(name, label):
    return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, "sidetap.io/inject": label}}}


def pod(name=None, owner=OWNER, annotations=None, **spec):
    """A pod that runs, or without a name one that is about to be created."""
    metadata = {"name": name, "namespace": "shop"} if name else {"generateName": "web-"}
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {**metadata, "labels": {"pod-template-hash": "7d4b9"}, "annotations": annotations or {},
                         "creationTimestamp": "2026-01-02T03:04:05Z", "ownerReferences": [owner] if owner else []},
            "spec": {"containers": [{"name": "web", "image": "web:1"}], **spec}, "status": {"phase": "Running"}}


class WithCluster(unittest.TestCase):
    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")
        self.cluster = Cluster(self.secret.root / "ca1")
        self.addCleanup(self.cluster.close)
        self.account = self.secret.account("ca1")

    def start(self, *options):
        webhook = live.Webhook(self.secret, "--service-account", self.account, *options,
                               environment=live.environment_of_pod(self.cluster.port))
        self.addCleanup(webhook.close)
        return webhook


class Coverage(WithCluster):
    def ask(self, webhook):
        """Status and document."""
        connection = http.client.HTTPSConnection("127.0.0.1", webhook.port_of("serving the registry of taps"),
                                                 context=self.secret.trust("ca1"), timeout=live.PATIENCE)
        try:
            connection.request("GET", "/v1/coverage", headers={"Authorization": "Bearer reader"})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.status == 200 else text
        finally:
            connection.close()

    def causes(self, webhook):
        status, document = self.ask(webhook)
        return {one["pod"]: one["cause"] for one in document["pods"]} if status == 200 else None

    def test_pods_without_a_tap_are_listed_with_their_causes_until_they_are_deleted(self):
        self.cluster.put("namespaces", namespace("shop", "enabled"))
        self.cluster.put("pods", pod("web-1"))
        self.cluster.put("pods", pod("alone", owner=None))
        self.cluster.put("pods", pod("node", hostNetwork=True))
        self.cluster.put("pods", pod("tapped", annotations={"sidetap.io/status": '{"container": "sidetap"}'},
                                     initContainers=[{"name": "sidetap", "restartPolicy": "Always"}]))
        webhook = self.start("--registry-listen", "127.0.0.1:0", "--coverage", "on")
        causes = {"web-1": "missed", "alone": "bare", "node": "declined"}
        live.eventually(lambda: self.causes(webhook) == causes, "all are listed")
        document = self.ask(webhook)[1]
        self.assertEqual((document["tapped"], document["untapped"], document["complete"]), (1, 3, True))
        by_name = {one["pod"]: one for one in document["pods"]}
        self.assertEqual(by_name["web-1"]["owner"], "Deployment/web")
        self.assertIsNone(by_name["alone"]["owner"])
        self.assertIn("node's network", by_name["node"]["detail"])
        self.assertEqual(webhook.metric("sidetap_coverage_pods"), 4)
        self.cluster.remove("pods", "web-1")
        live.eventually(lambda: self.causes(webhook) == {"alone": "bare", "node": "declined"}, "it is no longer listed")
        self.cluster.put("namespaces", namespace("shop", "disabled"))
        live.eventually(lambda: self.causes(webhook) == {}, "the namespace is no longer selected")
        self.assertEqual(webhook.terminate(), 0)

    def test_a_new_configuration_decides_anew(self):
        self.cluster.put("namespaces", namespace("shop", "enabled"))
        self.cluster.put("pods", pod("web-1"))
        webhook = self.start("--registry-listen", "127.0.0.1:0", "--coverage", "on")
        live.eventually(lambda: self.causes(webhook) == {"web-1": "missed"}, "it is listed")
        self.secret.configuration.write_text("sensor: {address: 192.0.2.1}\ninjection: {excludedNamespaces: [shop]}\n")
        live.eventually(lambda: self.causes(webhook) == {"web-1": "declined"}, "it is excluded")

    def test_without_the_right_to_list_there_is_one_warning_and_reviews_are_answered(self):
        self.cluster.refused = {"namespaces"}
        webhook = self.start("--registry-listen", "127.0.0.1:0", "--coverage", "on")
        live.eventually(lambda: webhook.metric("sidetap_coverage_watch_failures_total") >= 3, "it tries again")
        warnings = webhook.logged(CANNOT_WATCH)
        self.assertEqual(len(warnings), 1)
        self.assertIn("403", warnings[0]["reason"])
        self.assertEqual(self.ask(webhook)[0], 503)
        client = live.Client(webhook.port, self.secret.trust("ca1"))
        client.admit()
        client.close()
        self.assertEqual(webhook.terminate(), 0)

    def test_it_is_off_unless_it_is_asked_for(self):
        webhook = self.start("--registry-listen", "127.0.0.1:0")
        self.assertEqual(self.ask(webhook)[0], 404)
        self.assertNotIn("sidetap_coverage", webhook.status("/metrics")[1])


class Events(WithCluster):
    def review(self, webhook, times=1, owner=OWNER, dry_run=False):
        """Reviews of a pod that asks for a tap and cannot have one."""
        document = json.loads(live.review(pod=pod(owner=owner, annotations={"sidetap.io/inject": "true"}, hostNetwork=True)))
        document["request"]["dryRun"] = dry_run
        client = live.Client(webhook.port, self.secret.trust("ca1"))
        try:
            for _ in range(times):
                status, body = client.post(json.dumps(document).encode())
                self.assertEqual((status, json.loads(body)["response"]["allowed"]), (200, True))
        finally:
            client.close()

    def test_many_replicas_of_a_declined_deployment_make_one_event(self):
        webhook = self.start("--events", "on")
        self.review(webhook, dry_run=True)
        self.review(webhook, owner=None)
        self.review(webhook, times=50)
        live.eventually(lambda: webhook.metric("sidetap_events_sent_total") == 1, "one is sent")
        live.eventually(lambda: webhook.metric("sidetap_events_dropped_total") == 49, "the others are not")
        event, = self.cluster.events.values()
        self.assertEqual(event["involvedObject"], {"apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": "shop",
                                                   "name": "web-7d4b9", "uid": "u-rs"})
        self.assertEqual((event["type"], event["reason"]), ("Warning", "TapDeclined"))
        self.assertIn("node's network", event["message"])
        self.assertEqual(webhook.terminate(), 0)

    def test_replicas_of_the_webhook_make_one_event_together(self):
        for _ in range(2):
            webhook = self.start("--events", "on")
            self.review(webhook)
            live.eventually(lambda: webhook.metric("sidetap_events_sent_total") + webhook.metric(
                "sidetap_events_dropped_total") == 1, "it is sent, or there")
        self.assertEqual(len(self.cluster.events), 1)
        self.assertEqual(webhook.metric("sidetap_events_dropped_total"), 1)

    def test_without_the_right_to_create_events_there_is_one_warning_and_reviews_are_answered(self):
        self.cluster.refused = {"events"}
        webhook = self.start("--events", "on")
        for number in range(3):
            self.review(webhook, owner={**OWNER, "uid": f"u-{number}"})
        live.eventually(lambda: webhook.metric("sidetap_events_dropped_total") == 3, "all are refused")
        self.assertEqual(len(webhook.logged(CANNOT_SEND)), 1)
        self.assertEqual(webhook.terminate(), 0)

    def test_they_are_off_unless_they_are_asked_for(self):
        webhook = self.start()
        self.review(webhook)
        self.assertNotIn("sidetap_events", webhook.status("/metrics")[1])
        self.assertEqual(self.cluster.events, {})


if __name__ == "__main__":
    unittest.main()
