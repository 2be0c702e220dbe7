// The registry's server against the taps' own client, and against clients that are not taps.
#include "webhook/registry/server.h"

#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

TEST_F(RegistryServer, TapsLearnOfEachOther) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  const auto b = tap({ip("10.0.0.2"), ip("fd00::2")});
  EXPECT_TRUE(a->sees({}));
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2"), ip("fd00::2")}));
  a->forward(true);
  EXPECT_TRUE(b->sees({ip("10.0.0.1")}));  // A tap is no peer of its own.
  const auto late = tap({ip("10.0.0.3")});
  EXPECT_TRUE(late->sees({ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::2")}));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"forwarding\"} 2"));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 3"));
}

TEST_F(RegistryServer, ATapLeavesByItsWordAndByItsEnd) {
  serve();
  const auto watcher = tap({ip("10.0.0.1")});
  const auto polite = tap({ip("10.0.0.2")});
  const auto abrupt = tap({ip("10.0.0.3")});
  polite->forward(true);
  abrupt->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2"), ip("10.0.0.3")}));
  EXPECT_TRUE(polite->sees({ip("10.0.0.3")}));
  polite->leave();  // Returns when the registry lists it no more.
  EXPECT_TRUE(watcher->sees({ip("10.0.0.3")}));
  abrupt->end();
  EXPECT_TRUE(watcher->sees({}));
}

TEST_F(RegistryServer, AnAddressInNewHandsIsTheNewTaps) {
  serve();
  const auto watcher = tap({ip("10.0.0.1")});
  const auto old_one = tap({ip("10.0.0.2")});
  old_one->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2")}));
  const auto new_one = tap({ip("10.0.0.2")});
  EXPECT_TRUE(watcher->sees({}));
  new_one->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2")}));
}

TEST_F(RegistryServer, WhatAReplicaSaidEndsWithIt) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  const auto b = tap({ip("10.0.0.2")});
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2")}));
  server_->stop();
  EXPECT_TRUE(a->sees({}));  // Nobody vouches for anyone any more.
}

TEST_F(RegistryServer, TapsLearnOfServicesTogetherWithTheirBackends) {
  serve_with_services([](const http::HttpRequest& request) {
    const std::string_view target = request.target;
    std::string body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":
            {"name":"web","namespace":"shop"},"spec":{"clusterIPs":["10.96.0.1"]}}]})";
    if (target.find("endpointslices") != target.npos)
      body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"web-1",
              "namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
              "addressType":"IPv4","endpoints":[{"addresses":["10.0.0.2"]}]}]})";
    // A watch that tells nothing.
    if (target.find("watch=1") != target.npos) body.clear();
    return http::HttpAnswer{200, "application/json", {}, body};
  });
  const auto client = tap({ip("10.0.0.1")});
  const auto backend = tap({ip("10.0.0.2")});
  EXPECT_TRUE(client->sees({}, Addresses{}));
  backend->forward(true);
  EXPECT_TRUE(client->sees({ip("10.0.0.2")}, Addresses{ip("10.96.0.1")}));
  EXPECT_TRUE(shows("sidetap_registry_services{backends=\"tapped\"} 1"));
  backend->forward(false);
  EXPECT_TRUE(client->sees({}, Addresses{}));
  EXPECT_TRUE(shows("sidetap_registry_services{backends=\"untapped\"} 1"));
}

TEST_F(RegistryServer, WhatIsNotKnownOfServicesIsAnEmptyList) {
  serve_with_services([](const http::HttpRequest&) {
    return http::HttpAnswer{500, "application/json", {}, "{}"};
  });
  const auto client = tap({ip("10.0.0.1")});
  EXPECT_TRUE(client->sees({}, Addresses{}));
  const auto backend = tap({ip("10.0.0.2")});
  backend->forward(true);
  EXPECT_TRUE(client->sees({ip("10.0.0.2")}, Addresses{}));
}

TEST_F(RegistryServer, TapsFollowTheAuthority) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  EXPECT_TRUE(a->sees({}));
  const auto next = testing_support::make_ca("next");
  server_->set_ca(ca_.certificate + next.certificate);
  const auto b = tap({ip("10.0.0.2")});
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2")}));  // By now it has heard of the authority, too.
  b->end();
  EXPECT_TRUE(a->sees({}));
  const auto leaf = testing_support::make_leaf(next, {"IP:127.0.0.1"});
  ASSERT_TRUE(tls_.replace({leaf.certificate, leaf.key}));
  // Its next connection is to a server that only the new authority has signed.
  const std::uint16_t port = port_;
  server_.reset();
  ServerConfig config;
  config.listen = {"127.0.0.1", port};
  telemetry::MetricsRegistry metrics;
  Server again(std::move(config), tls_, metrics);
  ASSERT_TRUE(again.start());
  a->forward(true);
  for (int i = 0; i < 1000; ++i) {
    if (metrics.text().find("sidetap_registry_addresses 1") != std::string::npos) return;
    std::this_thread::sleep_for(milliseconds(10));
  }
  FAIL() << metrics.text();
}

