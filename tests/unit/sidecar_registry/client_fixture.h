// The registry's client on a thread of its own, with a replica on the loopback.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "shared/registry/codec.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/registry/client.h"
#include "tests/support/certificates.h"
#include "tests/unit/sidecar_registry/fake_registry.h"
#include "tests/unit/sidecar_registry/words.h"

namespace sidetap::registry {

class RegistryClient : public testing::Test {
 protected:
  ~RegistryClient() override {
    stop();
    guard_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  testing_support::KeyPair leaf() { return testing_support::make_leaf(ca_, {"IP:127.0.0.1"}); }
  ClientConfig config() {
    ClientConfig config;
    config.registry = {"127.0.0.1", registry_.port()};
    config.ca = ca_.certificate;
    config.token_file = token_file_;
    config.grace = std::chrono::milliseconds(300);
    config.resolve_interval = std::chrono::milliseconds(100);
    config.settling = config.linger = std::chrono::milliseconds(10);
    config.backoff = {std::chrono::milliseconds(10), std::chrono::milliseconds(50)};
    return config;
  }
  Result<void> start(ClientConfig config) {
    ClientCallbacks callbacks;
    callbacks.on_peers = [this](std::shared_ptr<const Peers> peers) {
      const std::lock_guard lock(mutex_);
      peers_ = *peers;
      changed_.notify_all();
    };
    callbacks.on_first_word = [this] {
      const std::lock_guard lock(mutex_);
      ++first_words_;
      peers_at_first_word_ = peers_;
      changed_.notify_all();
    };
    callbacks.on_relied_on = [this](bool relied_on) {
      const std::lock_guard lock(mutex_);
      relied_on_.push_back(relied_on);
      changed_.notify_all();
    };
    callbacks.on_settings = [this](const Settings& settings) {
      const std::lock_guard lock(mutex_);
      settings_.push_back(settings);
      changed_.notify_all();
    };
    callbacks.exclude = [this](const std::string&, std::vector<capture::OwnEndpoint> endpoints) {
      const std::lock_guard lock(mutex_);
      if (!endpoints.empty()) excluded_ = endpoints.front();
      return std::chrono::milliseconds();
    };
    if (!replicas_.empty()) {
      callbacks.resolve = [this]() -> asio::awaitable<Result<std::vector<session::Endpoint>>> {
        co_return replicas_;
      };
    }
    client_ = std::make_unique<Client>(context_.get_executor(), std::move(config),
                                       std::move(callbacks), &metrics_);
    client_->set_own({{ip("10.1.2.3")}, {}});
    auto started = client_->start();
    thread_ = std::thread([this] { context_.run(); });
    return started;
  }
  void stop() {
    if (!client_ || stopped_) return;
    stopped_ = true;
    EXPECT_EQ(asio::co_spawn(context_, client_->stop(), asio::use_future)
                  .wait_for(std::chrono::seconds(20)),
              std::future_status::ready);
  }
  /// What the tap says first, on each connection.
  static std::string hello(bool forwarding) {
    return encode(Hello{{Addresses{ip("10.1.2.3")}, forwarding}, kRules});
  }
  void forward() {
    on_thread([this] { client_->set_own({{ip("10.1.2.3")}, {ip("10.1.2.3")}}); });
  }
  /// Though this replica does not list it.
  [[nodiscard]] bool goes_on_when_told_to_leave() {
    registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
    EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}));
    auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
    EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false}));
    return left.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout;
  }
  void on_thread(std::function<void()> work) { asio::post(context_, std::move(work)); }
  [[nodiscard]] bool wait_for_peers(const Addresses& tapped,
                                    const std::optional<Addresses>& services = std::nullopt) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return peers_ && peers_->tapped == tapped && peers_->services == services;
    });
  }
  unsigned first_words() {
    const std::lock_guard lock(mutex_);
    return first_words_;
  }
  std::vector<bool> relied_on() {
    const std::lock_guard lock(mutex_);
    return relied_on_;
  }
  /// Those that were in force, one after another.
  std::vector<Settings> settings() {
    const std::lock_guard lock(mutex_);
    return settings_;
  }
  template <typename Condition>
  [[nodiscard]] bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), condition);
  }
  [[nodiscard]] bool wait_for_metric(const std::string& line) {
    for (int i = 0; i < 500; ++i) {
      if (metrics_.text().find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("registry CA");
  testing_support::TemporaryFolder folder_;
  std::string token_file_ = folder_.write("token", "first\n");
  FakeRegistry registry_{leaf(), "127.0.0.1"};
  std::vector<session::Endpoint> replicas_;  // instead of the name's addresses
  telemetry::MetricsRegistry metrics_;
  asio::io_context context_{1};
  async::TaskGroup link_tasks_{context_.get_executor(), nullptr};
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  std::unique_ptr<Client> client_;
  std::thread thread_;
  bool stopped_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Peers> peers_;
  unsigned first_words_ = 0;
  std::optional<Peers> peers_at_first_word_;
  std::vector<bool> relied_on_;
  std::vector<Settings> settings_;
  std::optional<capture::OwnEndpoint> excluded_;
};

}  // namespace sidetap::registry
