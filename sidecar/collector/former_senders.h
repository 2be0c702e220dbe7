// Who has sent the datagrams of taps that are gone. They may send more: their last datagrams are
// still under way, or they have not noticed that their sessions have ended. No other tap may be
// taken for their sender. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "shared/net/ip_address.h"

namespace sidetap::collector {

/// Where datagrams come from.
struct Sender {
  net::IpAddress address{};
  std::uint16_t port = 0;
  friend bool operator==(const Sender&, const Sender&) = default;
};

struct SenderHash {
  std::size_t operator()(const Sender& sender) const noexcept {
    return std::hash<net::IpAddress>()(sender.address) ^
           static_cast<std::size_t>(sender.port * 0x9e3779b97f4a7c15ULL);
  }
};

/// Memory is bounded.
class FormerSenders {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// One that has sent nothing for so long is forgotten.
  static constexpr std::chrono::seconds kSilence{2};
  /// So is one that goes on for so long. A tap notices the end of its session much sooner.
  static constexpr std::chrono::seconds kLongest{30};
  static constexpr std::size_t kMost = 1U << 16;

  /// Its tap has gone.
  void add(const Sender& sender, Time now);
  /// Whether what it sends now belongs to the tap that has gone. `begins`: a capture begins with
  /// it, so it is of a new tap that has got the same port.
  bool is_former(const Sender& sender, bool begins, Time now);
  std::size_t size() const { return senders_.size(); }

 private:
  struct Former {
    Time gone{};
    Time heard{};
  };
  static bool is_over(const Former& former, Time now) {
    return now - former.heard >= kSilence || now - former.gone >= kLongest;
  }

  std::unordered_map<Sender, Former, SenderHash> senders_;
};

}  // namespace sidetap::collector
