#include "webhook/certificates/objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::certificates {
namespace {

using nlohmann::json;

// Lengths that give every kind of Base64 padding.
const State kState{{"a", "bb"}, {"ccc", "dddd"}, "eeeee", {"ffffff", "g"}};

TEST(CertificateObjects, ASecretKeepsTheStateAndEverythingElse) {
  json secret = new_secret("ns", "certs");
  secret["metadata"]["resourceVersion"] = "7";
  secret["metadata"]["annotations"]["theirs"] = "stays";
  secret["data"]["theirs"] = "eHg=";
  const json written = with_state(secret, kState);
  EXPECT_EQ(state_of_secret(written), kState);
  EXPECT_EQ(written["metadata"], secret["metadata"]);
  EXPECT_EQ(written["data"]["theirs"], "eHg=");
  EXPECT_EQ(written["data"]["ca.crt"], "YQ==");
  EXPECT_EQ(written["data"]["bundle.crt"], "YWNjY2VlZWVl");
}

TEST(CertificateObjects, WhatTheStateHasNotIsTakenOut) {
  json secret = with_state(new_secret("ns", "certs"), kState);
  State without = kState;
  without.next = {};
  without.previous.clear();
  secret = with_state(secret, without);
  EXPECT_EQ(state_of_secret(secret), without);
  EXPECT_FALSE(secret["data"].contains("next-ca.key"));
}

TEST(CertificateObjects, ASecretOfCollectorsKeepsTheLeafAndEverythingElse) {
  json secret = new_secret("ns", "collector");
  secret["data"]["theirs"] = "eHg=";
  const json written = with_leaf(secret, {"ffffff", "g"}, "a");
  EXPECT_EQ(leaf_of_secret(written), (Pair{"ffffff", "g"}));
  EXPECT_EQ(written["data"]["ca.crt"], "YQ==");
  EXPECT_EQ(written["data"]["theirs"], "eHg=");
  EXPECT_EQ(leaf_of_secret(json::parse(R"({"data":{"tls.crt":5,"tls.key":"@@@@"}})")), Pair{});
}

TEST(CertificateObjects, OddSecretsAreEmptyStates) {
  for (const char* text :
       {"null", "[]", "{}", R"({"data":null})", R"({"data":[1]})", R"({"data":{"tls.crt":5}})",
        R"({"data":{"tls.crt":"@@@@","ca.crt":"abc"}})"}) {
    EXPECT_EQ(state_of_secret(json::parse(text)), State{}) << text;
  }
}

TEST(CertificateObjects, ThePatchSetsEveryEntryThatDiffersAndNothingElse) {
  const json configuration = json::parse(R"({
    "metadata": {"resourceVersion": "12"},
    "webhooks": [
      {"name": "a", "clientConfig": {"service": {"name": "x"}}},
      {"name": "b", "clientConfig": {"caBundle": "bmV3"}},
      {"name": "c", "clientConfig": {"caBundle": "b2xk"}}]})");
  const json patch = bundle_patch(configuration, "new");
  EXPECT_EQ(patch, json::parse(R"([
    {"op": "test", "path": "/metadata/resourceVersion", "value": "12"},
    {"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "bmV3"},
    {"op": "add", "path": "/webhooks/2/clientConfig/caBundle", "value": "bmV3"}])"));
  EXPECT_TRUE(bundle_patch(configuration.patch(patch), "new").is_null());
}

TEST(CertificateObjects, OddConfigurationsNeedNoPatch) {
  for (const char* text :
       {"null", "{}", R"({"webhooks":5})", R"({"webhooks":[]})", R"({"webhooks":[1,{}]})"}) {
    EXPECT_TRUE(bundle_patch(json::parse(text), "new").is_null()) << text;
  }
}

}  // namespace
}  // namespace sidetap::certificates
