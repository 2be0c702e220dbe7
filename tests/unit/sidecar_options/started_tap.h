// A tap's options as they are when it starts.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/options/live_options.h"
#include "sidecar/options/options.h"

namespace sidetap::test {

/// It has a registry and a sensor, and what a test adds.
class StartedTap {
 public:
  explicit StartedTap(std::initializer_list<std::pair<const std::string, std::string>> variables,
                      std::vector<const char*> arguments = {})
      : arguments_(std::move(arguments)), environment_(variables) {
    environment_.insert({{"SENSOR", "192.0.2.1"},
                         {"REGISTRY", "192.0.2.200"},
                         {"REGISTRY_CA", "-----BEGIN CERTIFICATE-----"}});
    EXPECT_EQ(parse_run_options(arguments_, line().environment, options_),
              config::ParseResult::kRun);
  }

  const RunOptions& options() const { return options_; }
  /// Valid as long as this object.
  CommandLine line() const {
    return {arguments_, [this](const std::string& name) -> std::optional<std::string> {
              const auto found = environment_.find(name);
              if (found == environment_.end()) return std::nullopt;
              return found->second;
            }};
  }

 private:
  std::vector<const char*> arguments_;
  std::map<std::string, std::string> environment_;
  RunOptions options_;
};

}  // namespace sidetap::test
