#!/usr/bin/env python3
"""What the lab of Services expects, and what it has its API server and its nodes say of them."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sidetap_lab import api_objects, packets  # noqa: E402
from sidetap_lab.cluster import Cluster, Pod, Service  # noqa: E402
from sidetap_lab.service_model import told  # noqa: E402
from sidetap_lab.services_lab import FrontEnd, front_ends  # noqa: E402


def service(name, *pods, port=8080, protocol="tcp", **more):
    return Service(name, 10, protocol, 80, [(pod, port) for pod in pods], **more)


class ToldTest(unittest.TestCase):
    def told(self, *services, tapped="ab"):
        facts = told(services, set(tapped))
        return facts.hidden, facts.partly

    def test_backends_decide(self):
        self.assertEqual(self.told(service("all", "a", "b")), ({"lab/all"}, set()))
        self.assertEqual(self.told(service("none", "u", "v")), (set(), set()))
        self.assertEqual(self.told(service("part", "a", "u")), (set(), {"lab/part"}))
        self.assertEqual(self.told(service("empty")), (set(), set()))

    def test_services_that_share_an_endpoint_count_together(self):
        chain = [service("x", "a"), service("y", "a", "b"), service("z", "b", "u")]
        self.assertEqual(self.told(*chain), (set(), {"lab/x", "lab/y", "lab/z"}))
        self.assertEqual(told(chain, {"a", "b"}).client_owned, {("a", "tcp", 8080), ("b", "tcp", 8080)})
        self.assertEqual(told(chain, set()).client_owned, set())

    def test_another_port_or_protocol_is_another_endpoint(self):
        for other in (service("part", "a", "u", port=8081), service("part", "a", "u", protocol="udp")):
            self.assertEqual(self.told(service("all", "a"), other), ({"lab/all"}, {"lab/part"}))

    def test_headless_services_have_no_part_in_it(self):
        self.assertEqual(self.told(service("all", "a"), service("part", "a", "u", headless=True)), ({"lab/all"}, set()))

    def test_ports_of_one_object_count_together(self):
        ports = [service("tcp", "a", object_name="x"), service("udp", "a", "u", protocol="udp", object_name="x")]
        self.assertEqual(self.told(*ports), (set(), {"lab/x"}))

    def test_a_service_with_an_upstream_counts_as_partly_tapped(self):
        both = [service("dns", "a", "b"), service("dns-upstream", "a", "b")]
        self.assertEqual(self.told(*both), (set(), {"lab/dns", "lab/dns-upstream"}))
        self.assertEqual(self.told(both[0], service("dns-upstream", "a", "b", namespace="elsewhere", port=53)),
                         ({"lab/dns", "elsewhere/dns-upstream"}, set()))


class ClusterTest(unittest.TestCase):
    def setUp(self):
        services = [
            Service("web", 10, "tcp", 80, [("a", 8080), ("b", 8080)], 30080, outside=True),
            Service("web-udp", 10, "udp", 80, [("a", 8080)], object_name="web", outside=True),
            Service("near", 11, "tcp", 80, [("a", 8081), ("b", 8081)], 30081, local=True),
            Service("headless", 12, "tcp", 80, [("a", 8082)], headless=True),
            Service("dns", 53, "udp", 53, [("a", 53)], namespace="kube-system", at_nodes=True, translated=False),
        ]
        self.cluster = Cluster([Pod("a", 1, 10), Pod("b", 2, 10)], services)

    def objects(self, path):
        return {(each["metadata"].get("namespace"), each["metadata"]["name"]): each
                for each in api_objects.lists(self.cluster)[path]}

    def test_ports_of_one_service_are_one_object(self):
        services = self.objects(api_objects.SERVICES)
        self.assertEqual(set(services), {("lab", "web"), ("lab", "near"), ("lab", "headless"), ("kube-system", "dns")})
        web = services["lab", "web"]
        self.assertEqual(web["spec"]["ports"], [
            {"name": "web", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080},
            {"name": "web-udp", "protocol": "UDP", "port": 80, "targetPort": 8080}])
        self.assertEqual(web["spec"]["externalIPs"], ["198.51.100.10", "2001:db8:51:1::a"])
        self.assertEqual(web["status"]["loadBalancer"]["ingress"], [{"ip": "198.51.100.110"}, {"ip": "2001:db8:51:2::a"}])
        self.assertEqual((web["spec"]["type"], web["spec"]["externalTrafficPolicy"]), ("LoadBalancer", "Cluster"))
        self.assertEqual(services["lab", "near"]["spec"]["externalTrafficPolicy"], "Local")
        self.assertEqual(services["lab", "headless"]["spec"]["clusterIPs"], ["None"])

    def test_slices_have_ports_and_nodes(self):
        slices = self.objects(api_objects.SLICES)
        self.assertEqual(len(slices), 10)
        found = slices["lab", "near-8081-ipv6"]
        self.assertEqual(found["metadata"]["labels"], {"kubernetes.io/service-name": "near"})
        self.assertEqual(found["ports"], [{"protocol": "TCP", "port": 8081}])
        self.assertEqual([(each["addresses"], each["nodeName"]) for each in found["endpoints"]],
                         [(["fd00:10:244:1::a"], "node1"), (["fd00:10:244:2::a"], "node2")])

    def test_nodes_have_their_addresses(self):
        nodes = self.objects(api_objects.NODES)
        self.assertIn({"type": "InternalIP", "address": "172.18.0.12"}, nodes[None, "node2"]["status"]["addresses"])

    def test_front_ends(self):
        found = front_ends(self.cluster)
        masqueraded, near = FrontEnd("lab/web", True), FrontEnd("lab/near", False)
        self.assertEqual(found["172.18.0.11", packets.TCP, 30080], masqueraded)
        self.assertEqual(found["fd00:18::12", packets.TCP, 30081], near)
        self.assertEqual(found["198.51.100.10", packets.UDP, 80], masqueraded)
        self.assertEqual(len(found), 4 + 4 + 4 + 4)

    def test_nodes_translate_as_kube_proxy_does(self):
        rules = self.cluster._rules(4, 2)
        self.assertIn("ip daddr 198.51.100.110 tcp dport 80 meta mark set mark or 0x4000 goto service-web;", rules)
        # Local: only to what is on the node, and as it comes.
        self.assertIn("fib daddr type local tcp dport 30081 goto outside-near;", rules)
        self.assertIn("chain outside-near { numgen random mod 1 vmap { 0 : goto service-near-1 }; }", rules)
        self.assertNotIn("10.96.0.53", rules)
        self.assertNotIn("service-headless", rules)


if __name__ == "__main__":
    unittest.main()