TEST_F(RegistryServer, ACaThatDoesNotVerifyTheCertificateIsNotTold) {
  serve();
  const auto wrong = testing_support::make_ca("wrong");
  TlsClient early(port_);
  early.send(upgrade());
  EXPECT_THAT(early.read_answer(), StartsWith("HTTP/1.1 101 "));
  early.send(frame(kHello));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  server_->set_ca(wrong.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 0"));
  server_->set_ca(ca_.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 1"));
  server_->set_ca(wrong.certificate);
  TlsClient late(port_);
  late.send(upgrade());
  EXPECT_THAT(late.read_answer(), StartsWith("HTTP/1.1 101 "));
  late.send(frame(kHello));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 2"));
  server_->stop();
  for (TlsClient* const client : {&early, &late}) {
    const std::string told = client->read_all();
    EXPECT_THAT(told, HasSubstr(wire_text(ca_.certificate)));
    EXPECT_THAT(told, testing::Not(HasSubstr(wire_text(wrong.certificate))));
  }
}

TEST_F(RegistryServer, ACaThatTheNextCertificateIsNotOfIsToldNoMore) {
  serve();
  server_->set_ca(ca_.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 1"));
  const auto next = testing_support::make_ca("next");
  const auto leaf = testing_support::make_leaf(next, {"IP:127.0.0.1"});
  ASSERT_TRUE(tls_.replace({leaf.certificate, leaf.key}));
  TlsClient client(port_);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 0"));
  server_->set_ca(next.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 1"));
}

TEST_F(RegistryServer, ATokenProvesAPodAndItsAddresses) {
  serve_with_tokens();
  // One address by the connection, one by the pod's status, one by nothing.
  const auto liar = tap({ip("127.0.0.1"), ip("10.0.0.9"), ip("10.0.0.66")}, "good");
  liar->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  EXPECT_TRUE(shows("sidetap_registry_unproven_addresses_total"));
}

TEST_F(RegistryServer, AnAddressThatTheKubeletHasNotToldYetIsNoFault) {
  answers_without_status_ = 3;
  serve_with_tokens();
  const auto fresh = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  fresh->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  EXPECT_THAT(metrics_.text(),
              testing::Not(HasSubstr("sidetap_registry_unproven_addresses_total")));
}

TEST_F(RegistryServer, WithoutTheRightToGetPodsTheConnectionsAddressIsProof) {
  may_get_pods_ = false;
  serve_with_tokens();
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  const auto forger = tap({ip("10.0.0.66")}, "good");
  forger->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"addresses\"}"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
}

TEST_F(RegistryServer, WhoIsRefusedHearsWhyThoughNewsIsOnItsWay) {
  serve_with_tokens();
  // What the API server has said of the pod is known at once from then on.
  const auto owner = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  owner->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  const std::string hello =
      R"({"type":"hello","version":1,"addresses":["10.0.0.66"],"forwarding":true})";
  for (int i = 0; i < 3; ++i) {
    TlsClient client(port_);
    client.send(upgrade("Authorization: Bearer good\r\n"));
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 101 "));
    client.send(frame(hello));
    EXPECT_THAT(client.read_all(), HasSubstr("none of the addresses"));
  }
}

TEST_F(RegistryServer, WhoIsRefusedTwiceAtOnceIsGone) {
  pod_hangs_ = true;
  serve_with_tokens();
  // More than the sockets take: what it is told stays under way until it reads.
  server_->set_ca(ca_.certificate + std::string(8u << 20, 'x'));
  const auto client = asking("good");
  EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
  client->send(
      frame(R"({"type":"hello","version":1,"addresses":["10.0.0.66"],"forwarding":true})"));
  for (int i = 0; i < 1000 && pods_asked_for_ == 0; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  pod_hangs_ = false;
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"addresses\"} 1"));
  client->send(frame("nonsense"));
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"protocol\"} 1"));
  client->read_all();
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
  EXPECT_TRUE(ends_soon());
}

TEST_F(RegistryServer, WhatTheConnectionProvesCountsWhileTheApiServerFails) {
  pod_fails_ = true;
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(watcher->sees({ip("127.0.0.1")}));
  pod_fails_ = false;
  EXPECT_TRUE(watcher->sees({ip("10.0.0.9"), ip("127.0.0.1")})) << "it is asked again";
}

TEST_F(RegistryServer, ThatATapForwardsNoMoreWaitsForNoProof) {
  pod_hangs_ = true;
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(watcher->sees({ip("127.0.0.1")}));
  a->forward(false);
  EXPECT_TRUE(watcher->sees({}));
  pod_hangs_ = false;
}

TEST_F(RegistryServer, AnAddressIsProvedOnceForAConnectionAndNotForATapThatIsIdle) {
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  EXPECT_TRUE(watcher->sees({}));
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 2"));
  EXPECT_EQ(pods_asked_for_, 0);
  for (int i = 0; i < 3; ++i) {
    a->forward(true);
    EXPECT_TRUE(watcher->sees({ip("10.0.0.9"), ip("127.0.0.1")}));
    a->forward(false);
    EXPECT_TRUE(watcher->sees({}));
  }
  EXPECT_EQ(pods_asked_for_, 1);
}

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

TEST_F(RegistryServer, AddressesThatAreBeingProvedDoNotHoldTheEndUp) {
  pod_hangs_ = true;
  serve_with_tokens();
  std::vector<std::unique_ptr<Tap>> taps;
  for (int i = 0; i < 6; ++i) taps.push_back(tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good"));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 6"));
  for (const auto& tap : taps) tap->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"forwarding\"} 6"));
  EXPECT_TRUE(ends_soon());
  pod_hangs_ = false;
}

