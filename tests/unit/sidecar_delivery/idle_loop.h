// A capture loop without packets, and a wait for what a delivery on it does.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/capture_loop.h"
#include "tests/unit/sidecar_tap/quiet_device.h"

namespace sidetap {

/// The loop does not run, so that it does at once what it is asked for.
inline std::unique_ptr<CaptureLoop> make_idle_loop() {
  CaptureLoopConfig config;
  config.interface = "eth0";
  return std::make_unique<CaptureLoop>(std::move(config), std::make_unique<QuietDevice>(),
                                       std::make_unique<ownership::NoListeningSockets>());
}

/// Whether it comes true within ten seconds, in which the context runs.
inline bool comes_true(boost::asio::io_context& context, const std::function<bool()>& what) {
  for (int i = 0; i < 1000 && !what(); ++i) {
    context.restart();
    context.run_for(std::chrono::milliseconds(10));
  }
  return what();
}

}  // namespace sidetap
