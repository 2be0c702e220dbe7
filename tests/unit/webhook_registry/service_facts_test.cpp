#include "webhook/registry/service_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/addresses.h"

namespace sidetap::webhook::registry {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(ReadService, TakesEveryClusterIp) {
  const auto facts = read_service(json::parse(R"({"metadata":{"name":"web","namespace":"shop"},
      "spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00:96::1","10.96.0.1"]}})"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->name, "shop/web");
  EXPECT_THAT(facts->addresses, ElementsAre(ip("10.96.0.1"), ip("fd00:96::1")));
  const auto old = read_service(json::parse(
      R"({"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.96.0.1"}})"));
  EXPECT_THAT(old->addresses, ElementsAre(ip("10.96.0.1")));
}

TEST(ReadService, HeadlessAndExternalOnesHaveNoAddress) {
  for (const char* spec : {R"({"clusterIP":"None","clusterIPs":["None"]})", R"({"clusterIP":""})",
                           R"({"type":"ExternalName"})", R"({"clusterIPs":[7,{}]})", "[]", "7"}) {
    json object = json::parse(R"({"metadata":{"name":"web","namespace":"shop"}})");
    object["spec"] = json::parse(spec);
    const auto facts = read_service(object);
    ASSERT_TRUE(facts) << spec;
    EXPECT_THAT(facts->addresses, IsEmpty()) << spec;
  }
}

ServiceFacts service_with(const char* spec, const char* status = "{}") {
  json object = json::parse(R"({"metadata":{"name":"web","namespace":"shop"}})");
  object["spec"] = json::parse(spec);
  object["status"] = json::parse(status);
  return read_service(object).value();
}

TEST(ReadService, TakesPortsAndNodePorts) {
  const auto facts = service_with(R"({"ports":[{"port":80,"nodePort":30080},
      {"protocol":"UDP","port":53},{"protocol":"SCTP","port":70000},{"protocol":"ICMP","port":1},
      {"port":"80"},7,{"port":18446744073709551615},{"protocol":"SCTP","port":5060,"nodePort":-1}],
      "externalTrafficPolicy":"Local"})");
  EXPECT_THAT(facts.ports, ElementsAre(ServicePort{{6, 80}, 30080}, ServicePort{{17, 53}, 0},
                                       ServicePort{{132, 5060}, 0}));
  EXPECT_TRUE(facts.local);
  EXPECT_FALSE(service_with(R"({"externalTrafficPolicy":"Cluster"})").local);
}

TEST(ReadService, TakesExternalAddressesAtWhichTheProxiesAnswer) {
  constexpr const char* kStatus = R"({"loadBalancer":{"ingress":[{"ip":"198.51.100.1"},
      {"ip":"198.51.100.2","ipMode":"VIP"},{"ip":"198.51.100.3","ipMode":"Proxy"},
      {"hostname":"lb.example.com"},{"ip":"0.0.0.0"},7]}})";
  const auto unfenced =
      service_with(R"({"externalIPs":["203.0.113.1","203.0.113.1","x","::"]})", kStatus);
  EXPECT_THAT(unfenced.external,
              ElementsAre(ip("203.0.113.1"), ip("198.51.100.1"), ip("198.51.100.2")));
  const auto fenced = service_with(
      R"({"externalIPs":["203.0.113.1"],"loadBalancerSourceRanges":["192.0.2.0/24"]})", kStatus);
  EXPECT_THAT(fenced.external, ElementsAre(ip("203.0.113.1")))
      << "a firewall may drop packets to the load balancer";
  EXPECT_THAT(service_with("{}", R"({"loadBalancer":7})").external, IsEmpty());
}

TEST(ReadService, OfOneObjectOnlySoMuchIsTaken) {
  json spec;
  for (unsigned n = 1; n <= 2'000; ++n) {
    spec["ports"].push_back({{"port", n}});
    spec["externalIPs"].push_back(host(n).to_string());
  }
  const auto facts = service_with(spec.dump().c_str());
  EXPECT_EQ(facts.ports.size(), kMostServicePorts);
  EXPECT_EQ(facts.external.size(), kMostExternalAddresses);
}

TEST(ReadService, WhatHasNoNameIsNone) {
  for (const char* text : {"{}", "[]", "null", "7", R"({"metadata":7})", R"({"metadata":{}})",
                           R"({"metadata":{"name":"web"}})", R"({"metadata":{"namespace":"a"}})",
                           R"({"metadata":{"name":[],"namespace":"a"}})"}) {
    EXPECT_FALSE(read_service(json::parse(text))) << text;
    EXPECT_FALSE(read_slice(json::parse(text))) << text;
  }
}

