// Which certificate authority the client trusts, through rotations and wrong announcements.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/client_fixture.h"

namespace sidetap::registry {
namespace {

using testing::HasSubstr;

TEST_F(RegistryClient, RefusesACertificateForAnotherName) {
  ClientConfig with = config();
  with.server_name = "sidetap-webhook.sidetap.svc";
  ASSERT_TRUE(start(with));
  EXPECT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"handshake\"} 2"));
  EXPECT_EQ(registry_.authorization(), "") << "no token leaves before the registry is verified";
}

TEST_F(RegistryClient, FollowsTheCaThroughARotation) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  const auto next = testing_support::make_ca("next CA");
  registry_.send(R"({"type":"ca","bundle":"no certificate"})");
  registry_.send(encode(CaBundle{next.certificate}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  registry_.present(testing_support::make_leaf(next, {"IP:127.0.0.1"}));
  registry_.cut();
  EXPECT_TRUE(registry_.receive()) << "the new certificate is trusted";
}

TEST_F(RegistryClient, AWrongCaThatWasAnnouncedDoesNotLockItOut) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(encode(CaBundle{testing_support::make_ca("wrong CA").certificate}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")})) << "it has heard of the CA as well";
  registry_.cut();
  EXPECT_TRUE(registry_.receive()) << "REGISTRY_CA verifies the replica still";
}

TEST_F(RegistryClient, AWrongCaThatWasAnnouncedAfterARotationDoesNotLockItOut) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  const auto next = testing_support::make_ca("next CA");
  registry_.send(encode(CaBundle{next.certificate}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  registry_.present(testing_support::make_leaf(next, {"IP:127.0.0.1"}));
  registry_.cut();
  ASSERT_TRUE(registry_.receive());
  registry_.send(encode(CaBundle{testing_support::make_ca("wrong CA").certificate}));
  registry_.send(R"({"type":"snapshot","version":2,"taps":["10.0.0.3"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.3")}));
  registry_.cut();
  EXPECT_TRUE(registry_.receive()) << "the CA that worked last verifies the replica still";
}

TEST_F(RegistryClient, AnUnusableCaIsNamedAtTheStart) {
  ClientConfig with = config();
  with.ca = "no certificate";
  const auto started = start(with);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text, HasSubstr("CA"));
}

}  // namespace
}  // namespace sidetap::registry
