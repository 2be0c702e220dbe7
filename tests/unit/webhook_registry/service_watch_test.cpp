// Following Services, EndpointSlices and Nodes of an API server over its real wire: pages, watches,
// expiry of versions, and what becomes of it when the server is away.
#include "webhook/registry/service_watch.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/addresses.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_peer.h"
#include "tests/unit/webhook_registry/fake_cluster.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using Addresses = std::set<net::IpAddress>;

json service(const std::string& name, const std::string& address) {
  return {{"metadata", {{"name", name}, {"namespace", "shop"}}},
          {"spec", {{"clusterIPs", {address}}}}};
}
json slice(const std::string& name, const std::string& owner,
           const std::vector<std::string>& endpoints) {
  json object{{"metadata",
               {{"name", name},
                {"namespace", "shop"},
                {"labels", {{"kubernetes.io/service-name", owner}}}}},
              {"addressType", "IPv4"},
              {"endpoints", json::array()}};
  for (const auto& endpoint : endpoints) object["endpoints"].push_back({{"addresses", {endpoint}}});
  return object;
}

json node_of(const std::string& name, const std::string& address) {
  json object{{"metadata", {{"name", name}}}};
  object["status"]["addresses"].push_back({{"type", "InternalIP"}, {"address", address}});
  return object;
}

/// One Service with one endpoint. Its watches stand, and say nothing.
class QuietCluster {
 public:
  explicit QuietCluster(const testing_support::KeyPair& leaf) : server_(leaf, serve, 3) {}
  std::uint16_t port() const { return server_.port(); }

 private:
  static void serve(testing_support::TlsPeer& client) {
    for (;;) {
      const std::string request = client.request();
      if (request.empty() || !client.send(answer(request))) return;
    }
  }
  static std::string answer(const std::string& request) {
    if (request.find("watch=1") != std::string::npos)
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const auto asks_for = [&](const char* path) { return request.find(path) != std::string::npos; };
    const json item = asks_for(kServices) ? service("a", "10.96.0.1")
                      : asks_for(kNodes)  ? node_of("n", "172.18.0.1")
                                          : slice("a-1", "a", std::vector<std::string>{"10.0.0.1"});
    const std::string body =
        json{{"metadata", {{"resourceVersion", "1"}}}, {"items", json::array({item})}}.dump();
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  testing_support::TlsPeerServer server_;
};

class ServiceWatchTest : public testing::Test {
 protected:
  void TearDown() override {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] { watch_->stop(); });
    guard_.reset();
    thread_.join();
  }
  void start(milliseconds grace = std::chrono::seconds(60), std::uint16_t port = 0) {
    ServiceWatchConfig config{
        .credentials = kube::Credentials{{"127.0.0.1", port != 0 ? port : cluster_.port()},
                                         folder_.write("ca.crt", ca_.certificate),
                                         folder_.write("token", "me"),
                                         "ns"}};
    config.grace = grace;
    config.first_wait = milliseconds(5);
    config.nodes = nodes_wanted_;
    watch_ = std::make_unique<ServiceWatch>(context_.get_executor(), std::move(config), metrics_,
                                            [this] { publish(); });
    watch_->table().taps_changed({{ip("10.0.0.1"), ip("10.0.0.2")}, {}});
    watch_->start();
    thread_ = std::thread([this] { context_.run(); });
  }
  void publish() {
    sidetap::registry::Change change;
    watch_->table().flush(change);
    const std::lock_guard lock(mutex_);
    published_ = watch_->table().services();
    nodes_ = watch_->table().nodes();
    ever_published_.insert(published_.begin(), published_.end());
    changed_.notify_all();
  }
  /// All that was ever published, though it may have been taken back.
  Addresses ever_published() {
    const std::lock_guard lock(mutex_);
    return ever_published_;
  }
  [[nodiscard]] bool fails(const std::string& resource, int times) {
    const std::string line = "watch_failures_total{resource=\"" + resource + "\"} ";
    for (int i = 0; i < 1000; ++i) {
      const std::string text = metrics_.text();
      const auto at = text.find(line);
      if (at != text.npos && std::stoi(text.substr(at + line.size())) >= times) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  [[nodiscard]] bool publishes(const Addresses& wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return published_ == wanted; });
  }

  [[nodiscard]] bool publishes_nodes(const Addresses& wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return nodes_ == wanted; });
  }

  bool nodes_wanted_ = true;
  testing_support::KeyPair ca_ = testing_support::make_ca("CA");
  FakeCluster cluster_{testing_support::make_leaf(ca_, {"IP:127.0.0.1"})};
  testing_support::TemporaryFolder folder_;
  telemetry::MetricsRegistry metrics_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  std::unique_ptr<ServiceWatch> watch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Addresses published_, nodes_;
  Addresses ever_published_;
  std::thread thread_;
};