TEST(ReadSlice, TakesEveryEndpointWithItsConditions) {
  const auto facts = read_slice(json::parse(R"({
      "metadata":{"name":"web-x","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
      "addressType":"IPv4",
      "endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},
                   {"addresses":["10.0.0.2"],"conditions":{"ready":false,"terminating":true}},
                   {"addresses":["10.0.0.3"],"conditions":{"ready":false,"serving":true}},
                   {"addresses":["10.0.0.4"],"conditions":{}},
                   {"addresses":["10.0.0.5"],"conditions":{"ready":null,"terminating":"yes"}},
                   {"addresses":["10.0.0.6"]}]})"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->name, "shop/web-x");
  EXPECT_EQ(facts->service, "shop/web");
  EXPECT_TRUE(facts->v4);
  EXPECT_FALSE(facts->v6);
  EXPECT_THAT(
      facts->endpoints,
      ElementsAre(Endpoint{ip("10.0.0.1"), true, false}, Endpoint{ip("10.0.0.2"), false, true},
                  Endpoint{ip("10.0.0.3"), false, false}, Endpoint{ip("10.0.0.4"), true, false},
                  Endpoint{ip("10.0.0.5"), true, false}, Endpoint{ip("10.0.0.6"), true, false}));
  EXPECT_FALSE(facts->unreadable);
}

TEST(ReadSlice, WhatCannotBeReadCountsAsUntapped) {
  for (const char* rest :
       {R"("addressType":"FQDN","endpoints":[{"addresses":["db.example.com"]}])",
        R"("addressType":"IPv4","endpoints":[{"addresses":["fd00::1"]}])",
        R"("addressType":"IPv4","endpoints":[{"addresses":[]}])",
        R"("addressType":"IPv4","endpoints":[{}])", R"("addressType":"IPv4","endpoints":[7])",
        R"("addressType":"IPv4","endpoints":[{"addresses":[7]}])",
        R"("endpoints":[{"addresses":["10.0.0.1"]}])"}) {
    const auto facts = read_slice(json::parse(
        R"({"metadata":{"name":"x","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},)" +
        std::string(rest) + "}"));
    ASSERT_TRUE(facts) << rest;
    EXPECT_TRUE(facts->unreadable) << rest;
  }
}

SliceFacts slice_with(const json& ports) {
  json object = json::parse(R"({"metadata":{"name":"x","namespace":"shop",
      "labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
      "endpoints":[{"addresses":["10.0.0.1"],"nodeName":"a"},{"addresses":["10.0.0.2"]}]})");
  object["ports"] = ports;
  return read_slice(object).value();
}

TEST(ReadSlice, TakesThePortsAndTheNodes) {
  const auto facts = slice_with(
      json::parse(R"([{"protocol":"UDP","port":53},{"port":8080},{"name":"again","port":8080}])"));
  EXPECT_THAT(facts.ports, ElementsAre(TransportPort{6, 8080}, TransportPort{17, 53}));
  ASSERT_EQ(facts.endpoints.size(), 2U);
  EXPECT_EQ(facts.endpoints[0].node, "a");
  EXPECT_EQ(facts.endpoints[1].node, "");
}

TEST(ReadSlice, WithoutCertainPortsItMayBeAnyPort) {
  for (const char* ports : {"null", "[]", R"([{"name":""}])", R"([{"port":null},{"port":80}])",
                            R"([{"port":80,"protocol":"X"}])", "[7]", "7"})
    EXPECT_THAT(slice_with(json::parse(ports)).ports, IsEmpty()) << ports;
  json many;
  for (unsigned n = 1; n <= kMostSlicePorts + 1; ++n) many.push_back({{"port", n}});
  EXPECT_THAT(slice_with(many).ports, IsEmpty());
}

TEST(ReadNode, TakesInternalAddresses) {
  const auto facts = read_node(json::parse(R"({"metadata":{"name":"a"},"status":{"addresses":[
      {"type":"InternalIP","address":"172.18.0.2"},{"type":"InternalIP","address":"fd00:18::2"},
      {"type":"ExternalIP","address":"203.0.113.9"},{"type":"Hostname","address":"a"},
      {"type":"InternalIP","address":"0.0.0.0"},{"type":"InternalIP"},7]}})"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->name, "a");
  EXPECT_THAT(facts->addresses, ElementsAre(ip("172.18.0.2"), ip("fd00:18::2")));
}

TEST(ReadNode, WhatHasNoProperNameIsNone) {
  for (const char* text : {"{}", "[]", "7", R"({"metadata":{}})", R"({"metadata":{"name":7}})"})
    EXPECT_FALSE(read_node(json::parse(text))) << text;
  json object;
  object["metadata"]["name"] = std::string(kMostNodeNameBytes + 1, 'x');
  EXPECT_FALSE(read_node(object));
}

TEST(ReadSlice, WithoutAServiceItIsNone) {
  EXPECT_FALSE(read_slice(json::parse(
      R"({"metadata":{"name":"x","namespace":"shop"},"addressType":"IPv4","endpoints":[]})")));
}

}  // namespace
}  // namespace sidetap::webhook::registry
