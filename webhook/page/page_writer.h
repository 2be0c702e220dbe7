// A JsonWriter with the numbers that the page shows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "webhook/inventory/inventory.h"
#include "webhook/json/text.h"
#include "webhook/page/survey.h"

namespace sidetap::webhook::page {

class PageWriter : public json::JsonWriter {
 public:
  using JsonWriter::JsonWriter;

  PageWriter& whole(std::uint64_t value) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    number(static_cast<std::int64_t>(std::min(value, kMost)));
    return *this;
  }
  PageWriter& rate(double value) {
    number(whole_rate(value));
    return *this;
  }
  PageWriter& time(const std::optional<inventory::Time>& at) {
    if (at) {
      number(at->time_since_epoch().count());
    } else {
      raw("null");
    }
    return *this;
  }
  PageWriter& count(std::string_view name, std::uint64_t value) {
    key(name);
    return whole(value);
  }
  PageWriter& flag(std::string_view name, bool value) {
    key(name).boolean(value);
    return *this;
  }
  PageWriter& time(std::string_view name, const std::optional<inventory::Time>& at) {
    key(name);
    return time(at);
  }
  PageWriter& rates(const inventory::Rates& flow) {
    key("rates").begin_object();
    key("seen_packets");
    rate(flow.seen_packets);
    key("seen_bytes");
    rate(flow.seen_bytes);
    key("forwarded_packets");
    rate(flow.forwarded_packets);
    key("forwarded_bytes");
    rate(flow.forwarded_bytes);
    key("lost_packets");
    rate(flow.lost_packets);
    end_object();
    return *this;
  }
  /// "lost": the causes, that of most packets first. Map: from a text to a number.
  template <class Map>
  PageWriter& losses(const Map& lost) {
    std::vector<std::pair<std::uint64_t, std::string_view>> causes;
    for (const auto& [cause, packets] : lost) {
      if (packets > 0) causes.emplace_back(packets, cause);
    }
    std::stable_sort(causes.begin(), causes.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    key("lost").begin_array();
    for (const auto& [packets, cause] : causes) {
      begin_object();
      member("cause", cause);
      count("packets", packets);
      end_object();
    }
    end_array();
    return *this;
  }
};

}  // namespace sidetap::webhook::page