TEST_F(ServiceWatchTest, ListsInPagesAndFollowsChanges) {
  cluster_.put(kServices, "a", service("a", "10.96.0.1"));
  cluster_.put(kServices, "b", service("b", "10.96.0.2"));
  cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
  cluster_.put(kSlices, "b-1", slice("b-1", "b", {"10.0.0.2", "10.0.0.3"}));
  start();
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  cluster_.put(kSlices, "b-1", slice("b-1", "b", {"10.0.0.2"}));
  EXPECT_TRUE(publishes({ip("10.96.0.1"), ip("10.96.0.2")}));
  cluster_.put(kSlices, "a-2", slice("a-2", "a", {"10.0.0.9"}));
  EXPECT_TRUE(publishes({ip("10.96.0.2")}));
  cluster_.remove(kSlices, "a-2");
  EXPECT_TRUE(publishes({ip("10.96.0.1"), ip("10.96.0.2")}));
  cluster_.remove(kServices, "b");
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  EXPECT_EQ(cluster_.lists(), 5) << "two pages of each, once, and one of no node";
}

TEST_F(ServiceWatchTest, AnExpiredVersionLeadsToAListAndNothingOldIsLeft) {
  for (const bool by_status : {false, true}) {
    cluster_.put(kServices, "a", service("a", "10.96.0.1"));
    cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
    if (!watch_) start();
    EXPECT_TRUE(publishes({ip("10.96.0.1")}));
    cluster_.forget_silently(kSlices, "a-1");
    cluster_.expire(by_status);
    EXPECT_TRUE(publishes({}));
  }
}

TEST_F(ServiceWatchTest, WhatIsKnownEndsWithTheGraceAndComesBack) {
  cluster_.put(kServices, "a", service("a", "10.96.0.1"));
  cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
  start(milliseconds(20));
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  cluster_.stop();
  EXPECT_TRUE(publishes({}));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_service_watch_failures_total"));
  cluster_.start(cluster_.port());
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
}

TEST_F(ServiceWatchTest, ATokenFileThatIsNoneForAWhileEndsNothingButWhatIsKnown) {
  cluster_.put(kServices, "a", service("a", "10.96.0.1"));
  cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
  start(milliseconds(20));
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  // What a header cannot hold.
  folder_.write("token", std::string(70'000, 'x'));
  EXPECT_TRUE(fails("services", 3));
  EXPECT_TRUE(fails("endpointslices", 3));
  EXPECT_TRUE(publishes({}));
  folder_.write("token", "me");
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
}

TEST_F(ServiceWatchTest, FollowsNodes) {
  cluster_.put(kNodes, "a", node_of("a", "172.18.0.1"));
  cluster_.put(kNodes, "b", node_of("b", "172.18.0.2"));
  start();
  EXPECT_TRUE(publishes_nodes({ip("172.18.0.1"), ip("172.18.0.2")}));
  cluster_.remove(kNodes, "b");
  EXPECT_TRUE(publishes_nodes({ip("172.18.0.1")}));
  cluster_.forget_silently(kNodes, "a");
  cluster_.expire(true);
  EXPECT_TRUE(publishes_nodes({}));
}

TEST_F(ServiceWatchTest, WithoutTheRightToNodesServicesArePublished) {
  cluster_.put(kServices, "a", service("a", "10.96.0.1"));
  cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
  cluster_.put(kNodes, "a", node_of("a", "172.18.0.1"));
  cluster_.refuse(kNodes);
  start();
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  EXPECT_TRUE(fails("nodes", 2));
  EXPECT_TRUE(publishes_nodes({}));
  cluster_.refuse(false);
  EXPECT_TRUE(publishes_nodes({ip("172.18.0.1")}));
}

TEST_F(ServiceWatchTest, AnExpiredListOfNodesEndsNothingElse) {
  cluster_.put(kServices, "a", service("a", "10.96.0.1"));
  cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
  cluster_.put(kNodes, "a", node_of("a", "172.18.0.1"));
  start(milliseconds(20));
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  EXPECT_TRUE(publishes_nodes({ip("172.18.0.1")}));
  cluster_.refuse(kNodes);
  EXPECT_TRUE(publishes_nodes({}));
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
}

TEST_F(ServiceWatchTest, NodesThatNobodyWantsAreNotAskedFor) {
  cluster_.put(kServices, "a", service("a", "10.96.0.1"));
  cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
  nodes_wanted_ = false;
  start();
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  EXPECT_EQ(cluster_.lists(), 2);
}

TEST_F(ServiceWatchTest, OnceStoppedNothingIsLeftToWaitForAndNothingHasFailed) {
  QuietCluster quiet(testing_support::make_leaf(ca_, {"IP:127.0.0.1"}));
  start(std::chrono::hours(1), quiet.port());
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
  asio::post(context_, [this] { watch_->stop(); });
  guard_.reset();
  for (int i = 0; i < 500 && !context_.stopped(); ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(context_.stopped());
  EXPECT_THAT(metrics_.text(), Not(HasSubstr("watch_failures_total{")));
  context_.stop();
}

TEST_F(ServiceWatchTest, WithoutTheRightNothingIsPublished) {
  cluster_.put(kServices, "a", service("a", "10.96.0.1"));
  cluster_.put(kSlices, "a-1", slice("a-1", "a", {"10.0.0.1"}));
  cluster_.refuse(true);
  start();
  EXPECT_TRUE(fails("services", 3));
  EXPECT_TRUE(fails("endpointslices", 3));
  EXPECT_EQ(ever_published(), Addresses{});
  cluster_.refuse(false);
  EXPECT_TRUE(publishes({ip("10.96.0.1")}));
}

}  // namespace
}  // namespace sidetap::webhook::registry
