// Delivers packets to sensors and clients that request them over RPCAP.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/shared_exclusion.h"
#include "sidecar/session/sessions.h"

namespace sidetap {

class RpcapDelivery final : public Delivery {
 public:
  /// `loop` and `metrics` must outlive this object; `metrics` may be null. `prefix` distinguishes
  /// the connections of this interface's sessions from those of other interfaces.
  RpcapDelivery(boost::asio::any_io_executor executor, session::SessionsConfig config,
                session::CaptureControl& loop, std::string prefix, Exclude exclude,
                telemetry::MetricsRegistry* metrics)
      : control_(loop, std::move(prefix), std::move(exclude)),
        sessions_(std::move(executor), std::move(config), control_, metrics) {}

  Result<void> start() override { return sessions_.start(); }
  boost::asio::awaitable<void> stop() override { return sessions_.stop(); }
  bool forwarding() const override { return sessions_.forwarding(); }
  void on_forwarding_changed(std::function<void()> callback) override {
    sessions_.on_forwarding_changed([callback = std::move(callback)](bool) { callback(); });
  }

 private:
  SharedExclusion control_;
  session::Sessions sessions_;
};

}  // namespace sidetap
