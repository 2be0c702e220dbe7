// The interfaces of one pcapng file or stream of a collector: one for each interface of a pod, with
// numbers in the order of their first packets. A tap that connects again gets another number as the
// origin of its packets, and keeps its interface. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sidecar/forwarding/capture_format.h"
#include "sidecar/forwarding/tap_identities.h"

namespace sidetap::forwarding {

/// One thread. Memory is bounded, whatever taps say of themselves.
class TapInterfaces {
 public:
  /// Interfaces of one file or stream: more than a collector has taps, as long as nobody raises
  /// --max-taps.
  static constexpr std::size_t kMost = 16'384;
  /// Of one interface that get a name; more stay without.
  static constexpr std::size_t kMostAddresses = 32;
  /// Origins that are remembered. Then all are looked up again.
  static constexpr std::size_t kMostOrigins = 2 * kMost;

  /// An origin without a packet so far.
  struct Newcomer {
    /// Of the same pod, from before. Nothing: it needs a new one.
    std::optional<std::uint32_t> interface = std::nullopt;
    InterfaceLabel label{};
    std::vector<NamedAddress> names{};  ///< Those that are not there yet.
  };

  explicit TapInterfaces(std::shared_ptr<const TapIdentities> identities)
      : identities_(std::move(identities)) {}

  /// Nothing: meet() it first.
  std::optional<std::uint32_t> find(std::uint32_t origin);
  /// "NAMESPACE/POD INTERFACE" of a tap that says its pod, "ADDRESS INTERFACE" of another, and
  /// "tap NUMBER" if nothing is known of it (any more). Changes nothing.
  Newcomer meet(std::uint32_t origin) const;
  /// Takes in what meet() has returned last for this origin. Returns the interface. A new one needs
  /// room.
  std::uint32_t add(std::uint32_t origin, const Newcomer& newcomer);

  bool is_full() const { return named_.size() >= kMost; }
  /// For the next file, which begins without any.
  void clear();

 private:
  std::shared_ptr<const TapIdentities> identities_;
  std::unordered_map<std::uint32_t, std::uint32_t> by_origin_;
  std::unordered_map<std::string, std::uint32_t> by_label_;
  std::vector<std::vector<net::IpAddress>> named_;  // the addresses of each interface
  // Most packets come from the tap of the one before.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> last_;  // origin, interface
};

}  // namespace sidetap::forwarding
