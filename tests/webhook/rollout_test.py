#!/usr/bin/env python3
"""The end of a webhook, a rolling restart, and the last pod of all: no admission may fail.

kube-proxy sends new connections to terminating pods where no other pod is ready, but only to those whose readiness
probe goes on to succeed. So a webhook stays ready while it drains; its endpoint goes because its pod is terminating."""
import threading
import time
import unittest

import webhook as live


class Rollout(unittest.TestCase):
    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")
        self.context = self.secret.trust("ca1")

    def start(self, *options):
        webhook = live.Webhook(self.secret, *options)
        self.addCleanup(webhook.close)
        return webhook

    def drain(self, webhook):
        webhook.process.terminate()
        live.eventually(lambda: webhook.logged("draining"), "it drains")

    def test_after_sigterm_it_serves_ready_and_ends_connections(self):
        webhook = self.start("--drain-seconds", 3)
        client = live.Client(webhook.port, self.context)
        client.admit()
        self.assertFalse(client.closing)
        self.assertEqual(webhook.metric("sidetap_webhook_draining"), 0)
        self.drain(webhook)
        self.assertEqual(webhook.status("/readyz")[0], 200)
        self.assertEqual(webhook.metric("sidetap_webhook_ready"), 1)
        self.assertEqual(webhook.metric("sidetap_webhook_draining"), 1)
        client.admit()
        self.assertTrue(client.closing)
        late = live.Client(webhook.port, self.context)
        late.admit()
        self.assertTrue(late.closing)
        client.close()
        late.close()
        self.assertEqual(webhook.wait(), 0)
        self.assertTrue(webhook.logged("stopped"))

    def test_a_request_that_is_under_way_at_the_end_is_answered(self):
        webhook = self.start("--drain-seconds", 0)
        client = live.Client(webhook.port, self.context)
        body = live.review("late")
        client.connection.putrequest("POST", "/inject/pod")
        client.connection.putheader("Content-Type", "application/json")
        client.connection.putheader("Content-Length", str(len(body)))
        client.connection.endheaders(body[:100])
        live.eventually(lambda: webhook.metric("sidetap_webhook_requests_in_flight") == 1, "it is under way")
        self.drain(webhook)
        time.sleep(0.2)
        client.connection.send(body[100:])
        answer = client.connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.getheader("Connection"), "close")
        answer.read()
        client.close()
        self.assertEqual(webhook.wait(), 0)

    def test_idle_connections_do_not_hold_the_end_up(self):
        webhook = self.start("--drain-seconds", 0)
        clients = [live.Client(webhook.port, self.context) for _ in range(20)]
        for client in clients:
            client.admit()
        self.assertEqual(webhook.terminate(), 0)
        for client in clients:
            client.close()

    def test_a_second_signal_ends_the_drain(self):
        webhook = self.start("--drain-seconds", 3600)
        self.drain(webhook)
        self.assertEqual(webhook.terminate(), 0)

    def test_at_scale_0_the_terminating_pods_admit_until_they_end(self):
        running = [self.start("--drain-seconds", 3600) for _ in range(2)]
        load = live.Load(lambda: [webhook.port for webhook in running if webhook.ready()], lambda: self.context)
        load.wait_for_more(50)
        for webhook in running:
            self.drain(webhook)
        # As kube-proxy: none is ready that is not terminating, so to those that are ready and terminating.
        load.wait_for_more(100)
        load.stop()
        self.assertEqual(load.failures, [])
        for webhook in running:
            self.assertEqual(webhook.terminate(), 0)

    def test_a_rolling_restart_under_load_fails_nobody(self):
        running = [self.start("--drain-seconds", 2) for _ in range(2)]
        endpoints = [webhook.port for webhook in running]
        load = live.Load(lambda: list(endpoints), lambda: self.context)
        load.wait_for_more(200)
        for _ in range(3):
            old, new = running.pop(0), self.start("--drain-seconds", 2)
            running.append(new)
            endpoints.append(new.port)
            ended = []
            self.drain(old)
            waiter = threading.Thread(target=lambda: ended.append(old.wait()))
            waiter.start()
            # The endpoint goes some time after the signal: new connections still arrive.
            load.wait_for_more(100)
            endpoints.remove(old.port)
            load.wait_for_more(100)
            waiter.join()
            self.assertEqual(ended, [0])
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.dialled, 20)


if __name__ == "__main__":
    unittest.main()
