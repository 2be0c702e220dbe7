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

TEST(ReadSlice, WithoutAServiceItIsNone) {
  EXPECT_FALSE(read_slice(json::parse(
      R"({"metadata":{"name":"x","namespace":"shop"},"addressType":"IPv4","endpoints":[]})")));
}

}  // namespace
}  // namespace sidetap::webhook::registry
