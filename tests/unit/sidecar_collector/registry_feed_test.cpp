// The collector follows a registry that a test plays.
#include "sidecar/collector/registry_feed.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "tests/support/addresses.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_peer.h"

namespace sidetap::collector {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::TlsPeer;

const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n";
const std::string kCart =
    R"({"ip":["10.244.1.7"],"namespace":"shop","pod":"cart","uid":"u1","node":"n1","from":"2026-01-02T03:04:05.678Z","to":null})"
    "\n";
const std::string kWhole = "{\"position\":\"17-1\"}\n";

class RegistryFeedTest : public testing::Test {
 protected:
  ~RegistryFeedTest() override {
    if (feed_) {
      context_.restart();
      async::run_to_end(context_, feed_->stop());
    }
    feed_.reset();
    server_.reset();
  }

  /// Each connection is handled by the next script, the last one by all that follow.
  void serve(std::vector<std::function<void(TlsPeer&)>> scripts) {
    const auto ca = testing_support::make_ca("registry");
    const auto leaf = testing_support::make_leaf(ca, {"DNS:registry.test"});
    server_ = std::make_unique<testing_support::TlsPeerServer>(
        leaf, [this, scripts = std::move(scripts)](TlsPeer& peer) {
          const std::size_t turn = std::min(next_++, scripts.size() - 1);
          std::string request = peer.request();
          {
            const std::lock_guard lock(mutex_);
            requests_.push_back(std::move(request));
          }
          scripts[turn](peer);
        });
    RegistryFeedConfig config;
    config.registry = {"127.0.0.1", server_->port()};
    config.ca = ca_ = ca.certificate;
    config.server_name = "registry.test";
    config.token_file = folder_.write("token", "t0ken\n");
    config.silence = milliseconds(5'000);
    config.backoff = {milliseconds(10), milliseconds(50)};
    feed_ =
        std::make_unique<RegistryFeed>(context_.get_executor(), std::move(config), proof_, nullptr);
    feed_->start();
  }
  static std::function<void(TlsPeer&)> say(const std::string& bytes, bool ends = false) {
    return [bytes, ends](TlsPeer& peer) {
      peer.send(bytes);
      if (ends) {
        peer.finish();
      } else {
        peer.wait_for_end();
      }
    };
  }
  bool soon(const std::function<bool()>& condition) {
    for (int i = 0; i < 1'000 && !condition(); ++i) {
      context_.restart();
      context_.run_for(milliseconds(10));
    }
    return condition();
  }
  bool is_proved() const {
    return proof_.judge("shop/cart", ip("10.244.1.7"), false).kind == Judgement::Kind::kProved;
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  boost::asio::io_context context_{1};
  testing_support::TemporaryFolder folder_;
  TapProof proof_{ProofConfig{.admit_unproven = false}};
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::size_t next_ = 0;
  std::string ca_;  // that has signed the server's certificate
  std::unique_ptr<testing_support::TlsPeerServer> server_;
  std::unique_ptr<RegistryFeed> feed_;
};

TEST_F(RegistryFeedTest, LearnsWhatTheRegistryHasProved) {
  serve({say(kStreamHead + kCart + kWhole)});
  ASSERT_TRUE(soon([&] { return is_proved(); }));
  const std::string request = requests().at(0);
  EXPECT_THAT(request, StartsWith("GET /v1/identities/stream HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("Authorization: Bearer t0ken\r\n"));
}

TEST_F(RegistryFeedTest, GoesOnWhereItStopped) {
  serve({say(kStreamHead + kCart + kWhole, true), say(kStreamHead)});
  ASSERT_TRUE(soon([&] { return requests().size() == 2; }));
  EXPECT_THAT(requests()[1], StartsWith("GET /v1/identities/stream?after=17-1 HTTP/1.1\r\n"));
  EXPECT_TRUE(is_proved());
}

TEST_F(RegistryFeedTest, BeginsAnewWhereThePositionIsNotKnown) {
  serve({say(kStreamHead + kCart + kWhole, true),
         say("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true),
         say(kStreamHead + kWhole)});
  ASSERT_TRUE(soon([&] { return requests().size() == 3; }));
  EXPECT_THAT(requests()[2], StartsWith("GET /v1/identities/stream HTTP/1.1\r\n"));
  EXPECT_TRUE(soon([&] { return !is_proved(); })) << "the new list does not have it";
}

TEST_F(RegistryFeedTest, ARefusalIsTriedAgain) {
  serve({say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true),
         say(kStreamHead + kCart + kWhole)});
  EXPECT_TRUE(soon([&] { return is_proved(); }));
}

TEST_F(RegistryFeedTest, AMalformedOrEndlessLineEndsTheConnectionAndCostsNothingThatWasKnown) {
  serve({say(kStreamHead + kCart + kWhole + "{\"ip\":\n"),
         say(kStreamHead + std::string(200'000, 'x')), say(kStreamHead)});
  ASSERT_TRUE(soon([&] { return requests().size() == 3; }));
  EXPECT_THAT(requests()[1], Not(HasSubstr("after="))) << "what it says cannot be relied on";
  EXPECT_TRUE(is_proved());
}

TEST_F(RegistryFeedTest, OnlyTheRegistrysOwnCertificateCounts) {
  serve({say(kStreamHead + kCart + kWhole)});
  context_.restart();
  async::run_to_end(context_, feed_->stop());
  RegistryFeedConfig config;
  config.registry = {"127.0.0.1", server_->port()};
  config.ca = testing_support::make_ca("another").certificate;
  config.server_name = "registry.test";
  config.backoff = {milliseconds(10), milliseconds(50)};
  const std::size_t before = requests().size();
  feed_ =
      std::make_unique<RegistryFeed>(context_.get_executor(), std::move(config), proof_, nullptr);
  feed_->start();
  const int connections = server_->connections();
  ASSERT_TRUE(soon([&] { return server_->connections() > connections + 1; }));
  EXPECT_EQ(requests().size(), before);
  EXPECT_FALSE(is_proved());
}

TEST_F(RegistryFeedTest, AFileThatHoldsTheCaIsReadAtEachConnection) {
  serve({say(kStreamHead + kCart + kWhole)});
  context_.restart();
  async::run_to_end(context_, feed_->stop());
  RegistryFeedConfig config;
  config.registry = {"127.0.0.1", server_->port()};
  config.ca = folder_.write("ca.crt", testing_support::make_ca("former").certificate);
  config.server_name = "registry.test";
  config.backoff = {milliseconds(10), milliseconds(50)};
  feed_ =
      std::make_unique<RegistryFeed>(context_.get_executor(), std::move(config), proof_, nullptr);
  const int connections = server_->connections();
  feed_->start();
  ASSERT_TRUE(soon([&] { return server_->connections() > connections; }));
  EXPECT_FALSE(is_proved());
  folder_.write("ca.crt", ca_);
  EXPECT_TRUE(soon([&] { return is_proved(); }));
}

}  // namespace
}  // namespace sidetap::collector
