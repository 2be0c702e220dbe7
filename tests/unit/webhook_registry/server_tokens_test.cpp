// Who is asked for a token, and how often the API server is asked about it.
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

TEST_F(RegistryServer, ATokenIsReviewedOnce) {
  serve_with_tokens();
  for (int i = 0; i < 3; ++i) {
    const auto a = tap({ip("127.0.0.1")}, "good");
    a->forward(true);
    EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
    a->end();
    EXPECT_TRUE(shows("sidetap_registry_addresses 0"));
  }
  EXPECT_EQ(api_requests_, 1);
}

TEST_F(RegistryServer, DeclinesWhoIsNoPod) {
  serve_with_tokens();
  EXPECT_THAT(ask(upgrade()), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask(upgrade("Authorization: Basic eDp5\r\n")), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask(upgrade("Authorization: Bearer bad\r\n")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask(upgrade("Authorization: Bearer user\r\n")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask(upgrade("Authorization: Bearer down\r\n")), StartsWith("HTTP/1.1 503 "));
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"token\"} 2"));
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, WhatIsNoTokenIsNotAskedForAndDoesNotDisturbTheNext) {
  serve_with_tokens();
  // More often than there are connections to the API server.
  for (int i = 0; i < 6; ++i) {
    EXPECT_THAT(ask(upgrade_with("\xff")), StartsWith("HTTP/1.1 401 "));
  }
  for (const char* text : {"a b", "a\"b", "=a", "a=b", "="}) {
    EXPECT_THAT(ask(upgrade_with(text)), StartsWith("HTTP/1.1 401 ")) << text;
  }
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"token\"} 11"));
  EXPECT_EQ(api_requests_, 0);
  EXPECT_THAT(ask(upgrade_with("Aa0-._~+/==")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(asking("good")->read_answer(), StartsWith("HTTP/1.1 101 "));
}

TEST_F(RegistryServer, ATokenOfItsOwnThatIsNoneForAWhileIsNoEnd) {
  serve_with_tokens();
  const auto client = asking("good");
  EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
  // What a header cannot hold.
  folder_.write("me", std::string(70'000, 'x'));
  EXPECT_THAT(ask(upgrade_with("user")), StartsWith("HTTP/1.1 503 "));
  client->send(frame(R"({"type":"hello","version":1,"addresses":["10.0.0.9"],"forwarding":true})"));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"forwarding\"} 1"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 0"));
  folder_.write("me", "me");
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
}

TEST_F(RegistryServer, WhoHasGoneBeforeItsTurnIsNotAskedFor) {
  token_hangs_ = true;
  serve_with_tokens();
  std::vector<std::unique_ptr<TlsClient>> patient, gone;
  for (int i = 0; i < 4; ++i) patient.push_back(asking("bad-" + std::to_string(i)));
  for (int i = 0; i < 8; ++i) gone.push_back(asking("gone-" + std::to_string(i)));
  EXPECT_TRUE(shows("sidetap_registry_connections 12"));
  gone.clear();
  token_hangs_ = false;
  for (const auto& client : patient) {
    EXPECT_THAT(client->read_all(), StartsWith("HTTP/1.1 403 "));
  }
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
  EXPECT_EQ(api_requests_, 4);
}

TEST_F(RegistryServer, WhatWasLearnedMeanwhileIsNotAskedForAgain) {
  token_hangs_ = true;
  serve_with_tokens();
  std::vector<std::unique_ptr<TlsClient>> replicas;
  for (int i = 0; i < 12; ++i) replicas.push_back(asking("good"));
  EXPECT_TRUE(shows("sidetap_registry_connections 12"));
  token_hangs_ = false;
  for (const auto& client : replicas) {
    EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
  }
  EXPECT_EQ(api_requests_, 4);
}

TEST_F(RegistryServer, TokensThatAreBeingCheckedDoNotHoldTheEndUp) {
  token_hangs_ = true;
  serve_with_tokens();
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(asking("token-" + std::to_string(i)));
  EXPECT_TRUE(shows("sidetap_registry_connections 12"));
  EXPECT_TRUE(ends_soon());
  token_hangs_ = false;
  EXPECT_THAT(metrics_.text(), testing::Not(HasSubstr("sidetap_registry_refused_total{")));
}

}  // namespace
}  // namespace sidetap::webhook::registry
