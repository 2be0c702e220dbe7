// Who has sent the datagrams of taps that are gone. They may send more: their last datagrams are
// still under way, or they have not noticed that their sessions have ended. No other tap may be
// taken for their sender. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <unordered_map>

#include "shared/net/socket_address.h"

namespace sidetap::collector {

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
  void add(const net::SocketAddress& sender, Time now);
  /// Whether what it sends now belongs to the tap that has gone. `begins`: a capture begins with
  /// it, so it is of a new tap that has got the same port.
  bool is_former(const net::SocketAddress& sender, bool begins, Time now);
  std::size_t size() const { return senders_.size(); }

 private:
  struct Former {
    Time gone{};
    Time heard{};
  };
  static bool is_over(const Former& former, Time now) {
    return now - former.heard >= kSilence || now - former.gone >= kLongest;
  }

  std::unordered_map<net::SocketAddress, Former> senders_;
};

}  // namespace sidetap::collector