TEST_F(RegistryServer, DeclinesWhatIsNotItsProtocol) {
  serve();
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("GET /v1/taps HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(ask("\x01\x02\x03\r\n\r\n"), "");
  EXPECT_EQ(ask("GET /" + std::string(100'000, 'x')), "");
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, EndsWhoSaysNoHello) {
  ServerConfig config;
  config.handshake = config.silence = milliseconds(200);
  serve(std::move(config));
  TlsClient silent(port_);
  EXPECT_EQ(silent.read_all(), "");
  TlsClient mute(port_);
  mute.send(upgrade());
  EXPECT_THAT(mute.read_answer(), StartsWith("HTTP/1.1 101 "));
  mute.read_all();  // It does not ping.
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, ATapThatHasNothingToSayStaysConnected) {
  ServerConfig config;
  config.silence = silence_ = milliseconds(600);
  serve(std::move(config));
  const auto quiet = tap({ip("10.0.0.1")});
  quiet->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  std::this_thread::sleep_for(3 * silence_);
  EXPECT_FALSE(quiet->has_lost_a_connection());
}

TEST_F(RegistryServer, ATapThatSendsOneMessageSlowlyIsNotSilent) {
  ServerConfig config;
  config.silence = milliseconds(2'000);
  serve(std::move(config));
  TlsClient slow(port_);
  slow.send(upgrade());
  EXPECT_THAT(slow.read_answer(), StartsWith("HTTP/1.1 101 "));
  slow.send(frame(kHello));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  const std::string record =
      slow.sealed(frame(R"({"type":"state","addresses":["10.0.0.1"],"forwarding":true})"));
  for (std::size_t i = 0; i < record.size(); i += 10) {
    EXPECT_TRUE(slow.send_raw(record.substr(i, 10)));
    std::this_thread::sleep_for(milliseconds(300));
  }
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
}

TEST_F(RegistryServer, TheTimeForTheHandshakeCoversHello) {
  ServerConfig config;
  config.handshake = milliseconds(200);
  config.silence = std::chrono::hours(1);
  serve(std::move(config));
  TlsClient mute(port_);
  mute.send(upgrade());
  EXPECT_THAT(mute.read_answer(), StartsWith("HTTP/1.1 101 "));
  mute.read_all();
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
}

TEST_F(RegistryServer, HoldsFewConnectionsOfOneAddressThatHaveNotSaidHello) {
  ServerConfig config;
  config.most_strangers = 1;
  serve(std::move(config));
  const auto known = tap({ip("10.0.0.1")});
  EXPECT_TRUE(known->sees({}));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  {
    TlsClient first(port_);
    EXPECT_THROW(TlsClient{port_}, std::runtime_error);
    EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"too-many-from-one-address\"} 1"));
  }
  EXPECT_TRUE(shows("sidetap_registry_connections 1"));
  TlsClient next(port_);
}

TEST_F(RegistryServer, RefusesWordsThatAreNone) {
  serve();
  for (const std::string& text :
       {std::string("nonsense"), std::string(R"({"type":"resync"})"),
        std::string(R"({"type":"hello","version":9})"),
        // Whoever does not say hello has not said which version it speaks.
        std::string(R"({"type":"state","addresses":["10.0.0.1"],"forwarding":true})")}) {
    TlsClient client(port_);
    client.send(upgrade());
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 101 "));
    client.send(frame(text));
    EXPECT_THAT(client.read_all(), HasSubstr("\"type\":\"refused\""));
  }
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"protocol\"} 4"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 0"));
}

TEST_F(RegistryServer, HelloComesOnce) {
  serve();
  TlsClient client(port_);
  client.send(upgrade());
  EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 101 "));
  client.send(frame(kHello) + frame(kHello));
  EXPECT_THAT(client.read_all(), HasSubstr("hello comes once"));
}

TEST_F(RegistryServer, HoldsNoMoreConnectionsThanAllowed) {
  ServerConfig config;
  config.most_connections = 2;
  serve(std::move(config));
  TlsClient first(port_);
  TlsClient second(port_);
  EXPECT_THROW(TlsClient{port_}, std::runtime_error);
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"too-many\"} 1"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
