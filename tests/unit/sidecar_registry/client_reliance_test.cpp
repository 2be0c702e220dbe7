// What a tap that does not forward yet, or no more, learns of what its peers leave to it.
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/client_fixture.h"

namespace sidetap::registry {
namespace {

TEST_F(RegistryClient, TheFirstWordHasBeenHeardWhenItsPeersCount) {
  ClientConfig with = config();
  with.settling = std::chrono::milliseconds(200);
  ASSERT_TRUE(start(with));
  registry_.receive();
  EXPECT_EQ(first_words(), 0U) << "nobody has said anything";
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait([&] { return first_words_ == 1; }));
  ASSERT_TRUE(peers_at_first_word_);
  EXPECT_EQ(peers_at_first_word_->tapped, Addresses{ip("10.0.0.2")});
  registry_.send(R"({"type":"change","from":1,"version":2,"add":["10.0.0.3"],"remove":[]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2"), ip("10.0.0.3")}));
  EXPECT_EQ(first_words(), 1U);
}

TEST_F(RegistryClient, IsReliedOnWhileAReplicaListsIt) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":[]})");
  ASSERT_TRUE(wait([&] { return first_words_ == 1; }));
  EXPECT_TRUE(relied_on().empty());
  forward();
  registry_.receive();
  registry_.send(R"({"type":"change","from":1,"version":2,"add":["10.1.2.3"],"remove":[]})");
  ASSERT_TRUE(wait([&] { return relied_on_ == std::vector<bool>{true}; }));
  // Its session has ended. Peers rely on it until the replica has told them.
  on_thread([this] { client_->set_own({{ip("10.1.2.3")}, {}}); });
  registry_.receive();
  registry_.send(R"({"type":"change","from":2,"version":3,"add":["10.0.0.2"],"remove":[]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  EXPECT_EQ(relied_on().size(), 1U);
  registry_.send(R"({"type":"change","from":3,"version":4,"add":[],"remove":["10.1.2.3"]})");
  EXPECT_TRUE(wait([&] { return relied_on_ == std::vector<bool>{true, false}; }));
}

TEST_F(RegistryClient, IsReliedOnWhereItsPredecessorIsStillListed) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.1.2.3"]})");
  ASSERT_TRUE(wait([&] { return relied_on_ == std::vector<bool>{true}; }));
  registry_.send(R"({"type":"change","from":1,"version":2,"add":[],"remove":["10.1.2.3"]})");
  EXPECT_TRUE(wait([&] { return relied_on_ == std::vector<bool>{true, false}; }));
}

}  // namespace
}  // namespace sidetap::registry
