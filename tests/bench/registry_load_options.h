// What registry_load is told by registry.sh.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/options.h"
#include "shared/net/text.h"

namespace sidetap::bench {

struct Options {
  std::vector<std::uint16_t> ports;  // of the replicas
  std::vector<int> pids;
  std::string ca;
  std::uint32_t taps = 0;
  std::uint32_t changes = 0;
  std::uint32_t restart = 0;
  std::uint32_t reports = 0;         // seconds between those of a tap; 0: none
  std::uint32_t configurations = 0;  // to follow to every tap
  std::string configuration;         // the replicas' file, which is rewritten
  std::uint16_t reviews_port = 0;    // of the first replica; 0: no reviews
  std::string review_file;
  std::uint16_t api_port = 0;  // where the replicas ask for tokens; 0: taps send none
  std::string api_certificate, api_key;
};

template <typename T>
config::Parser<std::vector<T>> numbers() {
  return [](std::string_view text) -> Result<std::vector<T>> {
    std::vector<T> values;
    for (const std::string_view item : net::Items(text)) {
      const auto value = net::whole_number<T>(item);
      if (!value) return Error{"whole numbers, separated by commas"};
      values.push_back(*value);
    }
    return values;
  };
}

inline config::ParseResult parse_options(std::span<const char* const> arguments, Options& o) {
  config::OptionSet set("registry_load",
                        "Holds many taps' connections to a registry and measures it.");
  const auto port = [&](std::string_view flag, std::string_view help, std::uint16_t& target) {
    set.add<std::uint16_t>({.flag = flag, .value = "PORT", .help = help},
                           config::number<std::uint16_t>(1, 65'535, "a port"), target);
  };
  const auto file = [&](std::string_view flag, std::string_view help, std::string& target,
                        bool required = false) {
    set.add<std::string>({.flag = flag, .value = "FILE", .help = help, .required = required},
                         config::readable_file(), target);
  };
  const auto count = [&](std::string_view flag, std::string_view fallback, std::string_view help,
                         std::uint32_t least, std::uint32_t& target) {
    set.add<std::uint32_t>({.flag = flag, .value = "N", .fallback = fallback, .help = help},
                           config::number<std::uint32_t>(least, 25'000, "a count"), target);
  };
  set.add<std::vector<std::uint16_t>>({.flag = "--ports",
                                       .value = "PORT,...",
                                       .help = "the replicas' ports on 127.0.0.1",
                                       .required = true},
                                      numbers<std::uint16_t>(), o.ports);
  set.add<std::vector<int>>(
      {.flag = "--pids", .value = "PID,...", .help = "the webhooks' processes", .required = true},
      numbers<int>(), o.pids);
  file("--ca", "the CA of their certificates, PEM", o.ca, true);
  port("--reviews-port", "where the first replica takes reviews", o.reviews_port);
  file("--review", "a review", o.review_file);
  port("--api-port", "serves an API server that knows taps' tokens", o.api_port);
  file("--api-cert", "its certificate, PEM", o.api_certificate);
  file("--api-key", "key of the certificate, PEM", o.api_key);
  count("--taps", "10000", "taps to hold connections of", 1, o.taps);
  count("--changes", "20", "changes to follow to every tap", 0, o.changes);
  count("--restart", "1000", "taps that restart within a minute", 0, o.restart);
  file("--config", "the replicas' configuration, which is rewritten", o.configuration, true);
  count("--reports", "10", "seconds between the reports of a tap; 0: none", 0, o.reports);
  count("--configurations", "3", "configurations to follow to every tap", 0, o.configurations);
  return set.parse(arguments, config::process_environment);
}

}  // namespace sidetap::bench
