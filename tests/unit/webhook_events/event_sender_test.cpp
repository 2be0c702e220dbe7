// Sending events to an API server over its real wire, and what is counted when it refuses.
#include "webhook/events/event_sender.h"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "shared/http/https_server.h"
#include "tests/support/certificates.h"
#include "tests/unit/webhook_events/sample_event.h"

namespace sidetap::webhook::events {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::milliseconds;

class EventSenderTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto leaf = testing_support::make_leaf(ca_, {"IP:127.0.0.1"});
    ASSERT_TRUE(tls_.replace({leaf.certificate, leaf.key}));
    server_ = std::make_unique<http::HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, 1, http::ServerLimits{}, tls_,
        [this](const http::HttpRequest& request) { return answer(request); });
    const auto port = server_->start();
    ASSERT_TRUE(port);
    kube::Credentials credentials{{"127.0.0.1", *port},
                                  folder_.write("ca.crt", ca_.certificate),
                                  folder_.write("token", "me"),
                                  "ns"};
    sender_ = std::make_unique<EventSender>(context_.get_executor(), std::move(credentials),
                                            "replica-1", metrics_);
    asio::post(context_, [this] { sender_->start(); });
    thread_ = std::thread([this] { context_.run(); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] { sender_->stop(); });
    guard_.reset();
    thread_.join();
  }
  http::HttpAnswer answer(const http::HttpRequest& request) {
    const std::lock_guard lock(mutex_);
    targets_.emplace_back(request.target);
    bodies_.push_back(json::parse(request.body));
    return {status_, "application/json", {}, R"({"reason":"Some"})"};
  }
  void answer_with(unsigned status) {
    const std::lock_guard lock(mutex_);
    status_ = status;
  }
  std::size_t received() {
    const std::lock_guard lock(mutex_);
    return bodies_.size();
  }
  [[nodiscard]] bool counts(const std::string& line) const {
    for (int i = 0; i < 1'000; ++i) {
      if (metrics_.text().find("\n" + line + "\n") != std::string::npos) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("CA");
  testing_support::TemporaryFolder folder_;
  http::TlsStore tls_;
  telemetry::MetricsRegistry metrics_;
  std::mutex mutex_;
  unsigned status_ = 201;
  std::vector<std::string> targets_;
  std::vector<json> bodies_;
  std::unique_ptr<http::HttpsServer> server_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  std::unique_ptr<EventSender> sender_;
  std::thread thread_;
};

TEST_F(EventSenderTest, AnEventIsCreatedOnce) {
  std::vector<std::thread> reviewers;
  for (int i = 0; i < 4; ++i) {
    reviewers.emplace_back([this] {
      for (int k = 0; k < 25; ++k) sender_->offer(sample_event());
    });
  }
  for (auto& reviewer : reviewers) reviewer.join();
  EXPECT_TRUE(counts("sidetap_events_sent_total 1"));
  EXPECT_TRUE(counts(R"(sidetap_events_dropped_total{reason="duplicate"} 99)"));
  ASSERT_EQ(received(), 1U);
  EXPECT_EQ(targets_[0], "/api/v1/namespaces/shop/events");
  EXPECT_EQ(bodies_[0]["involvedObject"]["uid"], "u-web-7d4b9");
  EXPECT_EQ(bodies_[0]["reportingInstance"], "replica-1");
}

TEST_F(EventSenderTest, WhatAnotherReplicaHasSaidIsADuplicate) {
  answer_with(409);
  sender_->offer(sample_event());
  EXPECT_TRUE(counts(R"(sidetap_events_dropped_total{reason="duplicate"} 1)"));
}

TEST_F(EventSenderTest, WithoutTheRightEventsAreDroppedAndLaterOnesAreSent) {
  answer_with(403);
  sender_->offer(sample_event("a"));
  sender_->offer(sample_event("b"));
  EXPECT_TRUE(counts(R"(sidetap_events_dropped_total{reason="refused"} 2)"));
  answer_with(201);
  sender_->offer(sample_event("c"));
  EXPECT_TRUE(counts("sidetap_events_sent_total 1"));
}

TEST_F(EventSenderTest, AnApiServerThatIsAwayCostsTheEvent) {
  server_.reset();
  sender_->offer(sample_event());
  EXPECT_TRUE(counts(R"(sidetap_events_dropped_total{reason="unreachable"} 1)"));
}

}  // namespace
}  // namespace sidetap::webhook::events
