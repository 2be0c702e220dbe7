// Sessions on their own thread, with a fake capture.
#pragma once

#include <condition_variable>
#include <csignal>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/telemetry/metrics.h"
#include "sidecar/session/sessions.h"
#include "tests/unit/sidecar_session/fake_control.h"
#include "tests/unit/sidecar_session/fake_sensor.h"

namespace sidetap::session {

class SessionsTest : public testing::Test {
 protected:
  ~SessionsTest() override {
    stop();
    guard_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  static SessionsConfig config_for(std::initializer_list<std::uint16_t> ports) {
    SessionsConfig config;
    for (const auto port : ports) {
      config.sensors.push_back(
          {.address = {"127.0.0.1", port}, .ipv6_family = rpcap::Ipv6Family::kLinux});
    }
    config.backoff = {std::chrono::milliseconds(20), std::chrono::milliseconds(100)};
    config.connect_timeout = std::chrono::milliseconds(3'000);
    config.message_timeout = std::chrono::milliseconds(300);
    return config;
  }
  Result<void> start(SessionsConfig config) {
    // This object owns the control, and outlives the sessions.
    sessions_ = std::make_unique<Sessions>(
        context_.get_executor(), std::move(config),
        std::shared_ptr<CaptureControl>(std::shared_ptr<void>(), &control_), &metrics_);
    sessions_->on_change([this](bool forwarding) {
      const std::lock_guard lock(mutex_);
      forwarding_ = forwarding;
      changed_.notify_all();
    });
    auto started = sessions_->start();
    std::signal(SIGPIPE, SIG_IGN);
    thread_ = std::thread([this] { context_.run(); });
    return started;
  }
  void stop() {
    if (!sessions_ || stopped_) return;
    stopped_ = true;
    EXPECT_EQ(boost::asio::co_spawn(context_, sessions_->stop(), boost::asio::use_future)
                  .wait_for(std::chrono::seconds(20)),
              std::future_status::ready);
  }
  [[nodiscard]] bool wait_for_forwarding(bool wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return forwarding_ == wanted; });
  }
  [[nodiscard]] bool forwarding_within(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return forwarding_; });
  }
  /// Waits until the line of a metric, "NAME{LABELS} VALUE", is in the exposition.
  [[nodiscard]] bool wait_for_metric(const std::string& line) {
    for (int i = 0; i < 500; ++i) {
      if (metrics_.text().find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  FakeControl control_;
  telemetry::MetricsRegistry metrics_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ =
      boost::asio::make_work_guard(context_);
  std::unique_ptr<Sessions> sessions_;
  std::thread thread_;
  bool stopped_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool forwarding_ = false;
};

}  // namespace sidetap::session
