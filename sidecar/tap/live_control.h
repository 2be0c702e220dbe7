// Applies the registry's settings to a running tap.
//
// A tap follows only what its operator allows (--registry-control) and what it could have been
// started with. What it cannot apply leaves everything as it was.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "shared/registry/messages.h"
#include "shared/result.h"
#include "sidecar/options/live_options.h"
#include "sidecar/options/options.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap {

/// How a change reaches the packet paths.
struct LiveActions {
  /// Passes every path to the sensors, mode, output and narrowing of these options. The Error says
  /// why a path stays as it was.
  std::function<Result<void>(const RunOptions&)> follow{};
};

/// What a report says of it.
struct ControlState {
  std::string profile{};         ///< Of the settings in force; empty: those of the environment.
  std::uint64_t generation = 0;  ///< Likewise; 0: those of the environment.
  bool following = true;         ///< What the registry said last is applied.
  friend bool operator==(const ControlState&, const ControlState&) = default;
};

/// Use it on the control thread.
class LiveControl {
 public:
  /// `start` are the checked options of `line`, which are in force. `metrics` must outlive this
  /// object.
  LiveControl(RunOptions start, CommandLine line, LiveActions actions,
              telemetry::MetricsRegistry& metrics);

  /// Calls the action if something differs from the options in force. Logs one line for each
  /// change, and the reason of a refusal once.
  void apply(const registry::Settings& settings);

  const ControlState& state() const { return state_; }

 private:
  void refuse(const registry::Settings& settings, const std::string& reason);

  const RunOptions start_;
  const CommandLine line_;
  const LiveActions actions_;
  telemetry::MetricsRegistry& metrics_;
  RunOptions in_force_;
  ControlState state_;
  std::string refused_;  ///< The last reason in the log; empty while it follows.
};

}  // namespace sidetap
