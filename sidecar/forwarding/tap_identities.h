// Which pod each packet of a collector comes from: OutgoingPacket::origin is the number of a tap.
// For outputs that name pods. A tap's own packets have no origin (0).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::forwarding {

/// As the tap says, unless it is proved; `from` always is more than its word.
struct TapIdentity {
  net::IpAddress from;                    ///< Of the control connection.
  std::string description;                ///< "NAMESPACE/POD", printable.
  std::string interface;                  ///< Printable.
  std::vector<net::IpAddress> addresses;  ///< Of the interface; if it is proved, of the pod.
  std::string node{};                     ///< Empty: not known.
  std::string uid{};                      ///< Of the pod; empty: not known.
  bool proved = false;  ///< The registry lists `from` for the pod that the description names.

  /// The part of the description before the slash; empty if there is none.
  std::string pod_namespace() const {
    const auto slash = description.find('/');
    return slash == std::string::npos ? std::string() : description.substr(0, slash);
  }
};

/// Any thread. A tap that has gone is known for a while, because its packets may still wait.
class TapIdentities {
 public:
  static constexpr std::size_t kMostGone = 4096;

  /// Null: nobody has, or has had lately, this number.
  std::shared_ptr<const TapIdentity> find(std::uint32_t origin) const {
    const std::lock_guard lock(mutex_);
    const auto found = taps_.find(origin);
    return found == taps_.end() ? nullptr : found->second;
  }
  void add(std::uint32_t origin, TapIdentity identity) {
    auto kept = std::make_shared<const TapIdentity>(std::move(identity));
    const std::lock_guard lock(mutex_);
    taps_[origin] = std::move(kept);
  }
  void gone(std::uint32_t origin) {
    const std::lock_guard lock(mutex_);
    if (!taps_.contains(origin)) return;
    gone_.push_back(origin);
    if (gone_.size() <= kMostGone) return;
    taps_.erase(gone_.front());
    gone_.pop_front();
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, std::shared_ptr<const TapIdentity>> taps_;
  std::deque<std::uint32_t> gone_;  // the one that went first in front
};

}  // namespace sidetap::forwarding
