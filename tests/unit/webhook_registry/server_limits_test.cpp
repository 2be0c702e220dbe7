// What the registry does not put up with: other protocols, silence, and too much of anything.
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

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

TEST_F(RegistryServer, RefusesConnectionsWhileItHasNoCertificate) {
  http::TlsStore empty;
  ServerConfig config;
  config.listen = {"127.0.0.1", 0};
  Server server(std::move(config), empty, metrics_);
  const auto port = server.start();
  ASSERT_TRUE(port) << port.error().text;
  EXPECT_THROW(TlsClient{*port}, std::runtime_error);
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"no-certificate\"} 1"));
  ASSERT_TRUE(empty.replace({leaf_.certificate, leaf_.key}));
  TlsClient served(*port);
  EXPECT_TRUE(shows("sidetap_registry_connections 1"));
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
