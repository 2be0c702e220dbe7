// Delivers packets to sensors and clients that request them over RPCAP.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/shared_exclusion.h"
#include "sidecar/session/sessions.h"

namespace sidetap {

class RpcapDelivery final : public Delivery {
 public:
  /// `loop`, `metrics` and what `exclude` refers to must outlive the sessions; `metrics` may be
  /// null. `prefix` distinguishes the connections of these sessions from those of others.
  RpcapDelivery(boost::asio::any_io_executor executor, session::SessionsConfig config,
                session::CaptureControl& loop, std::string prefix, std::uint64_t stage,
                Exclude exclude, telemetry::MetricsRegistry* metrics)
      : control_(
            std::make_shared<SharedExclusion>(loop, std::move(prefix), stage, std::move(exclude))),
        sessions_(std::move(executor), std::move(config), control_, metrics) {}

  Result<void> start() override { return sessions_.start(); }
  void dial_soon() override { sessions_.dial_soon(); }
  boost::asio::awaitable<void> stop() override { return sessions_.stop(); }
  bool forwarding() const override { return sessions_.forwarding(); }
  std::vector<registry::SensorReport> sensors() const override { return sessions_.sensors(); }
  void on_forwarding_changed(std::function<void()> callback) override {
    sessions_.on_change([callback = std::move(callback)](bool) { callback(); });
  }
  void forget_connections() override { control_->forget(); }

 private:
  std::shared_ptr<SharedExclusion> control_;
  session::Sessions sessions_;
};

}  // namespace sidetap
