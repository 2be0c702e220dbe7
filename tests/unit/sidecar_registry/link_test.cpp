// One connection to a replica: how it ends, and what is said of it.
#include "sidecar/registry/link.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/client_fixture.h"

namespace sidetap::registry {
namespace {

using testing::HasSubstr;

TEST_F(RegistryClient, ASilentReplicaWasHeardOfWhenItsLastByteCame) {
  ClientConfig with = config();
  with.silence = std::chrono::milliseconds(200);
  const auto link = std::make_shared<Link>(
      link_tasks_, context_.get_executor(), with,
      session::Endpoint(asio::ip::make_address("127.0.0.1"), registry_.port()));
  const session::Exclude exclude = [](const capture::OwnEndpoint&) {
    return std::chrono::milliseconds();
  };
  const std::function<std::string()> say_hello = [] { return encode(Hello{}); };
  const std::function<bool(Message)> on_message = [](Message) { return true; };
  auto ended = asio::co_spawn(context_, link->run(ca_.certificate, exclude, say_hello, on_message),
                              asio::use_future);
  thread_ = std::thread([this] { context_.run(); });
  EXPECT_TRUE(registry_.receive());
  registry_.freeze();
  const auto frozen = std::chrono::steady_clock::now();
  const LinkEnd end = ended.get();
  EXPECT_EQ(end.text, "the registry is silent");
  EXPECT_LT(end.heard, frozen);
}

TEST_F(RegistryClient, ACertificateOfAnotherCaNamesTheRemedy) {
  ClientConfig with = config();
  const auto link = std::make_shared<Link>(
      link_tasks_, context_.get_executor(), with,
      session::Endpoint(asio::ip::make_address("127.0.0.1"), registry_.port()));
  const std::string foreign = testing_support::make_ca("registry CA").certificate;
  const session::Exclude exclude = [](const capture::OwnEndpoint&) {
    return std::chrono::milliseconds();
  };
  const std::function<std::string()> say_hello = [] { return encode(Hello{}); };
  const std::function<bool(Message)> on_message = [](Message) { return true; };
  auto ended = asio::co_spawn(context_, link->run(foreign, exclude, say_hello, on_message),
                              asio::use_future);
  thread_ = std::thread([this] { context_.run(); });
  const LinkEnd end = ended.get();
  EXPECT_EQ(end.kind, "handshake");
  EXPECT_THAT(end.text, HasSubstr("another CA than when this pod was made: restart"));
}

}  // namespace
}  // namespace sidetap::registry
